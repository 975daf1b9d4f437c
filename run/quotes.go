package run

import (
	"context"
	"fmt"
	"time"

	"bulkhead/book"
	"bulkhead/claim"
	"bulkhead/contract"
)

func digestOf(data []byte) claim.Digest { return claim.DigestOf(data) }

// Offer is what a quote is asked for with.
type Offer struct {
	Quote    string // id
	Contract *contract.Contract
	Validity time.Duration      // 0: the site's policy
	By       contract.Signature // who offers, for which party; zero: nobody said
}

// Quote is Offer where nobody says who offers.
func (p *Plane) Quote(ctx context.Context, id string, c *contract.Contract, validity time.Duration) (*book.Quote, error) {
	return p.Offer(ctx, Offer{Quote: id, Contract: c, Validity: validity})
}

// Offer places every tranche that a contract adds, in the best of the kinds that
// it accepts, and offers the result until
// validity has passed (0: the site's policy). The search runs on a copy of the
// occupancy, outside the writer; the book checks what it found. If the book has
// moved on meanwhile and the placement no longer fits, the search is repeated.
//
// An open quote of the tenant's of the same id is the answer where it is of the same
// contract; a quote of another one replaces it.
func (p *Plane) Offer(ctx context.Context, o Offer) (*book.Quote, error) {
	if err := o.Contract.CheckAsked(); err != nil {
		return nil, err
	}
	const tries = 3
	for try := 1; ; try++ {
		if quote := p.openQuote(o); quote != nil {
			return quote, nil // its capacity is held: a search would not find it free
		}
		offer, err := p.propose(o)
		if err != nil {
			return nil, err
		}
		_, err = p.Submit(ctx, "", offer)
		if quote := p.openQuote(o); err == nil && quote != nil {
			return quote, nil
		}
		if err == nil {
			err = &book.Refusal{Field: "quote", Reason: "it was offered, and was signed, replaced or withdrawn at once: look at bulkhead quote list"}
		}
		if try == tries {
			return nil, err
		}
	}
}

// Quoted says whether an offer is answered by an open quote, without a search.
func (p *Plane) Quoted(o Offer) bool { return p.openQuote(o) != nil }

// openQuote is the open quote of an offer's id, if it is of the same contract and the
// same party has offered it.
func (p *Plane) openQuote(o Offer) (found *book.Quote) {
	_, now := p.Reading()
	p.View(func(s *book.State) {
		q, open := s.Quotes[book.QuoteKey{Tenant: o.Contract.Tenant, ID: o.Quote}]
		if open && now.Before(q.Expires) && q.Offered.Party == o.By.Party && o.Contract.SettledBy(q.Contract) {
			found = q
		}
	})
	return found
}

// propose solves the placements of the tranches that a contract adds.
func (p *Plane) propose(o Offer) (book.OfferQuote, error) {
	c, validity := o.Contract, o.Validity
	offer := book.OfferQuote{Quote: o.Quote, Contract: c, Offered: o.By}
	state, now := p.Reading()
	if state.Site == nil {
		return offer, fmt.Errorf("no site has been imported: there is nothing to sell yet")
	}
	own := o.By.Party == contract.Tenant
	if validity <= 0 {
		if validity = state.Policy.QuoteValid; own {
			validity = min(validity, state.Policy.Tenants.Valid)
		}
	}
	state = state.WithoutQuote(book.QuoteKey{Tenant: c.Tenant, ID: o.Quote}) // it is replaced
	if own {
		var err error
		if c, err = state.AnswerTenant(o.Quote, c, now.Add(validity), now); err != nil {
			return offer, err
		}
	}
	schedule, err := state.Schedule(now)
	if err != nil {
		return offer, err
	}
	// A tenant's own quote gives nobody a worse shape.
	planned, err := state.PlanContract(schedule, c, !own)
	if err == nil {
		err = planned.Refused
	}
	if err != nil {
		return offer, err
	}
	offer.Contract, offer.Expires = planned.Contract, now.Add(validity)
	offer.Slices, offer.Moves = book.Proposals(planned.Planned)
	return offer, nil
}
