package book

import (
	"fmt"

	"bulkhead/contract"
	"bulkhead/lease"
	"bulkhead/place/check"
	"bulkhead/site"
)

// wholeRacks reports whether a tranche has whole racks only: where those of its
// kind are one NVLink domain each, unless it lets them be split. nil: no tranche
// says so.
func wholeRacks(s *site.Site, kind string, t *contract.Tranche) bool {
	return s.NVLinkRacks(kind) && (t == nil || !t.SplitRacks)
}

// hasWholeRacks is wholeRacks of a lease.
func (s *State) hasWholeRacks(l *Lease) bool {
	if s.Site == nil || !s.Site.NVLinkRacks(l.Kind) {
		return false
	}
	k, ok := s.Contracts[l.Contract]
	return !ok || wholeRacks(s.Site, l.Kind, k.Current().TrancheByID(l.Tranche))
}

func hermeticRacks(tranche string) error {
	return refuse("tranche "+tranche, "whole racks with hermetic links are not offered: let racks be split (split_racks), or share links")
}

// checkRacks refuses a placement of a tranche that has whole racks only where it
// was not asked for so, or where what the tranche itself gets splits one.
func (s *State) checkRacks(t *contract.Tranche, p *TrancheSlice) error {
	whole := wholeRacks(s.Site, t.Kind, t)
	if whole && linksOf(t) == lease.Hermetic {
		return hermeticRacks(t.ID)
	}
	if p.Slice.Certificate.Ask.WholeRacks != whole {
		return refuse("tranche "+t.ID, "the placement answers another ask: whole racks %v, expected %v", !whole, whole)
	}
	if !whole {
		return nil
	}
	if err := check.Racks(s.Site, p.own()); err != nil {
		return fmt.Errorf("tranche %s: placement: %w", t.ID, err)
	}
	return nil
}

// spans is the fabrics that a lease of a kind spans, of which one is its compute fabric.
func (s *State) spans(fabric, kind string) []site.Span {
	i, ok := s.Site.FabricByID(fabric)
	if !ok {
		return nil
	}
	return s.Site.Spans(i, s.Site.NodeGPUs(kind))
}
