package run

import (
	"context"
	"errors"
	"fmt"

	"bulkhead/book"
	"bulkhead/node"
	"bulkhead/place"
	"bulkhead/site"
)

// awaitsNodes says whether a command waits until nodes can be looked at: that a node is
// still silent, or as its replacement was proposed for, is known from a look that came
// to its end, and from no older one.
func (p *Plane) awaitsNodes(c book.Command) bool {
	switch c := c.(type) {
	case book.DeclareDead:
		return !p.nodesCurrent(p.w.state)
	case book.AcknowledgeReplacement:
		return !p.nodesCurrent(p.w.state) && c.By == book.ByDeadline
	}
	return false
}

// nodesCurrent reports whether the newest look at nodes has come to its end, and was asked for no
// longer ago than a look is apart: an answer that was long on its way tells of then.
func (p *Plane) nodesCurrent(s *book.State) bool {
	return p.seen.nodesComplete && p.config.Clock.Now().Sub(p.seen.nodesAsked) <= s.Policy.Poll
}

// nodesAwaited says what waits because nodes could not be looked at, or "".
func (p *Plane) nodesAwaited(s *book.State) string {
	if p.nodesCurrent(s) || len(s.Nodes.Silence)+len(s.Swaps) == 0 {
		return ""
	}
	return fmt.Sprintf("the driver of nodes has not answered: %d silent nodes don't count as dead by it, and %d proposed replacements are not made at their deadline", len(s.Nodes.Silence), len(s.Swaps))
}

// replaceFailed proposes another node for every slot whose node is dead or needs
// repair, in one matching over all of them. A slot for which nothing fits stays down
// and is tried again when nodes have become ready.
func (p *Plane) replaceFailed(ctx context.Context) error {
	s := p.w.state
	type slot struct {
		lease *book.Lease
		slot  uint32
	}
	var failed []site.Index
	var slots []slot
	collect := func(n site.Index) {
		l := s.LeaseOn(n)
		if l == nil || !l.Returning.IsZero() {
			return
		}
		switch s.Nodes.State[n] {
		case node.Delivered, node.Reserved, node.Quarantined, node.Repair:
		default:
			return // in turnover for a lease to come: it has time
		}
		ref := book.SlotRef{Lease: l.ID, Slot: s.Nodes.Slot[n]}
		_, open := s.Swaps[ref]
		if _, stays := s.Stays[ref]; open || stays || s.GivenUpNode(n) {
			return
		}
		failed = append(failed, n)
		slots = append(slots, slot{l, s.Nodes.Slot[n]})
	}
	need := s.Nodes.Sick.Clone()
	for n := range s.Nodes.Silence {
		need.Add(n)
	}
	for n := range s.Nodes.By[node.Quarantined].All() {
		need.Add(n)
	}
	for n := range need.All() {
		if s.NeedsAnother(n) {
			collect(n)
		}
	}
	if len(failed) == 0 {
		return nil
	}
	candidates := s.Candidates()
	if p.seen.tried.same(failed, candidates) {
		return nil
	}
	failures := make([]place.Failure, len(failed))
	for i := range failed {
		failures[i] = s.FailureOf(slots[i].lease, failed[i])
	}
	var unserved []book.SlotRef
	var left []site.Index // no node was found for them, or the one that was is refused
	for i, to := range matched(s, candidates, failures, func(i int) *book.Lease { return slots[i].lease }) {
		if to == place.NoNode {
			unserved = append(unserved, book.SlotRef{Lease: slots[i].lease.ID, Slot: slots[i].slot})
			left = append(left, failed[i])
			continue
		}
		reason := s.Nodes.Class[failed[i]]
		if reason == "" {
			reason = s.Nodes.State[failed[i]].String()
		}
		err := p.w.decide(ctx, "", book.ProposeReplacement{Lease: slots[i].lease.ID, Slot: slots[i].slot, Node: to, Reason: reason})
		switch {
		case err == nil:
		case !errors.Is(err, book.ErrNothing) && !isRefusal(err):
			return err
		default:
			left = append(left, failed[i])
		}
	}
	if len(unserved) > 0 {
		switch err := p.w.decide(ctx, "", book.NoteUnserved{Slots: unserved}); {
		case err == nil:
		case !errors.Is(err, book.ErrNothing) && !isRefusal(err):
			return err
		}
	}
	p.seen.tried.remember(left, s.Candidates())
	return nil
}

// matched finds a node among the candidates for each failure. Those of racks that are
// NVLink domains are matched lease by lease, each with what is not in a domain that
// another project is in.
func matched(s *book.State, candidates *site.Set, failures []place.Failure, of func(i int) *book.Lease) []site.Index {
	out := make([]site.Index, len(failures))
	var groups [][]int // indexes into failures
	at := map[*book.Lease]int{}
	for i := range failures {
		key := of(i)
		if !s.Site.NVLinkRacks(key.Kind) {
			key = nil // all of these together
		}
		g, known := at[key]
		if !known {
			g = len(groups)
			at[key] = g
			groups = append(groups, nil)
		}
		groups[g] = append(groups[g], i)
	}
	left := candidates.Clone()
	for _, group := range groups {
		open := left.Clone()
		if l := of(group[0]); s.Site.NVLinkRacks(l.Kind) {
			open.Intersect(s.CandidatesFor(l))
		}
		part := make([]place.Failure, len(group))
		for i, f := range group {
			part[i] = failures[f]
		}
		for i, to := range place.ReplaceFailures(s.Site, open, part, s.LinksOf()) {
			if out[group[i]] = to; to != place.NoNode {
				left.Remove(to)
			}
		}
	}
	return out
}

func isRefusal(err error) bool {
	var r *book.Refusal
	return errors.As(err, &r)
}

// attempt remembers which slots the last matching left without a node, so that they
// don't cost one at every tick while nothing has changed.
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
