package run

import (
	"context"
	"fmt"
	"time"

	"bulkhead/book"
	"bulkhead/claim"
	"bulkhead/contract"
	"bulkhead/lease"
	"bulkhead/place"
	"bulkhead/site"
)

func digestOf(data []byte) claim.Digest { return claim.DigestOf(data) }

// Quote places every tranche that a contract adds and offers the result until
// validity has passed (0: the site's policy). The search runs on a copy of the
// occupancy, outside the writer; the book checks what it found. If the book has
// moved on meanwhile and the placement no longer fits, the search is repeated.
func (p *Plane) Quote(ctx context.Context, id string, c *contract.Contract, validity time.Duration) (*book.Quote, error) {
	if err := c.Check(); err != nil {
		return nil, err
	}
	const tries = 3
	var err error
	for range tries {
		var offer book.OfferQuote
		if offer, err = p.propose(id, c, validity); err != nil {
			return nil, err
		}
		if _, err = p.Submit(ctx, "quote "+id, offer); err == nil {
			break
		}
	}
	if err != nil {
		return nil, err
	}
	var quote *book.Quote
	p.View(func(s *book.State) { quote = s.Quotes[id] })
	if quote == nil {
		return nil, fmt.Errorf("quote %s was signed or has lapsed already", id)
	}
	return quote, nil
}

// propose solves the placements of the tranches that a contract adds.
func (p *Plane) propose(id string, c *contract.Contract, validity time.Duration) (book.OfferQuote, error) {
	var (
		s     *site.Site
		added []contract.Tranche
		free  []*site.Set
		err   error
	)
	offer := book.OfferQuote{Quote: id, Contract: c}
	p.View(func(state *book.State) {
		if state.Site == nil {
			err = fmt.Errorf("no site has been imported: there is nothing to sell yet")
			return
		}
		s = state.Site
		if validity <= 0 {
			validity = state.Policy.QuoteValid
		}
		added = state.AddedTranches(c)
		if err = state.CheckCalendar(c, added); err != nil {
			return
		}
		for _, t := range added {
			begin, end := book.Window(c, t)
			free = append(free, state.Free(begin, end))
		}
	})
	if err != nil {
		return offer, err
	}
	now := p.config.Clock.Now()
	offer.Expires = now.Add(validity)
	taken := site.NewSet(s.Nodes())
	for i, t := range added {
		free[i].Subtract(taken)
		slice, err := place.Solve(s, free[i], place.Ask{Nodes: t.Slots(), Fabric: t.Fabric, Kind: t.Kind, Links: lease.Links(t.Links)})
		if err != nil {
			return offer, fmt.Errorf("tranche %s: %w", t.ID, err)
		}
		for _, n := range slice.Nodes {
			taken.Add(n)
		}
		offer.Slices = append(offer.Slices, book.TrancheSlice{Tranche: t.ID, Slice: slice})
	}
	return offer, nil
}
