package run

import (
	"context"

	"bulkhead/book"
	"bulkhead/fabric"
)

// OfferSitting offers a contract to who is on an adopted site already, under found
// labels. Nothing is placed: the nodes are those that carry them.
func (p *Plane) OfferSitting(ctx context.Context, o Offer, labels []fabric.Label, by book.Actor) (*book.Quote, error) {
	if err := o.Contract.CheckAsked(); err != nil {
		return nil, err
	}
	if quote := p.openQuote(o); quote != nil {
		return quote, nil
	}
	state, now := p.Reading()
	if state.Site == nil {
		return nil, &book.Refusal{Field: "site", Reason: "no site has been imported"}
	}
	if o.Validity <= 0 {
		o.Validity = state.Policy.QuoteValid
	}
	c := book.OfferSitting{Quote: o.Quote, Contract: o.Contract.WithNodes(state.Site.NodeGPUs), Expires: now.Add(o.Validity), Labels: labels, By: by, Offered: o.By}
	if _, err := p.Submit(ctx, "", c); err != nil {
		return nil, err
	}
	quote := p.openQuote(o)
	if quote == nil {
		return nil, &book.Refusal{Field: "quote", Reason: "it was offered, and was signed, replaced or withdrawn at once: look at bulkhead quote list"}
	}
	return quote, nil
}
