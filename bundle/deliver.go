package bundle

import (
	"fmt"
	"time"

	"bulkhead/lease"
	"bulkhead/meter"
	"bulkhead/node"
	"bulkhead/site"
)

// delivered judges the hand-over of nodes of one scalable unit.
func (v *verifier) delivered(b *lease.Delivered) {
	l := v.leaseOf(b.Lease)
	if l == nil {
		return
	}
	id := string(b.Lease)
	v.step(l, actDeliver)
	if b.Tranche != l.Tranche || v.time.Before(l.Begin) || !l.returning.IsZero() || len(b.Nodes) == 0 {
		v.fail(v.at, CheckBound, id, "delivery of %d nodes of tranche %s at %s: the lease is of tranche %s, begins at %s and must not be returning",
			len(b.Nodes), b.Tranche, stamp(v.time), l.Tranche, stamp(l.Begin))
	}
	v.volumesGranted(l)
	if p := v.postures[l.Fabric]; p != nil && !p.Holds {
		v.fail(v.at, CheckPosture, id, "nodes are handed over while the management of %s is not guarded: %s", l.Fabric, firstOf(p.Failed))
	}
	certificate := v.opened[b.Isolation]
	if b.Isolation.IsZero() {
		v.fail(v.at, CheckEvidence, id, "nodes are delivered without an isolation certificate")
	}
	nodes := make([]*nodeLog, 0, len(b.Nodes))
	slots := site.NewSet(len(l.slots))
	for i := range b.Nodes {
		d := &b.Nodes[i]
		n := v.node(d.Node, d.Index)
		v.place(n, b.SU)
		if n.unit.id != b.SU {
			continue
		}
		v.onOwnLinks(l, b.SU)
		if !v.handOverOne(l, b, d, n) {
			continue
		}
		slots.Add(site.Index(d.Slot))
		nodes = append(nodes, n)
	}
	v.event(l, slots.String(), meter.Up, "delivered")
	if l.served.IsZero() {
		l.served = v.time
	}
	if certificate != nil && certificate.there {
		v.isolationShown(l, nodes, certificate)
	}
}

func (v *verifier) handOverOne(l *leaseLog, b *lease.Delivered, d *lease.DeliveredNode, n *nodeLog) bool {
	if int(d.Slot) >= len(l.slots) {
		v.fail(v.at, CheckSlotRange, n.id, "slot %d of %s, which has %d", d.Slot, l.Lease, len(l.slots))
		return false
	}
	ref := slotRef{l, d.Slot}
	if l.given.Has(site.Index(d.Slot)) {
		v.fail(v.at, CheckBound, n.id, "it is delivered into %s, which was given up and is not owed any more", ref)
	}
	if l.slots[d.Slot] != d.Index {
		v.fail(v.at, CheckSlotNode, n.id, "it is delivered into %s, which by the entries before holds %s: a replacement is missing", ref, v.nameOf(l.slots[d.Slot]))
	} else if holder, ok := v.nodeSlot(n); !ok || holder != ref {
		v.fail(v.at, CheckSlotTwice, n.id, "it is delivered into %s and another slot holds it", ref)
	}
	if n.state != node.Reserved || d.Seq != n.seq+1 || d.Turnover != n.turnover {
		v.fail(v.at, CheckHandOver, n.id, "delivered as move %d in turnover %d; by the entries before it is %s, at move %d, turnover %d", d.Seq, d.Turnover, n.stateName(), n.seq, n.turnover)
	}
	if n.exposed() {
		v.fail(v.at, CheckNotExposed, n.id, "it is delivered while its isolation is not proven: %s", n.exposure())
	}
	if d.Statement.IsZero() && l.Sitting && d.Turnover == 0 && n.owner == l {
		// It was said when it came into its slot: nothing shows that it was clean.
	} else if d.Statement.IsZero() {
		v.fail(v.at, CheckEvidence, n.id, "it is delivered without a turnover statement")
	} else if o := v.opened[d.Statement]; o != nil {
		v.statementShown(n, d.Turnover, d.Serial, o, l)
	}
	if _, twice := v.handed[n.id]; twice {
		v.fail(v.at, CheckSlotTwice, n.id, "it is delivered twice at once")
	}
	v.budget.keep(perJudgement, "deliveries")
	v.handed[n.id] = handOver{at: v.at, seq: d.Seq, isolation: b.Isolation, ref: ref}
	if !l.ever[d.Slot] {
		l.ever[d.Slot] = true
		l.upOnce++
	}
	l.bill(d.Slot, meter.Up, v.time)
	v.tally.handedOver++
	return true
}

