package book

import (
	"fmt"
	"slices"
	"time"

	"bulkhead/fabric"
	"bulkhead/lease"
	"bulkhead/ledger"
	"bulkhead/prove"
	"bulkhead/site"
)

// PortFinding is one port with the check that fails there.
type PortFinding struct {
	Port  site.Port
	Check string
	Seen  prove.Seen // of a drift: at whose end of the port it shows
}

// exposure is what a finding at a port adds to the exposure of its node.
func exposureBy(m prove.Maker) exposure {
	switch m {
	case prove.ByEither:
		return exposure{1, 1, 0}
	case prove.ByTenant:
		return exposure{1, 0, 1}
	}
	return exposure{1, 0, 0}
}

// exposure counts ports of a node that are not proven: all, and of these those that the
// tenant could have made as well, and those that came from behind the port.
type exposure struct{ all, unclear, forged int8 }

func (e exposure) plus(o exposure) exposure {
	return exposure{e.all + o.all, e.unclear + o.unclear, e.forged + o.forged}
}

// redAlready is what a port adds to the exposure of its node by what was found there.
func (s *State) redAlready(p site.Port) exposure {
	if lock, red := s.Drifted[p]; red {
		return exposureBy(lock.Maker)
	}
	return exposure{}
}

// MadeOtherwise says whether somebody else could have made what is found now at a port
// that is red: whoever goes on after the first has done pays from then on.
func (l Drift) MadeOtherwise(p PortFinding) bool {
	m, _ := prove.MakerOf(p.Check, p.Seen)
	return exposureBy(m) != exposureBy(l.Maker)
}

func (e exposure) times(n int8) exposure { return exposure{e.all * n, e.unclear * n, e.forged * n} }

// expose adds to the exposure of a node.
func (s *State) expose(n site.Index, e exposure) {
	c := &s.Nodes
	c.Exposed[n] = uint8(int(c.Exposed[n]) + int(e.all))
	c.Unclear[n] = uint8(int(c.Unclear[n]) + int(e.unclear))
	c.Forged[n] = uint8(int(c.Forged[n]) + int(e.forged))
}

// ReportDrift records ports that were proven and are red now, in the scope of
// every tenant whose node they belong to. Evidence is the raw read-back.
type ReportDrift struct {
	Fabric   string
	Ports    []PortFinding
	Evidence []byte
}

func (c ReportDrift) decide(s *State, env Env) (*Decision, error) {
	ports := slices.DeleteFunc(slices.Clone(c.Ports), func(p PortFinding) bool {
		lock, known := s.Drifted[p.Port]
		return known && !lock.MadeOtherwise(p)
	})
	if len(ports) == 0 {
		return nil, ErrNothing
	}
	d := &Decision{}
	evidence := d.body(c.Evidence)
	s.scoped(ports, func(scope string, notes []fabric.PortNote) {
		d.add(scope, fabric.KindDrifted, fabric.Drifted{Fabric: c.Fabric, Ports: notes, Evidence: evidence})
	})
	s.exposureChanges(d, ports, func(p PortFinding) exposure {
		m, _ := prove.MakerOf(p.Check, p.Seen)
		return s.redAlready(p.Port).times(-1).plus(exposureBy(m))
	}, "isolation: read-back shows a violation")
	return d, nil
}

// maxNotes is how many ports one entry names: at about 80 bytes each they stay
// below the limit of an entry.
const maxNotes = 2500

// scoped gives each scope that ports concern its own notes: the site all of
// them, a tenant those of its delivered nodes.
func (s *State) scoped(ports []PortFinding, write func(scope string, notes []fabric.PortNote)) {
	byScope := map[string][]fabric.PortNote{}
	scopes := []string{SiteScope}
	for _, p := range ports {
		n := p.Port.Node()
		note := fabric.PortNote{Port: uint32(p.Port), Node: s.Site.NodeID[n], NIC: p.Port.NIC(), Check: p.Check, Seen: string(p.Seen)}
		byScope[SiteScope] = append(byScope[SiteScope], note)
		l := s.LeaseOn(n)
		if l == nil {
			continue
		}
		scope := TenantScope(l.Tenant)
		if !slices.Contains(scopes, scope) {
			scopes = append(scopes, scope)
		}
		byScope[scope] = append(byScope[scope], note)
	}
	for _, scope := range scopes {
		for notes := range slices.Chunk(byScope[scope], maxNotes) {
			write(scope, notes)
		}
	}
}

