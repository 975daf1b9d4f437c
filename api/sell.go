package api

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"connectrpc.com/connect"

	v1 "bulkhead/api/bulkheadv1"
	"bulkhead/book"
	"bulkhead/contract"
	"bulkhead/lease"
	"bulkhead/run"
	"bulkhead/site"
	"bulkhead/whatif"
)

// OfferQuote places a contract and offers it.
func (s *service) OfferQuote(ctx context.Context, r *connect.Request[v1.OfferQuoteRequest]) (*connect.Response[v1.Quote], error) {
	offer, err := s.offer(ctx, r.Msg)
	if err != nil {
		return nil, err
	}
	if err := s.mayAsk(ctx, offer); err != nil {
		return nil, err
	}
	q, err := s.plane.Offer(ctx, offer)
	if err != nil {
		return nil, withoutFigures(ctx, offer.Contract, err)
	}
	state, now := s.plane.Reading()
	return connect.NewResponse(quote(ctx, state, now, q)), nil
}

// offer reads what is to be offered.
func (s *service) offer(ctx context.Context, of interface {
	GetFile() string
	GetContract() []byte
	GetQuote() string
	GetValidSeconds() int64
}) (run.Offer, error) {
	none := run.Offer{}
	c, err := contract.Parse(of.GetFile(), of.GetContract())
	if err != nil {
		return none, badField("contract", err) // it names file, line and field of its own
	}
	if !mayRead(ctx, c.Tenant) {
		return none, missing("tenant", c.Tenant)
	}
	if of.GetQuote() == "" {
		return none, &book.Refusal{Field: "quote", Reason: "expected an id of your own"}
	}
	if err := s.checkValidity(ctx, of.GetValidSeconds()); err != nil {
		return none, err
	}
	if err := s.checkContractID(ctx, c); err != nil {
		return none, err
	}
	return run.Offer{Quote: of.GetQuote(), Contract: c, Validity: time.Duration(of.GetValidSeconds()) * time.Second, By: signature(ctx)}, nil
}

// longestQuote is for how long the owner may hold capacity by a quote.
const longestQuote = 365 * 24 * time.Hour

// checkValidity limits for how long a quote holds capacity: a tenant's own quotes
// to what the site's policy gives everybody.
func (s *service) checkValidity(ctx context.Context, seconds int64) error {
	most, more := longestQuote, ""
	if caller(ctx).Role.OfTenant() {
		s.plane.View(func(b *book.State) {
			if b.Site != nil {
				most, more = b.Policy.Tenants.Valid, "; for longer ask the owner for a quote"
			}
		})
	}
	if seconds < 0 || seconds > int64(most/time.Second) {
		return &book.Refusal{Field: "valid_seconds", Reason: fmt.Sprintf("expected 0, for the site's policy, to %d%s", int64(most/time.Second), more)}
	}
	return nil
}

