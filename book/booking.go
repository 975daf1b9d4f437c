package book

import (
	"slices"

	"bulkhead/node"
	"bulkhead/site"
)

// A node is held by one lease, and may be booked by others for other times: the
// one that begins first holds it, the rest wait in the order of their dates. So
// a short lease may use what a longer one, signed before it, needs only later.

// bookNode gives a node to a slot, now or when it is that lease's turn.
func (s *State) bookNode(n site.Index, lease int32, slot uint32) {
	c := &s.Nodes
	if c.Lease[n] == NoLease {
		c.Lease[n], c.Slot[n] = lease, slot
		s.Touched.Add(n)
		return
	}
	first := Queued{c.Lease[n], c.Slot[n]}
	late := Queued{lease, slot}
	if s.Leases[lease].Begin.Before(s.Leases[first.Lease].Begin) && !s.inUse(n) {
		c.Lease[n], c.Slot[n] = lease, slot
		s.Touched.Add(n)
		late = first
	}
	waiting := append(slices.Clone(c.Booked[n]), late)
	slices.SortStableFunc(waiting, func(a, b Queued) int { return s.Leases[a.Lease].Begin.Compare(s.Leases[b.Lease].Begin) })
	c.Booked[n] = waiting
}

// unbookNode takes a booking off a node, whoever holds it now.
func (s *State) unbookNode(n site.Index, lease int32) {
	c := &s.Nodes
	if c.Lease[n] == lease {
		s.release(n)
		s.Touched.Add(n)
		return
	}
	c.Booked[n] = slices.DeleteFunc(slices.Clone(c.Booked[n]), func(h Queued) bool { return h.Lease == lease })
	if len(c.Booked[n]) == 0 {
		delete(c.Booked, n)
	}
}

// inUse says whether a node is being made ready for its holder, or is with it.
func (s *State) inUse(n site.Index) bool {
	return s.Nodes.State[n] == node.Reserved || s.Nodes.State[n] == node.Delivered
}
