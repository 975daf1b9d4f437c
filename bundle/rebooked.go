package bundle

import (
	"slices"

	"bulkhead/lease"
	"bulkhead/node"
	"bulkhead/site"
)

// claimNode puts a slot in the line for a node: by the date on which its lease
// begins, but never before one for whom the node is being made ready.
func (v *verifier) claimNode(n uint32, ref slotRef) {
	refs := v.claims[n]
	v.budget.spend(1+len(refs)/4, "slots that hold one node")
	at := len(refs)
	for at > 0 && ref.lease.Begin.Before(refs[at-1].lease.Begin) && (at > 1 || !v.madeReady(n)) {
		at--
	}
	v.claims[n] = slices.Insert(slices.Clone(refs), at, ref)
}

func (v *verifier) madeReady(number uint32) bool {
	n := v.numbers[number]
	return n != nil && (n.state == node.Reserved || n.state == node.Delivered)
}

// rebooked places leases again that have not begun: nothing of them may have been
// made ready or delivered, and nobody may hold their new nodes at the same time.
func (v *verifier) rebooked(b *lease.Rebooked) {
	var again []*leaseLog
	var placed [][]site.Index
	for _, one := range b.Leases {
		l := v.leaseOf(one.Lease)
		if l == nil {
			continue
		}
		id := string(one.Lease)
		v.step(l, actRebook)
		order, err := site.ParseOrder(one.Nodes, maxNodes)
		v.budget.spend(maxNodes/64+2*len(order), "leases that are placed again")
		switch {
		case err != nil || len(order) != len(l.slots) || one.Slots != len(order) || slices.Contains(again, l):
			v.fail(v.at, CheckBound, id, "it is placed again with %d nodes, and has %d slots: %v", len(order), len(l.slots), err)
			continue
		case !v.time.Before(l.Begin) || l.upOnce > 0 || !l.returning.IsZero():
			v.fail(v.at, CheckBound, id, "it is placed again after it has begun, at %s", stamp(v.time))
			continue
		}
		for slot, n := range l.slots {
			ref := slotRef{l, uint32(slot)}
			if holds := v.claims[n]; len(holds) > 0 && holds[0] == ref && v.madeReady(n) {
				v.fail(v.at, CheckBound, id, "it is placed again, and %s is being made ready for it", v.nameOf(n))
			}
			v.release(n, ref)
		}
		v.placed(l, one.Certificate, order)
		again, placed = append(again, l), append(placed, order)
	}
	for i, l := range again {
		for slot, n := range placed[i] {
			l.slots[slot] = uint32(n)
		}
		v.claimSlots(l)
	}
}

// claimSlots puts the slots of a lease in the lines for their nodes.
func (v *verifier) claimSlots(l *leaseLog) {
	for slot, n := range l.slots {
		for _, other := range v.claims[n] {
			if other.lease.returned.IsZero() && other.lease.Begin.Before(l.end) && l.Begin.Before(other.lease.end) {
				v.fail(v.at, CheckSlotTwice, string(l.Lease), "slot %d holds node %d, which %s holds at the same time", slot, n, other)
			}
		}
		v.claimNode(n, slotRef{l, uint32(slot)})
	}
}
