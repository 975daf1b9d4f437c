package api

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"

	"bulkhead/api/bulkheadv1"
	"bulkhead/book"
)

// TestWhatWasReadIsWhatIsSigned replaces a quote between the reading and the signing.
func TestWhatWasReadIsWhatIsSigned(t *testing.T) {
	w := newWorld(t)
	ctx := context.Background()
	officer := w.client("administrator flagship")
	if _, err := w.quote(t, "finance", "q", 0, oneNode(t, "more", "flagship")); err != nil {
		t.Fatal(err)
	}
	before := w.read(t, "administrator flagship", &bulkheadv1.SignLeaseRequest{CommandId: "one", Quote: "q"})
	dear := strings.Replace(string(oneNode(t, "more", "flagship")), "price: ", "price: 1", 1)
	if q, err := w.quote(t, "finance", "q", 0, []byte(dear)); err != nil || q.PageDigest == before.Msg.Digest {
		t.Fatalf("the corrected file: %v, %v", q, err)
	}
	if _, err := officer.SignLease(ctx, before); fieldOf(t, err) != "digest" || !strings.Contains(err.Error(), "it was replaced since") {
		t.Errorf("what was read is open no more, and is signed: %v", err)
	}
	for _, digest := range []string{"", "yes", "sha256:00", "sha256:" + strings.Repeat("0", 64)} {
		if _, err := officer.SignLease(ctx, connect.NewRequest(&bulkheadv1.SignLeaseRequest{Quote: "q", Digest: digest})); fieldOf(t, err) != "digest" {
			t.Errorf("digest %q: %v", digest, err)
		}
	}
	done(t)(officer.SignLease(ctx, w.read(t, "administrator flagship", &bulkheadv1.SignLeaseRequest{CommandId: "two", Quote: "q"})))
}

// TestWhoWithdrawsAQuote withdraws quotes of either party's as everybody.
func TestWhoWithdrawsAQuote(t *testing.T) {
	w := newWorld(t)
	for _, c := range []struct {
		offers, withdraws, reason string
		field                     string // that is refused; "": it is withdrawn; "none": there is no such quote
	}{
		{"finance", "finance", "", ""},
		{"finance", "operator", "", ""},
		{"finance", "administrator flagship", "", "quote"},
		{"finance", "administrator tidewater", "", "none"},
		{"administrator flagship", "administrator flagship", "", ""},
		{"administrator flagship", "finance", "", "reason"},
		{"administrator flagship", "finance", "the hall is kept free", ""},
		{"administrator flagship", "administrator tidewater", "x", "none"},
	} {
		free := func() (n int) {
			w.plane.View(func(b *book.State) { n = b.Free(start.AddDate(0, 3, 0), start.AddDate(0, 4, 0)).Len() })
			return n
		}
		was := free()
		if _, err := w.quote(t, c.offers, "q", 0, oneNode(t, "more", "flagship")); err != nil {
			t.Fatal(err)
		}
		if free() != was-1 {
			t.Fatalf("%d nodes are free, %d were", free(), was)
		}
		request := &bulkheadv1.WithdrawQuoteRequest{CommandId: fmt.Sprint(c), Quote: "q", Reason: c.reason}
		_, err := w.client(c.withdraws).WithdrawQuote(context.Background(), connect.NewRequest(request))
		switch {
		case c.field == "none" && connect.CodeOf(err) != connect.CodeNotFound, c.field != "none" && (err == nil) != (c.field == ""), c.field != "none" && c.field != fieldOf(t, err):
			t.Errorf("%s offers, %s withdraws: %v", c.offers, c.withdraws, err)
		case err == nil:
			if again, err := w.client(c.withdraws).WithdrawQuote(context.Background(), connect.NewRequest(request)); err != nil || !again.Msg.Repeated {
				t.Errorf("the same request again: %v, %v", again, err)
			}
			if free() != was {
				t.Errorf("%s withdraws, and %d nodes are free, not %d", c.withdraws, free(), was)
			}
			continue
		}
		owner := &bulkheadv1.WithdrawQuoteRequest{Quote: "q", Reason: "the next case"}
		if _, err := w.client("finance").WithdrawQuote(context.Background(), connect.NewRequest(owner)); err != nil {
			t.Fatal(err)
		}
	}
}

