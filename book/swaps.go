package book

import (
	"fmt"
	"time"

	"bulkhead/claim"
	"bulkhead/lease"
	"bulkhead/ledger"
	"bulkhead/node"
	"bulkhead/place"
	"bulkhead/site"
)

// SlotRef names a slot of a lease. It is the key of a replacement under way.
type SlotRef struct {
	Lease lease.ID
	Slot  uint32
}

func compareRefs(a, b SlotRef) int {
	if c := cmpString(string(a.Lease), string(b.Lease)); c != 0 {
		return c
	}
	return int(a.Slot) - int(b.Slot)
}

// Swap is a replacement that was proposed and not made yet.
type Swap struct {
	Was, Node site.Index
	Proposed  time.Time
	Deadline  time.Time
	Agreed    bool
	By        string `json:",omitempty"` // who proposed it; "": the loop
	Reason    string `json:",omitempty"`
	Requested bool   `json:",omitempty"` // by the tenant: only its own answer makes it
}

// ProposeReplacement offers another node for the slot of a failed one. One that was
// never delivered is swapped without a question. A dead one is asked about like any
// other: what is on its drives is lost with the swap, and it may come back.
type ProposeReplacement struct {
	Lease  lease.ID
	Slot   uint32
	Node   site.Index
	Reason string
	By     string // who proposes it; "": the loop

	Requested bool // the tenant has asked for it: only its own answer makes it
}

func (c ProposeReplacement) decide(s *State, env Env) (*Decision, error) {
	l, ok := s.LeaseByID(c.Lease)
	if !ok || int(c.Slot) >= len(l.Slots) {
		return nil, refuse("slot", "no slot %d of lease %q", c.Slot, c.Lease)
	}
	ref := SlotRef{c.Lease, c.Slot}
	if _, open := s.Swaps[ref]; open {
		return nil, ErrNothing
	}
	if !l.Returning.IsZero() {
		return nil, refuse("slot", "%s is being returned: none of its nodes is replaced any more", l.ID)
	}
	was := l.Slots[c.Slot]
	if s.LeaseOn(was) != l {
		return nil, refuse("slot", "slot %d of %s has a node that another lease has until this one begins: it is replaced from then on", c.Slot, c.Lease)
	}
	if l.GaveUp(int(c.Slot)) {
		return nil, refuse("slot", "slot %d of %s was given up: no node is owed for it", c.Slot, c.Lease)
	}
	agreed := s.moveOf(ref, c.Node)
	if err := s.replaceable(was, c.By != ""); err != nil && !agreed {
		return nil, err
	}
	if err := c.mayAsk(s, was); err != nil {
		return nil, err
	}
	if stay, ok := s.Stays[ref]; ok && c.By == "" {
		return nil, refuse("slot", "slot %d of %s keeps its node: %s took its replacement back, and nothing new was said of it since", c.Slot, c.Lease, stay.By)
	}
	if err := s.replacement(l, was, c.Node); err != nil {
		return nil, err
	}
	d := &Decision{}
	proposed := lease.Proposed{
		Lease: l.ID, Slot: c.Slot, Was: s.Site.NodeID[was], Node: s.Site.NodeID[c.Node],
		Distance: place.Apart(s.Site, was, c.Node).String(), Reason: c.Reason, Deadline: env.Now.Add(s.Policy.Acknowledge), By: c.By, Requested: c.Requested,
	}
	unasked := !s.occupied(was)
	if unasked {
		proposed.Deadline = env.Now
	}
	d.add(TenantScope(l.Tenant), lease.KindProposed, proposed)
	if unasked {
		d.add(TenantScope(l.Tenant), lease.KindAcknowledged, lease.Acknowledged{Lease: l.ID, Slot: c.Slot, By: NotDelivered})
		s.swap(d, l, c.Slot, c.Node, c.Reason, nil)
	}
	return d, nil
}

// NotDelivered acknowledges for a tenant whose slot was not handed over yet.
const NotDelivered = "not delivered yet"

// NeedsAnother says whether the loop looks for another node for the slot of a node: it
// is dead, or broken beyond what heals by itself, or was taken out.
func (s *State) NeedsAnother(n site.Index) bool {
	st := s.Nodes.State[n]
	return s.HealthOf(n) == Dead || s.Nodes.Sick.Has(n) || st == node.Quarantined || st == node.Repair
}

// replaceable refuses to move a node that is well, or may be. People may have one
// replaced that would heal by itself.
func (s *State) replaceable(n site.Index, byHand bool) error {
	id, q := s.Site.NodeID[n], s.Nodes.Silence[n]
	switch {
	case s.NeedsAnother(n) || s.Nodes.Cordoned[n] || byHand && s.Nodes.Health[n] != Healthy:
		return nil
	case s.HealthOf(n) == Silent:
		return refuse("node", "%s has not answered since %s and counts as dead at %s: cordon it to have it replaced before", id, q.Since.Format(time.RFC3339), s.DeadAt(q).Format(time.RFC3339))
	case s.Nodes.Health[n] != Healthy:
		return refuse("node", "%s is %s (%s) and heals by itself", id, s.Nodes.Health[n], s.Nodes.Class[n])
	}
	return refuse("node", "%s is healthy: a healthy node is never moved; cordon it first", id)
}

