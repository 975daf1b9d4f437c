package bundle

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"bulkhead/fabric"
	"bulkhead/lease"
	"bulkhead/meter"
	"bulkhead/node"
	"bulkhead/site"
)

// event keeps a change of slots for the invoices.
func (v *verifier) event(l *leaseLog, slots string, state meter.SlotState, cause string) {
	v.budget.keep(perEvent+int64(len(slots)+len(cause)), "changes of slots")
	l.contract.events = append(l.contract.events, meter.Event{
		Entry: v.at.entry, Lease: string(l.Lease), Tranche: l.Tranche, Slots: slots, At: v.time, State: state, Cause: cause,
	})
}

func (v *verifier) slotsChanged(b *lease.Slots) {
	l := v.leaseOf(b.Lease)
	if l == nil {
		return
	}
	id := string(b.Lease)
	v.step(l, actSlots)
	state := meter.SlotState(b.State)
	slots, err := site.ParseSet(b.Slots, len(l.slots))
	if err != nil || slots.Empty() || b.Tranche != l.Tranche || !slices.Contains(meter.States(), state) {
		v.fail(v.at, CheckSlotRange, id, "slots %.60q of tranche %s to %.40q: the lease has %d slots of tranche %s: %v", b.Slots, b.Tranche, b.State, len(l.slots), l.Tranche, err)
		return
	}
	ports := lease.Ports{}
	if b.Ports != nil {
		if ports = *b.Ports; state != meter.IsolationUnproven || ports == (lease.Ports{}) {
			v.fail(v.at, CheckSlotRange, id, "slots %.60q are %s, and it counts ports: only isolation that is not proven is about ports", b.Slots, state)
		}
	}
	at := v.time
	if !b.Since.IsZero() {
		at = b.Since
	}
	if at != v.time && (state != meter.Unknown || at.After(v.time)) {
		v.fail(v.at, CheckSilence, id, "slots %.60q are %s from %s on, and the entry is of %s: only what nobody could know reaches back", b.Slots, state, stamp(at), stamp(v.time))
		at = v.time
	}
	v.budget.spend(len(l.slots)/64+2*slots.Len(), "changes of slots")
	for slot := range slots.All() {
		if at.Before(l.billedAt[slot]) {
			v.fail(v.at, CheckSilence, slotRef{l, uint32(slot)}.String(), "it is unknown from %s on, and something was said of it at %s", stamp(at), stamp(l.billedAt[slot]))
		}
		v.emptied(l, uint32(slot), state, b.Cause)
		l.bill(uint32(slot), state, at)
		l.ports[slot] = ports
		v.touch(slotRef{l, uint32(slot)})
	}
	v.event(l, b.Slots, state, b.Cause)
	event := &l.contract.events[len(l.contract.events)-1]
	event.At, event.Ports = at, ports
	v.tally.changes++
}

// touch has a slot judged when the instant is over.
func (v *verifier) touch(ref slotRef) {
	v.touched = atOnce(v, v.touched, ref, 16)
}

// movedNow has a node looked at when the instant is over.
func (v *verifier) movedNow(n *nodeLog) { v.moved = atOnce(v, v.moved, n, 8) }

// leavesNow does so of a node that must be reclaimed with its lease.
func (v *verifier) leavesNow(l leaving) { v.leaving = atOnce(v, v.leaving, l, 16) }

// atOnce adds to a list of one instant; each of it takes so many bytes.
func atOnce[T any](v *verifier, list []T, one T, bytes int64) []T {
	if len(list) == cap(list) {
		v.budget.keep(bytes*int64(max(cap(list), 16)), "what changes at one instant")
	}
	return append(list, one)
}

func billedUp(s meter.SlotState) bool { return s == meter.Up || s == meter.Degraded }

// judgeSlot compares what a slot is billed as with what the log says of its
// node. It is what shows that an entry was left out.
func (v *verifier) judgeSlot(ref slotRef) {
	l := ref.lease
	if !l.returning.IsZero() {
		return
	}
	billed := l.billed[ref.slot]
	n := v.numbers[l.slots[ref.slot]]
	inUse := n != nil && n.state == node.Delivered && n.owner == l
	if !inUse {
		if billedUp(billed) {
			v.fail(v.at, CheckSlotUp, ref.String(), "it is billed as %s from %s on, and no delivered node is in it", billed, stamp(v.time))
		}
		return
	}
	switch {
	case n.exposed() && (billedUp(billed) || billed == meter.Undelivered):
		v.fail(v.at, CheckExposed, ref.String(), "%s is not proven isolated (%s), and the slot is billed as %s", n.id, n.exposure(), billed)
	case billed == meter.IsolationUnproven && n.exposed() && n.ports() != l.ports[ref.slot]:
		v.fail(v.at, CheckMaker, ref.String(), "it is billed for %s not proven, and the log names %s of %s", portsText(l.ports[ref.slot]), portsText(n.ports()), n.id)
	case !n.exposed() && billed == meter.IsolationUnproven:
		v.fail(v.at, CheckUnfounded, ref.String(), "it is billed as %s, and the log names no drift and no unread leaf of %s", billed, n.id)
	}
}

