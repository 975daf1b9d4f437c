package book

import (
	"time"

	"bulkhead/contract"
	"bulkhead/ledger"
)

// checkEffective refuses a version that would rule before it was signed: what was
// promised and billed until then stays as it was.
func checkEffective(c *contract.Contract, now time.Time) error {
	if !contract.Backdated(c, now) {
		return nil
	}
	return refuse("contract.effective", "%s, from when version %d of %s would rule, has passed: nothing is effective before it is signed, and it is %s",
		c.Effective.UTC().Format(time.RFC3339), c.Version, c.ID, now.UTC().Format(time.RFC3339))
}

// assented is the tenant's own act by which a quote comes into force: its token
// always, and its key's signature from when on it has registered one. Whatever
// somebody else says that the tenant has signed is none.
func (s *State) assented(q *Quote, c SignQuote, now time.Time) (*contract.SignedAssent, error) {
	if err := checkEffective(q.Contract, now); err != nil {
		return nil, err
	}
	if !contract.AgreedBy(contract.Tenant, q.signatures(c.Signed)) {
		return nil, refuse("quote", "the tenant has not agreed: an administrator of %s signs it, with a token of the tenant's own", q.Tenant)
	}
	assent := c.Assent
	if assent == nil && q.Assented != nil {
		assent = &q.Assented.Assent
	}
	return assent, s.checkAssent(q, assent, now)
}

// checkAssent holds an assent to a quote, and to the keys of its tenant.
func (s *State) checkAssent(q *Quote, assent *contract.SignedAssent, now time.Time) error {
	tenant := s.Tenants[q.Tenant]
	switch {
	case assent == nil && !tenant.Keys.Any():
		return nil
	case assent == nil:
		return refuse("assent", "%s has registered a key, and a token alone does not sign for it any more: an administrator of %s signs with it (bulkhead lease sign %s --key FILE)", q.Tenant, q.Tenant, q.ID)
	case !tenant.Keys.Any():
		return refuse("assent", "%s has registered no key: without one nobody can tell whose signature this is (bulkhead tenant key register %s --key FILE)", q.Tenant, q.Tenant)
	case assent.Assent.Expires.After(q.Expires):
		return refuse("assent", "it could be used until %s, and the quote ends at %s", assent.Assent.Expires.UTC().Format(time.RFC3339), q.Expires.UTC().Format(time.RFC3339))
	}
	if err := q.read(assent.Assent.Page); err != nil {
		return err
	}
	if err := tenant.Keys.Check(assent, q.Contract.Assent(s.Site.Name, q.ID, time.Time{}, time.Time{}), now); err != nil {
		return refuse("assent", "%v", err)
	}
	return nil
}

// AssentQuote signs a quote that the tenant has offered itself, with its key: the
// owner's signature then puts it in force.
type AssentQuote struct {
	Tenant string // as in SignQuote
	Quote  string
	By     string
	Assent *contract.SignedAssent
}

func (c AssentQuote) decide(s *State, env Env) (*Decision, error) {
	q, err := s.OpenQuote(c.Tenant, c.Quote)
	if err != nil {
		return nil, err
	}
	switch {
	case !env.Now.Before(q.Expires):
		return nil, refuse("quote", "%s expired at %s: ask for a new one", c.Quote, q.Expires.Format(time.RFC3339))
	case q.Offered.Party != contract.Tenant:
		return nil, refuse("quote", "%s was offered by the owner: the tenant's signature puts it in force", c.Quote)
	case q.Assented != nil:
		return nil, ErrNothing
	case c.Assent == nil:
		return nil, refuse("quote", "your side has offered it: the owner's finance signs")
	}
	if err := s.checkAssent(q, c.Assent, env.Now); err != nil {
		return nil, err
	}
	d := &Decision{}
	d.add(TenantScope(q.Tenant), contract.KindAssented, contract.Assented{Quote: q.ID, By: c.By, Assent: *c.Assent})
	return d, nil
}

func (s *State) applyAssented(e *ledger.Entry, b contract.Assented, _ Bodies) error {
	key := QuoteKey{tenantOf(e.Scope), b.Quote}
	if q, ok := s.Quotes[key]; ok {
		next := *q // readers may hold the old one
		next.Assented = &b
		s.Quotes[key] = &next
	}
	return nil
}