func (s *State) replacement(l *Lease, was, n site.Index) error {
	id := s.Site.NodeID[n]
	switch {
	case s.Nodes.State[n] != node.Ready:
		return refuse("node", "%s is %s, expected ready", id, s.Nodes.State[n])
	case s.Nodes.Lease[n] != NoLease:
		return refuse("node", "%s is promised to a lease", id)
	case !s.usable(n) || s.HealthOf(n) != Healthy:
		return refuse("node", "%s is cordoned or not healthy", id)
	case s.fabricOf(n) != l.Fabric || s.Site.KindOf(n) != l.Kind:
		return refuse("node", "%s is %s in fabric %s, the slot needs %s in %s", id, s.Site.KindOf(n), s.fabricOf(n), l.Kind, l.Fabric)
	}
	if ref, promised := s.promisedTo(n); promised && (ref.Lease != l.ID || l.Slots[ref.Slot] != was) {
		return refuse("node", "%s is promised to slot %d of %s", id, ref.Slot, ref.Lease)
	}
	if ref, kept := s.keptForMove(n); kept && (ref.Lease != l.ID || l.Slots[ref.Slot] != was) {
		return refuse("node", "%s is kept for slot %d of %s, which has agreed to move there", id, ref.Slot, ref.Lease)
	}
	f := s.FailureOf(l, was)
	if own := s.LinksOf()(n); own != f.Links {
		return refuse("node", "%s: its links are another lease's, or the slot's lease has links of its own and these are not among them", id)
	}
	d := place.Apart(s.Site, was, n)
	if d > f.Within && s.staysInRacks(l) {
		return refuse("node", "%s is in the %s: the slot's rack is one NVLink domain, and a node of another is no part of it", id, d)
	}
	if d > f.Within {
		return refuse("node", "%s is in the %s, the slot is bound to the %s: its lease has no links beyond", id, d, f.Within)
	}
	return s.checkDomains("of "+string(l.ID), projectOf(l.Tenant, l.Project), []site.Index{n}, s.Time, l.End)
}

// Candidates is the set of nodes that a replacement may take now: ready, and
// promised to nobody. Spares come first by being near.
func (s *State) Candidates() *site.Set {
	out := s.Nodes.By[node.Ready].Clone()
	for n := range s.Nodes.By[node.Ready].All() {
		if s.Nodes.Lease[n] != NoLease || s.Nodes.Cordoned[n] || s.HealthOf(n) != Healthy {
			out.Remove(n)
		}
	}
	for _, swap := range s.Swaps {
		out.Remove(swap.Node)
	}
	for n := range out.Clone().All() {
		if _, kept := s.keptForMove(n); kept {
			out.Remove(n)
		}
	}
	return out
}

// swap writes the change of a slot's node; asked is on whose word, where it works.
func (s *State) swap(d *Decision, l *Lease, slot uint32, to site.Index, reason string, asked *lease.Asked) {
	was := l.Slots[slot]
	if asked != nil {
		// The node still works, and leaves all the same: the slot is empty until
		// the next one is delivered.
		state, cause := replacedAs(asked)
		d.add(TenantScope(l.Tenant), lease.KindSlots, lease.Slots{
			Lease: l.ID, Tranche: l.Tranche, Slots: fmt.Sprint(slot), State: string(state), Cause: cause,
		})
	}
	d.add(TenantScope(l.Tenant), lease.KindSwapped, lease.Swapped{
		Lease: l.ID, Slot: slot, Was: s.Site.NodeID[was], WasIndex: uint32(was), Node: s.Site.NodeID[to], Index: uint32(to), Reason: reason, Asked: asked,
	})
	m := s.newMover()
	if s.occupied(was) {
		m.move(was, s.Nodes.State[was], node.Reclaiming, 0, claim.Digest{}, "replaced: "+reason)
	}
	m.write(d)
}

// AcknowledgeReplacement is the tenant's yes, or the loop's when the tenant's
// time has passed.
type AcknowledgeReplacement struct {
	Lease lease.ID
	Slot  uint32
	Node  string // that was proposed; "": whatever is
	By    string // ByDeadline; "": Actor
	Actor Actor  // of the tenant
	Assured
}

