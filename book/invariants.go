package book

import (
	"errors"
	"fmt"

	"bulkhead/fabric"
	"bulkhead/lease"
	"bulkhead/node"
	"bulkhead/place"
	"bulkhead/site"
)

// CheckInvariants checks what must hold after every entry, in any order of
// events. It costs O(nodes + slots + events) and is meant for tests and the
// simulator on small sites.
func CheckInvariants(s *State) error {
	if s.Site == nil {
		return nil
	}
	c := &s.Nodes
	if len(c.State) != s.Site.Nodes() {
		return fmt.Errorf("%d node columns for %d nodes", len(c.State), s.Site.Nodes())
	}
	// A node is in at most one slot, and a slot's node knows it.
	in := map[site.Index]SlotRef{}
	for index, l := range s.Leases {
		if !l.Returned.IsZero() || !l.Returning.IsZero() {
			continue
		}
		for slot, n := range l.Slots {
			if c.Lease[n] != int32(index) {
				if booked(c.Booked[n], int32(index), uint32(slot)) {
					continue
				}
				return fmt.Errorf("slot %d of %s names node %s, which is held by lease %d", slot, l.ID, s.Site.NodeID[n], c.Lease[n])
			}
			if other, twice := in[n]; twice {
				return fmt.Errorf("node %s is in slot %d of %s and in slot %d of %s", s.Site.NodeID[n], other.Slot, other.Lease, slot, l.ID)
			}
			in[n] = SlotRef{l.ID, uint32(slot)}
		}
	}
	for i := range c.State {
		n := site.Index(i)
		st := c.State[n]
		if !c.By[st].Has(n) {
			return fmt.Errorf("node %s is %s and not in that set", s.Site.NodeID[n], st)
		}
		// Never delivered while dirty: a delivered node has a statement, and
		// the data on it is its holder's.
		if st == node.Delivered {
			if c.Statement[n].IsZero() && !s.Sits(n) {
				return fmt.Errorf("node %s is delivered without a turnover statement", s.Site.NodeID[n])
			}
			if c.Owner[n] == NoLease || c.Owner[n] != c.Lease[n] {
				return fmt.Errorf("node %s is delivered to lease %d and holds data of lease %d", s.Site.NodeID[n], c.Lease[n], c.Owner[n])
			}
		}
		// What somebody else is on is left alone.
		if s.Kept.Has(n) && st != node.Discovered {
			return fmt.Errorf("node %s is kept as it was found, and is %s", s.Site.NodeID[n], st)
		}
		if (st == node.Ready || st == node.Reserved && !s.Sits(n)) && c.Owner[n] != NoLease {
			return fmt.Errorf("node %s is %s and still holds data of lease %d", s.Site.NodeID[n], st, c.Owner[n])
		}
	}
	// A delivered node that is heard and well never leaves its slot by itself.
	if s.swapped.at == s.Seq && s.swapped.unfounded != "" {
		return errors.New(s.swapped.unfounded)
	}
	if err := s.checkSilence(); err != nil {
		return err
	}
	// A label has one owner at a time, and an owner one label.
	for _, id := range sortedKeys(s.Labels) {
		owner := map[fabric.Owner]uint32{}
		value := map[uint32]fabric.Owner{}
		for _, a := range s.Labels[id].Allocations() {
			if other, twice := value[a.Value]; twice {
				return fmt.Errorf("label %d of fabric %s is owned by %s and by %s", a.Value, id, other, a.Owner)
			}
			if other, twice := owner[a.Owner]; twice && !a.Cooling() {
				return fmt.Errorf("%s owns labels %d and %d of fabric %s", a.Owner, other, a.Value, id)
			}
			value[a.Value] = a.Owner
			if !a.Cooling() {
				owner[a.Owner] = a.Value
			}
		}
	}
	if err := s.checkLinks(); err != nil {
		return err
	}
	if err := s.checkAlone(); err != nil {
		return err
	}
	if err := s.checkVolumes(); err != nil {
		return err
	}
	return s.checkCalendar()
}

