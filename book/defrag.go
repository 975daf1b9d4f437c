package book

import (
	"fmt"
	"slices"
	"time"

	"bulkhead/lease"
	"bulkhead/ledger"
	"bulkhead/node"
	"bulkhead/place"
	"bulkhead/site"
)

// Defrag is a proposal to move slots of a running lease closer together. One a
// lease is open at a time.
type Defrag struct {
	Number     uint64 // of its entry in the tenant's scope
	Slots      []uint32
	Was, Nodes []site.Index // by position in Slots
	Before     string
	After      string // halls/pods/SUs/racks
	Reason     string
	By         string
	Proposed   time.Time
	Consented  string // by whom of the tenant's; "" = not yet
	Accepted   string // by whom of the owner's; "" = not yet
}

// Agreed says whether both parties have said yes: only then does anything move.
func (d *Defrag) Agreed() bool { return d.Consented != "" && d.Accepted != "" }

// ProposeDefrag offers moves to the tenant of a lease. The search for them was made
// outside of the writer: here they are checked.
type ProposeDefrag struct {
	Lease  lease.ID
	Moves  []place.Move
	After  place.Cost // what is promised of them
	Reason string
	By     string
}

func (c ProposeDefrag) decide(s *State, env Env) (*Decision, error) {
	l, err := s.Movable(c.Lease)
	if err != nil {
		return nil, err
	}
	if d, open := s.Defrags[c.Lease]; open {
		return nil, refuse("lease", "proposal %d of %s is open: withdraw it first", d.Number, c.Lease)
	}
	if len(c.Moves) == 0 || len(c.Moves) > place.MaxMoves {
		return nil, refuse("moves", "%d moves, expected 1 to %d", len(c.Moves), place.MaxMoves)
	}
	after := slices.Clone(l.Slots)
	seen := site.NewSet(s.Site.Nodes())
	var slots, was, nodes []site.Index
	for i, m := range c.Moves {
		switch {
		case m.Slot < 0 || m.Slot >= len(l.Slots) || i > 0 && m.Slot <= c.Moves[i-1].Slot:
			return nil, refuse("moves", "slot %d: expected ascending slots of %s, below %d", m.Slot, c.Lease, len(l.Slots))
		case l.Slots[m.Slot] != m.From:
			return nil, refuse("moves", "slot %d of %s does not hold that node any more: plan again", m.Slot, c.Lease)
		case int(m.To) >= s.Site.Nodes() || seen.Has(m.To):
			return nil, refuse("moves", "slot %d: its new node is in another slot too, or is none", m.Slot)
		}
		if err := s.target(l, m.From, m.To); err != nil {
			return nil, err
		}
		seen.Add(m.To)
		after[m.Slot] = m.To
		slots, was, nodes = append(slots, site.Index(m.Slot)), append(was, m.From), append(nodes, m.To)
	}
	before, then := place.CostOf(s.Site, l.Slots), place.CostOf(s.Site, after)
	promised := c.After
	promised.Moves = 0
	if then != promised || !then.Less(before) {
		return nil, refuse("moves", "%s would be in %s halls/pods/SUs/racks after them and is in %s, expected %s and fewer: plan again", c.Lease, then, before, promised)
	}
	scope := TenantScope(l.Tenant)
	d := &Decision{}
	d.add(scope, lease.KindDefragProposed, lease.DefragProposed{
		Lease: l.ID, Proposal: s.Scopes[scope] + 1, Slots: site.FormatOrder(slots), Was: site.FormatOrder(was), Nodes: site.FormatOrder(nodes),
		Before: before.String(), After: then.String(), Reason: c.Reason, By: c.By,
	})
	return d, nil
}

// Movable is a lease whose nodes could move: it runs. Of any other it says why not.
func (s *State) Movable(id lease.ID) (*Lease, error) {
	l, ok := s.LeaseByID(id)
	switch {
	case !ok:
		return nil, refuse("lease", "no lease %q", id)
	case !l.Returning.IsZero():
		return nil, refuse("lease", "%s is being returned: nothing of it moves any more", id)
	case l.Delivered == 0:
		return nil, refuse("lease", "%s has not begun: what has not begun is placed again without moving anything", id)
	case l.Links == lease.Hermetic:
		return nil, refuse("lease", "%s is hermetic: its nodes and its links were chosen together, so that none of them moves by itself", id)
	case s.staysInRacks(l):
		return nil, refuse("lease", "%s has whole racks that are one NVLink domain each, or segments of them: none of their nodes moves by itself", id)
	}
	return l, nil
}

// target refuses a node that a slot could not move to: what a replacement refuses,
// and spares, which wait for failures.
func (s *State) target(l *Lease, was, to site.Index) error {
	if s.Site.IsSpare(to) {
		return refuse("node", "%s is a spare: it waits for a failure", s.Site.NodeID[to])
	}
	return s.replacement(l, was, to)
}

// ConsentDefrag is the tenant's yes: to this proposal, not to any other.
type ConsentDefrag struct {
	Lease    lease.ID
	Proposal uint64
	By       string
	Assured
}

