package check

import (
	"fmt"

	"bulkhead/lease"
	"bulkhead/place"
	"bulkhead/site"
)

// classOf refuses an ask that no site of this kind can be asked, and returns the
// number of its fabric.
func classOf(s *site.Site, a place.Ask) (fabric int, err error) {
	if a.Nodes < 1 || a.Nodes > site.MaxNodes {
		return 0, fmt.Errorf("ask: %d nodes, expected 1 to %d", a.Nodes, site.MaxNodes)
	}
	if a.Links != lease.Shared && a.Links != lease.Hermetic {
		return 0, fmt.Errorf("ask: links %.20q, expected %q or %q", string(a.Links), lease.Shared, lease.Hermetic)
	}
	if a.WholeRacks && a.Links != lease.Shared {
		return 0, fmt.Errorf("ask: whole racks with hermetic links, expected shared links")
	}
	if a.Segment != 0 && (a.Segment < 0 || a.Segment > s.RackNodes || a.Nodes%a.Segment != 0 || a.WholeRacks || a.Links != lease.Shared || !s.NVLinkRacks(a.Kind)) {
		return 0, fmt.Errorf("ask: segments of %d nodes, expected a part of %d nodes and of a rack of %d that is one NVLink domain, with shared links and no whole racks", a.Segment, a.Nodes, s.RackNodes)
	}
	number, known := s.FabricByID(a.Fabric)
	if !known || s.Fabrics[number].Frontend {
		return 0, fmt.Errorf("ask: fabric %.40q, expected a compute fabric of the site", a.Fabric)
	}
	for i := range s.SUs {
		if s.SUs[i].Kind == a.Kind {
			return number, nil
		}
	}
	return 0, fmt.Errorf("ask: GPU kind %.40q, expected one that the site has", a.Kind)
}

// forSale says that a node may be sold at all, to anybody.
func forSale(s *site.Site, n site.Index) bool { return !s.IsSpare(n) && !s.IsRetired(n) }

// wholeRacksOf counts, rack by rack, what may be sold and what of it is free, and
// returns the nodes of the racks of a class where both are the same.
func wholeRacksOf(s *site.Site, free *site.Set, fabric int, kind string) *site.Set {
	selling, open := make([]int, s.Racks()), make([]int, s.Racks())
	for n := range site.Index(s.Nodes()) {
		if !forSale(s, n) || s.KindOf(n) != kind || s.ComputeFabric(n) != fabric {
			continue
		}
		selling[s.RackOf(n)]++
		if free.Has(n) {
			open[s.RackOf(n)]++
		}
	}
	out := site.NewSet(s.Nodes())
	for n := range site.Index(s.Nodes()) {
		if rack := s.RackOf(n); forSale(s, n) && selling[rack] > 0 && selling[rack] == open[rack] {
			out.Add(n)
		}
	}
	return out
}
