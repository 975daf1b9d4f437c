package book

import (
	"fmt"
	"time"

	"bulkhead/lease"
	"bulkhead/ledger"
	"bulkhead/meter"
	"bulkhead/node"
	"bulkhead/site"
)

// Silence is what is known of a node that does not answer. It is a fact beside the
// health of the node's hardware: a node may be silent with sound hardware, and answer
// with broken.
type Silence struct {
	Since time.Time // when it was last heard
	Dead  time.Time // since when it counts as dead; zero: it may still answer
	Class string    // what ails it, as others tell; it counts once the node is dead
}

// HealthOf is what a node is, from both facts: whether it answers, and what ails it.
func (s *State) HealthOf(n site.Index) Health {
	q, silent := s.Nodes.Silence[n]
	switch {
	case !silent:
		return s.Nodes.Health[n]
	case q.Dead.IsZero():
		return Silent
	}
	return Dead
}

// DeadAt is when a silent node will count as dead.
func (s *State) DeadAt(q Silence) time.Time { return q.Since.Add(s.Policy.SilenceGrace) }

// lastSaid is when something was last said of a node that its silence can't reach back
// behind: its last move, or what its slot is billed as since.
func (s *State) lastSaid(n site.Index) time.Time {
	at := time.Unix(s.Nodes.Since[n], 0).UTC()
	if l := s.LeaseOn(n); l != nil && s.Nodes.State[n] == node.Delivered {
		if b := l.billing(s.Nodes.Slot[n]); b.At.After(at) {
			at = b.At
		}
	}
	return at
}

// silentSince is since when a node is silent that is said now to have been so for a
// while. The age counts and not the date: a driver's clock is its own.
func (s *State) silentSince(n site.Index, quiet time.Duration, now time.Time) time.Time {
	since := now.Add(-max(quiet, 0))
	if said := s.lastSaid(n); since.Before(said) {
		since = said
	}
	if since.After(now) {
		return now
	}
	return since
}

// DeclareDead says of silent nodes that they are dead: they had the policy's grace.
type DeclareDead struct{ Nodes []site.Index }

func (c DeclareDead) decide(s *State, env Env) (*Decision, error) {
	d := &Decision{}
	changes := s.newSlotChanges()
	for _, n := range c.Nodes {
		q, silent := s.Nodes.Silence[n]
		switch {
		case !silent || !q.Dead.IsZero():
			continue
		case env.Now.Before(s.DeadAt(q)):
			return nil, refuse("node", "%s is silent since %s: it counts as dead at %s", s.Site.NodeID[n], q.Since.Format(time.RFC3339), s.DeadAt(q).Format(time.RFC3339))
		}
		d.add(SiteScope, node.KindDead, node.Dead{Node: s.Site.NodeID[n], Index: uint32(n), Since: q.Since})
		why := "failure: dead"
		if q.Class != "" {
			why += ", " + q.Class
		}
		was := s.condition(n)
		is := was
		is.silent, is.dead = true, true
		changes.add(n, was, is, why, time.Time{})
	}
	if len(d.Drafts) == 0 {
		return nil, ErrNothing
	}
	changes.write(d)
	return d, nil
}

// silentTogether is how many nodes are silent and not dead, if they are more than the
// brake allows to be severed: then what they have in common is at fault, such as the
// network by which they are looked at, and none counts as dead by it.
func (s *State) silentTogether() int {
	silent := 0
	for _, q := range s.Nodes.Silence {
		if q.Dead.IsZero() {
			silent++
		}
	}
	if silent <= s.Policy.Brake.Nodes {
		return 0
	}
	return silent
}

func (s *State) dueDead(due []Command, now time.Time) []Command {
	if s.silentTogether() > 0 {
		return due
	}
	var nodes []site.Index
	for _, n := range sortedKeys(s.Nodes.Silence) {
		if q := s.Nodes.Silence[n]; q.Dead.IsZero() && !now.Before(s.DeadAt(q)) {
			nodes = append(nodes, n)
		}
	}
	if len(nodes) > 0 {
		due = append(due, DeclareDead{Nodes: nodes})
	}
	return due
}

