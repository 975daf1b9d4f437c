package book

import (
	"fmt"
	"time"

	"bulkhead/fabric"
	"bulkhead/lease"
	"bulkhead/ledger"
	"bulkhead/site"
)

// ImportSite adds scalable units to the site. A large site is imported in
// several commands with the same header; dense indexes follow this order.
type ImportSite struct {
	Header     site.Header
	HeaderBody []byte // canonical encoding of Header
	SUs        []ImportedUnit
}

// ImportedUnit is one scalable unit with its canonical encoding.
type ImportedUnit struct {
	Inventory *site.SUInventory
	Body      []byte
}

func (c ImportSite) decide(s *State, env Env) (*Decision, error) {
	if len(c.SUs) == 0 {
		return nil, ErrNothing
	}
	if s.Site != nil && s.Site.Name != c.Header.Name {
		return nil, refuse("site", "this ledger is of site %q, and %q is another: use a ledger of its own", s.Site.Name, c.Header.Name)
	}
	known := map[string]bool{}
	if s.Site != nil {
		for i := range s.Site.SUs {
			known[s.Site.SUs[i].ID] = true
		}
	}
	d := &Decision{}
	entry := site.Imported{Header: d.body(c.HeaderBody)}
	for _, su := range c.SUs {
		if known[su.Inventory.SU] {
			return nil, refuse("site.su", "scalable unit %s was imported before: an import adds, it never renumbers", su.Inventory.SU)
		}
		known[su.Inventory.SU] = true
		entry.SUs = append(entry.SUs, site.ImportedSU{SU: su.Inventory.SU, Inventory: d.body(su.Body), Nodes: len(su.Inventory.Nodes)})
	}
	d.add(SiteScope, site.KindImported, entry)
	return d, nil
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
	}
	for _, su := range b.SUs {
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
	for _, l := range s.Leases {
		if late := s.slotsInHall(l, h); late != "" && c.InService.After(l.Begin) {
			d.add(TenantScope(l.Tenant), lease.KindLate, s.lateNote(l, late, c.InService, c.Reason))
		}
	}
	return d, nil
}

func (s *State) hall(id string) (int, error) {
	if s.Site != nil {
		if h, ok := s.Site.HallByID(id); ok {
			return h, nil
		}
	}
	return 0, refuse("hall", "the site has no hall %q", id)
}

func (s *State) applyRescheduled(e *ledger.Entry, b site.Rescheduled, _ Bodies) error {
	if _, err := s.hall(b.Hall); err != nil {
		return err
	}
	return s.Site.SetHallInService(b.Hall, b.InService)
}
