package place

import (
	"fmt"

	"bulkhead/site"
)

// Fleet follows which node is in which slot while nodes fail and come back, with
// nothing around it: no ledger, no tenant that is asked, no turnover. It is what
// replacement alone does, for simulations over years and for property tests; the
// book does the same by entries.
//
// Its rules, which it keeps itself and [Fleet.Check] verifies: a slot keeps its
// number; the only node that leaves a slot is one that failed; a node is in one
// slot at most; a slot for which nothing fits is degraded, and is tried again at
// every Replace.
type Fleet struct {
	site   *site.Site
	slots  []slotOf
	at     []int32 // slot of each node, or -1
	failed *site.Set
	ready  *site.Set // clean, in no slot
	empty  []int     // slots without a node that works, ascending
	links  func(site.Index) int
	moved  int
}

type slotOf struct {
	node   site.Index // that is in it, or was when it failed
	within Distance
	links  int
	empty  bool
}

// Swap is a slot that got another node.
type Swap struct {
	Slot     int // number of the slot in the fleet
	Was      site.Index
	Node     site.Index
	Distance Distance
}

// NewFleet starts with these nodes in slots 0, 1, 2... and these spares. It
// panics when a node is there twice or not in the site.
func NewFleet(s *site.Site, slots []site.Index, spares *site.Set) *Fleet {
	f := &Fleet{site: s, at: make([]int32, s.Nodes()), failed: site.NewSet(s.Nodes()), ready: site.NewSet(s.Nodes())}
	for n := range f.at {
		f.at[n] = -1
	}
	for i, n := range slots {
		if int(n) >= s.Nodes() || f.at[n] >= 0 {
			panic(fmt.Sprintf("place: fleet: node %d of slot %d is in another slot or not in the site", n, i))
		}
		f.slots = append(f.slots, slotOf{node: n, within: SameFabric})
		f.at[n] = int32(i)
	}
	for n := range spares.All() {
		if int(n) >= s.Nodes() || f.at[n] >= 0 {
			panic(fmt.Sprintf("place: fleet: spare %d is in a slot or not in the site", n))
		}
		f.ready.Add(n)
	}
	return f
}

// Fail marks nodes as failed. Their slots are empty from now on. A node that has
// failed already, or is not in the site, is left out.
func (f *Fleet) Fail(nodes ...site.Index) {
	for _, n := range nodes {
		if int(n) >= f.site.Nodes() || f.failed.Has(n) {
			continue
		}
		f.failed.Add(n)
		f.ready.Remove(n)
		if i := f.at[n]; i >= 0 {
			f.slots[i].empty = true
		}
	}
	f.recount()
}

// Return gives nodes back that were repaired, clean. One whose slot is still empty
// goes on in it: nothing moves. The others are candidates.
func (f *Fleet) Return(nodes ...site.Index) {
	for _, n := range nodes {
		if int(n) >= f.site.Nodes() || !f.failed.Has(n) {
			continue
		}
		f.failed.Remove(n)
		if i := f.at[n]; i >= 0 {
			f.slots[i].empty = false
			continue
		}
		f.ready.Add(n)
	}
	f.recount()
}

func (f *Fleet) recount() {
	f.empty = f.empty[:0]
	for n := range f.failed.All() {
		if i := f.at[n]; i >= 0 {
			f.empty = append(f.empty, int(i))
		}
	}
}

// Replace matches all empty slots with what is ready, in one matching, and makes
// the swaps. Slots that stay empty are Degraded.
// Cost: that of [ReplaceFailures].
func (f *Fleet) Replace() []Swap {
	if len(f.empty) == 0 {
		return nil
	}
	failures := make([]Failure, len(f.empty))
	for i, slot := range f.empty {
		failures[i] = Failure{Node: f.slots[slot].node, Within: f.slots[slot].within, Links: f.slots[slot].links}
	}
	var swaps []Swap
	for i, to := range ReplaceFailures(f.site, f.ready, failures, f.links) {
		if to == NoNode {
			continue
		}
		slot := f.empty[i]
		was := f.slots[slot].node
		swaps = append(swaps, Swap{Slot: slot, Was: was, Node: to, Distance: Apart(f.site, was, to)})
		f.at[was], f.at[to] = -1, int32(slot)
		f.slots[slot].node, f.slots[slot].empty = to, false
		f.ready.Remove(to)
	}
	f.moved += len(swaps)
	f.recount()
	return swaps
}

// Degraded is how many slots have no node that works.
func (f *Fleet) Degraded() int { return len(f.empty) }

// Check verifies the rules against an earlier state: was[i] is the node of slot i
// then, and failed since holds every node that was given to Fail in between.
// Cost: O(nodes).
func (f *Fleet) Check(was []site.Index, failedSince *site.Set) error {
	if len(was) != len(f.slots) {
		return fmt.Errorf("fleet: %d slots, expected the %d from before", len(f.slots), len(was))
	}
	seen := site.NewSet(f.site.Nodes())
	for i := range f.slots {
		n := f.slots[i].node
		switch {
		case seen.Has(n) || f.at[n] != int32(i):
			return fmt.Errorf("fleet: node %s is in two slots, one of them %d", f.site.NodeID[n], i)
		case n != was[i] && !failedSince.Has(was[i]):
			return fmt.Errorf("fleet: slot %d: %s was healthy and was moved out", i, f.site.NodeID[was[i]])
		case f.slots[i].empty != f.failed.Has(n):
			return fmt.Errorf("fleet: slot %d: empty is %v, that %s failed is %v", i, f.slots[i].empty, f.site.NodeID[n], f.failed.Has(n))
		case f.ready.Has(n):
			return fmt.Errorf("fleet: slot %d: %s is a candidate too", i, f.site.NodeID[n])
		}
		seen.Add(n)
	}
	return nil
}

// Slots returns the node of every slot. The slice is the caller's own.
func (f *Fleet) Slots() []site.Index {
	out := make([]site.Index, len(f.slots))
	for i := range f.slots {
		out[i] = f.slots[i].node
	}
	return out
}
