package book

import (
	"fmt"
	"slices"
	"time"

	"bulkhead/claim"
	"bulkhead/ledger"
	"bulkhead/node"
	"bulkhead/site"
)

// mover collects moves of nodes and writes them batched: by arrow, scope and
// scalable unit, at most node.MaxBatch nodes an entry.
type mover struct {
	s       *State
	batches map[moveKey][]node.MovedNode
	order   []moveKey
	told    string // the reason of what is moved, for its tenant; "": the site's
}

type moveKey struct {
	scope    string
	su       uint32
	from, to node.State
	reason   string
}

func (s *State) newMover() *mover {
	return &mover{s: s, batches: map[moveKey][]node.MovedNode{}}
}

// move adds one node. ahead is how many moves of the same node the decision has
// added before: sequence numbers have no gap.
func (m *mover) move(n site.Index, from, to node.State, ahead uint32, evidence claim.Digest, reason string) {
	turnover := m.s.Nodes.Turnover[n]
	if begins(to) {
		turnover++
	}
	item := node.MovedNode{
		Node: m.s.Site.NodeID[n], Index: uint32(n), Seq: m.s.Nodes.Seq[n] + 1 + ahead,
		Turnover: turnover, Evidence: evidence,
	}
	m.put(moveKey{SiteScope, m.s.Site.NodeSU[n], from, to, reason}, item)
	if tenant := m.s.logOf(n, from, to); tenant != "" {
		if m.told != "" {
			reason = m.told
		}
		m.put(moveKey{TenantScope(tenant), m.s.Site.NodeSU[n], from, to, reason}, item)
	}
}

// begins says whether entering a state begins a new turnover.
func begins(to node.State) bool { return to == node.Commissioning || to == node.Reclaiming }

func (m *mover) put(key moveKey, item node.MovedNode) {
	if _, ok := m.batches[key]; !ok {
		m.order = append(m.order, key)
	}
	m.batches[key] = append(m.batches[key], item)
}

func (m *mover) write(d *Decision) {
	for _, key := range m.order {
		for items := range slices.Chunk(m.batches[key], node.MaxBatch) {
			d.add(key.scope, node.KindMoved, node.Moved{
				SU: m.s.Site.SUs[key.su].ID, From: key.from, To: key.to, Reason: key.reason, Nodes: items,
			})
		}
	}
}

// logOf is the tenant in whose log a move of a node belongs: who holds it
// from reservation on, and whose data it may still hold until it is clean.
func (s *State) logOf(n site.Index, from, to node.State) string {
	if to == node.Reserved || from == node.Reserved || to == node.Delivered {
		if l := s.LeaseOn(n); l != nil {
			return l.Tenant
		}
	}
	if i := s.Nodes.Owner[n]; i != NoLease {
		return s.Leases[i].Tenant
	}
	if l := s.LeaseOn(n); l != nil && from == node.Delivered {
		return l.Tenant
	}
	return ""
}

func (s *State) applyMoved(e *ledger.Entry, b node.Moved, _ Bodies) error {
	if e.Scope != SiteScope {
		return nil // the tenant's copy of a move that the site's scope holds
	}
	c := &s.Nodes
	for _, item := range b.Nodes {
		n := site.Index(item.Index)
		if int(n) >= len(c.State) {
			return fmt.Errorf("node %d of %d", n, len(c.State))
		}
		if c.State[n] != b.From || item.Seq != c.Seq[n]+1 {
			return fmt.Errorf("node %s is %s at move %d, the entry moves it from %s at move %d", item.Node, c.State[n], c.Seq[n], b.From, item.Seq)
		}
		c.By[b.From].Remove(n)
		if b.From == node.Discovered {
			c.Waiting[s.Site.HallOf(n)]--
		}
		c.By[b.To].Add(n)
		c.State[n], c.Seq[n], c.Turnover[n] = b.To, item.Seq, item.Turnover
		c.Since[n], c.Attempt[n], c.Begun[n] = e.Time.Unix(), 0, 0
		s.arrived(n, b.From, b.To, item.Evidence)
		s.Touched.Add(n)
	}
	return nil
}

// arrived does what a move means beside the move itself.
func (s *State) arrived(n site.Index, from, to node.State, evidence claim.Digest) {
	c := &s.Nodes
	switch to {
	case node.Reserved:
		if from == node.Discovered { // its tenant has been on it all the time
			c.Owner[n] = c.Lease[n]
		}
	case node.Delivered:
		c.Owner[n] = c.Lease[n]
	case node.Reclaiming:
		c.Owner[n] = c.Lease[n]
		s.release(n)
	case node.Quarantined:
		if c.Lease[n] != NoLease && from != node.Reserved && from != node.Delivered {
			return // a promise for later stays; the loop proposes another node
		}
	case node.Attesting:
		c.Wiped[n] = evidence
	case node.Ready:
		c.Statement[n] = evidence
		c.Owner[n] = NoLease
	}
}

// release takes a node out of its slot and gives it to the hold that comes
// next, if there is one.
func (s *State) release(n site.Index) {
	c := &s.Nodes
	c.Lease[n], c.Slot[n] = NoLease, 0
	next := c.Booked[n]
	for len(next) > 0 && !s.Leases[next[0].Lease].Returning.IsZero() { // its time has passed meanwhile
		next = next[1:]
	}
	if len(next) == 0 {
		delete(c.Booked, n)
		return
	}
	c.Lease[n], c.Slot[n] = next[0].Lease, next[0].Slot
	if len(next) == 1 {
		delete(c.Booked, n)
	} else {
		c.Booked[n] = next[1:]
	}
}