// checkSilence verifies that silence and what ails a node are told apart, and that what
// is proposed is about the node that the slot holds.
func (s *State) checkSilence() error {
	for n, q := range s.Nodes.Silence {
		switch {
		case q.Since.IsZero() || q.Since.After(s.Time) || !q.Dead.IsZero() && q.Dead.Before(q.Since):
			return fmt.Errorf("node %s is silent since %s and dead since %s, at %s", s.Site.NodeID[n], q.Since, q.Dead, s.Time)
		case !q.Dead.IsZero() && NeedsRepair(q.Class) && !s.Nodes.Sick.Has(n):
			return fmt.Errorf("node %s is dead of %s and not among the sick", s.Site.NodeID[n], q.Class)
		}
	}
	for ref, swap := range s.Swaps {
		if l, ok := s.LeaseByID(ref.Lease); !ok || int(ref.Slot) >= len(l.Slots) || l.Returned.IsZero() && l.Slots[ref.Slot] != swap.Was {
			return fmt.Errorf("slot %d of %s: its proposed replacement is of another node", ref.Slot, ref.Lease)
		}
	}
	return nil
}

// checkLinks verifies that nobody else has a link of a hermetic lease, nor a node
// of one of its whole SUs, at any instant.
func (s *State) checkLinks() error {
	for i, l := range s.Leases {
		if l.Links != lease.Hermetic || !l.Returned.IsZero() || !l.Returning.IsZero() {
			continue
		}
		for j, other := range s.Leases {
			if i == j || !other.Returned.IsZero() || !other.Returning.IsZero() || !other.Overlaps(l.Begin, l.End) {
				continue
			}
			o := place.NewOccupancy(s.Site)
			if err := o.Keep(other.Slots, assignedLinks(other)); err != nil {
				return err
			}
			if err := o.Apart(l.Slots, assignedLinks(l)); err != nil {
				return fmt.Errorf("%s is hermetic, beside %s: %w", l.ID, other.ID, err)
			}
		}
	}
	return nil
}

func booked(queue []Queued, lease int32, slot uint32) bool {
	for _, h := range queue {
		if h.Lease == lease && h.Slot == slot {
			return true
		}
	}
	return false
}

// checkCalendar verifies that no node is promised to two leases for the same
// time, whatever was signed, placed again or swapped, and that no more is promised
// than the site has, with its spares, at every instant at which a lease begins.
func (s *State) checkCalendar() error {
	for i, a := range s.Leases {
		if !a.Returning.IsZero() || !a.Returned.IsZero() || s.Time.Equal(s.rebooked) {
			continue
		}
		nodes := a.Nodes()
		for _, b := range s.Leases[:i] {
			if b.Returning.IsZero() && b.Returned.IsZero() && a.Overlaps(b.Begin, b.End) && nodes.Intersects(b.Nodes()) {
				return fmt.Errorf("%s and %s hold a node for the same time", a.ID, b.ID)
			}
		}
	}
	type class struct{ fabric, kind string }
	have := map[class]int{}
	for i := range s.Nodes.State {
		n := site.Index(i)
		have[class{s.fabricOf(n), s.Site.KindOf(n)}]++
	}
	for _, at := range s.Leases {
		promised := map[class]int{}
		for _, l := range s.Leases {
			if l.Returned.IsZero() && !l.Begin.After(at.Begin) && at.Begin.Before(l.End) {
				promised[class{l.Fabric, l.Kind}] += len(l.Slots)
			}
		}
		for k, nodes := range promised {
			if nodes > have[k] {
				return fmt.Errorf("at %s %d nodes of %s in %s are promised, the site has %d", at.Begin, nodes, k.kind, k.fabric, have[k])
			}
		}
	}
	return nil
}
