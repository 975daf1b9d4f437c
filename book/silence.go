package book

import (
	"fmt"
	"slices"
	"time"

	"bulkhead/fabric"
	"bulkhead/ledger"
	"bulkhead/site"
)

// ReportSilent records since when leaves of one fabric have not answered, or (Ended)
// that they do again. Without it a writer that begins anew would count from its own
// first look, and call a leaf unread later than its tenants may expect.
type ReportSilent struct {
	Leaves []site.Leaf // of one fabric
	Since  time.Time
	Ended  bool
}

// maxSilent is how many leaves one entry names: at about 20 bytes each it stays below
// the limit of an entry.
const maxSilent = 2500

func (c ReportSilent) decide(s *State, _ Env) (*Decision, error) {
	var names []string
	index := 0
	for _, leaf := range c.Leaves {
		if _, silent := s.Silent[leaf]; silent == c.Ended {
			names = append(names, s.Site.LeafID(leaf))
			index = s.Site.FabricOfLeaf(leaf)
		}
	}
	if len(names) == 0 {
		return nil, ErrNothing
	}
	d := &Decision{}
	for part := range slices.Chunk(names, maxSilent) {
		d.add(SiteScope, fabric.KindSilent, fabric.Silent{Fabric: s.Site.Fabrics[index].ID, Leaves: part, Since: c.Since, Ended: c.Ended})
	}
	return d, nil
}

func (s *State) applySilent(e *ledger.Entry, b fabric.Silent, _ Bodies) error {
	if e.Scope != SiteScope {
		return fmt.Errorf("silent leaves in the scope %q: they are the site's", e.Scope)
	}
	if s.Site == nil {
		return fmt.Errorf("leaves %.200q: no site has been imported", b.Leaves)
	}
	leaves := make([]site.Leaf, len(b.Leaves))
	for i, name := range b.Leaves {
		leaf, known := s.Site.LeafByID(name)
		_, silent := s.Silent[leaf]
		switch {
		case !known:
			return fmt.Errorf("leaf %.130q is said to be silent or to answer again: the site has no such leaf", name)
		case silent && !b.Ended:
			return fmt.Errorf("leaf %.130q is said to have fallen silent: it was silent before", name)
		case !silent && b.Ended:
			return fmt.Errorf("leaf %.130q is said to answer again: it was not silent", name)
		}
		leaves[i] = leaf
	}
	for _, leaf := range leaves {
		if b.Ended {
			delete(s.Silent, leaf)
		} else {
			s.Silent[leaf] = b.Since
		}
	}
	return nil
}
