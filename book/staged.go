package book

import (
	"bulkhead/claim"
	"bulkhead/ledger"
	"bulkhead/site"
)

// Staging is what was recorded so far of the import of one large file. None of it
// exists: who looks at the site, the loop among them, sees it before the import or
// after it, and never a part.
type Staging struct {
	Header claim.Digest      `json:"header"`
	SUs    []site.ImportedSU `json:"sus"`
}

// StageSite records scalable units of a file that more follows of. Begin forgets what
// was staged before: of another file, or of this one when it said something else.
type StageSite struct {
	Header     site.Header
	HeaderBody []byte // canonical encoding of Header
	Begin      bool
	SUs        []ImportedUnit
}

var errStaged = refuse("site", "what was staged is of another import: import the file again")

func (c StageSite) decide(s *State, env Env) (*Decision, error) {
	if s.Site != nil && s.Site.Name != c.Header.Name {
		return nil, refuse("site", "this ledger is of site %q, and %q is another: use a ledger of its own", s.Site.Name, c.Header.Name)
	}
	if _, err := s.headerMoves(c.Header, env.Now); err != nil {
		return nil, err
	}
	if !c.Begin && (s.Staged == nil || s.Staged.Header != claim.DigestOf(c.HeaderBody)) {
		return nil, errStaged
	}
	d := &Decision{}
	entry := site.Staged{Header: d.body(c.HeaderBody), Begin: c.Begin}
	var err error
	if entry.SUs, err = s.newUnits(d, c.SUs, !c.Begin); err != nil {
		return nil, err
	}
	d.add(SiteScope, site.KindStaged, entry)
	return d, nil
}

// newUnits names the inventories of scalable units, and refuses one that the site has
// already, or that was staged where what was staged counts.
func (s *State) newUnits(d *Decision, units []ImportedUnit, staged bool) ([]site.ImportedSU, error) {
	known := map[string]bool{}
	if s.Site != nil {
		for i := range s.Site.SUs {
			known[s.Site.SUs[i].ID] = true
		}
	}
	if staged && s.Staged != nil {
		for i := range s.Staged.SUs {
			known[s.Staged.SUs[i].SU] = true
		}
	}
	var named []site.ImportedSU
	for _, su := range units {
		if known[su.Inventory.SU] {
			return nil, refuse("site.su", "scalable unit %s was imported before: an import adds, it never renumbers", su.Inventory.SU)
		}
		known[su.Inventory.SU] = true
		named = append(named, site.ImportedSU{SU: su.Inventory.SU, Inventory: d.body(su.Body), Nodes: len(su.Inventory.Nodes)})
	}
	return named, nil
}

func (s *State) applyStaged(e *ledger.Entry, b site.Staged, _ Bodies) error {
	switch {
	case b.Begin:
		s.Staged = &Staging{Header: b.Header}
	case s.Staged == nil || s.Staged.Header != b.Header:
		return errStaged
	}
	s.Staged.SUs = append(s.Staged.SUs, b.SUs...)
	return nil
}
