package run

import (
	"context"
	"errors"

	"bulkhead/book"
	"bulkhead/node"
	"bulkhead/place"
	"bulkhead/site"
)

// replaceFailed proposes another node for every slot whose node needs repair,
// in one matching over all of them. A slot for which nothing fits stays down
// and is tried again when nodes have become ready.
func (p *Plane) replaceFailed(ctx context.Context) (changed bool, err error) {
	s := p.w.state
	type slot struct {
		lease *book.Lease
		slot  uint32
	}
	var failed []site.Index
	var slots []slot
	collect := func(n site.Index) {
		l := s.Holder(n)
		if l == nil || !l.Returning.IsZero() {
			return
		}
		switch s.Nodes.State[n] {
		case node.Delivered, node.Reserved, node.Quarantined, node.Repair:
		default:
			return // in turnover for a lease to come: it has time
		}
		if _, open := s.Swaps[book.SlotRef{Lease: l.ID, Slot: s.Nodes.Slot[n]}]; open {
			return
		}
		failed = append(failed, n)
		slots = append(slots, slot{l, s.Nodes.Slot[n]})
	}
	for n := range s.Nodes.Sick.All() {
		collect(n)
	}
	for n := range s.Nodes.By[node.Quarantined].All() {
		if !s.Nodes.Sick.Has(n) {
			collect(n)
		}
	}
	if len(failed) == 0 {
		return false, nil
	}
	candidates := s.Candidates()
	if p.seen.tried.same(failed, candidates) {
		return false, nil
	}
	failures := make([]place.Failure, len(failed))
	for i := range failed {
		failures[i] = s.FailureOf(slots[i].lease, failed[i])
	}
	var unserved []book.SlotRef
	for i, to := range place.ReplaceFailures(s.Site, candidates, failures, s.LinksOf()) {
		if to == place.NoNode {
			unserved = append(unserved, book.SlotRef{Lease: slots[i].lease.ID, Slot: slots[i].slot})
			continue
		}
		reason := s.Nodes.Class[failed[i]]
		if reason == "" {
			reason = s.Nodes.State[failed[i]].String()
		}
		err := p.w.decide(ctx, "", book.ProposeReplacement{Lease: slots[i].lease.ID, Slot: slots[i].slot, Node: to, Reason: reason})
		switch {
		case err == nil:
			changed = true
		case !errors.Is(err, book.ErrNothing) && !isRefusal(err):
			return changed, err
		}
	}
	if len(unserved) > 0 {
		switch err := p.w.decide(ctx, "", book.NoteUnserved{Slots: unserved}); {
		case err == nil:
			changed = true
		case !errors.Is(err, book.ErrNothing) && !isRefusal(err):
			return changed, err
		}
	}
	p.seen.tried.remember(failed, s.Candidates())
	return changed, nil
}

func isRefusal(err error) bool {
	var r *book.Refusal
	return errors.As(err, &r)
}

// attempt remembers what the last matching was asked, so that slots for which
// nothing fits don't cost a matching at every tick.
type attempt struct {
	failed     *site.Set
	candidates *site.Set
}

func (a *attempt) same(failed []site.Index, candidates *site.Set) bool {
	return a.failed != nil && a.failed.Equal(site.SetOf(failed...)) && a.candidates.Equal(candidates)
}

func (a *attempt) remember(failed []site.Index, candidates *site.Set) {
	a.failed, a.candidates = site.SetOf(failed...), candidates
}