func (v *verifier) nameOf(number uint32) string {
	if n := v.numbers[number]; n != nil {
		return n.id
	}
	return fmt.Sprintf("node %d", number)
}

// swapLog is a replacement under way.
type swapLog struct {
	at       logEntry
	was      string
	to       string
	deadline time.Time
	agreed   bool

	reason     string
	by         string // who proposed it; "": the owner's loop
	agreedMove bool   // both parties had agreed that the slot moves
	requested  bool   // by the tenant, as the owner says
	answered   string // who acknowledged it
}

// slotOf finds a slot that an entry names.
func (v *verifier) slotOf(id lease.ID, slot uint32) (slotRef, bool) {
	l := v.leaseOf(id)
	if l == nil {
		return slotRef{}, false
	}
	if int(slot) >= len(l.slots) {
		v.fail(v.at, CheckSlotRange, string(id), "slot %d, it has %d", slot, len(l.slots))
		return slotRef{}, false
	}
	return slotRef{l, slot}, true
}

func (v *verifier) proposed(b *lease.Proposed) {
	ref, ok := v.slotOf(b.Lease, b.Slot)
	if !ok {
		return
	}
	if was := v.numbers[ref.lease.slots[b.Slot]]; was != nil && was.id != b.Was {
		v.fail(v.at, CheckSwap, ref.String(), "it proposes a node for %s, the slot holds %s", b.Was, was.id)
	}
	v.budget.keep(perNode+int64(len(b.Was)+len(b.Node)+2*len(b.Reason)), "replacements")
	v.step(ref.lease, actPropose)
	swap := &swapLog{at: v.at, was: b.Was, to: b.Node, reason: b.Reason, deadline: b.Deadline, requested: b.Requested}
	v.wanted(ref, b, swap)
	ref.lease.swaps[b.Slot] = swap
}

// acknowledged ends the conversation about a replacement. Whoever ends it in
// the tenant's place needs a reason that the log shows.
func (v *verifier) acknowledged(b *lease.Acknowledged) {
	ref, ok := v.slotOf(b.Lease, b.Slot)
	if !ok {
		return
	}
	swap := ref.lease.swaps[b.Slot]
	if swap == nil {
		v.fail(v.at, CheckSwap, ref.String(), "a replacement is acknowledged that was not proposed")
		return
	}
	swap.agreed, swap.answered = true, b.By
	v.step(ref.lease, actAnswer)
	v.answered(ref, b.By, swap)
	v.answerDone(ref, b, swap)
	was := v.numbers[ref.lease.slots[b.Slot]]
	inUse := was != nil && was.state == node.Delivered
	switch b.By {
	case "deadline":
		if v.time.Before(swap.deadline) {
			v.fail(v.at, CheckUnasked, ref.String(), "the tenant had until %s to answer, its time was called up at %s", stamp(swap.deadline), stamp(v.time))
		}
	case "dead node":
		if inUse && ref.lease.billed[b.Slot] != meter.DownOwner {
			v.fail(v.at, CheckUnasked, ref.String(), "%s is swapped as a dead node, and the slot is billed as %s", was.id, ref.lease.billed[b.Slot])
		}
	case "not delivered yet":
		if inUse {
			v.fail(v.at, CheckUnasked, ref.String(), "%s is swapped as not delivered, and it was", was.id)
		}
	}
}

// withdrawn takes a proposal back: the slot keeps its node, and a swap needs another
// proposal.
func (v *verifier) withdrawn(b *lease.Withdrawn) {
	ref, ok := v.slotOf(b.Lease, b.Slot)
	if !ok {
		return
	}
	swap := ref.lease.swaps[b.Slot]
	if swap == nil || swap.agreed || swap.was != b.Was || swap.to != b.Node {
		v.fail(v.at, CheckSwap, ref.String(), "the proposal of %s for %s is withdrawn, and it is not open", b.Node, b.Was)
	}
	delete(ref.lease.swaps, b.Slot)
}

