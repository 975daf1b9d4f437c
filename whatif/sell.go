package whatif

import (
	"errors"
	"fmt"
	"maps"
	"math/big"
	"slices"
	"strings"
	"time"

	"bulkhead/book"
	"bulkhead/contract"
	"bulkhead/place"
	"bulkhead/place/dated"
	"bulkhead/site"
	"bulkhead/whatif/picture"
)

// Sold is what the site would look like with one contract more.
type Sold struct {
	Contract, Tenant string
	Version          int
	Tranches         []SoldTranche
	Ramps            []SoldRamp   // steps that are planned as one
	Moves            []dated.Move // bookings that have not begun and would be placed again
	Price            *contract.Pricing
	Late             []Money // what it costs that some of it comes late, by the contract's own terms
	LateChange       string  // sum of them; "" nothing comes late

	At            time.Time // of both pictures
	Before, After *picture.Site
}

// SoldTranche is one tranche: in parts by date, or refused.
type SoldTranche struct {
	ID, Fabric, Kind string   // of the kind that was chosen; "H100 or H200" where none can be had
	Kinds            []string // that were accepted; nil: one
	GPUs             int64
	Delivery, End    time.Time
	Parts            []SoldPart
	Refused          string // in words that can be repeated; "" it can be had
	Earliest         time.Time
	Near             string // how near it is to the contract's other tranches; "" these have no nodes
	Unproven         string // what is known of the best slice, where the search for it was ended; "" this is it
}

// SoldPart is what comes at once.
type SoldPart struct {
	Begin time.Time
	GPUs  int64
	Slots int
	Late  bool
	Shape place.Cost // of these nodes by themselves
}

// SoldRamp is the shape of a ramp from each of its dates on.
type SoldRamp struct {
	Tranches []string
	Dates    []time.Time
	Nodes    []int
	Shapes   []place.Cost
	NodeGPUs int        // GPUs a node
	Unnested place.Cost // what the final size would cost if only its own date mattered
	Stepwise bool       // there was room for it only step by step
}

// Sell says what it would come to if a contract, or a new version of one, were
// signed: where each tranche would lie and from when, what comes late and what
// that costs by the contract's own terms, which bookings would be placed again,
// and what the site looks like before and after. A shortfall is part of the
// answer. at is the time of the pictures; zero: when the last of it has come.
// Nothing is written and nothing is held.
// Cost: as a quote; two invoices a month for what comes late.
func Sell(s *book.State, now time.Time, c *contract.Contract, at time.Time) (*Sold, error) {
	if err := c.CheckAsked(); err != nil {
		return nil, err
	}
	before, err := s.Schedule(now)
	if err != nil {
		return nil, err
	}
	for _, t := range s.AddedTranches(c) {
		if t.Delivery.Before(now) {
			return nil, &book.Refusal{Field: "tranche " + t.ID + ".delivery", Reason: t.Delivery.UTC().Format(time.RFC3339) + " has passed"}
		}
	}
	best, err := s.PlanContract(before, c, true)
	if err != nil {
		return nil, err
	}
	asked := c
	c = best.Contract
	out := &Sold{Contract: c.ID, Tenant: c.Tenant, Version: c.Version}
	if out.Price, err = contract.Price(c); err != nil {
		return nil, err
	}
	last := now
	for _, p := range best.Planned {
		out.take(s, c, p)
		if p.Plan != nil {
			last = later(last, p.Plan.Parts[len(p.Plan.Parts)-1].Begin)
		}
	}
	out.kinds(asked, best.Refused)
	if err := out.late(s, now, c); err != nil {
		return nil, err
	}
	if at.IsZero() {
		at = last
	}
	out.At = at
	out.pictures(s, c, before, best.After)
	return out, nil
}

// kinds says of tranches whose kind was open why no other can be had instead,
// where they are refused.
func (out *Sold) kinds(asked *contract.Contract, refused error) {
	var each *book.KindsError
	for i := range out.Tranches {
		t := &out.Tranches[i]
		was := asked.TrancheByID(t.ID)
		if t.Refused == "" || was == nil || was.Kind != "" {
			continue
		}
		t.Kind = was.KindText()
		if errors.As(refused, &each) && strings.HasPrefix(refused.Error(), "tranche "+t.ID+": ") {
			t.Refused = each.Error()
		}
	}
}

func (out *Sold) take(s *book.State, c *contract.Contract, p book.Planned) {
	for _, t := range p.Tranches {
		sold := SoldTranche{ID: t.ID, Fabric: t.Fabric, Kind: t.Kind, Kinds: t.Kinds, GPUs: t.GPUs, Delivery: t.Delivery, End: t.End}
		if p.Refused != nil {
			sold.Refused, sold.Earliest = p.Refused.Error(), p.Refused.Earliest
			out.Tranches = append(out.Tranches, sold)
			continue
		}
		final := p.Plan.Final().Certificate
		sold.Unproven, sold.Near = final.Unproven(), final.Nearness.Words()
		if sold.Near != "" && len(p.Tranches) > 1 {
			sold.Near = "with the rest of its ramp, " + sold.Near
		}
		for _, part := range p.Plan.Parts {
			if part.Step == string(book.LeaseIDOf(c.ID, t.ID)) {
				sold.Parts = append(sold.Parts, SoldPart{Begin: part.Begin, GPUs: int64(len(part.Nodes) * t.GPUsANode()), Slots: len(part.Nodes), Late: p.Plan.Late(part), Shape: place.CostOf(s.Site, part.Nodes)})
			}
		}
		out.Tranches = append(out.Tranches, sold)
	}
	if p.Plan == nil {
		return
	}
	out.Moves = append(out.Moves, p.Plan.Moves...)
	ramp := SoldRamp{NodeGPUs: p.Tranches[0].GPUsANode(), Unnested: p.Plan.Unnested, Stepwise: p.Plan.Stepwise}
	for _, t := range p.Tranches {
		ramp.Tranches = append(ramp.Tranches, t.ID)
	}
	for _, prefix := range p.Plan.Prefixes {
		ramp.Dates = append(ramp.Dates, prefix.Begin)
		ramp.Nodes = append(ramp.Nodes, len(prefix.Slice.Nodes))
		ramp.Shapes = append(ramp.Shapes, prefix.Slice.Certificate.Cost)
	}
	if len(ramp.Dates) > 1 {
		out.Ramps = append(out.Ramps, ramp)
	}
}

