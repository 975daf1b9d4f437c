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
func (p *Plane) Offer(ctx context.Context, o Offer) (*book.Quote, error) {
	if err := o.Contract.CheckAsked(); err != nil {
		return nil, err
	}
	id := "quote " + o.Quote
	_, did, err := p.Done(id) // then its capacity is held: a search would not find it free
	const tries = 3
	for try := 0; !did && err == nil; try++ {
		var offer book.OfferQuote
		if offer, err = p.propose(o); err != nil {
			return nil, err
		}
		if _, err = p.Submit(ctx, id, offer); err == nil {
			break
		}
		if try+1 < tries {
			err = nil
		}
	}
	if err != nil {
		return nil, err
	}
	var quote *book.Quote
	p.View(func(s *book.State) { quote = s.Quotes[o.Quote] })
	if quote == nil {
		return nil, UsedQuoteID
	}
	return quote, nil
}

// UsedQuoteID is the refusal of a quote's id that was used before. It does not
// say by whom, nor what became of that quote.
var UsedQuoteID = &book.Refusal{Field: "quote", Reason: "this id was used before, for another quote or for one that was signed or has lapsed: choose another"}

// propose solves the placements of the tranches that a contract adds.
func (p *Plane) propose(o Offer) (book.OfferQuote, error) {
	c, validity := o.Contract, o.Validity
	offer := book.OfferQuote{Quote: o.Quote, Contract: c, Offered: o.By}
	state, now := p.Reading()
	if state.Site == nil {
		return offer, fmt.Errorf("no site has been imported: there is nothing to sell yet")
	}
	if validity <= 0 {
		validity = state.Policy.QuoteValid
	}
	schedule, err := state.Schedule(now)
	if err != nil {
		return offer, err
	}
	// A tenant's own quote gives nobody a worse shape.
	planned, err := state.PlanContract(schedule, c, o.By.Party != contract.Tenant)
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
