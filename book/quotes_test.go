package book_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"bulkhead/book"
	"bulkhead/claim"
	"bulkhead/contract"
	"bulkhead/site"
)

// TestACorrectedQuoteReplaces offers under the id of an open quote: what that held is
// free for it, and the page of before is signed no more.
func TestACorrectedQuoteReplaces(t *testing.T) {
	s := on(t, atTenants)
	c := sold("tidewater", func(c *contract.Contract) { c.Tranches[0].GPUs = 8 * 10 })
	first := s.offer("q", c)
	s.do(t, first)
	key := book.QuoteKey{Tenant: "tidewater", ID: "q"}
	page, err := contract.PageDigest(s.Quotes[key].Told())
	if err != nil {
		t.Fatal(err)
	}
	// 12 of 14 nodes: beside the first there is no room for it.
	larger := sold("tidewater", func(c *contract.Contract) { c.Tranches[0].GPUs = 8 * 12 })
	without := &stage{State: s.WithoutQuote(key), bodies: s.bodies, now: s.now}
	second := without.offer("q", larger)
	if got, want := kinds(s.do(t, second)), "tenant/tidewater contract.quote_withdrawn/1, site placement.certified/1, tenant/tidewater contract.quoted/1"; got != want {
		t.Errorf("a replacement is %s, expected %s", got, want)
	}
	if q := s.Quotes[key]; len(s.Quotes) != 1 || q.Contract.Tranches[0].GPUs != 8*12 {
		t.Errorf("open is %+v", q.Contract)
	}
	if _, err := s.decide(t, book.SignQuote{Tenant: "tidewater", Quote: "q", By: "x", Page: page, Signed: contract.ByTenant("x")}); err == nil || !strings.Contains(err.Error(), "digest: ") {
		t.Errorf("the page of the first is signed: %v", err)
	}
	if page, err = contract.PageDigest(s.Quotes[key].Told()); err != nil {
		t.Fatal(err)
	}
	var signed contract.Signed
	decodeDraft(t, s.do(t, book.SignQuote{Tenant: "tidewater", Quote: "q", By: "x", Page: page, Signed: contract.ByTenant("x")}), contract.KindSigned, &signed)
	if signed.Page != page || signed.Page == (claim.Digest{}) {
		t.Errorf("recorded is the page %s, read was %s", signed.Page, page)
	}
}

// TestATenantIsNotToldThePlace offers for a tenant by itself: its own scope has neither
// nodes nor links, certificates nor shapes, and the fold has them all the same.
func TestATenantIsNotToldThePlace(t *testing.T) {
	s := on(t, atTenants)
	s.Policy.Tenants = site.TenantLimits{Quotes: 1, Share: 100, Valid: 48 * time.Hour, Least: time.Hour, AnswerStep: 1}
	o := s.offer("q", sold("tidewater", func(c *contract.Contract) { c.Tranches[0].GPUs = 8 * 7 }))
	o.Offered = contract.Signature{Party: contract.Tenant, By: "officer"}
	drafts := s.do(t, o)
	if got, want := kinds(drafts), "site placement.certified/1, tenant/tidewater contract.quoted/1, site contract.claimed/1"; got != want {
		t.Errorf("it is %s, expected %s", got, want)
	}
	var told contract.Quoted
	decodeDraft(t, drafts, contract.KindQuoted, &told)
	part := told.Parts[0]
	if !told.PlaceWithheld || part.Nodes != "" || part.Where != "" || !part.Certificate.IsZero() || part.Assigned != nil || part.Slots != 7 {
		t.Errorf("it is told %+v", part)
	}
	q := s.Quotes[book.QuoteKey{Tenant: "tidewater", ID: "q"}]
	if q.Parts[0].Nodes == "" || q.Parts[0].Certificate.IsZero() {
		t.Errorf("the fold has forgotten where it is: %+v", q.Parts[0])
	}
	page, err := contract.Page(q.Told())
	if err != nil || !strings.Contains(string(page), "told when it is signed") {
		t.Errorf("its page: %v\n%s", err, page)
	}
	if is, err := contract.PageDigest(&told); err != nil || is != claim.DigestOf(page) {
		t.Errorf("the page of its log is another: %v", err)
	}
	s.do(t, book.SignQuote{Tenant: "tidewater", Quote: "q", By: "finance", Signed: []contract.Signature{{Party: contract.Owner, By: "finance"}}})
	if l, ok := s.LeaseByID("tidewater/w1"); !ok || len(l.Slots) != 7 || l.Certificate.IsZero() {
		t.Errorf("bound is %+v", l)
	}
}

// decodeDraft reads the draft of a kind.
func decodeDraft(t *testing.T, drafts []book.Draft, kind string, into any) {
	t.Helper()
	for _, d := range drafts {
		if d.Kind == kind {
			if err := json.Unmarshal(d.Body, into); err != nil {
				t.Fatal(err)
			}
			return
		}
	}
	t.Fatalf("no %s among %s", kind, kinds(drafts))
}
