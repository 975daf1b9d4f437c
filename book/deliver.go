package book

import (
	"fmt"
	"time"

	"bulkhead/claim"
	"bulkhead/contract"
	"bulkhead/lease"
	"bulkhead/ledger"
	"bulkhead/meter"
	"bulkhead/node"
	"bulkhead/prove"
	"bulkhead/site"
)

// Reserve takes ready nodes towards the leases that hold them: from now on the
// labels compiled for their ports are the lease's.
type Reserve struct{ Nodes []site.Index }

func (c Reserve) decide(s *State, env Env) (*Decision, error) {
	m, d := s.newMover(), &Decision{}
	for _, n := range c.Nodes {
		if s.Nodes.State[n] != node.Ready {
			return nil, refuse("node", "%s is %s, expected ready", s.Site.NodeID[n], s.Nodes.State[n])
		}
		l := s.LeaseOn(n)
		if l == nil {
			return nil, refuse("node", "%s is booked by no lease", s.Site.NodeID[n])
		}
		if s.givenUpNode(n) {
			return nil, refuse("node", "%s is in a slot that was given up: it is not owed any more", s.Site.NodeID[n])
		}
		if !s.usable(n) {
			return nil, refuse("node", "%s is cordoned or not healthy", s.Site.NodeID[n])
		}
		m.move(n, node.Ready, node.Reserved, 0, claim.Digest{}, "bound to a lease")
	}
	m.write(d)
	return d.orNothing()
}

// Deliver hands reserved nodes of one lease in one scalable unit to the tenant.
// Isolation is the signed isolation certificate that proves their ports.
type Deliver struct {
	Lease     lease.ID
	SU        int
	Nodes     []site.Index
	Isolation []byte
	Reason    string
}

func (c Deliver) decide(s *State, env Env) (*Decision, error) {
	l, ok := s.LeaseByID(c.Lease)
	if !ok {
		return nil, refuse("lease", "no lease %q", c.Lease)
	}
	if env.Now.Before(l.Begin) {
		return nil, refuse("lease", "%s begins at %s: nothing of it is delivered before", l.ID, l.Begin.Format(time.RFC3339))
	}
	if !l.Returning.IsZero() {
		return nil, refuse("lease", "%s is being returned: nothing of it is delivered any more", l.ID)
	}
	if !env.Now.Before(l.End) {
		return nil, refuse("lease", "%s ended at %s: nothing of it is delivered any more", l.ID, l.End.Format(time.RFC3339))
	}
	if why := s.Unguarded(l.Fabric); why != "" {
		return nil, refuse("lease", "%s", why)
	}
	if missing := s.MissingVolumes(l, env.Now); len(missing) > 0 {
		return nil, refuse("lease", "%s can't reach its volumes yet: %v", l.ID, missing)
	}
	if err := s.checkIsolation(l, c); err != nil {
		return nil, err
	}
	m, d := s.newMover(), &Decision{}
	entry := lease.Delivered{Lease: l.ID, Tranche: l.Tranche, SU: s.Site.SUs[c.SU].ID, Reason: c.Reason, Isolation: d.body(c.Isolation)}
	for _, n := range c.Nodes {
		id := s.Site.NodeID[n]
		switch {
		case s.Nodes.State[n] != node.Reserved:
			return nil, refuse("node", "%s is %s, expected reserved", id, s.Nodes.State[n])
		case s.LeaseOn(n) != l:
			return nil, refuse("node", "%s is not in a slot of %s", id, l.ID)
		case s.givenUpNode(n):
			return nil, refuse("node", "%s is in a slot of %s that was given up: it is not owed any more", id, l.ID)
		case int(s.Site.NodeSU[n]) != c.SU:
			return nil, refuse("node", "%s is not in %s", id, s.Site.SUs[c.SU].ID)
		case s.Nodes.Statement[n].IsZero() && !s.Sits(n):
			return nil, refuse("node", "%s has no signed turnover statement", id)
		case s.Nodes.Exposed[n] != 0:
			return nil, refuse("node", "%s: the isolation of %d of its ports is not proven", id, s.Nodes.Exposed[n])
		case !s.usable(n):
			return nil, refuse("node", "%s is cordoned or not healthy", id)
		}
		entry.Nodes = append(entry.Nodes, lease.DeliveredNode{
			Slot: s.Nodes.Slot[n], Node: id, Index: uint32(n), Serial: s.Site.Serial[n],
			Seq: s.Nodes.Seq[n] + 1, Turnover: s.Nodes.Turnover[n], Statement: s.Nodes.Statement[n],
		})
		why := "clean, labelled and proven"
		if s.Sits(n) {
			why = "its tenant was on it before: labelled and proven, and not said to be clean"
		}
		m.move(n, node.Reserved, node.Delivered, 0, entry.Isolation, why)
	}
	if len(entry.Nodes) == 0 {
		return nil, ErrNothing
	}
	d.add(TenantScope(l.Tenant), lease.KindDelivered, entry)
	m.write(d)
	return d, nil
}

