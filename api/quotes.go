package api

import (
	"context"
	"fmt"
	"strings"
	"time"

	"connectrpc.com/connect"

	v1 "bulkhead/api/bulkheadv1"
	"bulkhead/book"
	"bulkhead/claim"
	"bulkhead/contract"
	"bulkhead/run"
)

// whose is the tenant that a request names a quote of: a tenant's own, whatever it
// says. "" is the owner's, who named none.
func whose(ctx context.Context, named string) string {
	if t := caller(ctx); t.Role.OfTenant() {
		return t.Tenant
	}
	return named
}

// openQuote finds an open quote that the caller may see.
func (s *service) openQuote(ctx context.Context, tenant, id string) (q *book.Quote, err error) {
	s.plane.View(func(b *book.State) { q, err = b.OpenQuote(whose(ctx, tenant), id) })
	if refused, is := err.(*book.Refusal); is && refused.Field == "quote" {
		return nil, missing("open quote", id)
	}
	return q, err
}

// ListQuotes lists the open quotes that the caller may see, by tenant and id.
func (s *service) ListQuotes(ctx context.Context, r *connect.Request[v1.Page]) (*connect.Response[v1.Quotes], error) {
	out := &v1.Quotes{}
	var err error
	s.plane.View(func(b *book.State) {
		var names []string
		for _, key := range b.QuoteKeys() {
			if mayRead(ctx, key.Tenant) {
				names = append(names, key.Tenant+"/"+key.ID) // a tenant's id has no '/'
			}
		}
		sortTexts(names)
		if names, out.NextPageToken, err = page(names, r.Msg.PageSize, r.Msg.PageToken); err != nil {
			return
		}
		for _, name := range names {
			tenant, id, _ := strings.Cut(name, "/")
			out.Quotes = append(out.Quotes, briefQuote(ctx, b, b.Quotes[book.QuoteKey{Tenant: tenant, ID: id}]))
		}
	})
	return connect.NewResponse(out), err
}

// briefQuote is a quote as lists have it.
func briefQuote(ctx context.Context, b *book.State, q *book.Quote) *v1.Quote {
	out := &v1.Quote{Id: q.ID, Tenant: q.Tenant, Contract: q.Contract.ID, Version: int32(q.Contract.Version), Expires: stampOf(q.Expires),
		OfferedFor: q.Offered.Party, OfferedBy: q.Offered.By, PlaceWithheld: q.Withheld && caller(ctx).Role.OfTenant()}
	describePage(out, q)
	out.Page = ""
	for _, p := range q.Parts {
		part := &v1.QuotePart{Tranche: p.Tranche, Fabric: p.Fabric, Kind: p.Kind, Gpus: int64(p.Slots * b.Site.NodeGPUs(p.Kind)), Begin: stampOf(p.Begin), End: stampOf(p.End)}
		if !out.PlaceWithheld {
			part.Where, part.PlacementCertificate = p.Where, p.Certificate.String()
		}
		out.Parts = append(out.Parts, part)
	}
	return out
}

// ShowQuote shows an open quote.
func (s *service) ShowQuote(ctx context.Context, r *connect.Request[v1.QuoteRef]) (*connect.Response[v1.Quote], error) {
	q, err := s.openQuote(ctx, r.Msg.Tenant, r.Msg.Quote)
	if err != nil {
		return nil, err
	}
	state, now := s.plane.Reading()
	return connect.NewResponse(quote(ctx, state, now, q)), nil
}

// describePage adds what is read before it is signed.
func describePage(out *v1.Quote, q *book.Quote) {
	told := q.Told()
	if text, err := contract.Page(told); err == nil { // the ledger's own contract: it can be read
		out.Page, out.PageDigest = string(text), claim.DigestOf(text).String()
	}
	out.DocumentDigest = claim.DigestOf(told.Contract).String()
}

// readPage is the digest that a signing call carries.
func readPage(text string) (claim.Digest, error) {
	page, err := claim.ParseDigest(text)
	if err != nil || page.IsZero() {
		return claim.Digest{}, &book.Refusal{Field: "digest", Reason: "expected the digest of the page that was read, \"sha256:\" and 64 hexadecimal digits, as ShowQuote gives it (page_digest): what nobody has read is not signed"}
	}
	return page, nil
}

// WithdrawQuote gives back what an open quote holds.
func (s *service) WithdrawQuote(ctx context.Context, r *connect.Request[v1.WithdrawQuoteRequest]) (*connect.Response[v1.Done], error) {
	command := book.WithdrawQuote{Tenant: whose(ctx, r.Msg.Tenant), Quote: r.Msg.Quote, By: signature(ctx), Reason: r.Msg.Reason}
	if done, did, err := s.plane.Done(commandID(ctx, r.Msg, command)); err != nil || did { // then it is open no more
		return s.done(ctx, run.Result{Entry: done.Entry, Repeated: did}, err)
	}
	q, err := s.openQuote(ctx, command.Tenant, r.Msg.Quote)
	if err != nil {
		return nil, err
	}
	command.Tenant = q.Tenant
	return s.submit(ctx, r.Msg, command)
}

// mayAsk counts what a tenant asks for by itself, and refuses more than the site's
// policy gives every tenant in an hour. The same request again, while its quote is
// open, is no further ask; a quote that was withdrawn or replaced was one.
func (s *service) mayAsk(ctx context.Context, o run.Offer) error {
	t := caller(ctx)
	if !t.Role.OfTenant() || s.plane.Quoted(o) {
		return nil
	}
	most := 0
	s.plane.View(func(b *book.State) {
		if b.Site != nil {
			most = b.Policy.Tenants.Asks
		}
	})
	if most == 0 {
		return nil // there is no site: there is nothing to learn
	}
	if again := s.asks.take(t.Tenant, most, s.now()); again > 0 {
		return connect.NewError(connect.CodeResourceExhausted, fmt.Errorf("%d quotes were asked for in an hour, which is all that a tenant may: ask again in %s, or ask the owner for a quote", most, again.Round(time.Second)))
	}
	return nil
}