func quote(ctx context.Context, state *book.State, now time.Time, q *book.Quote) *v1.Quote {
	out := &v1.Quote{Id: q.ID, Tenant: q.Tenant, Contract: q.Contract.ID, Version: int32(q.Contract.Version), Expires: q.Expires.UTC().Format(time.RFC3339)}
	out.PlaceWithheld = q.Withheld && caller(ctx).Role.OfTenant()
	describePage(out, q)
	for _, p := range q.Parts {
		var kinds []string
		if t := q.Contract.TrancheByID(p.Tranche); t != nil {
			kinds = t.Kinds
		}
		if out.PlaceWithheld {
			out.Parts = append(out.Parts, &v1.QuotePart{Kinds: kinds, Tranche: p.Tranche, Fabric: p.Fabric, Kind: p.Kind,
				Gpus: int64(p.Slots * state.Site.NodeGPUs(p.Kind)), Begin: stampOf(p.Begin), End: stampOf(p.End)})
			continue
		}
		out.Parts = append(out.Parts, &v1.QuotePart{
			Kinds:    kinds,
			Arrivals: arrivals(state.Site, p),
			Tranche:  p.Tranche, Fabric: p.Fabric, Kind: p.Kind, Gpus: int64(p.Slots * state.Site.NodeGPUs(p.Kind)),
			Begin: p.Begin.UTC().Format(time.RFC3339), End: p.End.UTC().Format(time.RFC3339), Where: p.Where, PlacementCertificate: p.Certificate.String(),
			Estimate: estimateOf(state, p),
		})
	}
	if late, change, err := whatif.Late(state, q); err == nil && !out.PlaceWithheld {
		out.Late, out.LateChange = changedLines(late), change
	}
	// A ramp that can't be looked at leaves the quote as it is, without it.
	if ramps, err := whatif.Ramps(state, now, q); err == nil && !out.PlaceWithheld {
		for _, ramp := range ramps {
			one := rampOf(ramp)
			if caller(ctx).Role.OfTenant() {
				one.Unnested = nil // it would tell what others hold
			}
			out.Ramps = append(out.Ramps, one)
		}
	}
	out.Apart = apartOf(q.Contract.Tranches)
	out.OfferedFor, out.OfferedBy = q.Offered.Party, q.Offered.By
	out.Document, out.Site, out.Now = q.Raw, state.Site.Name, stampOf(now)
	if t := state.Tenants[q.Tenant]; t != nil {
		out.NeedsKey = t.Keys.Any()
	}
	if pricing, err := contract.Price(q.Contract); err == nil {
		encoded, _ := json.MarshalIndent(pricing, "", "  ") // texts and numbers always encode
		out.Price = string(encoded)
	}
	return out
}

// arrivals says when what of a quoted part comes.
func arrivals(s *site.Site, p contract.QuotedPart) []*v1.QuoteArrival {
	nodes, err := site.ParseOrder(p.Nodes, s.Nodes())
	if err != nil {
		return nil // the ledger's own: it parses
	}
	come := map[time.Time]int64{}
	for _, n := range nodes {
		at := p.Begin
		if from := s.InService(n); from.After(at) {
			at = from
		}
		come[at.UTC()] += int64(s.RailsOf(n))
	}
	var out []*v1.QuoteArrival
	for _, at := range slices.SortedFunc(maps.Keys(come), time.Time.Compare) {
		out = append(out, &v1.QuoteArrival{From: stampOf(at), Gpus: come[at]})
	}
	return out
}

// SignLease puts a quote in force. What is signed is the page that was read.
func (s *service) SignLease(ctx context.Context, r *connect.Request[v1.SignLeaseRequest]) (*connect.Response[v1.Done], error) {
	assent, err := assentOf(ctx, r.Msg.Assent, r.Msg.Signature)
	if err != nil {
		return nil, err
	}
	command := book.SignQuote{Tenant: whose(ctx, r.Msg.Tenant), Quote: r.Msg.Quote, By: caller(ctx).Subject, Signed: []contract.Signature{signature(ctx)}, Assent: assent}
	if done, did, err := s.plane.Done(commandID(ctx, r.Msg, command)); err != nil || did { // then it is open no more
		return s.done(ctx, run.Result{Entry: done.Entry, Repeated: did}, err)
	}
	q, err := s.openQuote(ctx, command.Tenant, r.Msg.Quote)
	if err != nil {
		return nil, err
	}
	command.Tenant = q.Tenant
	if assent != nil && q.Offered.Party == contract.Tenant {
		return s.submit(ctx, r.Msg, book.AssentQuote{Tenant: q.Tenant, Quote: r.Msg.Quote, By: caller(ctx).Subject, Assent: assent})
	}
	if command.Page, err = readPage(r.Msg.Digest); err != nil {
		return nil, err
	}
	if err := bothSign(signature(ctx), q.Offered.Party); err != nil {
		return nil, err
	}
	return s.submit(ctx, r.Msg, command)
}