func (v *verifier) swappedNode(b *lease.Swapped) {
	ref, ok := v.slotOf(b.Lease, b.Slot)
	if !ok {
		return
	}
	l := ref.lease
	v.step(l, actSwap)
	swap := l.swaps[b.Slot]
	if swap != nil && swap.agreedMove && (l.moves == nil || l.moves.to[b.Slot] != b.Index) {
		v.fail(v.at, CheckUnasked, ref.String(), "%s is swapped in, and the moves that both parties agreed to are others", b.Node)
	}
	if swap == nil || !swap.agreed || swap.was != b.Was || swap.to != b.Node {
		v.fail(v.at, CheckSwap, ref.String(), "%s is swapped for %s, and this was not proposed and acknowledged before", b.Was, b.Node)
	}
	v.asked(ref, swap, b)
	delete(l.swaps, b.Slot)
	if l.slots[b.Slot] != b.WasIndex {
		v.fail(v.at, CheckSlotNode, ref.String(), "%s leaves it, and by the entries before it holds %s", b.Was, v.nameOf(l.slots[b.Slot]))
	}
	was, to := v.node(b.Was, b.WasIndex), v.node(b.Node, b.Index)
	if others := v.claims[b.Index]; len(others) > 0 {
		v.fail(v.at, CheckSlotTwice, ref.String(), "%s is swapped in, and %s holds it", b.Node, others[0])
	}
	l.slots[b.Slot] = b.Index
	v.budget.spend(1+len(v.claims[b.Index])/4, "slots that hold one node")
	v.claims[b.Index] = append([]slotRef{ref}, v.claims[b.Index]...)
	if was.state != node.Delivered || !was.seen {
		v.release(b.WasIndex, ref) // a delivered one leaves its slot by the move that follows
	}
	v.movedNow(was)
	v.movedNow(to)
	v.touch(ref)
	v.tally.swaps++
}

// leaseReturning begins the end of a lease: every node of it is reclaimed at
// once.
func (v *verifier) leaseReturning(b *lease.Returning) {
	l := v.leaseOf(b.Lease)
	if l == nil {
		return
	}
	v.step(l, actReturn)
	if !l.returning.IsZero() || v.time.Before(l.end) {
		v.fail(v.at, CheckReturn, string(b.Lease), "it is taken back at %s, and runs until %s", stamp(v.time), stamp(l.end))
	}
	l.returning = v.time
	v.budget.spend(2*len(l.slots), "leases that are returned")
	for slot, number := range l.slots {
		ref := slotRef{l, uint32(slot)}
		n := v.numbers[number]
		if n == nil || n.state != node.Delivered || n.owner != l {
			v.release(number, ref)
			continue
		}
		v.leavesNow(leaving{n, l})
	}
}

// leaving is a node that must be reclaimed with its lease.
type leaving struct {
	node  *nodeLog
	lease *leaseLog
}

// leaseReturned ends a lease: nothing of it is left on any node.
func (v *verifier) leaseReturned(b *lease.Returned) {
	l := v.leaseOf(b.Lease)
	if l == nil {
		return
	}
	v.step(l, actEnd)
	if l.returning.IsZero() || !l.returned.IsZero() {
		v.fail(v.at, CheckReturned, string(b.Lease), "it is returned, and was not being returned")
	}
	l.returned = v.time
	v.volumesLeft(b.Lease)
	quarantined := 0
	v.budget.spend(8*len(v.nodes), "leases that are returned")
	for _, id := range sorted(v.nodes) {
		n := v.nodes[id]
		if n.owner != l {
			continue
		}
		quarantined++
		if n.state != node.Quarantined {
			v.fail(v.at, CheckReturned, n.id, "%s counts as returned, and this node of it is %s: neither wiped nor quarantined", b.Lease, n.state)
		}
	}
	if b.Quarantined != quarantined || b.Wiped != l.upOnce-quarantined {
		v.fail(v.at, CheckReturned, string(b.Lease), "%d wiped and %d quarantined; by the entries before %d and %d", b.Wiped, b.Quarantined, l.upOnce-quarantined, quarantined)
	}
}
