package api

import (
	"context"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/reflect/protoreflect"

	"bulkhead/api/bulkheadv1"
	"bulkhead/api/bulkheadv1/bulkheadv1connect"
)

// as is the context of a call of somebody.
func (w *world) as(t *testing.T, who string) context.Context {
	t.Helper()
	token, ok := w.tokens.check(w.secret[who], start)
	if !ok {
		t.Fatalf("no token of %s", who)
	}
	return context.WithValue(context.Background(), callerKey{}, token)
}

func methods() protoreflect.MethodDescriptors {
	return bulkheadv1.File_bulkhead_v1_control_proto.Services().ByName("ControlPlane").Methods()
}

// TestEveryMethodSaysWhoseItIs compares the table with the service: a tenant's
// role may call only what says whose it is, by a field that the request has, and
// a request that names a resource has a rule about it.
func TestEveryMethodSaysWhoseItIs(t *testing.T) {
	resources := map[protoreflect.Name][]*ownership{
		"tenant": {ofTenant}, "scope": {ofScope}, "quote": {ofTenant, ofOffer}, "contract": {ofContract, ofOffer},
		"lease": {ofLease}, "node": {ofNode}, "number": {ofInvoice},
	}
	filters := map[protoreflect.FullName]bool{
		"bulkhead.v1.ListNodesRequest.lease":  true, // of a list of what is the caller's
		"bulkhead.v1.AcknowledgeRequest.node": true, // compared with what was proposed to the caller
		"bulkhead.v1.MountRequest.volume":     true, // of those that the lease reaches
		"bulkhead.v1.CommandRef.token":        true, // a tenant's role may name its own alone
		"bulkhead.v1.ActRequest.tranche":      true, // of the contract
	}
	plain := map[protoreflect.Name]bool{"command_id": true, "file": true, "line": true, "page_token": true, "state": true, "reason": true, "act": true, "confirmed": true, "evidence": true, "statement": true, "assent": true, "signature": true, "public_key": true, "name": true, "possession": true, "warrant": true, "digest": true}
	for i := range methods().Len() {
		m := methods().Get(i)
		rule, known := policy[string(m.Name())]
		if !known {
			t.Errorf("%s: no rule", m.Name())
			continue
		}
		ofTenants := slices.ContainsFunc(rule.roles, Role.OfTenant)
		if ofTenants != (rule.own != nil) {
			t.Errorf("%s: a tenant's role may call it is %t, it says whose it is %t", m.Name(), ofTenants, rule.own != nil)
		}
		if !ofTenants || rule.own == nil {
			continue
		}
		if (rule.own.field == "") != (rule.own.tenant == nil) || rule.own.field != "" && m.Input().Fields().ByName(rule.own.field) == nil {
			t.Errorf("%s: its rule is about a field %q", m.Name(), rule.own.field)
		}
		for j := range m.Input().Fields().Len() {
			f := m.Input().Fields().Get(j)
			if f.Kind() != protoreflect.StringKind && f.Kind() != protoreflect.BytesKind || filters[f.FullName()] || plain[f.Name()] {
				continue
			}
			rules, names := resources[f.Name()]
			if !names {
				t.Errorf("%s: nobody decided whether %s names somebody's", m.Name(), f.FullName())
			} else if !slices.Contains(rules, rule.own) {
				t.Errorf("%s: %s names somebody's, and its rule does not look at it", m.Name(), f.FullName())
			}
		}
	}
}

// TestAMethodWithoutARule takes a rule away: nobody may call the method any more.
func TestAMethodWithoutARule(t *testing.T) {
	w := newWorld(t)
	saved := policy["GetTrust"]
	t.Cleanup(func() { policy["GetTrust"] = saved })
	delete(policy, "GetTrust")
	for who, secret := range w.secret {
		if code := w.call(t, methods().ByName("GetTrust"), secret); code != connect.CodePermissionDenied {
			t.Errorf("%s: %s", who, code)
		}
	}
	policy["GetTrust"] = rule{readers, nil} // it does not say whose it is
	for who, secret := range w.secret {
		want := connect.CodePermissionDenied
		if slices.Contains(readers, caller(w.as(t, who)).Role) && !caller(w.as(t, who)).Role.OfTenant() {
			want = 0
		}
		if code := w.call(t, methods().ByName("GetTrust"), secret); code != want {
			t.Errorf("%s: %s", who, code)
		}
	}
}