func (n *nodeLog) exposed() bool { return n.drift != 0 || n.unit != nil && n.unit.unread != 0 }

func (n *nodeLog) exposure() string {
	var parts []string
	for nic := range site.NICs {
		if n.drift&(1<<nic) != 0 {
			parts = append(parts, site.NICName(nic)+" red")
		}
		if n.unit != nil && n.unit.unread&(1<<nic) != 0 {
			parts = append(parts, "leaf of "+site.NICName(nic)+" unread")
		}
	}
	return strings.Join(parts, ", ")
}

// Interval is a time in which the isolation of some of the tenant's ports was
// not proven.
type Interval struct {
	What  string    `json:"what"` // a port with its check, or a leaf
	From  time.Time `json:"from"`
	Until time.Time `json:"until,omitzero"` // zero: it was open at the checkpoint
	Entry uint64    `json:"entry"`          // that opened it
}

func (v *verifier) opens(what string) {
	v.budget.keep(perInterval+2*int64(len(what)), "times that are not proven")
	v.intervals = append(v.intervals, Interval{What: what, From: v.time, Entry: v.at.entry})
}

func (v *verifier) closes(prefix string) {
	for i := len(v.intervals) - 1; i >= 0; i-- {
		v.budget.spend(1, "times that are not proven")
		if v.intervals[i].Until.IsZero() && strings.HasPrefix(v.intervals[i].What, prefix) {
			v.intervals[i].Until = v.time
			return
		}
	}
}

// port finds the node and the NIC of a port note.
func (v *verifier) port(p fabric.PortNote) *nodeLog {
	port := site.Port(p.Port)
	if port.NIC() != p.NIC {
		v.fail(v.at, CheckName, p.Node, "port %d is NIC %d, the entry says %d", p.Port, port.NIC(), p.NIC)
	}
	return v.node(p.Node, uint32(port.Node()))
}

func portName(n *nodeLog, nic int) string { return n.id + " " + site.NICName(nic) + ":" }

func (v *verifier) drifted(b *fabric.Drifted) {
	for _, p := range b.Ports {
		n := v.port(p)
		bit := uint16(1) << site.Port(p.Port).NIC()
		if n.drift&bit != 0 { // it goes on, and somebody else could have made what is found now
			v.closes(portName(n, p.NIC))
		}
		n.drift |= bit
		v.recount(n)
		v.made(n, bit, p)
		v.opens(portName(n, p.NIC) + " " + p.Check)
		v.touchNode(n)
	}
	v.tally.drifts++
}

func (v *verifier) locked(b *fabric.Locked) {
	for _, p := range b.Ports {
		n := v.port(p)
		if n.state == node.Delivered && n.drift&(1<<site.Port(p.Port).NIC()) == 0 {
			v.fail(v.at, CheckContradiction, n.id, "%s is closed, and the log names no drift of it", site.NICName(p.NIC))
		}
	}
}

func (v *verifier) restored(b *fabric.Restored) {
	for _, p := range b.Ports {
		n := v.port(p)
		if bit := uint16(1) << site.Port(p.Port).NIC(); n.drift&bit != 0 {
			n.drift, n.unclear, n.forged = n.drift&^bit, n.unclear&^bit, n.forged&^bit
			v.recount(n)
			v.closes(portName(n, p.NIC))
		} else if n.state == node.Delivered {
			v.fail(v.at, CheckUnfounded, n.id, "%s is restored, and the log names no drift of it", site.NICName(p.NIC))
		}
		v.touchNode(n)
	}
}

func (v *verifier) touchNode(n *nodeLog) {
	if ref, ok := v.nodeSlot(n); ok && ref.lease.slots[ref.slot] == n.number {
		v.touch(ref)
	}
}

// unreadLeaf marks the ports behind a leaf. A leaf's id is that of its scalable
// unit and which NICs it serves.
func (v *verifier) unreadLeaf(leaf string, unread bool) {
	su, nic, ok := leafParts(leaf)
	if !ok {
		v.fail(v.at, CheckName, leaf, "expected the id of a leaf, its scalable unit and -leaf0 to -leaf7 or -front")
		return
	}
	u := v.unit(su)
	if unread {
		u.unread |= 1 << nic
		v.opens(leaf + ": can't be read")
		v.tally.unread++
	} else {
		u.unread &^= 1 << nic
		v.closes(leaf + ":")
	}
	v.budget.spend(2*len(u.nodes), "leaves that can't be read")
	for _, n := range u.nodes {
		v.recount(n)
		v.touchNode(n)
	}
}

func leafParts(leaf string) (su string, nic int, ok bool) {
	if su, ok := strings.CutSuffix(leaf, "-front"); ok {
		return su, site.Frontend, su != ""
	}
	cut := strings.LastIndex(leaf, "-leaf")
	if cut <= 0 {
		return "", 0, false
	}
	nic, err := strconv.Atoi(leaf[cut+len("-leaf"):])
	return leaf[:cut], nic, err == nil && nic >= 0 && nic < site.Rails && fmt.Sprint(nic) == leaf[cut+len("-leaf"):]
}

func sorted[K cmp.Ordered, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }
