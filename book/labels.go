package book

import (
	"fmt"
	"strings"

	"bulkhead/fabric"
	"bulkhead/ledger"
	"bulkhead/node"
	"bulkhead/site"
)

// Holder numbers name who may be reached behind an edge port. They are what the
// prover compares: a label's owner and a port's holder must be the same.
type HolderNumber uint32

// WasFound says whether it stands for a label that was found on an adopted site.
func (h HolderNumber) WasFound() bool { return h >= firstFound }

const (
	NoHolder         HolderNumber = 0 // nothing has been said of the port yet
	QuarantineHolder HolderNumber = 1
	firstProject     HolderNumber = 2
	firstTurnover    HolderNumber = 1 << 24
)

// Wanted is what a node's ports should carry, and who its ports belong to until
// read-back shows that they do.
type Wanted struct {
	Owner  fabric.Owner // of the label; "" when nothing is wanted of the ports yet
	Holder HolderNumber
}

// Wants says which label a node's ports should carry in its state. A node that
// is leased carries its project's, one in turnover a label of its own, so that
// dirty nodes don't meet, and every other one the quarantine label: also one
// that is not in service yet, since a port that enforces nothing is a hole in
// its whole fabric.
func (s *State) Wants(n site.Index) Wanted {
	if s.Kept.Has(n) {
		return Wanted{} // somebody else's: see FoundHolder
	}
	switch s.Nodes.State[n] {
	case node.Reserved, node.Delivered:
		if l := s.LeaseOn(n); l != nil {
			return s.project(l)
		}
	case node.Reclaiming:
		// The turnover label is wanted, but until read-back shows it the port
		// is still the tenant's: that is what the proof must say.
		w := s.turnover(n)
		if i := s.Nodes.Owner[n]; i != NoLease {
			w.Holder = s.project(s.Leases[i]).Holder
		}
		return w
	case node.Commissioning, node.Severed, node.Sanitizing, node.Attesting, node.Repair:
		return s.turnover(n)
	}
	return Wanted{Owner: fabric.Quarantine, Holder: QuarantineHolder}
}

// LastLeased lists the nodes that an owner's leases had last and that nobody has shown
// to be clean since, those left out that have been retired for good.
// Cost: O(nodes).
func (s *State) LastLeased(owner fabric.Owner) (nodes []site.Index) {
	for n, i := range s.Nodes.Owner {
		if i == NoLease || s.Nodes.State[n] == node.Retired {
			continue
		}
		if l := s.Leases[i]; ProjectOwner(l.Tenant, l.Project) == owner {
			nodes = append(nodes, site.Index(n))
		}
	}
	return nodes
}

func (s *State) project(l *Lease) Wanted {
	owner := ProjectOwner(l.Tenant, l.Project)
	return Wanted{Owner: owner, Holder: s.projects[owner]}
}

func (s *State) turnover(n site.Index) Wanted {
	return Wanted{Owner: fabric.TurnoverOwner(s.Site.NodeID[n]), Holder: firstTurnover + HolderNumber(n)}
}

// HolderOf is the number of a label's owner.
func (s *State) HolderOf(owner fabric.Owner) HolderNumber {
	if owner == fabric.Quarantine {
		return QuarantineHolder
	}
	if value, ok := foundValue(owner); ok {
		return firstFound + HolderNumber(value)
	}
	if id, ok := strings.CutPrefix(string(owner), "turnover/"); ok {
		if n, known := s.Site.Lookup(id); known {
			return firstTurnover + HolderNumber(n)
		}
		return NoHolder
	}
	return s.projects[owner]
}

// Label is the label that an owner has in a fabric. Turnover labels follow from
// the node: they are its own for ever and are never allocated.
func (s *State) Label(fabricIndex int, n site.Index, owner fabric.Owner) (fabric.Label, bool) {
	f := s.Site.Fabrics[fabricIndex]
	if owner == "" {
		return fabric.Label{}, false
	}
	if strings.HasPrefix(string(owner), "turnover/") {
		return fabric.TurnoverLabel(f.ID, f.Family, n), true
	}
	if owner == fabric.Quarantine {
		return fabric.QuarantineLabel(f.ID, f.Family), true
	}
	return s.Labels[f.ID].ValueOf(owner)
}

func (s *State) labelled(d *Decision, tenant string, owner fabric.Owner, label fabric.Label, action string) {
	body := fabric.Labelled{Owner: owner, Label: label, Action: action}
	d.add(SiteScope, fabric.KindLabelled, body)
	if tenant != "" {
		d.add(TenantScope(tenant), fabric.KindLabelled, body)
	}
}

func (s *State) applyLabelled(e *ledger.Entry, b fabric.Labelled, _ Bodies) error {
	if e.Scope != SiteScope {
		return nil
	}
	pool := s.Labels[b.Label.Fabric]
	if pool == nil {
		return fmt.Errorf("no fabric %q", b.Label.Fabric)
	}
	switch b.Action {
	case "assigned":
		label, err := pool.Assign(b.Owner, e.Time)
		if err != nil {
			return err
		}
		if label != b.Label {
			return fmt.Errorf("label %d was assigned, the entry says %d", label.Value, b.Label.Value)
		}
		return nil
	case "adopted":
		return s.adoptLabel(pool, b)
	case "released":
		return pool.Release(b.Owner, e.Time)
	case "freed":
		return pool.Free(b.Label.Value, 0, e.Time)
	}
	return fmt.Errorf("label action %q", b.Action)
}

// FreeLabel makes a released label available again: its cool-down has passed
// and read-back shows it nowhere.
type FreeLabel struct {
	Label       fabric.Label
	Occurrences int // in the newest read-back of the whole fabric
	// Unseen are ports of nodes that had the label last and have not been read since
	// as they are to be: an adapter that does not answer may still hold it.
	Unseen int
}

func (c FreeLabel) decide(s *State, env Env) (*Decision, error) {
	pool := s.Labels[c.Label.Fabric]
	if pool == nil {
		return nil, refuse("label", "the site has no fabric %q", c.Label.Fabric)
	}
	owner, ok := pool.OwnerOf(c.Label.Value)
	if !ok {
		return nil, ErrNothing
	}
	if err := pool.Clone().Free(c.Label.Value, c.Occurrences, env.Now); err != nil {
		return nil, err
	}
	if c.Unseen > 0 {
		return nil, refuse("label", "%d ports of nodes that had label %d last have not been read back since: it is free when they are, or their nodes are retired", c.Unseen, c.Label.Value)
	}
	d := &Decision{}
	s.labelled(d, "", owner, c.Label, "freed")
	return d, nil
}