// checkIsolation refuses a delivery that its isolation certificate does not
// prove: it must be sound, of this lease and these nodes, now, and say proven.
func (s *State) checkIsolation(l *Lease, c Deliver) error {
	if len(c.Isolation) == 0 {
		return refuse("isolation", "no isolation certificate: nothing is delivered unproven")
	}
	predicate, err := claim.Peek(c.Isolation)
	if err != nil {
		return refuse("isolation", "%v", err)
	}
	certificate, err := prove.DecodeCertificate(predicate)
	if err != nil {
		return refuse("isolation", "%v", err)
	}
	if err := certificate.Check(); err != nil {
		return refuse("isolation", "%v", err)
	}
	if certificate.Verdict != prove.Proven.String() {
		return refuse("isolation", "the verdict is %s: %v", certificate.Verdict, certificate.Failed)
	}
	if certificate.Lease != string(l.ID) || certificate.Nodes != site.SetOf(c.Nodes...).String() {
		return refuse("isolation", "the certificate is of %s, nodes %.80s", certificate.Lease, certificate.Nodes)
	}
	return nil
}

func (s *State) applyDelivered(e *ledger.Entry, b lease.Delivered, _ Bodies) error {
	l, ok := s.LeaseByID(b.Lease)
	if !ok {
		return fmt.Errorf("no lease %q", b.Lease)
	}
	slots := site.NewSet(len(l.Slots))
	for _, n := range b.Nodes {
		if int(n.Slot) >= len(l.Slots) || l.Slots[n.Slot] != site.Index(n.Index) {
			return fmt.Errorf("slot %d of %s is not held by %s", n.Slot, b.Lease, n.Node)
		}
		slots.Add(site.Index(n.Slot))
		if !l.Up[n.Slot] {
			l.Up[n.Slot] = true
			l.Delivered++
		}
	}
	l.Dirty = true
	l.bill(slots, meter.Up, e.Time)
	l.Events = append(l.Events, meter.Event{
		Entry: e.ScopeSeq, Lease: string(b.Lease), Tranche: b.Tranche, Slots: slots.String(), At: e.Time, State: meter.Up, Cause: "delivered",
	})
	return nil
}

func (s *State) applySlots(e *ledger.Entry, b lease.Slots, _ Bodies) error {
	l, ok := s.LeaseByID(b.Lease)
	if !ok {
		return fmt.Errorf("no lease %q", b.Lease)
	}
	slots, err := site.ParseSet(b.Slots, len(l.Slots))
	if err != nil {
		return err
	}
	at, err := l.since(e, &b, slots)
	if err != nil {
		return err
	}
	l.bill(slots, meter.SlotState(b.State), at)
	event := meter.Event{
		Entry: e.ScopeSeq, Lease: string(b.Lease), Tranche: b.Tranche, Slots: b.Slots, At: at, State: meter.SlotState(b.State), Cause: b.Cause,
	}
	if b.Ports != nil {
		event.Ports = *b.Ports
	}
	l.Events = append(l.Events, event)
	return nil
}

// condition is what the billing of a delivered node's slot follows from.
type condition struct {
	health  Health // of its hardware
	silent  bool
	dead    bool
	exposed uint8 // NICs
	unclear uint8 // of these: that the tenant could have made as well
	forged  uint8 // of these: that came from behind the port
}

// ports is what an isolation-unproven of the node is about.
func (c condition) ports() lease.Ports {
	if c.billed() != meter.IsolationUnproven {
		return lease.Ports{}
	}
	return lease.Ports{Owner: c.exposed - c.unclear - c.forged, Either: c.unclear, Tenant: c.forged}
}

func (s *State) condition(n site.Index) condition {
	q, silent := s.Nodes.Silence[n]
	return condition{s.Nodes.Health[n], silent, silent && !q.Dead.IsZero(), s.Nodes.Exposed[n], s.Nodes.Unclear[n], s.Nodes.Forged[n]}
}

