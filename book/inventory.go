package book

import (
	"fmt"
	"slices"
	"time"

	"bulkhead/claim"
	"bulkhead/fabric"
	"bulkhead/lease"
	"bulkhead/ledger"
	"bulkhead/site"
)

// ImportSite adds scalable units to the site, and takes over what a newer header
// changes: policy, dates, new halls. Those of a large file that do not fit into one
// command are staged before (StageSite), and dense indexes follow that order. What is
// refused of a whole template is the caller's to compare first (site.Diff).
type ImportSite struct {
	Header     site.Header
	HeaderBody []byte // canonical encoding of Header
	Staged     int    // scalable units of it that were staged before: all of them, or the import is refused
	SUs        []ImportedUnit
}

// ImportedUnit is one scalable unit with its canonical encoding.
type ImportedUnit struct {
	Inventory *site.SUInventory
	Body      []byte
}

func (c ImportSite) decide(s *State, env Env) (*Decision, error) {
	if s.Site != nil && s.Site.Name != c.Header.Name {
		return nil, refuse("site", "this ledger is of site %q, and %q is another: use a ledger of its own", s.Site.Name, c.Header.Name)
	}
	moved, err := s.headerMoves(c.Header, env.Now)
	if err != nil {
		return nil, err
	}
	if c.Staged > 0 && (s.Staged == nil || s.Staged.Header != claim.DigestOf(c.HeaderBody) || len(s.Staged.SUs) != c.Staged) {
		return nil, errStaged
	}
	if len(c.SUs) == 0 && c.Staged == 0 && (s.Site == nil || len(s.Site.Changes(c.Header)) == 0) {
		return nil, ErrNothing
	}
	d := &Decision{}
	entry := site.Imported{Header: d.body(c.HeaderBody), Staged: c.Staged}
	if entry.SUs, err = s.newUnits(d, c.SUs, c.Staged > 0); err != nil {
		return nil, err
	}
	d.add(SiteScope, site.KindImported, entry)
	for _, m := range moved {
		s.noteSlip(d, m.hall, m.to, "the site's file moves "+s.Site.Halls[m.hall].ID)
	}
	return d, nil
}

// hallMove is a hall whose in-service date a newer header moves.
type hallMove struct {
	hall int
	to   time.Time
}

// headerMoves checks that the site would take a header, and lists the halls that
// it would move. A hall that is in service keeps its date: nodes of it are leased.
func (s *State) headerMoves(h site.Header, now time.Time) ([]hallMove, error) {
	if s.Site == nil {
		if err := h.Check(); err != nil {
			return nil, refuse("site", "%v", err)
		}
		return nil, nil
	}
	if err := s.Site.Accepts(h); err != nil {
		return nil, refuse("site", "%v", err)
	}
	var moved []hallMove
	for i := range h.Halls {
		at, ok := s.Site.HallByID(h.Halls[i].ID)
		if !ok || s.Site.Halls[at].InService.Equal(h.Halls[i].InService) {
			continue
		}
		if was := s.Site.Halls[at].InService; !was.After(now) {
			return nil, refuse("site.hall", "%s has been in service since %s and can't be moved to %s", h.Halls[i].ID, was.Format(time.DateOnly), h.Halls[i].InService.Format(time.DateOnly))
		}
		moved = append(moved, hallMove{at, h.Halls[i].InService})
	}
	return moved, nil
}

// noteSlip tells every tenant that waits for slots in a hall which its contract's
// date will miss.
func (s *State) noteSlip(d *Decision, hall int, to time.Time, reason string) {
	for _, l := range s.Leases {
		if late := s.slotsInHall(l, hall); late != "" && to.After(l.Begin) {
			d.add(TenantScope(l.Tenant), lease.KindLate, s.lateNote(l, late, to, reason))
		}
	}
}

func (s *State) applyImported(e *ledger.Entry, b site.Imported, bodies Bodies) error {
	header, err := bodies.Header(b.Header)
	if err != nil {
		return fmt.Errorf("site header: %w", err)
	}
	if err := header.Check(); err != nil {
		return err
	}
	if s.Site == nil {
		s.Site = site.New(header)
	} else if err := s.Site.Extend(header); err != nil {
		return err
	}
	s.Policy = header.Policy
	for _, f := range s.Site.Fabrics {
		if s.Labels[f.ID] == nil {
			s.Labels[f.ID] = fabric.NewPool(f.ID, f.Family, header.Policy.LabelCoolDown)
		}
		s.Labels[f.ID].SetCoolDown(header.Policy.LabelCoolDown)
	}
	units := b.SUs
	if b.Staged > 0 {
		if s.Staged == nil || s.Staged.Header != b.Header || len(s.Staged.SUs) != b.Staged {
			return errStaged
		}
		units = slices.Concat(s.Staged.SUs, b.SUs)
	}
	s.Staged = nil
	for _, su := range units {
		inventory, err := bodies.Inventory(su.Inventory)
		if err != nil {
			return fmt.Errorf("inventory of %s: %w", su.SU, err)
		}
		if _, err := s.Site.AddSU(inventory, su.Inventory); err != nil {
			return err
		}
	}
	s.growNodes(s.Site.Nodes())
	return nil
}

// RescheduleHall moves the in-service date of a hall that is not in service
// yet.
type RescheduleHall struct {
	Hall      string
	InService time.Time
	Reason    string
}

func (c RescheduleHall) decide(s *State, env Env) (*Decision, error) {
	h, err := s.hall(c.Hall)
	if err != nil {
		return nil, err
	}
	was := s.Site.Halls[h].InService
	if !was.After(env.Now) {
		return nil, refuse("hall", "%s has been in service since %s", c.Hall, was.Format(time.DateOnly))
	}
	if c.InService.Equal(was) {
		return nil, ErrNothing
	}
	d := &Decision{}
	d.add(SiteScope, site.KindRescheduled, site.Rescheduled{Hall: c.Hall, Was: was, InService: c.InService, Reason: c.Reason})
	s.noteSlip(d, h, c.InService, c.Reason)
	return d, nil
}

func (s *State) hall(id string) (int, error) {
	if s.Site == nil {
		return 0, refuse("hall", "no site has been imported yet, so there is no hall %q", id)
	}
	if h, ok := s.Site.HallByID(id); ok {
		return h, nil
	}
	ids := make([]string, len(s.Site.Halls))
	for i, h := range s.Site.Halls {
		ids[i] = h.ID
	}
	return 0, refuse("hall", "the site has no hall %q: expected one of %v", id, ids)
}

func (s *State) applyRescheduled(e *ledger.Entry, b site.Rescheduled, _ Bodies) error {
	if _, err := s.hall(b.Hall); err != nil {
		return err
	}
	return s.Site.SetHallInService(b.Hall, b.InService)
}