// exposureChanges writes what a change of exposure on each port does to slots.
func (s *State) exposureChanges(d *Decision, ports []PortFinding, delta func(PortFinding) exposure, cause string) {
	change := map[site.Index]exposure{}
	var nodes []site.Index
	for _, p := range ports {
		n := p.Port.Node()
		if _, ok := change[n]; !ok {
			nodes = append(nodes, n)
		}
		by, sum := delta(p), change[n]
		change[n] = sum.plus(by)
	}
	changes := s.newSlotChanges()
	for _, n := range nodes {
		was := s.condition(n)
		is := was
		is.exposed = uint8(int(was.exposed) + int(change[n].all))
		is.unclear = uint8(int(was.unclear) + int(change[n].unclear))
		is.forged = uint8(int(was.forged) + int(change[n].forged))
		why := cause
		if is.exposed > 0 && is.exposed < was.exposed {
			why = "isolation: proven again at some of its ports"
		}
		changes.add(n, was, is, why, time.Time{})
	}
	changes.write(d)
}

func (s *State) applyDrifted(e *ledger.Entry, b fabric.Drifted, _ Bodies) error {
	if e.Scope != SiteScope {
		return nil
	}
	for _, p := range b.Ports {
		if _, err := s.nodeAt(uint32(site.Port(p.Port).Node())); err != nil {
			return err
		}
		port := site.Port(p.Port)
		found := PortFinding{Port: port, Check: p.Check, Seen: prove.Seen(p.Seen)}
		lock, red := s.Drifted[port]
		if red && !lock.MadeOtherwise(found) {
			return fmt.Errorf("port %d drifted twice", p.Port)
		}
		s.expose(port.Node(), s.redAlready(port).times(-1))
		if !red {
			lock = Drift{Since: e.Time, State: DriftOpen}
		}
		lock.Check = p.Check
		lock.Maker, _ = prove.MakerOf(p.Check, found.Seen)
		s.Drifted[port] = lock
		s.expose(port.Node(), exposureBy(lock.Maker))
		s.markDirty(site.Port(p.Port).Node())
	}
	return nil
}

func (s *State) markDirty(n site.Index) {
	if l := s.LeaseOn(n); l != nil {
		l.Dirty = true
	}
	s.Touched.Add(n)
}

// ReportLocked records that drifted ports have been closed. Lockdown may act
// before it is recorded.
type ReportLocked struct {
	Fabric string
	Ports  []PortFinding
}

func (c ReportLocked) decide(s *State, env Env) (*Decision, error) {
	if len(c.Ports) == 0 {
		return nil, ErrNothing
	}
	d := &Decision{}
	s.scoped(c.Ports, func(scope string, notes []fabric.PortNote) {
		d.add(scope, fabric.KindLocked, fabric.Locked{Fabric: c.Fabric, Ports: notes})
	})
	return d, nil
}

func (s *State) applyLocked(e *ledger.Entry, b fabric.Locked, _ Bodies) error {
	if e.Scope != SiteScope {
		return nil
	}
	for _, p := range b.Ports {
		if _, err := s.nodeAt(uint32(site.Port(p.Port).Node())); err != nil {
			return err
		}
		lock := s.Drifted[site.Port(p.Port)]
		lock.State = DriftClosed
		s.Drifted[site.Port(p.Port)] = lock
		s.destructive(e.Time, CauseLockdown, 1)
	}
	return nil
}

// How far a drifted port is.
const (
	DriftOpen     = "drift"       // it is to be closed if it leaks, and written again
	DriftReleased = "released"    // the brake held it back and a second person let it go: it is written again
	DriftClosed   = "locked down" // it has been closed, and is written again
)

// ReportRestored records that drifted ports read back as compiled, and proven.
type ReportRestored struct {
	Fabric string
	Ports  []PortFinding
}

func (c ReportRestored) decide(s *State, env Env) (*Decision, error) {
	var ports []PortFinding
	for _, p := range c.Ports {
		if _, ok := s.Drifted[p.Port]; ok {
			ports = append(ports, p)
		}
	}
	if len(ports) == 0 {
		return nil, ErrNothing
	}
	d := &Decision{}
	s.scoped(ports, func(scope string, notes []fabric.PortNote) {
		d.add(scope, fabric.KindRestored, fabric.Restored{Fabric: c.Fabric, Ports: notes})
	})
	s.exposureChanges(d, ports, func(p PortFinding) exposure { return exposureBy(s.Drifted[p.Port].Maker).times(-1) }, "isolation: proven again")
	return d, nil
}

func (s *State) applyRestored(e *ledger.Entry, b fabric.Restored, _ Bodies) error {
	if e.Scope != SiteScope {
		return nil
	}
	for _, p := range b.Ports {
		lock, ok := s.Drifted[site.Port(p.Port)]
		if !ok {
			return fmt.Errorf("port %d had not drifted", p.Port)
		}
		delete(s.Drifted, site.Port(p.Port))
		s.expose(site.Port(p.Port).Node(), exposureBy(lock.Maker).times(-1))
		s.markDirty(site.Port(p.Port).Node())
	}
	return nil
}

