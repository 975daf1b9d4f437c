package check

import (
	"fmt"

	"bulkhead/site"
)

// Segments verifies that a slice has as many nodes of every rack that it touches as a
// segment has.
func Segments(s *site.Site, nodes []site.Index, segment int) error {
	racks := map[int]int{}
	for _, n := range nodes {
		if int(n) >= s.Nodes() {
			return fmt.Errorf("slice: node %d, expected below %d", n, s.Nodes())
		}
		racks[s.RackOf(n)]++
	}
	for _, n := range nodes {
		if rack := s.RackOf(n); racks[rack] != segment {
			return fmt.Errorf("slice: %d nodes in rack %s, expected the %d of a segment", racks[rack], s.RackID(rack), segment)
		}
	}
	return nil
}

// segmentsOf counts, rack by rack, what of a class is free and may be sold, and returns
// the first nodes of each rack that has enough for a segment, as many as one has.
func segmentsOf(s *site.Site, free *site.Set, fabric int, kind string, segment int) *site.Set {
	open := make([][]site.Index, s.Racks())
	for n := range site.Index(s.Nodes()) {
		if free.Has(n) && forSale(s, n) && s.KindOf(n) == kind && s.ComputeFabric(n) == fabric {
			open[s.RackOf(n)] = append(open[s.RackOf(n)], n)
		}
	}
	out := site.NewSet(s.Nodes())
	for _, nodes := range open {
		for i := 0; i < segment && len(nodes) >= segment; i++ {
			out.Add(nodes[i])
		}
	}
	return out
}