// billed is what the slot of a delivered node is billed as. The worst wins: a node
// that is down is down, however isolated it is. What nobody can say is unknown.
func (c condition) billed() meter.SlotState {
	switch {
	case c.dead || c.health >= Failed:
		return meter.DownOwner
	case c.exposed > 0:
		return meter.IsolationUnproven
	case c.silent:
		return meter.Unknown
	case c.health == Degraded:
		return meter.Degraded
	}
	return meter.Up
}

// slotChanges collects the slots of delivered nodes whose state changes with their
// condition, and writes an entry for all slots of a lease that change alike.
type slotChanges struct {
	s     *State
	nodes map[site.Index]slotChange
	order []site.Index
}

type slotChange struct {
	was, is condition
	cause   string
	since   time.Time // zero: from the entry on
}

func (s *State) newSlotChanges() *slotChanges {
	return &slotChanges{s: s, nodes: map[site.Index]slotChange{}}
}

// add notes what a node was and is; what is said last counts.
func (c *slotChanges) add(n site.Index, was, is condition, cause string, since time.Time) {
	if _, known := c.nodes[n]; !known {
		c.order = append(c.order, n)
	}
	c.nodes[n] = slotChange{was, is, cause, since}
}

// after is what a node was said to be.
func (c *slotChanges) after(n site.Index) (condition, bool) {
	change, known := c.nodes[n]
	return change.is, known
}

func (c *slotChanges) write(d *Decision) {
	type key struct {
		lease int32
		state meter.SlotState
		cause string
		since int64
		ports lease.Ports
	}
	s := c.s
	groups := map[key]*site.Set{}
	var order []key
	for _, n := range c.order {
		change := c.nodes[n]
		state := change.is.billed()
		if s.Nodes.State[n] != node.Delivered || s.Nodes.Lease[n] == NoLease || state == change.was.billed() && change.is.ports() == change.was.ports() {
			continue
		}
		k := key{lease: s.Nodes.Lease[n], state: state, cause: change.cause, ports: change.is.ports()}
		if state == meter.Unknown && !change.since.IsZero() {
			k.since = change.since.UnixNano()
		}
		if groups[k] == nil {
			groups[k] = site.NewSet(len(s.Leases[k.lease].Slots))
			order = append(order, k)
		}
		groups[k].Add(site.Index(s.Nodes.Slot[n]))
	}
	for _, k := range order {
		l := s.Leases[k.lease]
		body := lease.Slots{Lease: l.ID, Tranche: l.Tranche, Slots: groups[k].String(), State: string(k.state), Cause: k.cause}
		if k.ports != (lease.Ports{}) {
			body.Ports = &k.ports
		}
		if k.since != 0 {
			body.Since = time.Unix(0, k.since).UTC()
		}
		d.add(TenantScope(l.Tenant), lease.KindSlots, body)
	}
}

// NoteLate records that a tranche's date has passed with slots missing.
type NoteLate struct {
	Lease    lease.ID
	Expected time.Time
	Reason   string
}

func (c NoteLate) decide(s *State, env Env) (*Decision, error) {
	l, ok := s.LeaseByID(c.Lease)
	if !ok {
		return nil, refuse("lease", "no lease %q", c.Lease)
	}
	missing := site.NewSet(len(l.Slots))
	for slot, up := range l.Up {
		if !up && !l.GaveUp(slot) {
			missing.Add(site.Index(slot))
		}
	}
	if l.LateNoted || missing.Len() == 0 || env.Now.Before(l.Begin) {
		return nil, ErrNothing
	}
	d := &Decision{}
	d.add(TenantScope(l.Tenant), lease.KindLate, s.lateNote(l, missing.String(), c.Expected, c.Reason))
	return d, nil
}

func (s *State) lateNote(l *Lease, slots string, expected time.Time, reason string) lease.Late {
	note := lease.Late{Lease: l.ID, Tranche: l.Tranche, Slots: slots, Promised: l.Begin, Expected: expected, Reason: reason}
	c := s.Contracts[l.Contract].Current()
	for i := range c.Tranches {
		if c.Tranches[i].ID == l.Tranche {
			note.Clause = c.TrancheClause(i)
		}
	}
	return note
}

func (s *State) slotsInHall(l *Lease, hall int) string {
	slots := site.NewSet(len(l.Slots))
	for slot, n := range l.Slots {
		if s.Site.HallOf(n) == hall && !l.Up[slot] && !l.GaveUp(slot) {
			slots.Add(site.Index(slot))
		}
	}
	return slots.String()
}

