package place

import (
	"fmt"
	"slices"

	"bulkhead/lease"
	"bulkhead/site"
)

// Solve returns the best slice for an ask: fewest halls, then pods, then SUs,
// then racks, among all slices of that size over the free nodes of the class.
// Spares and retired nodes are never taken, whatever free says. Ties are broken
// by shape and index; the same arguments give the same slice.
//
// The cost of a slice depends only on the racks that it touches, and a set of
// racks will do exactly if it has enough free nodes. So the question is which
// racks cover the ask at the least cost: in an SU the r fullest ones; in a pod
// a knapsack over its SUs; in a hall over its pods; at the top over the halls.
//
// An ask for hermetic links is solved as if every node that is not free were
// another lease's, and no link held or failed; [Occupancy.Solve] knows better.
//
// An ask for whole racks is solved over the racks that are free and whole, to the
// node: a *[NoRacksError] names the nearest sizes where no racks make up the ask.
//
// An ask in segments is solved over the racks in which one fits; a *[NoSegmentsError] says
// how many there are, and what is free in each.
//
// It refuses with a *[NoFitError] when too few nodes are free, and with a
// *[NoSliceError] when they are enough, but hermetic links can't be had.
// Cost: 20 to 30 ms and 5 MB at 50,000 nodes of which half are taken at random,
// the hardest case known; 5 ms where leases took them. See BenchmarkSolveHalf.
func Solve(s *site.Site, free *site.Set, ask Ask) (Slice, error) {
	if ask.Links == lease.Hermetic {
		return solveHermetic(strict(s, free), ask, true)
	}
	fabric, err := ask.check(s)
	if err != nil {
		return Slice{}, err
	}
	search := solve
	if ask.WholeRacks {
		free, search = inWholeRacks(s, free, fabric, ask.Kind), solveWhole
	}
	if all := free; ask.Segment > 0 {
		free = inSegments(s, all, fabric, ask.Kind, ask.Segment, s.RackNodes, nil)
		if free.Len() < ask.Nodes {
			return Slice{}, noSegments(s, all, fabric, ask)
		}
		search = func(offered *tree, _ int) ([]site.Index, Cost, error) {
			return solveSegments(s, all, fabric, ask, offered)
		}
	}
	t := newTree(s, free, fabric, ask.Kind)
	if ask.WholeRacks {
		if err := t.makeUp(ask); err != nil {
			return Slice{}, err
		}
	}
	if t.nodes < ask.Nodes {
		return Slice{}, &NoFitError{Ask: ask, Have: t.nodes, Short: ask.Nodes - t.nodes,
			Elsewhere: stock(s, free, site.Class{Fabric: ask.Fabric, Kind: ask.Kind})}
	}
	nodes, optimum, err := search(t, ask.Nodes)
	if err != nil {
		return Slice{}, err
	}
	RankOrder(s, nodes)
	cert := Certificate{
		Version: CertificateVersion, Ask: ask, Optimum: optimum, Free: t.nodes, Bound: t.bound(ask.Nodes),
		Slice: SliceDigest(nodes), Occupancy: OccupancyDigest(s, free, fabric, ask.Kind),
	}
	var slice spread
	cert.Cost, slice = recount(s, nodes)
	if cert.Cost != optimum {
		return Slice{}, fmt.Errorf("place: internal error: the slice costs %s, the optimum is %s; please report it with the site and the ask", cert.Cost, optimum)
	}
	cert.Gap = optimum.Sub(cert.Bound)
	cert.AllReduce, cert.AllToAll = collectives(s.Shape, s.RailsOf(nodes[0]), slice, ideal(ask.Nodes, t.emptySUs, t.emptyPods))
	cert.Proof = proof(cert.Gap, ask, false)
	return Slice{Nodes: nodes, Certificate: cert}, nil
}

// bound returns the fewest domains of each level that hold want nodes.
func (t *tree) bound(want int) Cost {
	var halls, pods, sus []int
	var racks [site.MaxSUNodes + 1]int // by free nodes
	for i := range t.halls {
		h := &t.halls[i]
		halls = append(halls, h.nodes)
		for j := range h.pods {
			pods = append(pods, h.pods[j].nodes)
			for _, su := range h.pods[j].sus {
				sus = append(sus, su.nodes)
				for _, n := range t.shapes[su.shape].racks {
					racks[n]++
				}
			}
		}
	}
	least := func(sizes []int) int {
		slices.Sort(sizes)
		sum, n := 0, 0
		for sum < want {
			n++
			sum += sizes[len(sizes)-n]
		}
		return n
	}
	b := Cost{Halls: least(halls), Pods: least(pods), SUs: least(sus)}
	for size, left := len(racks)-1, want; left > 0; size-- {
		if size == 0 {
			break
		}
		n := min(racks[size], (left+size-1)/size)
		b.Racks += n
		left -= n * size
	}
	return b
}

// recount counts the domains of nodes that are in rank order.
func recount(s *site.Site, nodes []site.Index) (Cost, spread) {
	var c Cost
	d := spread{nodes: len(nodes)}
	hall, pod, su, rack := -1, -1, -1, -1
	for _, n := range nodes {
		if r := s.RackOf(n); r != rack {
			rack = r
			c.Racks++
		}
		if u := s.SUOf(n); u != su {
			su = u
			c.SUs++
			d.sus = append(d.sus, 0)
			if p := s.SUs[u].Pod; p != pod {
				pod = p
				c.Pods++
				d.pods = append(d.pods, 0)
				if h := s.Pods[p].Hall; h != hall {
					hall = h
					c.Halls++
				}
			}
		}
		d.sus[len(d.sus)-1]++
		d.pods[len(d.pods)-1]++
	}
	return c, d
}
