package api

import (
	"cmp"
	"context"
	"slices"
	"time"

	"connectrpc.com/connect"

	v1 "bulkhead/api/bulkheadv1"
	"bulkhead/book"
	"bulkhead/claim"
	"bulkhead/contract"
)

// assentOf reads a tenant's act and its signature; nil where none was sent. Whether
// it counts is the book's to say.
func assentOf(ctx context.Context, assent, signature []byte) (*contract.SignedAssent, error) {
	if len(assent) == 0 && len(signature) == 0 {
		return nil, nil
	}
	if !caller(ctx).Role.OfTenant() {
		return nil, &book.Refusal{Field: "assent", Reason: "it is the tenant's own act: an administrator of the tenant sends it"}
	}
	a, err := contract.DecodeAssent(assent)
	if err != nil {
		return nil, badField("assent", err)
	}
	return signedBy(a, "signature", signature)
}

// signedBy is an assent with a signature, under the name of the key that made it.
func signedBy(a contract.Assent, field string, signature []byte) (*contract.SignedAssent, error) {
	key, text, err := claim.SSHSignatory(string(signature))
	if err != nil {
		return nil, badField(field, err)
	}
	return &contract.SignedAssent{Assent: a, Key: key.Fingerprint(), Signature: text}, nil
}

// tenantKey reads what registers or revokes a key.
func tenantKey(ctx context.Context, m *v1.TenantKeyRequest) (a contract.Assent, warrant *contract.SignedAssent, err error) {
	if m.Tenant == "" {
		m.Tenant = caller(ctx).Tenant
	}
	if a, err = contract.DecodeAssent(m.Assent); err != nil {
		return a, nil, badField("assent", err)
	}
	if len(m.Warrant) > 0 {
		warrant, err = signedBy(a, "warrant", m.Warrant)
	}
	return a, warrant, err
}

// RegisterTenantKey takes in a public key of the caller's tenant.
func (s *service) RegisterTenantKey(ctx context.Context, r *connect.Request[v1.TenantKeyRequest]) (*connect.Response[v1.Done], error) {
	a, warrant, err := tenantKey(ctx, r.Msg)
	if err != nil {
		return nil, err
	}
	possession, err := signedBy(a, "possession", r.Msg.Possession)
	if err != nil {
		return nil, err
	}
	return s.submit(ctx, r.Msg, book.RegisterTenantKey{KeyRegistered: contract.KeyRegistered{
		Tenant: r.Msg.Tenant, Key: r.Msg.PublicKey, Name: r.Msg.Name, By: caller(ctx).Subject, Possession: *possession, Warrant: warrant,
	}})
}

// RevokeTenantKey ends a key of the caller's tenant.
func (s *service) RevokeTenantKey(ctx context.Context, r *connect.Request[v1.TenantKeyRequest]) (*connect.Response[v1.Done], error) {
	_, warrant, err := tenantKey(ctx, r.Msg)
	if err != nil {
		return nil, err
	}
	if warrant == nil {
		return nil, &book.Refusal{Field: "warrant", Reason: "expected the signature of a key that counts"}
	}
	return s.submit(ctx, r.Msg, book.RevokeTenantKey{KeyRevoked: contract.KeyRevoked{
		Tenant: r.Msg.Tenant, Key: r.Msg.PublicKey, By: caller(ctx).Subject, Warrant: *warrant,
	}})
}

// ListTenantKeys lists a tenant's keys, the oldest first, with what an act names
// beside them.
func (s *service) ListTenantKeys(ctx context.Context, r *connect.Request[v1.TenantRef]) (*connect.Response[v1.TenantKeys], error) {
	tenant := r.Msg.Tenant
	if caller(ctx).Role.OfTenant() {
		tenant = caller(ctx).Tenant
	}
	state, now := s.plane.Reading()
	t, ok := state.Tenants[tenant]
	if !ok {
		return nil, missing("tenant", tenant)
	}
	out := &v1.TenantKeys{Now: stampOf(now)}
	if state.Site != nil {
		out.Site = state.Site.Name
	}
	var keys []*contract.TenantKey
	for _, k := range t.Keys {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, func(a, b *contract.TenantKey) int {
		return cmp.Or(a.Since.Compare(b.Since), cmp.Compare(a.Key.Fingerprint(), b.Key.Fingerprint()))
	})
	for _, k := range keys {
		one := &v1.TenantKey{PublicKey: k.Key.String(), Fingerprint: k.Key.Fingerprint(), Registered: k.Since.UTC().Format(time.RFC3339)}
		if !k.Revoked.IsZero() {
			one.Revoked = k.Revoked.UTC().Format(time.RFC3339)
		}
		out.Keys = append(out.Keys, one)
	}
	return connect.NewResponse(out), nil
}