func (s *State) applyLate(e *ledger.Entry, b lease.Late, _ Bodies) error {
	l, ok := s.LeaseByID(b.Lease)
	if !ok {
		return fmt.Errorf("no lease %q", b.Lease)
	}
	if !e.Time.Before(l.Begin) {
		l.LateNoted = true
	}
	return nil
}

// ReturnLease begins the return of a lease whose time is over.
type ReturnLease struct {
	Lease  lease.ID
	Reason string
}

func (c ReturnLease) decide(s *State, env Env) (*Decision, error) {
	l, ok := s.LeaseByID(c.Lease)
	if !ok {
		return nil, refuse("lease", "no lease %q", c.Lease)
	}
	if !l.Returning.IsZero() {
		return nil, ErrNothing
	}
	if env.Now.Before(l.End) {
		return nil, refuse("lease", "%s runs until %s: give notice first", l.ID, l.End.Format(time.RFC3339))
	}
	m, d := s.newMover(), &Decision{}
	d.add(TenantScope(l.Tenant), lease.KindReturning, lease.Returning{Lease: l.ID, Reason: c.Reason})
	for _, n := range l.Slots {
		if s.LeaseOn(n) != l {
			continue
		}
		switch st := s.Nodes.State[n]; {
		case s.occupied(n):
			m.move(n, st, node.Reclaiming, 0, claim.Digest{}, "lease ended")
		case st == node.Reserved:
			m.move(n, node.Reserved, node.Ready, 0, s.Nodes.Statement[n], "lease ended before delivery")
		}
	}
	m.write(d)
	return d, nil
}

func (s *State) applyReturning(e *ledger.Entry, b lease.Returning, _ Bodies) error {
	l, ok := s.LeaseByID(b.Lease)
	if !ok {
		return fmt.Errorf("no lease %q", b.Lease)
	}
	l.Returning = e.Time
	index := int32(s.leaseByID[b.Lease])
	for _, n := range l.Slots {
		// Delivered nodes leave their slots by the moves that follow.
		if s.Nodes.Lease[n] == index && !s.occupied(n) {
			s.release(n)
			s.Touched.Add(n)
		}
	}
	return nil
}

// FinishReturn ends a lease when nothing of it is left on any node.
type FinishReturn struct{ Lease lease.ID }

func (c FinishReturn) decide(s *State, env Env) (*Decision, error) {
	l, ok := s.LeaseByID(c.Lease)
	if !ok || l.Returning.IsZero() || !l.Returned.IsZero() {
		return nil, ErrNothing
	}
	if len(s.Reached(l)) > 0 {
		return nil, ErrNothing
	}
	index := int32(s.leaseByID[c.Lease])
	quarantined := 0
	for i := range s.Nodes.Owner {
		if s.Nodes.Owner[i] != index {
			continue
		}
		if s.Nodes.State[i] != node.Quarantined {
			return nil, ErrNothing
		}
		quarantined++
	}
	d := &Decision{}
	d.add(TenantScope(l.Tenant), lease.KindReturned, lease.Returned{
		Lease: l.ID, Wiped: l.Delivered - quarantined, Quarantined: quarantined, Labels: "released; reused only after read-back shows none",
	})
	open := false
	shared := map[string]bool{}
	for _, other := range s.Leases {
		if other != l && other.Contract == l.Contract && other.Returned.IsZero() {
			open = true
		}
		if other != l && other.Tenant == l.Tenant && other.Project == l.Project && other.Returned.IsZero() {
			shared[other.Fabric] = true
			shared[s.frontendID()] = true
		}
	}
	owner := ProjectOwner(l.Tenant, l.Project)
	for _, id := range []string{l.Fabric, s.frontendID()} {
		if label, has := s.Labels[id].ValueOf(owner); has && !shared[id] {
			s.labelled(d, l.Tenant, owner, label, "released")
		}
	}
	if !open {
		d.add(TenantScope(l.Tenant), contract.KindClosed, contract.Closed{Contract: l.Contract})
	}
	return d, nil
}

func (s *State) applyReturned(e *ledger.Entry, b lease.Returned, _ Bodies) error {
	l, ok := s.LeaseByID(b.Lease)
	if !ok {
		return fmt.Errorf("no lease %q", b.Lease)
	}
	l.Returned = e.Time
	for ref := range s.Stays {
		if ref.Lease == b.Lease {
			delete(s.Stays, ref)
		}
	}
	return nil
}

// SlotUp says whether the node that is in a slot now has been delivered.
func (s *State) SlotUp(l *Lease, slot int) bool {
	n := l.Slots[slot]
	return s.LeaseOn(n) == l && s.Nodes.State[n] == node.Delivered
}
