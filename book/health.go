package book

import (
	"time"

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

// HealthItem is one report about one node. Of a node that does not answer Class is
// what others tell of it, and Quiet for how long it had not answered by then.
type HealthItem struct {
	Node   site.Index
	Class  string
	Alive  bool
	Failed bool
	Quiet  time.Duration
	Detail string
}

// health is what a report says of the hardware.
func (i HealthItem) health() Health {
	switch {
	case !i.Failed:
		return Healthy
	case i.Class == "link-flap":
		return Degraded
	}
	return Failed
}

func (i HealthItem) class() string {
	if !i.Failed {
		return ""
	}
	return i.Class
}

// said is what is known of a node while a report is read.
type said struct {
	condition
	class   string
	silence Silence
}

func (c ReportHealth) decide(s *State, env Env) (*Decision, error) {
	d := &Decision{}
	after := map[site.Index]said{}
	fell, changes := s.newSlotChanges(), s.newSlotChanges()
	for _, item := range c.Items {
		n := item.Node
		was, ok := after[n]
		if !ok {
			was = said{s.condition(n), s.Nodes.Class[n], s.Nodes.Silence[n]}
		}
		is := was
		if item.Alive {
			is.health, is.class, is.silent, is.dead, is.silence = item.health(), item.class(), false, false, Silence{}
			if is == was {
				continue
			}
			d.add(SiteScope, node.KindHealth, node.HealthNoted{
				Node: s.Site.NodeID[n], Index: uint32(n), Class: item.Class, Alive: true, Failed: item.Failed, Detail: item.Detail,
			})
		} else {
			switch {
			case !was.silent:
				is.silence = Silence{Since: s.silentSince(n, item.Quiet, env.Now), Class: item.class()}
			case was.silence.Class == item.class() || item.class() == "":
				continue
			default:
				is.silence.Class = item.class()
			}
			is.silent = true
			d.add(SiteScope, node.KindSilent, node.Silent{
				Node: s.Site.NodeID[n], Index: uint32(n), Since: is.silence.Since, Class: is.silence.Class, Detail: item.Detail,
			})
		}
		after[n] = is
		// A silence is billed from when the node was last heard, also one that is over
		// already.
		from := s.condition(n)
		if begun, silent := fell.after(n); silent {
			from = begun
		} else if is.silent && !was.silent {
			fell.add(n, from, is.condition, "silent", is.silence.Since)
			from = is.condition
		}
		changes.add(n, from, is.condition, cause(item, was), time.Time{})
	}
	if len(d.Drafts) == 0 {
		return nil, ErrNothing
	}
	fell.write(d)
	changes.write(d)
	return d, nil
}

// cause is why a slot changes by a report.
func cause(item HealthItem, was said) string {
	switch {
	case !item.Alive:
		return "silent"
	case item.Failed:
		return "failure: " + item.Class
	case was.silent:
		return "heard again"
	}
	return "recovered"
}

func (s *State) applyHealth(e *ledger.Entry, b node.HealthNoted, _ Bodies) error {
	n, err := s.nodeAt(b.Index)
	if err != nil {
		return err
	}
	item := HealthItem{Node: n, Class: b.Class, Alive: b.Alive, Failed: b.Failed}
	s.Nodes.Health[n], s.Nodes.Class[n] = item.health(), ""
	s.Nodes.Sick.Remove(n)
	delete(s.Nodes.Silence, n)
	if b.Failed {
		if !b.Alive { // as it was written before silence was told apart
			s.Nodes.Silence[n] = Silence{Since: e.Time, Dead: e.Time, Class: b.Class}
		}
		s.Nodes.Class[n] = b.Class
		s.ails(n, b.Class)
	}
	s.news(n)
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
// leased goes only after it was severed; its data is wiped when it comes back.
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
		if from == node.Reserved && s.LeaseOn(n) != nil {
			return nil, refuse("node", "%s is reserved for a slot: replace it first", s.Site.NodeID[n])
		}
		m.move(n, from, node.Repair, 0, claim.Digest{}, c.Reason)
	}
	m.write(d)
	return d.orNothing()
}

// Repaired takes nodes from repair into sanitizing: whatever was done to them,
// they are wiped and attested anew.
type Repaired struct{ Nodes []site.Index }

func (c Repaired) decide(s *State, env Env) (*Decision, error) {
	return s.sanitize(c.Nodes, node.Repair, "repaired")
}
