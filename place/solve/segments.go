package solve

import (
	"slices"

	"bulkhead/place"
	"bulkhead/site"
)

// An ask in segments is for nodes in groups of one size, each in an NVLink domain of its
// own. It is an ask for whole racks over fewer nodes: of each rack in which a segment fits
// one segment's nodes are offered and no more, so that a set of them will do exactly if
// it has as many racks as there are segments.

// inSegments is what is offered of the racks of a class: of each in which so many nodes
// are free that a segment fits, and no more than most, the first ones. counts, where it
// is not nil, gets the free nodes of every rack that has any.
// Cost: O(nodes).
func inSegments(s *site.Site, free *site.Set, fabric int, kind string, segment, most int, counts *[]int) *site.Set {
	out := site.NewSet(s.Nodes())
	for number := range s.SUs {
		su := &s.SUs[number]
		if su.Kind != kind || s.Pods[su.Pod].Fabric != fabric {
			continue
		}
		for at := 0; at < len(su.Nodes); at += s.RackNodes {
			open := openOf(s, free, su.Nodes[at:min(at+s.RackNodes, len(su.Nodes))])
			if counts != nil && len(open) > 0 {
				*counts = append(*counts, len(open))
			}
			if len(open) < segment || len(open) > most {
				continue
			}
			for _, n := range open[:segment] {
				out.Add(n)
			}
		}
	}
	return out
}

func openOf(s *site.Site, free *site.Set, rack []site.Index) (open []site.Index) {
	for _, n := range rack {
		if free.Has(n) && sellable(s, n) {
			open = append(open, n)
		}
	}
	return open
}

// noSegments says why an ask in segments does not fit.
func noSegments(s *site.Site, free *site.Set, fabric int, ask place.Ask) error {
	e := &place.NoSegmentsError{Ask: ask}
	have := inSegments(s, free, fabric, ask.Kind, ask.Segment, s.RackNodes, &e.Free).Len()
	e.Have = have / ask.Segment
	slices.Sort(e.Free)
	slices.Reverse(e.Free)
	return e
}

// solveSegments returns the nodes of an optimal slice in segments, in no order, and its
// cost. Of slices of one cost it takes one whose emptiest rack has the fewest nodes free:
// what it breaks is broken already; of these one that is near. In each SU it takes the
// racks with the fewest.
// offered is the tree over all that is offered, which is enough.
// Cost: as solveWhole, log(nodes a rack) times.
func solveSegments(s *site.Site, free *site.Set, fabric int, ask place.Ask, offered *tree, near *site.Set) ([]site.Index, place.Cost, error) {
	best, cost, _, err := solveWhole(offered, ask.Nodes)
	if err != nil {
		return nil, place.Cost{}, err
	}
	low, high := ask.Segment, s.RackNodes
	for low < high {
		most := (low + high) / 2
		t := newTree(s, inSegments(s, free, fabric, ask.Kind, ask.Segment, most, nil), fabric, ask.Kind, near)
		if t.nodes >= ask.Nodes {
			nodes, c, _, err := solveWhole(t, ask.Nodes)
			if err != nil {
				return nil, place.Cost{}, err
			}
			if c == cost {
				best, high = nodes, most
				continue
			}
		}
		low = most + 1
	}
	return fullestRacks(s, free, ask.Segment, best), cost, nil
}

// fullestRacks takes, in each SU, as many racks as a slice in segments has there: those
// with the fewest free nodes in which one fits.
func fullestRacks(s *site.Site, free *site.Set, segment int, nodes []site.Index) (out []site.Index) {
	perSU := map[int]int{}
	for _, n := range nodes {
		perSU[s.SUOf(n)]++
	}
	for number := range s.SUs {
		all := s.SUs[number].Nodes
		var racks [][]site.Index
		for at := 0; at < len(all) && perSU[number] > 0; at += s.RackNodes {
			if open := openOf(s, free, all[at:min(at+s.RackNodes, len(all))]); len(open) >= segment {
				racks = append(racks, open)
			}
		}
		slices.SortStableFunc(racks, func(a, b []site.Index) int { return len(a) - len(b) })
		for _, open := range racks[:perSU[number]/segment] {
			out = append(out, open[:segment]...)
		}
	}
	return out
}