func (c ConsentDefrag) decide(s *State, env Env) (*Decision, error) {
	p, l, err := s.proposal(c.Lease, c.Proposal)
	if err != nil {
		return nil, err
	}
	if p.Consented != "" {
		return nil, ErrNothing
	}
	shown, err := c.Show(s, env.Now)
	if err != nil {
		return nil, err
	}
	if err := s.assured(Actor{Subject: c.By, Tenant: l.Tenant}, shown, c.Assured, env.Now); err != nil {
		return nil, err
	}
	d := &Decision{}
	d.add(TenantScope(l.Tenant), lease.KindDefragConsented, lease.DefragConsented{Lease: l.ID, Proposal: p.Number, By: c.By, Preview: c.Confirmed, Assent: c.Assent.Encode()})
	return d, nil
}

func (s *State) proposal(id lease.ID, number uint64) (*Defrag, *Lease, error) {
	l, ok := s.LeaseByID(id)
	p, open := s.Defrags[id]
	switch {
	case !ok || !open:
		return nil, nil, refuse("lease", "no move of nodes is proposed for %q", id)
	case p.Number != number:
		return nil, nil, refuse("proposal", "proposal %d is open for %s now, not %d: look at it again", p.Number, id, number)
	}
	return p, l, nil
}

// AcceptDefrag is the owner's yes, after the tenant's. All nodes are looked at
// again, and are kept for the moves from here on.
type AcceptDefrag struct {
	Lease    lease.ID
	Proposal uint64
	By       string
}

func (c AcceptDefrag) decide(s *State, env Env) (*Decision, error) {
	p, l, err := s.proposal(c.Lease, c.Proposal)
	if err != nil {
		return nil, err
	}
	switch {
	case p.Accepted != "":
		return nil, ErrNothing
	case p.Consented == "":
		return nil, refuse("proposal", "the tenant of %s has not consented to it", c.Lease)
	case p.By == c.By:
		return nil, refuse("proposal", "%s has proposed it: a second person accepts", c.By)
	}
	if _, err := s.Movable(l.ID); err != nil {
		return nil, err
	}
	for i, slot := range p.Slots {
		if l.Slots[slot] != p.Was[i] {
			return nil, refuse("proposal", "slot %d holds another node since: withdraw it and plan again", slot)
		}
		if err := s.target(l, p.Was[i], p.Nodes[i]); err != nil {
			return nil, err
		}
	}
	d := &Decision{}
	d.add(TenantScope(l.Tenant), lease.KindDefragAccepted, lease.DefragAccepted{Lease: l.ID, Proposal: p.Number, By: c.By})
	return d, nil
}

// EndDefrag ends a proposal: withdrawn by either party, or done. What has moved
// stays; a move that is asked about already is withdrawn.
type EndDefrag struct {
	Lease    lease.ID
	Proposal uint64
	Reason   string
	By       string
}

func (c EndDefrag) decide(s *State, env Env) (*Decision, error) {
	p, l, err := s.proposal(c.Lease, c.Proposal)
	if err != nil {
		return nil, err
	}
	moved := s.movedOf(l, p)
	d := &Decision{}
	d.add(TenantScope(l.Tenant), lease.KindDefragEnded, lease.DefragEnded{
		Lease: l.ID, Proposal: p.Number, Moved: moved, Left: len(p.Slots) - moved, Reason: c.Reason, By: c.By,
	})
	return d, nil
}

func (s *State) movedOf(l *Lease, p *Defrag) int {
	moved := 0
	for i, slot := range p.Slots {
		if l.Slots[slot] == p.Nodes[i] {
			moved++
		}
	}
	return moved
}

// moveOf says whether both parties agreed that a slot moves to a node.
func (s *State) moveOf(ref SlotRef, to site.Index) bool {
	p, ok := s.Defrags[ref.Lease]
	if !ok || !p.Agreed() {
		return false
	}
	i := slices.Index(p.Slots, ref.Slot)
	return i >= 0 && p.Nodes[i] == to
}

// keptForMove says whether an accepted proposal keeps a node for a slot that has not
// moved yet.
func (s *State) keptForMove(n site.Index) (SlotRef, bool) {
	for id, p := range s.Defrags {
		if p.Accepted == "" {
			continue
		}
		l, ok := s.LeaseByID(id)
		if i := slices.Index(p.Nodes, n); ok && i >= 0 && l.Slots[p.Slots[i]] == p.Was[i] {
			return SlotRef{id, p.Slots[i]}, true
		}
	}
	return SlotRef{}, false
}

// movesAtOnce is how many moves of consenting tenants are asked about at a time: a
// quarter of what the brake allows to be severed, since failures come on top.
func (s *State) movesAtOnce() int { return max(1, s.Policy.Brake.Nodes/4) }

