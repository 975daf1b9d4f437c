package book

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"bulkhead/fabric"
	"bulkhead/ledger"
	"bulkhead/node"
	"bulkhead/site"
)

// The entry kinds of a site that ran before Bulkhead came, all in the site's
// scope.
const (
	KindAdopted = "site.adopted/1"
	KindFound   = "site.found/1"
	KindTaken   = "site.taken/1"
	KindManaged = "site.managed/1"
)

// Adopt records that a running site was taken over read-only.
type Adopt struct{ By, Found string }

// Adopted is the body of KindAdopted.
type Adopted struct {
	By    string `json:"by"`
	Found string `json:"found"`
}

func (c Adopt) decide(s *State, env Env) (*Decision, error) {
	if s.Control.Adopted {
		return nil, ErrNothing
	}
	d := &Decision{}
	d.add(SiteScope, KindAdopted, Adopted(c))
	return d, nil
}

func (s *State) applyAdopted(e *ledger.Entry, b Adopted, _ Bodies) error {
	s.Control.Adopted = true
	return nil
}

// Manage ends the read-only adoption of a site: from now on the loop writes to
// devices whatever is not as the ledger wants it. It takes a person, with a reason.
type Manage struct {
	By     Actor
	Reason string
}

// Managed is the body of KindManaged.
type Managed struct {
	By     string `json:"by"`
	Reason string `json:"reason"`
}

func (c Manage) decide(s *State, env Env) (*Decision, error) {
	if !s.Control.Adopted {
		return nil, ErrNothing
	}
	if c.By.Role != "approver" {
		return nil, refuse("by", "an approver ends the adoption of a site, not %s", c.By.Role)
	}
	if c.Reason == "" {
		return nil, refuse("reason", "say why: devices are written to from now on")
	}
	d := &Decision{}
	d.add(SiteScope, KindManaged, Managed{c.By.Subject, c.Reason})
	return d, nil
}

func (s *State) applyManaged(e *ledger.Entry, b Managed, _ Bodies) error {
	s.Control.Adopted = false
	return nil
}

// FoundLabel is a label that an adopted site carried before, with where.
type FoundLabel struct {
	Nodes *site.Set `json:"nodes"` // that carry it at one port or more
	Ports int       `json:"ports"`
}

// FoundNoted is the body of KindFound: what read-back of an adopted site shows of
// one label that this ledger gave to nobody. A later entry about the same label
// replaces it.
type FoundNoted struct {
	Fabric string `json:"fabric"`
	Label  uint32 `json:"label"`
	Nodes  string `json:"nodes"` // set of dense indexes; "" is nowhere any more
	Ports  int    `json:"ports"`
}

// foundOwner is who a label stands for that somebody else has given out.
const foundOwner = "found/"

// firstFound is the first holder number of what was found: the label's value
// follows. It lies above every turnover holder.
const firstFound HolderNumber = 1 << 30

// FoundOwner is the owner of a label that was found.
func FoundOwner(value uint32) fabric.Owner {
	return fabric.Owner(foundOwner + strconv.FormatUint(uint64(value), 10))
}

// ReportFound records what the ports of one fabric carry that this ledger did not
// give out: the occupancy and the labels of an adopted site. Labels is all of it.
type ReportFound struct {
	Fabric string
	Labels []FoundNoted
}

func (c ReportFound) decide(s *State, env Env) (*Decision, error) {
	if !s.Control.Adopted {
		return nil, refuse("site", "it is not adopted: what its ports carry is compared with what they should")
	}
	d := &Decision{}
	now := map[uint32]bool{}
	for _, l := range c.Labels {
		now[l.Label] = true
		if known := s.Found[c.Fabric][l.Label]; known != nil && known.Ports == l.Ports && known.Nodes.String() == l.Nodes {
			continue
		}
		l.Fabric = c.Fabric
		if _, err := s.checkFound(l); err != nil {
			return nil, refuse("label", "%v", err)
		}
		d.add(SiteScope, KindFound, l)
	}
	for _, value := range sortedKeys(s.Found[c.Fabric]) {
		if !now[value] {
			d.add(SiteScope, KindFound, FoundNoted{Fabric: c.Fabric, Label: value})
		}
	}
	return d.orNothing()
}

