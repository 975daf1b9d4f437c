package book

import (
	"bulkhead/claim"
	"bulkhead/ledger"
	"bulkhead/node"
	"bulkhead/site"
)

// NeedsRepair says whether a failure class ends only by work on the node. The
// others heal by a reset and keep their node in its slot.
func NeedsRepair(class string) bool {
	switch class {
	case "gpu-reset", "link-flap", "":
		return false
	}
	return true // an unknown class is taken for the worse
}

// ReportHealth records what devices say about nodes, and what it does to the
// slots that they are in.
type ReportHealth struct{ Items []HealthItem }

// HealthItem is one report about one node.
type HealthItem struct {
	Node   site.Index
	Class  string
	Alive  bool
	Failed bool
	Detail string
}

func (i HealthItem) health() Health {
	switch {
	case !i.Failed:
		return Healthy
	case !i.Alive:
		return Dead
	case i.Class == "link-flap":
		return Degraded
	}
	return Failed
}

func (c ReportHealth) decide(s *State, env Env) (*Decision, error) {
	d := &Decision{}
	after := map[site.Index]Health{}
	cause := map[string][]site.Index{}
	var causes []string
	for _, item := range c.Items {
		was, ok := after[item.Node]
		if !ok {
			was = s.Nodes.Health[item.Node]
		}
		if was == item.health() {
			continue
		}
		after[item.Node] = item.health()
		d.add(SiteScope, node.KindHealth, node.HealthNoted{
			Node: s.Site.NodeID[item.Node], Index: uint32(item.Node), Class: item.Class, Alive: item.Alive, Failed: item.Failed, Detail: item.Detail,
		})
		why := "recovered"
		if item.Failed {
			why = "failure: " + item.Class
		}
		if _, ok := cause[why]; !ok {
			causes = append(causes, why)
		}
		cause[why] = append(cause[why], item.Node)
	}
	if len(d.Drafts) == 0 {
		return nil, ErrNothing
	}
	for _, why := range causes {
		s.slotChanges(d, cause[why], why, func(n site.Index) (Health, uint8) { return after[n], s.Nodes.Exposed[n] })
	}
	return d, nil
}

func (s *State) applyHealth(e *ledger.Entry, b node.HealthNoted, _ Bodies) error {
	n, err := s.nodeAt(b.Index)
	if err != nil {
		return err
	}
	item := HealthItem{Node: n, Class: b.Class, Alive: b.Alive, Failed: b.Failed}
	s.Nodes.Health[n], s.Nodes.Class[n] = item.health(), ""
	if b.Failed {
		s.Nodes.Class[n] = b.Class
	}
	s.Nodes.Sick.Remove(n)
	if l := s.Holder(n); l != nil && !b.Failed {
		delete(s.Unserved, SlotRef{l.ID, s.Nodes.Slot[n]})
	}
	if b.Failed && NeedsRepair(b.Class) {
		s.Nodes.Sick.Add(n)
	}
	s.Touched.Add(n)
	return nil
}

// Cordon keeps a node from being given to anybody, or lifts that.
type Cordon struct {
	Node   string
	Lift   bool
	Reason string
	By     string
}

func (c Cordon) decide(s *State, env Env) (*Decision, error) {
	n, err := s.nodeByID(c.Node)
	if err != nil {
		return nil, refuse("node", "%v", err)
	}
	if s.Nodes.Cordoned[n] != c.Lift {
		return nil, ErrNothing
	}
	d := &Decision{}
	d.add(SiteScope, node.KindFlagged, node.Flagged{Node: c.Node, Index: uint32(n), Cordoned: !c.Lift, Reason: c.Reason, By: c.By})
	return d, nil
}

func (s *State) applyFlagged(e *ledger.Entry, b node.Flagged, _ Bodies) error {
	n, err := s.nodeAt(b.Index)
	if err != nil {
		return err
	}
	s.Nodes.Cordoned[n] = b.Cordoned
	if b.Cordoned {
		s.Nodes.Corded.Add(n)
	} else {
		s.Nodes.Corded.Remove(n)
	}
	s.Touched.Add(n)
	return nil
}

// SendToRepair takes nodes out for work on their hardware. A node that was
// leased goes only after it was fenced; its data is wiped when it comes back.
type SendToRepair struct {
	Nodes  []site.Index
	Reason string
}

func (c SendToRepair) decide(s *State, env Env) (*Decision, error) {
	m, d := s.newMover(), &Decision{}
	for _, n := range c.Nodes {
		from := s.Nodes.State[n]
		if from == node.Delivered || !node.Allowed(from, node.Repair) {
			return nil, refuse("node", "%s is %s: it can't go to repair from there", s.Site.NodeID[n], from)
		}
		if from == node.Reserved && s.Holder(n) != nil {
			return nil, refuse("node", "%s is reserved for a slot: replace it first", s.Site.NodeID[n])
		}
		m.move(n, from, node.Repair, 0, claim.Digest{}, c.Reason)
	}
	m.write(d)
	if len(d.Drafts) == 0 {
		return nil, ErrNothing
	}
	return d, nil
}

// Repaired takes nodes from repair into sanitizing: whatever was done to them,
// they are wiped and attested anew.
type Repaired struct{ Nodes []site.Index }

func (c Repaired) decide(s *State, env Env) (*Decision, error) {
	m, d := s.newMover(), &Decision{}
	for _, n := range c.Nodes {
		if s.Nodes.State[n] != node.Repair {
			return nil, refuse("node", "%s is %s, expected repair", s.Site.NodeID[n], s.Nodes.State[n])
		}
		m.move(n, node.Repair, node.Sanitizing, 0, claim.Digest{}, "repaired")
	}
	m.write(d)
	if len(d.Drafts) == 0 {
		return nil, ErrNothing
	}
	return d, nil
}
