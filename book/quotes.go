package book

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"bulkhead/claim"
	"bulkhead/contract"
	"bulkhead/lease"
	"bulkhead/ledger"
	"bulkhead/site"
)

// QuoteKey names an open quote. Ids are a tenant's own: two tenants may use the same
// one, so none learns from a refusal that another has used it.
type QuoteKey struct{ Tenant, ID string }

// String is for the owner's people: it names the tenant.
func (k QuoteKey) String() string { return k.ID + " of " + k.Tenant }

// Key names the quote.
func (q *Quote) Key() QuoteKey { return QuoteKey{q.Tenant, q.ID} }

// QuoteKeys lists the open quotes, by tenant and id.
func (s *State) QuoteKeys() []QuoteKey {
	return slices.SortedFunc(maps.Keys(s.Quotes), func(a, b QuoteKey) int {
		return cmp.Or(strings.Compare(a.Tenant, b.Tenant), strings.Compare(a.ID, b.ID))
	})
}

// OpenQuote finds an open quote. tenant says whose; where it is empty, which only
// the owner's people may leave it, one tenant alone must have a quote of this id.
func (s *State) OpenQuote(tenant, id string) (*Quote, error) {
	var found *Quote
	for _, key := range s.QuoteKeys() {
		if key.ID != id || tenant != "" && key.Tenant != tenant {
			continue
		}
		if found != nil {
			return nil, refuse("tenant", "%s and %s both have an open quote %s: give the tenant as well", found.Tenant, key.Tenant, id)
		}
		found = s.Quotes[key]
	}
	if found == nil {
		return nil, refuse("quote", "no open quote %q: it was signed, it was withdrawn or replaced, it lapsed, or it never was", id)
	}
	return found, nil
}

// Told is the quote as its tenant's log has it: what contract.Page makes the page of.
func (q *Quote) Told() *contract.Quoted {
	out := &contract.Quoted{Quote: q.ID, Contract: q.Raw, Expires: q.Expires, Offered: q.Offered, PlaceWithheld: q.Withheld}
	for _, part := range q.Parts {
		if q.Withheld {
			part = withheld(part)
		}
		out.Parts = append(out.Parts, part)
	}
	return out
}

// partyOf is the party that a quote is offered for: where nobody said, the owner.
func partyOf(offered contract.Signature) string {
	if offered.Party == "" {
		return contract.Owner
	}
	return offered.Party
}

// withheld is a part without its place.
func withheld(part contract.QuotedPart) contract.QuotedPart {
	part.Nodes, part.Where, part.Certificate, part.Assigned = "", "", claim.Digest{}, nil
	return part
}

// read refuses a signature by somebody who has read another page than the quote's.
func (q *Quote) read(page claim.Digest) error {
	if page.IsZero() {
		return nil
	}
	is, err := contract.PageDigest(q.Told())
	if err != nil {
		return err
	}
	if is != page {
		return refuse("digest", "%s is not the digest of the page of quote %s, which is %s: it was replaced since, or another one was read; read it again (bulkhead quote show %s)", page, q.ID, is, q.ID)
	}
	return nil
}

// quote adds the entries of an offer: its tenant's, and where its tenant is not told
// the place, the site's with it.
func (s *State) quote(d *Decision, tenant string, q contract.Quoted) {
	if q.Offered.Party != contract.Tenant || s.Policy.Tenants.AnswerStep == 0 {
		d.add(TenantScope(tenant), contract.KindQuoted, q)
		return
	}
	claimed := contract.Claimed{Tenant: tenant, Quote: q.Quote, Parts: q.Parts}
	q.PlaceWithheld, q.Parts = true, nil
	for _, part := range claimed.Parts {
		q.Parts = append(q.Parts, withheld(part))
	}
	d.add(TenantScope(tenant), contract.KindQuoted, q)
	d.add(SiteScope, contract.KindClaimed, claimed)
}

