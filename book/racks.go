package book

import (
	"fmt"

	"bulkhead/contract"
	"bulkhead/lease"
	"bulkhead/place"
	"bulkhead/place/check"
	"bulkhead/site"
)

// wholeRacks reports whether a tranche has whole racks only: where those of its
// kind are one NVLink domain each, unless it lets them be split or comes in segments of
// them. nil: no tranche says so.
func wholeRacks(s *site.Site, kind string, t *contract.Tranche) bool {
	return s.NVLinkRacks(kind) && (t == nil || !t.SplitRacks && t.SegmentGPUs == 0)
}

// staysInRacks reports whether the nodes of a lease stay in their racks, because it has
// these whole or in segments.
func (s *State) staysInRacks(l *Lease) bool {
	if s.Site == nil || !s.Site.NVLinkRacks(l.Kind) {
		return false
	}
	k, ok := s.Contracts[l.Contract]
	if !ok {
		return true
	}
	t := k.Current().TrancheByID(l.Tranche)
	return wholeRacks(s.Site, l.Kind, t) || t.SegmentGPUs > 0
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
	if err := checkSegments(s.Site, t); err != nil {
		return err
	}
	if got := p.Slice.Certificate.Ask.Segment; got != t.SegmentNodes() {
		return refuse("tranche "+t.ID, "the placement answers another ask: segments of %d nodes, expected %d", got, t.SegmentNodes())
	}
	if segment := t.SegmentNodes(); segment > 0 {
		if err := check.Segments(s.Site, p.own(), segment); err != nil {
			return fmt.Errorf("tranche %s: placement: %w", t.ID, err)
		}
	}
	if !whole {
		return nil
	}
	if err := check.Racks(s.Site, p.own()); err != nil {
		return fmt.Errorf("tranche %s: placement: %w", t.ID, err)
	}
	return nil
}

// checkSegments refuses segments of what has no NVLink domains, or of more than one has.
func checkSegments(s *site.Site, t *contract.Tranche) error {
	field := "tranche " + t.ID + ".segment_gpus"
	switch nodes := t.SegmentNodes(); {
	case nodes == 0:
	case !s.NVLinkRacks(t.Kind):
		return refuse(field, "a segment is in a rack that is one NVLink domain, and those of %s are none: leave it out", t.Kind)
	case nodes > s.RackNodes:
		return refuse(field, "a segment of %d nodes: a rack of %s has %d", nodes, t.Kind, s.RackNodes)
	case t.Slots()%nodes != 0:
		return refuse(field, "%d nodes are not whole segments of %d: ask for a multiple", t.Slots(), nodes)
	}
	return nil
}

// segmented says what a placement in segments comes to: the domains are the project's,
// also what it has no lease of.
func segmented(s *site.Site, segment int, nodes []site.Index) string {
	own, left := site.SetOf(nodes...), 0
	for n := range place.Domains(s, own).All() {
		if !own.Has(n) && !s.IsSpare(n) && !s.IsRetired(n) {
			left++
		}
	}
	text := fmt.Sprintf(", as %d segments of %d nodes, each in an NVLink domain of its own", len(nodes)/segment, segment)
	if len(nodes) == segment {
		text = fmt.Sprintf(", as one segment of %d nodes in one NVLink domain", segment)
	}
	if left > 0 {
		text += fmt.Sprintf("; the %d other nodes there are not in this lease, and while it lasts only this project can lease them", left)
	}
	return text
}

// spans is the fabrics that a lease of a kind spans, of which one is its compute fabric.
func (s *State) spans(fabric, kind string) []site.Span {
	i, ok := s.Site.FabricByID(fabric)
	if !ok {
		return nil
	}
	return s.Site.Spans(i, s.Site.NodeGPUs(kind))
}
