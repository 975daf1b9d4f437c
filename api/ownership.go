package api

import (
	"context"
	"errors"
	"strings"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"bulkhead/book"
	"bulkhead/contract"
	"bulkhead/lease"
)

// ownership says how a method keeps a tenant's role to its own tenant: which
// field of the request names a resource, and whose that is. The guard asks before
// the handler is called, and looks at the answer afterwards. Handlers look again
// where they read: what a request names may change hands in between.
type ownership struct {
	field protoreflect.Name
	what  string // as an answer calls it where there is none
	// tenant finds whose it is. What is not there is nobody's: the handler answers.
	tenant func(b *book.State, value protoreflect.Value) (id, tenant string, found bool)
}

// The ownerships. nil is a method that no tenant's role can call, whatever the
// table lists.
var (
	// open methods name no resource and answer with nothing of anybody.
	open = &ownership{}
	// listed methods name no resource: they list what is the caller's.
	listed = &ownership{}

	ofTenant = &ownership{"tenant", "tenant", func(_ *book.State, v protoreflect.Value) (string, string, bool) {
		return v.String(), v.String(), v.String() != "" // "" is the caller's own
	}}
	ofScope = &ownership{"scope", "scope", func(_ *book.State, v protoreflect.Value) (string, string, bool) {
		tenant, ok := strings.CutPrefix(v.String(), book.TenantScope(""))
		if !ok {
			tenant = "" // the site's, or nobody's
		}
		return v.String(), tenant, v.String() != ""
	}}
	ofContract = &ownership{"contract", "contract", func(b *book.State, v protoreflect.Value) (string, string, bool) {
		k, found := b.Contracts[v.String()]
		if !found {
			return "", "", false
		}
		return v.String(), k.Current().Tenant, true
	}}
	// ofOffer is of the tenant that the offered contract names.
	ofOffer = &ownership{"contract", "tenant", func(_ *book.State, v protoreflect.Value) (string, string, bool) {
		c, err := contract.Parse("", v.Bytes())
		if err != nil {
			return "", "", false // the handler says what is wrong with it
		}
		return c.Tenant, c.Tenant, true
	}}
	ofLease   = &ownership{"lease", "lease", leaseTenant}
	ofInvoice = &ownership{"number", "invoice", func(b *book.State, v protoreflect.Value) (string, string, bool) {
		for _, i := range b.Invoices {
			if i.Number == v.String() {
				return i.Number, i.Tenant, true
			}
		}
		return "", "", false
	}}
	// ofNode is of the tenant whose lease holds it; a node that no lease holds is
	// the owner's.
	ofNode = &ownership{"node", "node", func(b *book.State, v protoreflect.Value) (string, string, bool) {
		if b.Site == nil {
			return "", "", false
		}
		n, found := b.Site.Lookup(v.String())
		if !found {
			return "", "", false
		}
		if l := b.LeaseOn(n); l != nil {
			return v.String(), l.Tenant, true
		}
		return v.String(), "", true
	}}
)

func leaseTenant(b *book.State, v protoreflect.Value) (string, string, bool) {
	l, found := b.LeaseByID(lease.ID(v.String()))
	if !found {
		return "", "", false
	}
	return v.String(), l.Tenant, true
}

// asksForItsOwn refuses a tenant's role what is another's. The answer is that for
// what does not exist.
func (g *guard) asksForItsOwn(ctx context.Context, procedure string, request proto.Message) error {
	t := caller(ctx)
	if !t.Role.OfTenant() {
		return nil
	}
	own := policy[method(procedure)].own
	if own == nil {
		return connect.NewError(connect.CodePermissionDenied, errors.New("role "+string(t.Role)+" may not call "+method(procedure)))
	}
	if own.tenant == nil {
		return nil
	}
	m := request.ProtoReflect()
	field := m.Descriptor().Fields().ByName(own.field)
	if field == nil {
		return connect.NewError(connect.CodeInternal, errors.New("the request does not name what its rule is about"))
	}
	var id, tenant string
	found := false
	g.view(func(b *book.State) { id, tenant, found = own.tenant(b, m.Get(field)) })
	if found && tenant != t.Tenant {
		return missing(own.what, id)
	}
	return nil
}

// getsItsOwn refuses to send a tenant's role an answer that names another tenant.
// It is the net below the handlers: where it holds something, one of them is
// wrong.
func (g *guard) getsItsOwn(ctx context.Context, answer proto.Message) error {
	t := caller(ctx)
	if !t.Role.OfTenant() {
		return nil
	}
	foreign := false
	g.view(func(b *book.State) { foreign = namesAnother(b, answer.ProtoReflect(), t.Tenant) })
	if foreign {
		return connect.NewError(connect.CodeInternal, errForeign)
	}
	return nil
}

var errForeign = errors.New("the answer held what is not yours, and was not sent: report this")

// namesAnother says whether an answer names a tenant, a scope or a lease that is
// not the tenant's.
func namesAnother(b *book.State, m protoreflect.Message, tenant string) bool {
	foreign := false
	m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case f.IsMap():
		case f.Kind() == protoreflect.MessageKind && f.IsList():
			for i := range v.List().Len() {
				foreign = foreign || namesAnother(b, v.List().Get(i).Message(), tenant)
			}
		case f.Kind() == protoreflect.MessageKind:
			foreign = namesAnother(b, v.Message(), tenant)
		case f.IsList() || f.Kind() != protoreflect.StringKind:
		case f.Name() == "tenant", m.Descriptor().Name() == "Tenant" && f.Name() == "id":
			foreign = v.String() != tenant
		case f.Name() == "scope":
			foreign = v.String() != book.TenantScope(tenant)
		case f.Name() == "lease", m.Descriptor().Name() == "Lease" && f.Name() == "id":
			_, whose, found := leaseTenant(b, v)
			foreign = found && whose != tenant
		}
		return !foreign
	})
	return foreign
}

func method(procedure string) string { return procedure[strings.LastIndex(procedure, "/")+1:] }