// applyClaimed gives the parts of a quote, which the entry before it has opened, the
// nodes that its tenant is not told.
func (s *State) applyClaimed(_ *ledger.Entry, b contract.Claimed, _ Bodies) error {
	q, ok := s.Quotes[QuoteKey{b.Tenant, b.Quote}]
	if !ok || !q.Withheld || len(q.Parts) != len(b.Parts) {
		return fmt.Errorf("no open quote %q of %s waits for the nodes of %d parts", b.Quote, b.Tenant, len(b.Parts))
	}
	if s.Site == nil {
		return fmt.Errorf("quote %s: no site has been imported", b.Quote)
	}
	for i, part := range b.Parts {
		if part.Tranche != q.Parts[i].Tranche {
			return fmt.Errorf("part %d is of tranche %s, the quote's is of %s", i, part.Tranche, q.Parts[i].Tranche)
		}
		if err := s.checkPart(part); err != nil {
			return err
		}
	}
	told := *q
	told.Parts = b.Parts
	s.Quotes[q.Key()] = &told
	return nil
}

// checkPart refuses a part whose nodes or links can't be kept.
func (s *State) checkPart(part contract.QuotedPart) error {
	class := lease.Shared
	if len(part.Assigned) > 0 {
		class = lease.Hermetic
	}
	nodes, err := site.ParseOrder(part.Nodes, s.Site.Nodes())
	if err == nil {
		err = s.checkAssigned(nodes, class, part.Assigned)
	}
	if err != nil {
		return fmt.Errorf("tranche %s: %w", part.Tranche, err)
	}
	return nil
}

// WithdrawQuote gives back what an open quote holds, before its time. Who has offered
// it withdraws it; the owner's finance and operator may withdraw any, and say why.
type WithdrawQuote struct {
	Tenant string // whose quote; "": of the one tenant that has one of this id
	Quote  string
	By     contract.Signature
	Reason string
}

func (c WithdrawQuote) decide(s *State, _ Env) (*Decision, error) {
	q, err := s.OpenQuote(c.Tenant, c.Quote)
	if err != nil {
		return nil, err
	}
	switch other := partyOf(q.Offered) != c.By.Party; {
	case other && c.By.Party == contract.Tenant:
		return nil, refuse("quote", "the owner has offered %s: it is the owner's to withdraw; leave it unsigned, and it lapses at %s", q.ID, q.Expires.UTC().Format(time.RFC3339))
	case other && c.Reason == "":
		return nil, refuse("reason", "say why: %s has offered it, and is told", q.Tenant)
	}
	d := &Decision{}
	d.add(TenantScope(q.Tenant), contract.KindQuoteWithdrawn, contract.QuoteWithdrawn{Quote: q.ID, By: c.By.By, Party: c.By.Party, Reason: c.Reason})
	return d, nil
}

// replaced is the state without an open quote that is about to be offered anew, with
// the entry that ends it.
func (s *State) replaced(d *Decision, key QuoteKey, by contract.Signature) *State {
	if _, open := s.Quotes[key]; !open {
		return s
	}
	d.add(TenantScope(key.Tenant), contract.KindQuoteWithdrawn, contract.QuoteWithdrawn{Quote: key.ID, By: by.By, Party: by.Party, Replaced: true})
	return s.WithoutQuote(key)
}

// WithoutQuote is the state as it would be if a quote were not open, to be read. It
// shares everything else with s.
func (s *State) WithoutQuote(key QuoteKey) *State {
	out := *s
	out.Quotes = maps.Clone(s.Quotes)
	delete(out.Quotes, key)
	return &out
}

func (s *State) applyQuoteWithdrawn(e *ledger.Entry, b contract.QuoteWithdrawn, _ Bodies) error {
	key := QuoteKey{tenantOf(e.Scope), b.Quote}
	if _, open := s.Quotes[key]; !open {
		return fmt.Errorf("no open quote %q of %s", b.Quote, key.Tenant)
	}
	delete(s.Quotes, key)
	return nil
}