// KindStep is the entry kind written before a step that changes a device: a
// step whose outcome was lost is known to have begun.
const KindStep = "step.begun/1"

// Stepped is the body of KindStep: one step for each of some nodes of a
// scalable unit. Its success is the evidence of the move that follows.
type Stepped struct {
	Step    string       `json:"step"`
	SU      string       `json:"su"`
	Nodes   string       `json:"nodes"` // dense indexes
	Attempt int          `json:"attempt"`
	Term    uint64       `json:"term"`
	Root    claim.Digest `json:"root"` // of the ledger before this entry; nonces bind to it
}

// BeginSteps records that steps are about to be given to devices.
type BeginSteps struct {
	Steps []node.Step
	Root  claim.Digest // of the ledger now
}

func (c BeginSteps) decide(s *State, env Env) (*Decision, error) {
	type key struct {
		su      uint32
		kind    string
		attempt int
	}
	groups := map[key]*site.Set{}
	var order []key
	for _, step := range c.Steps {
		k := key{s.Site.NodeSU[step.Node], step.Kind, step.Attempt}
		if groups[k] == nil {
			groups[k] = site.NewSet(s.Site.Nodes())
			order = append(order, k)
		}
		groups[k].Add(step.Node)
	}
	d := &Decision{}
	for _, k := range order {
		d.add(SiteScope, KindStep, Stepped{
			Step: k.kind, SU: s.Site.SUs[k.su].ID, Nodes: groups[k].String(), Attempt: k.attempt, Term: s.Term, Root: c.Root,
		})
	}
	return d.orNothing()
}

func (s *State) applyStep(e *ledger.Entry, b Stepped, _ Bodies) error {
	nodes, err := site.ParseSet(b.Nodes, len(s.Nodes.State))
	if err != nil {
		return err
	}
	for n := range nodes.All() {
		if b.Step == node.StepSever && !s.signedReturn(n) {
			s.destructive(e.Time, CauseReplacement, 1)
		}
		s.Nodes.Attempt[n], s.Nodes.Begun[n] = uint8(b.Attempt), e.Time.Unix()
		s.Nodes.Asked[n] = b.Root
		if b.Step == node.StepSanitize || b.Step == node.StepCommission {
			s.Nodes.WipeAsked[n] = b.Root
		}
		s.Touched.Add(n)
	}
	return nil
}

// Commission takes discovered nodes of halls in service into commissioning.
type Commission struct{ Nodes []site.Index }

func (c Commission) decide(s *State, env Env) (*Decision, error) {
	m, d := s.newMover(), &Decision{}
	for _, n := range c.Nodes {
		if s.Nodes.State[n] != node.Discovered {
			return nil, refuse("node", "%s is %s, expected discovered", s.Site.NodeID[n], s.Nodes.State[n])
		}
		if s.Kept.Has(n) {
			return nil, s.refuseKept(n)
		}
		if s.Site.InService(n).After(env.Now) {
			return nil, refuse("node", "%s is in service from %s on", s.Site.NodeID[n], s.Site.InService(n).Format(time.DateOnly))
		}
		m.move(n, node.Discovered, node.Commissioning, 0, claim.Digest{}, "in service")
	}
	m.write(d)
	return d, nil
}

// Quarantine takes nodes out of every path, with a reason. Nothing moves on
// from there by itself.
type Quarantine struct {
	Nodes    []site.Index
	Reason   []string
	Told     []string // the reason for the node's tenant; may be nil, and "": Reason
	Evidence [][]byte // what was found, by node; may be nil
}

func (c Quarantine) decide(s *State, env Env) (*Decision, error) {
	m, d := s.newMover(), &Decision{}
	for i, n := range c.Nodes {
		from := s.Nodes.State[n]
		if !node.Allowed(from, node.Quarantined) {
			return nil, refuse("node", "%s is %s: it can't be quarantined from there", s.Site.NodeID[n], from)
		}
		var evidence claim.Digest
		if i < len(c.Evidence) && c.Evidence[i] != nil {
			evidence = d.body(c.Evidence[i])
		}
		m.told = ""
		if i < len(c.Told) {
			m.told = c.Told[i]
		}
		m.move(n, from, node.Quarantined, 0, evidence, c.Reason[i])
	}
	m.write(d)
	return d.orNothing()
}

// Sanitize takes severed nodes into sanitizing.
type Sanitize struct{ Nodes []site.Index }

func (c Sanitize) decide(s *State, env Env) (*Decision, error) {
	return s.sanitize(c.Nodes, node.Severed, "fenced")
}

// sanitize takes nodes from a state into sanitizing.
func (s *State) sanitize(nodes []site.Index, from node.State, why string) (*Decision, error) {
	m, d := s.newMover(), &Decision{}
	for _, n := range nodes {
		if s.Nodes.State[n] != from {
			return nil, refuse("node", "%s is %s, expected %s", s.Site.NodeID[n], s.Nodes.State[n], from)
		}
		m.move(n, from, node.Sanitizing, 0, claim.Digest{}, why)
	}
	m.write(d)
	return d.orNothing()
}