// ListLeases lists the leases that the caller may see, by id.
func (s *service) ListLeases(ctx context.Context, r *connect.Request[v1.Page]) (*connect.Response[v1.Leases], error) {
	out := &v1.Leases{}
	var err error
	now := s.plane.LastRound()
	s.plane.View(func(b *book.State) {
		var ids []string
		for _, l := range b.Leases {
			if mayRead(ctx, l.Tenant) {
				ids = append(ids, string(l.ID))
			}
		}
		sortTexts(ids)
		if ids, out.NextPageToken, err = page(ids, r.Msg.PageSize, r.Msg.PageToken); err != nil {
			return
		}
		for _, id := range ids {
			l, _ := b.LeaseByID(lease.ID(id))
			out.Leases = append(out.Leases, describeLease(b, l, now))
		}
	})
	return connect.NewResponse(out), err
}

// readableLease calls look with a lease that the caller may see.
func (s *service) readableLease(ctx context.Context, id string, look func(b *book.State, l *book.Lease)) error {
	found := false
	s.plane.View(func(b *book.State) {
		if l, ok := b.LeaseByID(lease.ID(id)); ok && mayRead(ctx, l.Tenant) {
			found = true
			look(b, l)
		}
	})
	if !found {
		return missing("lease", id)
	}
	return nil
}

// GetLease shows one lease.
func (s *service) GetLease(ctx context.Context, r *connect.Request[v1.LeaseRef]) (*connect.Response[v1.Lease], error) {
	var out *v1.Lease
	now := s.plane.LastRound()
	err := s.readableLease(ctx, r.Msg.Lease, func(b *book.State, l *book.Lease) {
		out = describeLease(b, l, now)
		out.Estimate = estimate(b, l.Slots)
	})
	return connect.NewResponse(out), err
}

// GetHosts gives what "delivered" gives a tenant, as it is now.
func (s *service) GetHosts(ctx context.Context, r *connect.Request[v1.LeaseRef]) (*connect.Response[v1.HandOver], error) {
	out := &v1.HandOver{}
	var failed error
	err := s.readableLease(ctx, r.Msg.Lease, func(b *book.State, l *book.Lease) {
		var h lease.HandOver
		h, failed = b.HandOver(l)
		out.Files = h.Files
	})
	return connect.NewResponse(out), errors.Join(err, failed)
}

func describeLease(b *book.State, l *book.Lease, now time.Time) *v1.Lease {
	out := &v1.Lease{
		Id: string(l.ID), Tenant: l.Tenant, Contract: l.Contract, Tranche: l.Tranche, Fabric: l.Fabric, Kind: l.Kind,
		Begin: l.Begin.UTC().Format(time.RFC3339), End: l.End.UTC().Format(time.RFC3339), DesiredSlots: int64(l.Owed()),
		Delivered: int64(l.Delivered), Isolation: l.Verdict, Generation: l.Epoch,
	}
	for slot, n := range l.Slots {
		if b.SlotUp(l, slot) && b.HealthOf(n) == book.Healthy && b.Nodes.Exposed[n] == 0 {
			out.ObservedUp++
		}
		if swap, open := b.Swaps[book.SlotRef{Lease: l.ID, Slot: uint32(slot)}]; open {
			out.Replacements = append(out.Replacements, &v1.Replacement{
				Slot: uint32(slot), Was: b.Site.NodeID[swap.Was], Node: b.Site.NodeID[swap.Node], Deadline: swap.Deadline.UTC().Format(time.RFC3339), ProposedBy: swap.By,
			})
		}
	}
	describeSilence(out, b, l, now)
	slots, since := b.UnservedOf(l.ID)
	if out.Unserved = slots; len(slots) > 0 {
		out.UnservedSince = since.UTC().Format(time.RFC3339)
	}
	out.Stays = b.StaysOf(l.ID)
	if p, open := b.Defrags[l.ID]; open {
		out.Defrag = describeDefrag(b, l, p)
	}
	if k, ok := b.Contracts[l.Contract]; ok && len(k.Signatures) > 0 {
		out.Signed = contract.Signatories(k.Signatures)
		if k.Key != "" {
			out.Signed = append(out.Signed, "tenant's key: "+k.Key)
		}
	}
	switch {
	case !l.Returned.IsZero():
		out.State = "returned"
	case !l.Returning.IsZero():
		out.State = "returning"
	case l.Delivered == l.Owed():
		out.State = "delivered"
	case l.Delivered > 0:
		out.State = fmt.Sprintf("delivering, %d of %d", l.Delivered, l.Owed())
	default:
		out.State = "bound"
	}
	return out
}