// late prices what comes after its date, as the meter would.
func (out *Sold) late(s *book.State, now time.Time, c *contract.Contract) error {
	come := map[string][]time.Time{} // by tranche, when each slot comes
	var first, last time.Time
	for _, t := range out.Tranches {
		for _, p := range t.Parts {
			for range p.Slots {
				come[t.ID] = append(come[t.ID], p.Begin)
			}
			if p.Late {
				if first.IsZero() || t.Delivery.Before(first) {
					first = t.Delivery
				}
				last = later(last, p.Begin)
			}
		}
	}
	if first.IsZero() {
		return nil
	}
	versions := []*contract.Contract{c}
	leases := s.LeasesOfContract(c.ID)
	if k, ok := s.Contracts[c.ID]; ok {
		versions = append(slices.Clone(k.Versions), c)
	}
	for _, id := range slices.Sorted(maps.Keys(come)) {
		t := c.TrancheByID(id)
		l := &book.Lease{}
		l.ID, l.Contract, l.Tranche, l.Begin, l.End = book.LeaseIDOf(c.ID, id), c.ID, id, t.Delivery, t.End
		l.Slots = make([]site.Index, t.Slots())
		leases = append(leases, l)
	}
	on := func(l *book.Lease, slot int) time.Time {
		if _, planned := come[l.Tranche]; planned {
			return l.Begin
		}
		return later(l.Begin, s.Site.InService(l.Slots[slot]), now)
	}
	lines, change, err := compare(versions, leases, first, last, on, func(l *book.Lease, slot int) time.Time {
		if dates := come[l.Tranche]; slot < len(dates) {
			return dates[slot]
		}
		return on(l, slot)
	})
	if err != nil {
		return err
	}
	digits, _ := contract.Digits(c.Currency)
	out.Late, out.LateChange = lines, new(big.Rat).Set(change).FloatString(digits)
	return nil
}

// pictures draws the site before and after, with the same looks for the same
// leases.
func (out *Sold) pictures(s *book.State, c *contract.Contract, before, after *dated.Schedule) {
	failed := s.OutOfOrder()
	was := map[string]bool{}
	for _, h := range before.Bookings() {
		was[h.ID] = true
	}
	// What is new comes first and then the largest: they get looks of their own,
	// however many leases there are.
	var seen []dated.Booking
	for _, h := range after.Bookings() {
		if !h.Begin.After(out.At) && out.At.Before(h.End) {
			seen = append(seen, h)
		}
	}
	slices.SortStableFunc(seen, func(a, b dated.Booking) int {
		switch {
		case was[a.ID] == was[b.ID] && was[a.ID]:
			return len(b.Nodes) - len(a.Nodes)
		case was[a.ID] == was[b.ID]:
			return 0
		case was[a.ID]:
			return 1
		}
		return -1
	})
	var order []string
	for _, h := range seen {
		order = append(order, h.ID)
	}
	isNew := func(id string) bool { return !was[id] && strings.HasPrefix(id, c.ID+"/") }
	out.Before = picture.Of(s.Site, before, failed, out.At, order, isNew)
	out.After = picture.Of(s.Site, after, failed, out.At, order, isNew)
	out.Before.Caption = "before"
	out.After.Caption = fmt.Sprintf("with %s, version %d", c.ID, c.Version)
}

// Late is what it costs that some of an open quote comes after its date, because
// its hall is only planned: invoice lines that differ, and their sum, "" when
// everything comes on its date.
func Late(s *book.State, q *book.Quote) ([]Money, string, error) {
	c := q.Contract
	versions := []*contract.Contract{c}
	leases := s.LeasesOfContract(c.ID)
	if k, ok := s.Contracts[c.ID]; ok {
		versions = append(slices.Clone(k.Versions), c)
	}
	quoted := map[string]bool{}
	var first, last time.Time
	for _, p := range q.Parts {
		nodes, err := site.ParseOrder(p.Nodes, s.Site.Nodes())
		if err != nil {
			return nil, "", err
		}
		l := &book.Lease{}
		l.ID, l.Contract, l.Tranche, l.Begin, l.End, l.Slots = book.LeaseIDOf(c.ID, p.Tranche), c.ID, p.Tranche, p.Begin, p.End, nodes
		leases, quoted[p.Tranche] = append(leases, l), true
		for _, n := range nodes {
			if from := s.Site.InService(n); from.After(p.Begin) {
				if first.IsZero() || p.Begin.Before(first) {
					first = p.Begin
				}
				last = later(last, from)
			}
		}
	}
	if first.IsZero() {
		return nil, "", nil
	}
	as := func(l *book.Lease, slot int) time.Time { return later(l.Begin, s.Site.InService(l.Slots[slot])) }
	lines, change, err := compare(versions, leases, first, last, func(l *book.Lease, slot int) time.Time {
		if quoted[l.Tranche] {
			return l.Begin
		}
		return as(l, slot)
	}, as)
	if err != nil {
		return nil, "", err
	}
	digits, _ := contract.Digits(c.Currency)
	return lines, change.FloatString(digits), nil
}