// TestATenantsQuotesAreLimited asks for more than the policy gives every tenant: in
// time, number, size and an hour. What it is told names its own and the policy's
// numbers, and the owner is not held by any of it.
func TestATenantsQuotesAreLimited(t *testing.T) {
	w := newWorld(t)
	const officer = "administrator flagship"
	ask := func(who, id string, seconds int64, gpus int) error {
		text := strings.Replace(string(oneNode(t, id, "flagship")), "gpus: 8", fmt.Sprintf("gpus: %d", gpus), 1)
		_, err := w.quote(t, who, id, seconds, []byte(text))
		return err
	}
	refused := func(what string, err error, field string, says ...string) {
		t.Helper()
		if err == nil || field != "" && fieldOf(t, err) != field {
			t.Errorf("%s: %v", what, err)
			return
		}
		for _, s := range append(says, "owner") {
			if !strings.Contains(err.Error(), s) {
				t.Errorf("%s: it does not say %q: %v", what, s, err)
			}
		}
	}
	refused("two weeks", ask(officer, "a", 14*86400, 8), "valid_seconds", "86400")
	if err := ask(officer, "a", 1, 8); fieldOf(t, err) != "valid_seconds" || !strings.Contains(err.Error(), "1h0m0s") {
		t.Errorf("a second: %v", err)
	}
	refused("a third of what there is", ask(officer, "a", 0, 40), "tranche w1", "would hold 40 GPUs", "24 at most", "25 %")
	if err := ask(officer, "a", 0, 8); err != nil {
		t.Fatal(err)
	}
	w.plane.View(func(b *book.State) {
		if held := b.Quotes[book.QuoteKey{Tenant: "flagship", ID: "a"}].Expires.Sub(b.Time); held > 24*time.Hour {
			t.Errorf("a tenant's quote holds capacity for %s by itself", held)
		}
	})
	if err := ask(officer, "b", 0, 24); fieldOf(t, err) != "tranche w1" || !strings.Contains(err.Error(), "32 GPUs") {
		t.Errorf("more than the share, in two: %v", err)
	}
	if err := ask(officer, "a", 0, 16); err != nil {
		t.Errorf("a quote that it replaces counts against it: %v", err)
	}
	// An hour's asks, however they ended; then the owner still quotes.
	var err error
	for range 31 {
		if err = ask(officer, "c", 0, 40); connect.CodeOf(err) == connect.CodeResourceExhausted {
			break
		}
	}
	refused("an hour's asks", err, "", "30 quotes were asked for in an hour", "ask again in 1h0m0s")
	if err := ask("finance", "big", 14*86400, 40); err != nil {
		t.Errorf("finance is held by a tenant's limits: %v", err)
	}
	if err := ask(officer, "a", 0, 16); err != nil {
		t.Errorf("the same request again, while its quote is open, is an ask: %v", err)
	}
}

// TestWhatIfIsTheOwners: what is free is answered to tenants by quotes alone, which are
// in steps; a method that answers it otherwise belongs into the attack of
// TestACuriousTenantLearnsStepsAlone before a tenant's role may call it.
func TestWhatIfIsTheOwners(t *testing.T) {
	attacked := map[string]bool{
		"OfferQuote": true, "ShowQuote": true, "ListQuotes": true, "WithdrawQuote": true, "ListTenants": true, "ListLeases": true, "ListNodes": true, "GetNode": true,
		"ListInvoices": true, "TailLedger": true,
	}
	ofOwn := map[string]string{
		"SignLease": "of quotes", "ListActs": "of contracts", "PreviewAct": "of contracts", "PerformAct": "of contracts", "DisputeLine": "an invoice",
		"RegisterTenantKey": "keys", "RevokeTenantKey": "keys", "ListTenantKeys": "keys", "GetLease": "a lease", "GetHosts": "a lease", "GetMount": "a lease", "AcknowledgeReplacement": "a lease", "ShowDefrag": "a lease", "ConsentDefrag": "a lease",
		"WithdrawDefrag": "a lease", "ShowIsolation": "a lease", "ProveLease": "a lease", "FileProbe": "a lease", "GetInvoice": "an invoice", "ExplainInvoice": "an invoice", "WriteBundle": "its log",
		"GetCheckpoint": "its log", "GetTrust": "keys", "ShowCommand": "its own commands",
	}
	for name, r := range policy {
		for _, role := range r.roles {
			if role.OfTenant() && !attacked[name] && ofOwn[name] == "" {
				t.Errorf("%s is open to %s: what does it tell of what others hold? Attack it, or say what of its own it is about", name, role)
			}
		}
	}
}