// ListInvoices lists the invoices that the caller may see, by number.
func (s *service) ListInvoices(ctx context.Context, r *connect.Request[v1.Page]) (*connect.Response[v1.Invoices], error) {
	out := &v1.Invoices{}
	var err error
	s.plane.View(func(b *book.State) {
		by := map[string]book.Invoice{}
		var numbers []string
		for _, i := range b.Invoices {
			if mayRead(ctx, i.Tenant) {
				by[i.Number] = i
				numbers = append(numbers, i.Number)
			}
		}
		sortTexts(numbers)
		if numbers, out.NextPageToken, err = page(numbers, r.Msg.PageSize, r.Msg.PageToken); err != nil {
			return
		}
		for _, number := range numbers {
			out.Invoices = append(out.Invoices, describeInvoice(by[number]))
		}
	})
	return connect.NewResponse(out), err
}

func describeInvoice(i book.Invoice) *v1.Invoice {
	return &v1.Invoice{Number: i.Number, Tenant: i.Tenant, Contract: i.Contract, From: i.From, To: i.To, Currency: i.Currency, Total: i.Total}
}

func (s *service) invoice(ctx context.Context, number string) (book.Invoice, error) {
	var found book.Invoice
	s.plane.View(func(b *book.State) {
		for _, i := range b.Invoices {
			if i.Number == number && mayRead(ctx, i.Tenant) {
				found = i
			}
		}
	})
	if found.Number == "" {
		return found, missing("invoice", number)
	}
	return found, nil
}

// GetInvoice gives an invoice as it was signed, and as a page.
func (s *service) GetInvoice(ctx context.Context, r *connect.Request[v1.InvoiceRef]) (*connect.Response[v1.InvoiceDocument], error) {
	entry, err := s.invoice(ctx, r.Msg.Number)
	if err != nil {
		return nil, err
	}
	i, err := s.plane.Invoice(ctx, entry.Statement)
	if err != nil {
		return nil, connect.NewError(connect.CodeInternal, err)
	}
	disputes, said := s.disputes(entry.Number, "")
	return connect.NewResponse(&v1.InvoiceDocument{Invoice: describeInvoice(entry), Json: string(i.Encode()), Text: i.Text() + said, Disputes: disputes}), nil
}

// ExplainInvoice says how a line came about: clause, formula, entries.
func (s *service) ExplainInvoice(ctx context.Context, r *connect.Request[v1.ExplainInvoiceRequest]) (*connect.Response[v1.Explanation], error) {
	entry, err := s.invoice(ctx, r.Msg.Number)
	if err != nil {
		return nil, err
	}
	i, err := s.plane.Invoice(ctx, entry.Statement)
	if err != nil {
		return nil, connect.NewError(connect.CodeInternal, err)
	}
	if _, ok := i.Line(r.Msg.Line); !ok {
		return nil, &book.Refusal{Field: "line", Reason: strings.TrimSpace(i.Explain(r.Msg.Line))}
	}
	_, said := s.disputes(entry.Number, r.Msg.Line)
	return connect.NewResponse(&v1.Explanation{Text: i.Explain(r.Msg.Line) + said}), nil
}
