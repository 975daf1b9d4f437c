package book

import (
	"fmt"
	"slices"
	"time"

	"bulkhead/lease"
	"bulkhead/ledger"
	"bulkhead/node"
	"bulkhead/site"
)

// A proposed replacement is a question, and what it is about goes on changing until
// it is answered. So it is made from what is true then: whoever takes it further asks
// fallen first, and the loop withdraws what has fallen.

// WithdrawReplacement takes back a proposal that was not answered yet. By the loop only
// where what it was made for is not so any more; by hand for any reason, and then the
// loop proposes none for the slot until something new is said of its node.
type WithdrawReplacement struct {
	Lease  lease.ID
	Slot   uint32
	Node   string // that was proposed; "": whatever is
	Reason string // the loop gives its own
	By     string
}

// ByLoop withdraws what has fallen.
const ByLoop = "loop"

func (c WithdrawReplacement) decide(s *State, _ Env) (*Decision, error) {
	ref := SlotRef{c.Lease, c.Slot}
	swap, ok := s.Swaps[ref]
	l, known := s.LeaseByID(c.Lease)
	switch {
	case !known:
		return nil, refuse("lease", "no lease %q", c.Lease)
	case !ok && c.By == ByLoop:
		return nil, ErrNothing
	case !ok:
		return nil, refuse("slot", "no replacement is proposed for slot %d of %s", c.Slot, c.Lease)
	case c.Node != "" && c.Node != s.Site.NodeID[swap.Node]:
		return nil, refuse("node", "%s is proposed for slot %d of %s now, not %s: look at it again", s.Site.NodeID[swap.Node], c.Slot, c.Lease, c.Node)
	}
	reason := c.Reason
	if c.By == ByLoop {
		if reason = s.fallen(ref, swap); reason == "" {
			return nil, ErrNothing
		}
	}
	if reason == "" {
		return nil, refuse("reason", "say why the replacement of slot %d of %s is withdrawn: its tenant is told", c.Slot, c.Lease)
	}
	d := &Decision{}
	d.add(TenantScope(l.Tenant), lease.KindWithdrawn, lease.Withdrawn{
		Lease: c.Lease, Slot: c.Slot, Was: s.Site.NodeID[swap.Was], Node: s.Site.NodeID[swap.Node], Reason: reason, By: c.By,
	})
	return d, nil
}

// Stay is a slot whose replacement somebody took back: the loop proposes none until
// something new is said of the node.
type Stay struct {
	Node  site.Index
	Since time.Time
	By    string
}

// StaysOf lists the slots of a lease whose replacement was taken back, ascending.
func (s *State) StaysOf(id lease.ID) (slots []uint32) {
	for ref := range s.Stays {
		if ref.Lease == id {
			slots = append(slots, ref.Slot)
		}
	}
	slices.Sort(slots)
	return slots
}

// fallen says why a proposed replacement must not be made as things are now, or "".
func (s *State) fallen(ref SlotRef, swap *Swap) string {
	l, ok := s.LeaseByID(ref.Lease)
	switch {
	case !ok || int(ref.Slot) >= len(l.Slots):
		return "the slot is gone"
	case !l.Returning.IsZero():
		return "the lease is being returned"
	case l.Slots[ref.Slot] != swap.Was || s.LeaseOn(swap.Was) != l:
		return s.Site.NodeID[swap.Was] + " is not in the slot any more"
	}
	if err := s.replaceable(swap.Was, swap.By != ""); err != nil && !s.moveOf(ref, swap.Node) {
		return reasonOf(err)
	}
	if err := s.replacement(l, swap.Was, swap.Node); err != nil {
		return reasonOf(err)
	}
	return ""
}

func reasonOf(err error) string {
	if r, ok := err.(*Refusal); ok {
		return r.Reason
	}
	return err.Error()
}

// dueSwaps lists what proposed replacements have come to: those that must not be made
// any more are withdrawn, and those whose tenants had their time are made. The brake
// and a pause hold them.
func (s *State) dueSwaps(due []Command, now time.Time) []Command {
	refs := make([]SlotRef, 0, len(s.Swaps))
	for ref := range s.Swaps {
		refs = append(refs, ref)
	}
	slices.SortFunc(refs, compareRefs)
	for _, ref := range refs {
		swap := s.Swaps[ref]
		switch {
		case s.fallen(ref, swap) != "":
			due = append(due, WithdrawReplacement{Lease: ref.Lease, Slot: ref.Slot, By: ByLoop})
		case !now.Before(swap.Deadline) && !swap.Requested && !s.defersSwap(swap):
			due = append(due, AcknowledgeReplacement{Lease: ref.Lease, Slot: ref.Slot, By: ByDeadline})
		}
	}
	return due
}

// defersSwap says whether the loop may not make a swap by itself now.
func (s *State) defersSwap(swap *Swap) bool {
	return s.Control.Brake != nil || s.PausedAt(s.Site.Halls[s.Site.HallOf(swap.Was)].ID)
}

// deferredSwaps says how many replacements would be made if the loop was not held.
func (s *State) deferredSwaps(now time.Time) (deferred []string) {
	waiting := 0
	for _, swap := range s.Swaps {
		if !now.Before(swap.Deadline) && !swap.Requested && s.defersSwap(swap) {
			waiting++
		}
	}
	if silent := s.silentTogether(); silent > 0 {
		deferred = append(deferred, fmt.Sprintf("%d nodes are silent at once, more than the %d of brake-nodes: none counts as dead by it; cordon those that are to be replaced", silent, s.Policy.Brake.Nodes))
	}
	if waiting > 0 {
		deferred = append(deferred, fmt.Sprintf("%d replacements are past their deadline and are not made: the brake is engaged, or the loop is paused there", waiting))
	}
	return deferred
}

func (s *State) applyWithdrawn(e *ledger.Entry, b lease.Withdrawn, _ Bodies) error {
	ref := SlotRef{b.Lease, b.Slot}
	swap, ok := s.Swaps[ref]
	if !ok || swap.Agreed || s.Site.NodeID[swap.Was] != b.Was || s.Site.NodeID[swap.Node] != b.Node {
		return fmt.Errorf("no proposal of %.130q for %.130q in slot %d of %s is open", b.Node, b.Was, b.Slot, b.Lease)
	}
	delete(s.Swaps, ref)
	if b.By != ByLoop {
		s.Stays[ref] = Stay{Node: swap.Was, Since: e.Time, By: b.By}
	}
	return nil
}

// lastSwap is what CheckInvariants asks about the last swap: whether it was one that
// must not be.
type lastSwap struct {
	at        uint64 // entry
	unfounded string
}

// unfounded says what is wrong with a swap that is being made: a delivered node that is
// heard and well never leaves its slot, unless people cordoned it or both parties
// agreed that it moves.
func (s *State) unfounded(l *Lease, slot uint32, was, to site.Index) string {
	if s.Nodes.State[was] != node.Delivered || s.HealthOf(was) != Healthy || s.Nodes.Cordoned[was] || s.moveOf(SlotRef{l.ID, slot}, to) {
		return ""
	}
	return fmt.Sprintf("%s in slot %d of %s is delivered, heard and healthy, and is swapped for %s", s.Site.NodeID[was], slot, l.ID, s.Site.NodeID[to])
}
