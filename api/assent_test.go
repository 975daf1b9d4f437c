package api

import (
	"context"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"

	"bulkhead/api/bulkheadv1"
	"bulkhead/contract"
)

// TestATenantSignsWithItsKey registers a key over the API and signs with it: not for
// another tenant, not by the owner, and no token alone any more.
func TestATenantSignsWithItsKey(t *testing.T) {
	w := newWorld(t)
	ctx := context.Background()
	own, rival := w.client("administrator flagship"), w.client("administrator tidewater")
	signer, key := ownSigner(t, 1)
	known, err := own.ListTenantKeys(ctx, connect.NewRequest(&bulkheadv1.TenantRef{}))
	if err != nil || known.Msg.Site != "tiny" || len(known.Msg.Keys) != 0 {
		t.Fatalf("%v, %v", known, err)
	}
	now, err := time.Parse(time.RFC3339, known.Msg.Now)
	if err != nil {
		t.Fatal(err)
	}
	act := contract.KeyAssent(contract.ActRegisterKey, "tiny", "flagship", key, now, now.Add(time.Minute))
	signed, err := act.Sign(signer)
	if err != nil {
		t.Fatal(err)
	}
	register := func(tenant string) *connect.Request[bulkheadv1.TenantKeyRequest] {
		return connect.NewRequest(&bulkheadv1.TenantKeyRequest{CommandId: "k", Tenant: tenant, PublicKey: key.String(), Assent: act.Encode(), Possession: []byte(signed.Signature)})
	}
	if _, err := rival.RegisterTenantKey(ctx, register("flagship")); connect.CodeOf(err) != connect.CodeNotFound {
		t.Errorf("a rival registers a key for it: %v", err)
	}
	if _, err := rival.RegisterTenantKey(ctx, register("")); err == nil || !strings.Contains(err.Error(), "of another act") {
		t.Errorf("a rival registers it as its own: %v", err)
	}
	for _, owner := range []string{"finance", "operator", "approver", "viewer flagship"} {
		if _, err := w.client(owner).RegisterTenantKey(ctx, register("flagship")); connect.CodeOf(err) != connect.CodePermissionDenied {
			t.Errorf("%s registers a key: %v", owner, err)
		}
	}
	done(t)(own.RegisterTenantKey(ctx, register("flagship")))
	if _, err := rival.ListTenantKeys(ctx, connect.NewRequest(&bulkheadv1.TenantRef{Tenant: "flagship"})); connect.CodeOf(err) != connect.CodeNotFound {
		t.Errorf("a rival lists its keys: %v", err)
	}

	q, err := w.quote(t, "finance", "q", 0, oneNode(t, "more", "flagship"))
	if err != nil || !q.NeedsKey {
		t.Fatalf("%v, %v", q, err)
	}
	c, err := contract.Decode(q.Document)
	if err != nil {
		t.Fatal(err)
	}
	expires, err := time.Parse(time.RFC3339, q.Expires)
	if err != nil {
		t.Fatal(err)
	}
	assent, err := c.Assent(q.Site, q.Id, now, expires).Sign(signer)
	if err != nil {
		t.Fatal(err)
	}
	plain := &bulkheadv1.SignLeaseRequest{CommandId: "s", Quote: "q", Digest: q.PageDigest}
	with := &bulkheadv1.SignLeaseRequest{CommandId: "s", Quote: "q", Digest: q.PageDigest, Assent: assent.Assent.Encode(), Signature: []byte(assent.Signature)}
	if _, err := own.SignLease(ctx, connect.NewRequest(plain)); fieldOf(t, err) != "assent" {
		t.Errorf("a token alone: %v", err)
	}
	if _, err := w.client("finance").SignLease(ctx, connect.NewRequest(with)); fieldOf(t, err) != "assent" {
		t.Errorf("finance sends the tenant's signature: %v", err)
	}
	if _, err := rival.SignLease(ctx, connect.NewRequest(with)); connect.CodeOf(err) != connect.CodeNotFound {
		t.Errorf("a rival sends it: %v", err)
	}
	done(t)(own.SignLease(ctx, connect.NewRequest(with)))
	l, err := own.GetLease(ctx, connect.NewRequest(&bulkheadv1.LeaseRef{Lease: "flagship-more/w1"}))
	if err != nil || !strings.Contains(strings.Join(l.Msg.Signed, "\n"), key.Fingerprint()) {
		t.Errorf("shown is %v, %v", l, err)
	}
}