// ReportUnread records that leaves can't be read for longer than the window, or
// (Readable) that they can be read again. Their ports are unknown meanwhile:
// neither proven nor red, and never locked down for it.
type ReportUnread struct {
	Leaves   []site.Leaf
	Readable bool
	Reason   string
}

func (c ReportUnread) decide(s *State, env Env) (*Decision, error) {
	d := &Decision{}
	var ports []PortFinding
	tenants := map[string]bool{}
	var scopes []string
	for _, leaf := range c.Leaves {
		if _, unread := s.Unread[leaf]; unread != c.Readable {
			continue
		}
		f, su, nic := s.Site.Fabrics[s.Site.FabricOfLeaf(leaf)].ID, leaf.SU(), leaf.NIC()
		body := fabric.Unread{Fabric: f, Leaf: s.Site.LeafID(leaf), Reason: c.Reason}
		kind := fabric.KindUnread
		if c.Readable {
			kind = fabric.KindReread
		}
		d.add(SiteScope, kind, body)
		clear(tenants)
		scopes = scopes[:0]
		for _, n := range s.Site.SUs[su].Nodes {
			ports = append(ports, PortFinding{Port: site.PortOf(n, nic)})
			if l := s.LeaseOn(n); l != nil && !tenants[l.Tenant] {
				tenants[l.Tenant] = true
				scopes = append(scopes, TenantScope(l.Tenant))
			}
		}
		for _, scope := range scopes {
			d.add(scope, kind, body)
		}
	}
	if len(d.Drafts) == 0 {
		return nil, ErrNothing
	}
	delta, cause := exposureBy(prove.ByOwner), "isolation: the leaf can't be read"
	if c.Readable {
		delta, cause = delta.times(-1), "isolation: the leaf is read again, and proven"
	}
	s.exposureChanges(d, ports, func(PortFinding) exposure { return delta }, cause)
	return d, nil
}

func (s *State) frontendID() string { return s.Site.Fabrics[s.Site.FrontendFabric()].ID }

func (s *State) applyUnread(e *ledger.Entry, b fabric.Unread, _ Bodies) error {
	return s.setUnread(e, b, +1)
}

func (s *State) applyReread(e *ledger.Entry, b fabric.Unread, _ Bodies) error {
	return s.setUnread(e, b, -1)
}

func (s *State) setUnread(e *ledger.Entry, b fabric.Unread, delta int) error {
	if e.Scope != SiteScope {
		return nil
	}
	if s.Site == nil {
		return fmt.Errorf("leaf %q: no site has been imported", b.Leaf)
	}
	leaf, ok := s.Site.LeafByID(b.Leaf)
	if !ok {
		return fmt.Errorf("no leaf %q", b.Leaf)
	}
	if _, unread := s.Unread[leaf]; unread == (delta > 0) {
		return fmt.Errorf("leaf %q is unread: %t", b.Leaf, unread)
	}
	if delta > 0 {
		s.Unread[leaf] = e.Time
	} else {
		delete(s.Unread, leaf)
	}
	for _, n := range s.Site.SUs[leaf.SU()].Nodes {
		s.Nodes.Exposed[n] = uint8(int(s.Nodes.Exposed[n]) + delta)
		s.markDirty(n)
	}
	return nil
}

// RecordVerdict records the isolation verdict about a lease.
type RecordVerdict struct {
	Lease       lease.ID
	Verdict     string
	Ports       int
	Red         int
	Unknown     int
	Certificate []byte // signed
}

func (c RecordVerdict) decide(s *State, env Env) (*Decision, error) {
	l, ok := s.LeaseByID(c.Lease)
	if !ok {
		return nil, refuse("lease", "no lease %q", c.Lease)
	}
	d := &Decision{}
	d.add(TenantScope(l.Tenant), prove.KindVerdict, prove.Judged{
		Lease: string(l.ID), Epoch: l.Epoch + 1, Verdict: c.Verdict, Ports: c.Ports, Red: c.Red, Unknown: c.Unknown,
		Certificate: d.body(c.Certificate),
	})
	return d, nil
}

func (s *State) applyVerdict(e *ledger.Entry, b prove.Judged, _ Bodies) error {
	l, ok := s.LeaseByID(lease.ID(b.Lease))
	if !ok {
		return fmt.Errorf("no lease %q", b.Lease)
	}
	l.Epoch, l.Verdict, l.Certified, l.Dirty = b.Epoch, b.Verdict, b.Certificate, false
	return nil
}