// dueMoves lists the next moves of accepted proposals as replacements, and ends
// those that are done or can't go on.
func (s *State) dueMoves(due []Command, now time.Time) []Command {
	room := min(s.movesAtOnce(), s.Budget(CauseReplacement, now)/2) - s.Nodes.By[node.Reclaiming].Len() - len(s.Swaps)
	for _, id := range sortedKeys(s.Defrags) {
		p := s.Defrags[id]
		l, ok := s.LeaseByID(id)
		if !ok || !l.Returning.IsZero() {
			due = append(due, EndDefrag{Lease: id, Proposal: p.Number, Reason: "the lease is being returned", By: "loop"})
			continue
		}
		if !p.Agreed() {
			continue
		}
		waiting, stuck := 0, ""
		for i, slot := range p.Slots {
			ref := SlotRef{id, slot}
			_, asked := s.Swaps[ref]
			_, stays := s.Stays[ref]
			switch {
			case asked:
				waiting++
			case l.Slots[slot] != p.Was[i]:
				// It has moved, or its node failed and was replaced.
			case stays:
				stuck = fmt.Sprintf("the move of slot %d was taken back by hand", slot)
			case s.target(l, p.Was[i], p.Nodes[i]) != nil:
				stuck = fmt.Sprintf("%s is not free any more", s.Site.NodeID[p.Nodes[i]])
			case s.Nodes.State[p.Was[i]] != node.Delivered || s.PausedAt(s.Site.Halls[s.Site.HallOf(p.Was[i])].ID):
				waiting++ // not handed over yet, or the loop rests there
			default:
				waiting++
				if room > 0 {
					room--
					due = append(due, ProposeReplacement{Lease: id, Slot: slot, Node: p.Nodes[i], Reason: "defragmentation, as agreed"})
				}
			}
		}
		switch {
		case waiting == 0 && stuck != "":
			due = append(due, EndDefrag{Lease: id, Proposal: p.Number, Reason: stuck, By: "loop"})
		case waiting == 0:
			due = append(due, EndDefrag{Lease: id, Proposal: p.Number, Reason: "done", By: "loop"})
		}
	}
	return due
}

func (s *State) applyDefragProposed(e *ledger.Entry, b lease.DefragProposed, _ Bodies) error {
	l, ok := s.LeaseByID(b.Lease)
	if !ok {
		return fmt.Errorf("no lease %s", b.Lease)
	}
	p := &Defrag{Number: b.Proposal, Before: b.Before, After: b.After, Reason: b.Reason, By: b.By, Proposed: e.Time}
	slots, err := site.ParseOrder(b.Slots, len(l.Slots))
	if err != nil {
		return err
	}
	for _, slot := range slots {
		p.Slots = append(p.Slots, uint32(slot))
	}
	if p.Was, err = site.ParseOrder(b.Was, s.Site.Nodes()); err != nil {
		return err
	}
	if p.Nodes, err = site.ParseOrder(b.Nodes, s.Site.Nodes()); err != nil {
		return err
	}
	if len(p.Was) != len(p.Slots) || len(p.Nodes) != len(p.Slots) || b.Proposal != e.ScopeSeq {
		return fmt.Errorf("proposal %d for %s: %d slots, %d nodes, %d nodes to go to", b.Proposal, b.Lease, len(p.Slots), len(p.Was), len(p.Nodes))
	}
	s.Defrags[b.Lease] = p
	return nil
}

func (s *State) openDefrag(id lease.ID, number uint64) (*Defrag, error) {
	p, ok := s.Defrags[id]
	if !ok || p.Number != number {
		return nil, fmt.Errorf("no proposal %d for %s is open", number, id)
	}
	return p, nil
}

func (s *State) applyDefragConsented(e *ledger.Entry, b lease.DefragConsented, _ Bodies) error {
	p, err := s.openDefrag(b.Lease, b.Proposal)
	if err == nil {
		p.Consented = b.By
	}
	return err
}

func (s *State) applyDefragAccepted(e *ledger.Entry, b lease.DefragAccepted, _ Bodies) error {
	p, err := s.openDefrag(b.Lease, b.Proposal)
	if err == nil {
		p.Accepted = b.By
	}
	return err
}

func (s *State) applyDefragEnded(e *ledger.Entry, b lease.DefragEnded, _ Bodies) error {
	_, err := s.openDefrag(b.Lease, b.Proposal)
	delete(s.Defrags, b.Lease)
	return err
}

// MoveTargets is the set of nodes that slots of a running lease could move to: clean
// and promised to nobody until the lease ends, and no spares.
// Cost: O(nodes).
func (s *State) MoveTargets(l *Lease, now time.Time) *site.Set {
	free := s.Free(now, l.End)
	out := s.Candidates()
	for n := range s.Nodes.By[node.Ready].All() {
		if !free.Has(n) {
			out.Remove(n)
		}
	}
	links := s.LinksOf()
	out.Subtract(place.Domains(s.Site, s.others(projectOf(l.Tenant, l.Project), now, l.End)))
	for n := range out.Clone().All() {
		if links(n) != 0 {
			out.Remove(n)
		}
	}
	return out
}