// forgetful is a service whose handlers look at nothing.
type forgetful struct {
	bulkheadv1connect.UnimplementedControlPlaneHandler
	called []string
	answer *bulkheadv1.Lease
}

func (f *forgetful) GetLease(context.Context, *connect.Request[bulkheadv1.LeaseRef]) (*connect.Response[bulkheadv1.Lease], error) {
	f.called = append(f.called, "GetLease")
	return connect.NewResponse(f.answer), nil
}

func (f *forgetful) ListLeases(context.Context, *connect.Request[bulkheadv1.Page]) (*connect.Response[bulkheadv1.Leases], error) {
	return connect.NewResponse(&bulkheadv1.Leases{Leases: []*bulkheadv1.Lease{f.answer}}), nil
}

func (f *forgetful) ListNodes(context.Context, *connect.Request[bulkheadv1.ListNodesRequest]) (*connect.Response[bulkheadv1.Nodes], error) {
	return connect.NewResponse(&bulkheadv1.Nodes{Nodes: []*bulkheadv1.Node{{Id: "n", Lease: f.answer.Id}}}), nil
}

func (f *forgetful) TailLedger(_ context.Context, _ *connect.Request[bulkheadv1.TailLedgerRequest], s *connect.ServerStream[bulkheadv1.Entry]) error {
	return s.Send(&bulkheadv1.Entry{Scope: "tenant/" + f.answer.Tenant, Body: "secret"})
}

// TestAHandlerCannotForget puts the guard before handlers that check nothing: a
// rival is refused all the same, before the handler and after it.
func TestAHandlerCannotForget(t *testing.T) {
	w := newWorld(t)
	f := &forgetful{answer: &bulkheadv1.Lease{Id: "flagship/t1", Tenant: "flagship"}}
	mux := http.NewServeMux()
	mux.Handle(bulkheadv1connect.NewControlPlaneHandler(f, connect.WithInterceptors(
		&guard{tokens: w.tokens, now: func() time.Time { return start }, view: w.plane.View, broken: w.plane.Broken})))
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	w.url = server.URL
	ctx := context.Background()
	rival, own := w.client("viewer tidewater"), w.client("viewer flagship")
	about := connect.NewRequest(&bulkheadv1.LeaseRef{Lease: "flagship/t1"})
	if _, err := rival.GetLease(ctx, about); connect.CodeOf(err) != connect.CodeNotFound || len(f.called) != 0 {
		t.Errorf("a rival's lease: %v, the handler was called %d times", err, len(f.called))
	}
	if l, err := own.GetLease(ctx, about); err != nil || l.Msg.Id != "flagship/t1" {
		t.Errorf("its own lease: %v, %v", l, err)
	}
	ask := func(c bulkheadv1connect.ControlPlaneClient) map[string]error {
		got := map[string]error{}
		_, got["lease"] = c.GetLease(ctx, connect.NewRequest(&bulkheadv1.LeaseRef{Lease: "unknown"}))
		_, got["leases"] = c.ListLeases(ctx, connect.NewRequest(&bulkheadv1.Page{}))
		_, got["nodes"] = c.ListNodes(ctx, connect.NewRequest(&bulkheadv1.ListNodesRequest{}))
		stream, err := c.TailLedger(ctx, connect.NewRequest(&bulkheadv1.TailLedgerRequest{}))
		if err == nil {
			for stream.Receive() {
			}
			err = stream.Err()
		}
		got["entries"] = err
		return got
	}
	for what, err := range ask(rival) {
		if connect.CodeOf(err) != connect.CodeInternal {
			t.Errorf("%s of a rival were sent: %v", what, err)
		}
	}
	for what, err := range ask(own) {
		if err != nil {
			t.Errorf("its own %s: %v", what, err)
		}
	}
}

// TestNamesThatLookLikeScopes: a tenant that is called as the site's scope is does
// not get the site's scope.
func TestNamesThatLookLikeScopes(t *testing.T) {
	if id, tenant, found := ofScope.tenant(nil, protoreflect.ValueOfString("site")); !found || tenant != "" {
		t.Errorf("scope %q is %q's", id, tenant)
	}
	if id, tenant, found := ofScope.tenant(nil, protoreflect.ValueOfString("tenant/site")); !found || tenant != "site" {
		t.Errorf("scope %q is %q's", id, tenant)
	}
}