func (s *State) applyFound(e *ledger.Entry, b FoundNoted, _ Bodies) error {
	nodes, err := s.checkFound(b)
	if err != nil {
		return err
	}
	if nodes.Empty() {
		if s.Found[b.Fabric][b.Label] == nil {
			return fmt.Errorf("label %d was not found before", b.Label)
		}
		return s.forget(e, b.Fabric, b.Label)
	}
	if err := s.Labels[b.Fabric].Keep(b.Label, FoundOwner(b.Label), e.Time); err != nil {
		return err
	}
	if s.Found[b.Fabric] == nil {
		s.Found[b.Fabric] = map[uint32]*FoundLabel{}
	}
	s.Found[b.Fabric][b.Label] = &FoundLabel{Nodes: nodes, Ports: b.Ports}
	s.keepFound()
	return nil
}

// checkFound checks what is said of a found label, and returns its nodes.
func (s *State) checkFound(b FoundNoted) (*site.Set, error) {
	pool := s.Labels[b.Fabric]
	if pool == nil {
		return nil, fmt.Errorf("no fabric %q", b.Fabric)
	}
	if b.Label == 0 || b.Label > fabric.MaxValue {
		return nil, fmt.Errorf("label %d: expected 1 to %d", b.Label, fabric.MaxValue)
	}
	if owner, taken := pool.OwnerOf(b.Label); taken && owner != FoundOwner(b.Label) {
		return nil, fmt.Errorf("label %d is of %s", b.Label, owner)
	}
	nodes, err := site.ParseSet(b.Nodes, s.Site.Nodes())
	if err != nil {
		return nil, err
	}
	for n := range nodes.All() {
		if s.Nodes.State[n] != node.Discovered {
			return nil, fmt.Errorf("node %s is %s: what it carries is this ledger's doing", s.Site.NodeID[n], s.Nodes.State[n])
		}
	}
	return nodes, nil
}

// forget lets a found label cool down: it is given out again only when read-back
// shows it nowhere.
func (s *State) forget(e *ledger.Entry, fabricID string, value uint32) error {
	delete(s.Found[fabricID], value)
	if len(s.Found[fabricID]) == 0 {
		delete(s.Found, fabricID)
	}
	s.keepFound()
	pool := s.Labels[fabricID]
	if owner, ok := pool.OwnerOf(value); !ok || owner != FoundOwner(value) {
		return nil // of a range that is not given out
	}
	return pool.Release(FoundOwner(value), e.Time)
}

// keepFound derives which nodes are kept as they were found: those that carry a
// found label, and those whose turnover label is one, since a node that changes
// hands must meet nobody under it.
func (s *State) keepFound() {
	s.Touched.Union(s.Kept)
	s.Kept = site.NewSet(0)
	for id, labels := range s.Found {
		index, _ := s.Site.FabricByID(id)
		for value, l := range labels {
			s.Kept.Union(l.Nodes)
			// One that this ledger has commissioned changes hands under it already: there the prover sees it.
			if n, ok := fabric.TurnoverNode(s.Site.Fabrics[index].Family, value); ok && int(n) < s.Site.Nodes() && s.Nodes.State[n] == node.Discovered {
				s.Kept.Add(n)
			}
		}
	}
	s.Touched.Union(s.Kept)
}

// FoundHolder is who holds a kept node's ports in a fabric: whoever gave out the
// lowest label that was found there. NoHolder: nobody did.
func (s *State) FoundHolder(fabricID string, n site.Index) HolderNumber {
	holder := NoHolder
	for value, l := range s.Found[fabricID] {
		if h := firstFound + HolderNumber(value); l.Nodes.Has(n) && (holder == NoHolder || h < holder) {
			holder = h
		}
	}
	return holder
}