// answer is who answers, and what is shown of that.
func (c AcknowledgeReplacement) answer(s *State, now time.Time) (by string, shown *Showing, err error) {
	swap, ok := s.Swaps[SlotRef{c.Lease, c.Slot}]
	if !ok {
		return "", nil, refuse("slot", "no replacement is proposed for slot %d of %s", c.Slot, c.Lease)
	}
	if proposed := s.Site.NodeID[swap.Node]; c.Node != "" && c.Node != proposed {
		return "", nil, refuse("node", "%s is proposed for slot %d of %s now, not %s: look at it again", proposed, c.Slot, c.Lease, c.Node)
	}
	if c.By == ByDeadline && now.Before(swap.Deadline) {
		return "", nil, refuse("slot", "the tenant has until %s", swap.Deadline.Format(time.RFC3339))
	}
	l, _ := s.LeaseByID(c.Lease)
	if by, err = c.answered(s.Contracts[l.Contract], swap); err != nil {
		return "", nil, err
	}
	if why := s.fallen(SlotRef{c.Lease, c.Slot}, swap); why != "" {
		return "", nil, refuse("slot", "the replacement of slot %d of %s is not made: %s", c.Slot, c.Lease, why)
	}
	return by, s.showAnswer(l, c.Slot, swap), nil
}

func (c AcknowledgeReplacement) decide(s *State, env Env) (*Decision, error) {
	by, shown, err := c.answer(s, env.Now)
	if err != nil {
		return nil, err
	}
	if c.By != ByDeadline {
		if err := s.assured(c.Actor, shown, c.Assured, env.Now); err != nil {
			return nil, err
		}
	}
	l, _ := s.LeaseByID(c.Lease)
	swap := s.Swaps[SlotRef{c.Lease, c.Slot}]
	d := &Decision{}
	d.add(TenantScope(l.Tenant), lease.KindAcknowledged, lease.Acknowledged{Lease: c.Lease, Slot: c.Slot, By: by, Preview: c.Confirmed, Assent: c.Assent.Encode()})
	asked, reason := s.word(SlotRef{c.Lease, c.Slot}, swap.Was, swap.Node, swap, by), "failed node, "+by
	if asked != nil {
		reason = "replaced on request: " + swap.Reason
	}
	s.swap(d, l, c.Slot, swap.Node, reason, asked)
	return d, nil
}

// ByDeadline acknowledges for a tenant whose time has passed.
const ByDeadline = "deadline"

func (s *State) applyProposed(e *ledger.Entry, b lease.Proposed, _ Bodies) error {
	was, err := s.nodeByID(b.Was)
	if err != nil {
		return err
	}
	to, err := s.nodeByID(b.Node)
	if err != nil {
		return err
	}
	if l, ok := s.LeaseByID(b.Lease); !ok || int(b.Slot) >= len(l.Slots) {
		return fmt.Errorf("no slot %d of %s", b.Slot, b.Lease)
	}
	s.Swaps[SlotRef{b.Lease, b.Slot}] = &Swap{Was: was, Node: to, Proposed: e.Time, Deadline: b.Deadline, By: b.By, Reason: b.Reason, Requested: b.Requested}
	delete(s.Stays, SlotRef{b.Lease, b.Slot})
	return nil
}

func (s *State) applyAcknowledged(e *ledger.Entry, b lease.Acknowledged, _ Bodies) error {
	swap, ok := s.Swaps[SlotRef{b.Lease, b.Slot}]
	if !ok {
		return fmt.Errorf("no replacement of slot %d of %s", b.Slot, b.Lease)
	}
	swap.Agreed = true
	return nil
}

func (s *State) applySwapped(e *ledger.Entry, b lease.Swapped, _ Bodies) error {
	l, ok := s.LeaseByID(b.Lease)
	if !ok || int(b.Slot) >= len(l.Slots) {
		return fmt.Errorf("no slot %d of %s", b.Slot, b.Lease)
	}
	was, err := s.nodeAt(b.WasIndex)
	if err != nil {
		return err
	}
	to, err := s.nodeAt(b.Index)
	if err != nil {
		return err
	}
	if l.Slots[b.Slot] != was {
		return fmt.Errorf("slot %d of %s holds node %d, not %d", b.Slot, b.Lease, l.Slots[b.Slot], was)
	}
	s.swapped = lastSwap{at: s.Seq, unfounded: s.unfounded(l, b.Slot, was, to)}
	delete(s.Swaps, SlotRef{b.Lease, b.Slot})
	delete(s.Stays, SlotRef{b.Lease, b.Slot})
	delete(s.Unserved, SlotRef{b.Lease, b.Slot})
	l.Slots[b.Slot] = to
	l.Dirty = true
	s.Nodes.Lease[to], s.Nodes.Slot[to] = int32(s.leaseByID[b.Lease]), b.Slot
	if !s.occupied(was) { // a delivered one leaves its slot by the move that follows
		s.release(was)
	}
	s.Touched.Add(was)
	s.Touched.Add(to)
	return nil
}
