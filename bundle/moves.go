package bundle

import (
	"time"

	"bulkhead/claim"
	"bulkhead/fabric"
	"bulkhead/lease"
	"bulkhead/meter"
	"bulkhead/node"
	"bulkhead/prove"
	"bulkhead/site"
)

// nodeLog is one node as far as the tenant's log tells: from its reservation
// until it is clean again.
type nodeLog struct {
	id        string
	number    uint32
	unit      *unitLog
	seen      bool // it has moved
	left      bool // it left its slot before it was delivered: the log is not told what it did since
	state     node.State
	seq       uint32
	turnover  uint32
	owner     *leaseLog    // whose data it may hold
	reclaimed time.Time    // when it was taken back
	severed   bool         // since it was reclaimed
	works     bool         // it is among those that are delivered to its owner
	counted   *leaseLog    // among whose alarms it is
	severedAt time.Time    // when, that time
	reserved  time.Time    // when it was reserved last
	root      claim.Digest // of the nonce of its last statement, and of which turnover that was
	wiped     claim.Digest
	rootOf    uint32
	drift     uint16         // bit by NIC: known to be red
	unclear   uint16         // of these, those that the tenant could have made as well
	forged    uint16         // of these, those that came from behind the port
	serial    string         // chassis, as its statements say
	key       site.PublicKey // attestation key, the same
}

// unitLog is one scalable unit as far as the tenant's log tells.
type unitLog struct {
	id     string
	nodes  []*nodeLog
	unread uint16 // bit by NIC: the leaf can't be read
}

// handOver is a node of a delivery whose move has not come yet.
type handOver struct {
	at        logEntry
	seq       uint32
	isolation claim.Digest
	ref       slotRef
}

func (v *verifier) applyNodes(body any) {
	switch b := body.(type) {
	case *node.Moved:
		v.moves(b)
	case *lease.Delivered:
		v.delivered(b)
	case *lease.Slots:
		v.slotsChanged(b)
	case *lease.Proposed:
		v.proposed(b)
	case *lease.Acknowledged:
		v.acknowledged(b)
	case *lease.Swapped:
		v.swappedNode(b)
	case *lease.Withdrawn:
		v.withdrawn(b)
	case *lease.Returning:
		v.leaseReturning(b)
	case *lease.Returned:
		v.leaseReturned(b)
	case *fabric.Labelled:
		v.labelled(b)
	case *fabric.Drifted:
		v.drifted(b)
	case *fabric.Locked:
		v.locked(b)
	case *fabric.Restored:
		v.restored(b)
	case *fabric.Unread:
		v.unreadLeaf(b.Leaf, true)
	case *reread:
		v.unreadLeaf(b.Leaf, false)
	case *prove.Judged:
		v.judged(b)
	case *meter.Observed:
		v.observed(b)
	case *meter.Invoiced:
		v.invoiced(b)
	case *meter.Disputed:
		v.disputed(b)
	case *meter.Settled:
		v.disputeSettled(b)
	default:
		v.applyVolumes(body)
	}
}

// node finds a node by its name and number, which belong together for good.
func (v *verifier) node(id string, number uint32) *nodeLog {
	if number >= maxNodes {
		v.fail(v.at, CheckName, id, "it is number %d: a site has at most %d nodes", number, maxNodes)
		number = maxNodes - 1 // where nothing of it fits any more
	}
	n, m := v.nodes[id], v.numbers[number]
	if n == nil && m == nil {
		v.budget.keep(perNode+2*int64(len(id)), "nodes")
		n = &nodeLog{id: id, number: number}
		v.nodes[id], v.numbers[number] = n, n
		return n
	}
	if n != m {
		v.fail(v.at, CheckName, id, "it is number %d here; the log has named that number or that node otherwise", number)
		if n == nil {
			n = m
		}
	}
	return n
}

func (v *verifier) unit(id string) *unitLog {
	u := v.units[id]
	if u == nil {
		v.budget.keep(perNode+2*int64(len(id)), "scalable units")
		u = &unitLog{id: id}
		v.units[id] = u
	}
	return u
}

// place puts a node into its scalable unit.
func (v *verifier) place(n *nodeLog, su string) {
	u := v.unit(su)
	switch {
	case n.unit == nil:
		n.unit = u
		u.nodes = append(u.nodes, n)
	case n.unit != u:
		v.fail(v.at, CheckName, n.id, "it is in %s here and was in %s before", su, n.unit.id)
	}
}

// nodeSlot is the slot that holds a node now.
func (v *verifier) nodeSlot(n *nodeLog) (slotRef, bool) {
	refs := v.claims[n.number]
	if len(refs) == 0 {
		return slotRef{}, false
	}
	return refs[0], true
}

// release takes a node out of a slot.
func (v *verifier) release(number uint32, ref slotRef) {
	if n := v.numbers[number]; n != nil && n.owner == nil {
		n.left = true
	}
	refs := v.claims[number]
	v.budget.spend(len(refs), "slots that hold one node")
	for i, r := range refs {
		if r == ref {
			if len(refs) == 1 {
				delete(v.claims, number)
				v.forget(number)
			} else {
				v.claims[number] = append(refs[:i:i], refs[i+1:]...)
			}
			return
		}
	}
}

// forget drops what was known of a node's ports once no slot of the tenant
// holds it, and of its leaves once that is so for all nodes behind them: from
// then on the tenant's log is not told about them.
func (v *verifier) forget(number uint32) {
	n := v.numbers[number]
	if n == nil {
		return
	}
	n.drift, n.unclear, n.forged = 0, 0, 0
	v.recount(n)
	if n.unit == nil {
		return
	}
	v.budget.spend(len(n.unit.nodes)/4, "nodes that leave")
	for _, other := range n.unit.nodes {
		if len(v.claims[other.number]) > 0 {
			return
		}
	}
	n.unit.unread = 0
}

func (v *verifier) moves(b *node.Moved) {
	if len(b.Nodes) == 0 || len(b.Nodes) > node.MaxBatch {
		v.fail(v.at, CheckKind, b.SU, "%d nodes in one move, expected 1 to %d", len(b.Nodes), node.MaxBatch)
	}
	if !node.Allowed(b.From, b.To) {
		v.fail(v.at, CheckArrow, b.SU, "no node moves from %s to %s", b.From, b.To)
	}
	for i := range b.Nodes {
		m := &b.Nodes[i]
		n := v.node(m.Node, m.Index)
		v.budget.spend(4, "moves of nodes")
		v.place(n, b.SU)
		v.follows(n, b, m)
		n.seen, n.left, n.state, n.seq, n.turnover = true, false, b.To, m.Seq, m.Turnover
		v.arrived(n, b, m)
		v.recount(n)
	}
}

// follows judges a move by those before it. Between two holdings the log of a
// tenant tells nothing of a node: then it comes in as ready, with a later
// number.
func (v *verifier) follows(n *nodeLog, b *node.Moved, m *node.MovedNode) {
	enters := b.From == node.Ready && b.To == node.Reserved
	_, held := v.nodeSlot(n)
	if b.From == node.Discovered && b.To == node.Reserved {
		ref, held := v.nodeSlot(n)
		if !held || !ref.lease.Sitting || n.seen || m.Seq != 1 || m.Turnover != 0 {
			v.fail(v.at, CheckNodeState, n.id, "it comes into a slot as it was found, as move %d in turnover %d: only a node whose tenant was on it before does, as its first move", m.Seq, m.Turnover)
		}
		return
	}
	ours := n.owner != nil || n.seen && held && n.state == node.Reserved && !n.left
	if !ours && enters && (!n.seen || m.Seq > n.seq && m.Turnover >= n.turnover) {
		return
	}
	if n.state != b.From || !n.seen {
		v.fail(v.at, CheckNodeState, n.id, "it moves from %s to %s; by the entries before it was %s", b.From, b.To, n.stateName())
	}
	if n.seen && m.Seq != n.seq+1 {
		v.fail(v.at, CheckNodeSequence, n.id, "this is its move %d, the one before is %d: moves are missing", m.Seq, n.seq)
	}
	want := n.turnover
	if b.To == node.Reclaiming || b.To == node.Commissioning {
		want++
	}
	if n.seen && m.Turnover != want {
		v.fail(v.at, CheckTurnoverTurn, n.id, "turnover %d, expected %d", m.Turnover, want)
	}
}

func (n *nodeLog) stateName() string {
	if !n.seen {
		return "not the tenant's"
	}
	return n.state.String()
}

// arrived does what a move means, and asks for the evidence that it needs.
func (v *verifier) arrived(n *nodeLog, b *node.Moved, m *node.MovedNode) {
	if b.From == node.Delivered && n.owner != nil {
		v.works(n.owner, n, false)
	}
	needs := func() *opened {
		if m.Evidence.IsZero() {
			v.fail(v.at, CheckEvidence, n.id, "it moves from %s to %s without evidence", b.From, b.To)
			return nil
		}
		return v.opened[m.Evidence]
	}
	switch b.To {
	case node.Delivered:
		v.handedOver(n, m)
		needs()
	case node.Reserved:
		n.reserved = v.time
		if ref, held := v.nodeSlot(n); held && b.From == node.Discovered {
			n.owner = ref.lease
			v.sits(n)
		}
	case node.Reclaiming:
		n.reclaimed, n.severed, n.severedAt = v.time, false, time.Time{}
		if ref, ok := v.nodeSlot(n); ok && n.owner == ref.lease {
			if b.From == node.Delivered && ref.lease.slots[ref.slot] == n.number && ref.lease.returning.IsZero() {
				v.fail(v.at, CheckUnasked, n.id, "it is taken out of %s on the word of nobody: its lease runs, and no other node was swapped in", ref)
			}
			v.release(n.number, ref)
			v.touch(ref)
		}
	case node.Severed:
		if o := needs(); o != nil {
			v.severingShown(n, o)
		}
		n.severed, n.severedAt = true, v.time
		if n.owner != nil && !n.owner.returning.IsZero() {
			v.volumesLeft(n.owner.Lease)
		}
	case node.Ready:
		o := needs()
		if o != nil {
			v.statementShown(n, n.turnover, "", o, n.owner)
		}
		n.owner = nil
	default:
		if b.From == node.Delivered {
			if ref, ok := v.nodeSlot(n); ok {
				v.touch(ref)
			}
		}
	}
	v.movedNow(n)
}

// handedOver joins a move to delivered with the delivery that names it.
func (v *verifier) handedOver(n *nodeLog, m *node.MovedNode) {
	h, ok := v.handed[n.id]
	delete(v.handed, n.id)
	switch {
	case !ok:
		v.fail(v.at, CheckHandOver, n.id, "it moves to delivered, and no delivery names it")
		return
	case h.seq != m.Seq || h.isolation != m.Evidence:
		v.fail(v.at, CheckHandOver, n.id, "its move %d on %s is not what the delivery of entry %d names: move %d on %s", m.Seq, m.Evidence, h.at.entry, h.seq, h.isolation)
	}
	n.owner = h.ref.lease
	v.works(n.owner, n, true)
	v.touch(h.ref)
}

// settle looks at what must hold once everything of one instant is known.
func (v *verifier) settle() {
	for _, id := range sorted(v.handed) {
		v.fail(v.handed[id].at, CheckHandOver, id, "it is delivered, and no move to delivered follows")
		delete(v.handed, id)
	}
	for _, l := range v.leaving {
		if l.node.state == node.Delivered && l.node.owner == l.lease {
			v.fail(v.at, CheckStayed, l.node.id, "%s is taken back, and this node of it stays delivered", l.lease.Lease)
		}
	}
	for _, n := range v.moved {
		if n.state == node.Delivered {
			ref, held := v.nodeSlot(n)
			if !held || ref.lease != n.owner || ref.lease.slots[ref.slot] != n.number {
				v.fail(v.at, CheckStayed, n.id, "it is still delivered, and no slot holds it any more")
			}
		}
	}
	for _, ref := range v.touched {
		v.judgeSlot(ref)
	}
	v.moved, v.touched, v.leaving = v.moved[:0], v.touched[:0], v.leaving[:0]
}