// TakeOver takes over the nodes that carry a label which was found on an adopted
// site: from now on they are commissioned, and so wiped, like every other node.
type TakeOver struct {
	Fabric string
	Label  uint32
	By     Actor
	Reason string
}

// Taken is the body of KindTaken. The nodes are kept for none of their labels any
// more.
type Taken struct {
	Fabric string `json:"fabric"`
	Label  uint32 `json:"label"`
	Nodes  string `json:"nodes"`
	By     string `json:"by"`
	Reason string `json:"reason"`
}

func (c TakeOver) decide(s *State, env Env) (*Decision, error) {
	found := s.Found[c.Fabric][c.Label]
	switch {
	case found == nil:
		return nil, refuse("label", "no such label was found in fabric %q", c.Fabric)
	case c.By.Role != "approver":
		return nil, refuse("by", "an approver takes nodes over, not %s: they are wiped", c.By.Role)
	case s.Control.Adopted:
		return nil, refuse("site", "it is only observed: an approver ends that first")
	case c.Reason == "":
		return nil, refuse("reason", "say why: whoever is on these nodes loses them")
	}
	d := &Decision{}
	d.add(SiteScope, KindTaken, Taken{c.Fabric, c.Label, found.Nodes.String(), c.By.Subject, c.Reason})
	return d, nil
}

func (s *State) applyTaken(e *ledger.Entry, b Taken, _ Bodies) error {
	found := s.Found[b.Fabric][b.Label]
	if found == nil || found.Nodes.String() != b.Nodes {
		return fmt.Errorf("label %d of fabric %q was not found at these nodes", b.Label, b.Fabric)
	}
	gone := found.Nodes.Clone()
	for _, id := range sortedKeys(s.Found) {
		for _, value := range sortedKeys(s.Found[id]) {
			l := s.Found[id][value]
			if !l.Nodes.Intersects(gone) {
				continue
			}
			l.Nodes.Subtract(gone)
			if l.Nodes.Empty() {
				if err := s.forget(e, id, value); err != nil {
					return err
				}
			}
		}
	}
	s.keepFound()
	return nil
}

// adoptedPlan says what the loop would do to an adopted site if it were not held
// back: what an approver decides about.
func (s *State) adoptedPlan(seen Seen) []string {
	if !seen.Fresh() {
		return []string{"not every fabric has been read back since this writer began"}
	}
	var p Plan
	s.planPorts(&p, seen)
	var nodes []site.Index
	for _, w := range p.Ports {
		nodes = append(nodes, w.Port.Node())
	}
	slices.Sort(nodes)
	wiped := s.Nodes.By[node.Discovered].Clone()
	wiped.Subtract(s.Kept)
	return append([]string{fmt.Sprintf("managed, it would write %d ports of %d nodes, and wipe and attest %d nodes that are discovered", len(p.Ports), len(slices.Compact(nodes)), wiped.Len())}, p.Deferred...)
}

// keptFound says what is kept as it was found.
func (s *State) keptFound() []string {
	if s.Kept.Empty() {
		return nil
	}
	labels := 0
	for _, l := range s.Found {
		labels += len(l)
	}
	return []string{fmt.Sprintf("%d nodes are kept as they were found, with %d labels of others: neither written to nor sold until an approver takes them over", s.Kept.Len(), labels)}
}

func (s *State) refuseKept(n site.Index) error {
	return refuse("node", "%s is kept as it was found, with a label of others: an approver takes it over first", s.Site.NodeID[n])
}

// foundValue is the value of a found label's owner.
func foundValue(owner fabric.Owner) (uint32, bool) {
	text, ok := strings.CutPrefix(string(owner), foundOwner)
	value, err := strconv.ParseUint(text, 10, 24)
	return uint32(value), ok && err == nil
}