func (s *State) applyNodeSilent(e *ledger.Entry, b node.Silent, _ Bodies) error {
	n, err := s.nodeAt(b.Index)
	if err != nil {
		return err
	}
	q, known := s.Nodes.Silence[n]
	if known && !q.Since.Equal(b.Since) || b.Since.IsZero() || b.Since.After(e.Time) {
		return fmt.Errorf("node %.130q is silent since %s, at %s; known before: since %s", b.Node, b.Since, e.Time, q.Since)
	}
	q.Since, q.Class = b.Since, b.Class
	s.Nodes.Silence[n] = q
	if !q.Dead.IsZero() {
		s.ails(n, q.Class)
	}
	s.news(n)
	return nil
}

func (s *State) applyDead(e *ledger.Entry, b node.Dead, _ Bodies) error {
	n, err := s.nodeAt(b.Index)
	if err != nil {
		return err
	}
	q, silent := s.Nodes.Silence[n]
	if !silent || !q.Dead.IsZero() || !q.Since.Equal(b.Since) {
		return fmt.Errorf("node %.130q is dead after silence since %s; known: silent %t since %s", b.Node, b.Since, silent, q.Since)
	}
	q.Dead = e.Time
	s.Nodes.Silence[n] = q
	s.ails(n, q.Class)
	s.news(n)
	return nil
}

// ails notes what ails a node, when that is known.
func (s *State) ails(n site.Index, class string) {
	if class == "" {
		return
	}
	s.Nodes.Class[n] = class
	if NeedsRepair(class) {
		s.Nodes.Sick.Add(n)
	}
}

// news does what it means that something new was said of a node: what was decided by
// hand of the node as it was is over, and a slot that lacked another node may need
// none any more.
func (s *State) news(n site.Index) {
	if l := s.LeaseOn(n); l != nil {
		ref := SlotRef{l.ID, s.Nodes.Slot[n]}
		delete(s.Stays, ref)
		if !s.NeedsAnother(n) {
			delete(s.Unserved, ref)
		}
	}
	s.Touched.Add(n)
}

// Unwell lists what must have ended for every node that a driver which lists all that
// is not well does not list: its silence, or its failure.
// Cost: O(nodes).
func (s *State) Unwell(listed func(site.Index) bool) ReportHealth {
	var c ReportHealth
	for i := range s.Nodes.Health {
		if n := site.Index(i); s.HealthOf(n) != Healthy && !listed(n) {
			c.Items = append(c.Items, HealthItem{Node: n, Class: "recovered", Alive: true, Detail: "it is not among the nodes that are not well"})
		}
	}
	return c
}

// billing is what a slot is billed as, and since when.
type billing struct {
	State meter.SlotState // "" before it was delivered
	At    time.Time
}

func (l *Lease) billing(slot uint32) billing {
	if int(slot) >= len(l.billed) {
		return billing{}
	}
	return l.billed[slot]
}

// bill notes what slots are billed as from an instant on.
func (l *Lease) bill(slots *site.Set, state meter.SlotState, at time.Time) {
	if l.billed == nil {
		l.billed = make([]billing, len(l.Slots))
	}
	for slot := range slots.All() {
		if int(slot) < len(l.billed) {
			l.billed[slot] = billing{state, at}
		}
	}
}

// since checks from when on slots are said to be what they are.
func (l *Lease) since(e *ledger.Entry, b *lease.Slots, slots *site.Set) (time.Time, error) {
	if b.Since.IsZero() {
		return e.Time, nil
	}
	for slot := range slots.All() {
		if was := l.billing(uint32(slot)); b.Since.Before(was.At) || b.Since.After(e.Time) {
			return e.Time, fmt.Errorf("slot %d of %s is %s since %s, at %s; what was said before is of %s", slot, l.ID, b.State, b.Since, e.Time, was.At)
		}
	}
	return b.Since, nil
}
