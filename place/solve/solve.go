package solve

import (
	"fmt"
	"slices"

	"bulkhead/lease"
	"bulkhead/place"
	"bulkhead/site"
)

// On answers an ask on what is free, shared or hermetic, see [Among]. It changes
// nothing.
func On(o *place.Occupancy, ask place.Ask) (place.Slice, error) { return OnNear(o, ask, nil) }

// OnNear is [On] for who has nodes already, see [Near].
func OnNear(o *place.Occupancy, ask place.Ask, near *site.Set) (place.Slice, error) {
	if ask.Links != lease.Hermetic {
		return Near(o.Site(), o.Free(), ask, near)
	}
	return solveHermetic(o, ask, near, true)
}

// Try is On for callers who ask for many: a refusal of hermetic links does not
// look for the sizes that would fit.
func Try(o *place.Occupancy, ask place.Ask) (place.Slice, error) {
	if ask.Links != lease.Hermetic {
		return On(o, ask)
	}
	return solveHermetic(o, ask, nil, false)
}

// Among returns the best slice for an ask: fewest halls, then pods, then SUs,
// then racks, among all slices of that size over the free nodes of the class. Of
// those that cost the same it takes one that does the least [place.Harm].
// Spares and retired nodes are never taken, whatever free says. Ties are broken
// by shape and index; the same arguments give the same slice.
//
// The cost of a slice depends only on the racks that it touches, and a set of
// racks will do exactly if it has enough free nodes. So the question is which
// racks cover the ask at the least cost: in an SU the r fullest ones; in a pod
// a knapsack over its SUs; in a hall over its pods; at the top over the halls.
//
// An ask for hermetic links is solved as if every node that is not free were
// another lease's, and no link held or failed; [On] knows better.
//
// An ask for whole racks is solved over the racks that are free and whole, to the
// node: a *[place.NoRacksError] names the nearest sizes where no racks make up the ask.
//
// An ask in segments is solved over the racks in which one fits; a *[place.NoSegmentsError]
// says how many there are, and what is free in each.
//
// It refuses with a *[place.NoFitError] when too few nodes are free, and with a
// *[place.NoSliceError] when they are enough, but hermetic links can't be had.
// Cost: 20 to 30 ms and 5 MB at 50,000 nodes of which half are taken at random,
// the hardest case known; 5 ms where leases took them. See BenchmarkSolveHalf.
func Among(s *site.Site, free *site.Set, ask place.Ask) (place.Slice, error) {
	return Near(s, free, ask, nil)
}

// Near is [Among] for who has nodes already: of slices that are as good and do as
// little harm it takes the one that touches the fewest halls, then pods, then SUs that
// have none of them. The certificate says how near that is, where near has any nodes.
func Near(s *site.Site, free *site.Set, ask place.Ask, near *site.Set) (place.Slice, error) {
	if ask.Links == lease.Hermetic {
		return solveHermetic(takenBut(s, free), ask, near, true)
	}
	fabric, err := fabricOf(ask, s)
	if err != nil {
		return place.Slice{}, err
	}
	search, all := solve, free
	if ask.WholeRacks {
		free, search = inWholeRacks(s, free, fabric, ask.Kind), solveWhole
	}
	if ask.Segment > 0 {
		free = inSegments(s, all, fabric, ask.Kind, ask.Segment, s.RackNodes, nil)
		if free.Len() < ask.Nodes {
			return place.Slice{}, noSegments(s, all, fabric, ask)
		}
		search = func(offered *tree, _ int) ([]site.Index, place.Cost, weighed, error) {
			nodes, cost, err := solveSegments(s, all, fabric, ask, offered, near)
			return nodes, cost, weighed{}, err // it goes to the racks with the fewest free
		}
	}
	t := newTree(s, free, fabric, ask.Kind, near)
	if ask.WholeRacks {
		if err := t.makeUp(ask); err != nil {
			return place.Slice{}, err
		}
	}
	if t.nodes < ask.Nodes {
		return place.Slice{}, &place.NoFitError{Ask: ask, Have: t.nodes, Short: ask.Nodes - t.nodes,
			Elsewhere: stock(s, free, site.Class{Fabric: ask.Fabric, Kind: ask.Kind})}
	}
	nodes, optimum, was, err := search(t, ask.Nodes)
	if err != nil {
		return place.Slice{}, err
	}
	place.RankOrder(s, nodes)
	cert := place.Certificate{
		Version: place.CertificateVersion, Ask: ask, Optimum: optimum, Free: t.nodes, Bound: t.bound(ask.Nodes),
		Slice: place.SliceDigest(nodes), Occupancy: place.OccupancyDigest(s, free, fabric, ask.Kind),
	}
	cert.Cost = place.CostOf(s, nodes)
	if cert.Cost != optimum {
		return place.Slice{}, fmt.Errorf("place: internal error: the slice costs %s, the optimum is %s; please report it with the site and the ask", cert.Cost, optimum)
	}
	cert.Gap = optimum.Sub(cert.Bound)
	if was.harm {
		cert.Harm = t.harm(nodes)
	}
	if ask.Segment > 0 { // of all that is free, not of what is offered
		cert.Harm = newTree(s, all, fabric, ask.Kind, nil).harm(nodes)
	}
	cert.Nearness = t.nearness(nodes, cert.Cost, near, was.near)
	cert.AllReduce, cert.AllToAll = place.Collectives(s, nodes)
	cert.Proof = cert.Words()
	return place.Slice{Nodes: nodes, Certificate: cert}, nil
}

// bound returns the fewest domains of each level that hold want nodes.
func (t *tree) bound(want int) place.Cost {
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
	b := place.Cost{Halls: least(halls), Pods: least(pods), SUs: least(sus)}
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

// takenBut is an occupancy in which every node that is not free is held, and no link.
func takenBut(s *site.Site, free *site.Set) *place.Occupancy {
	held := site.NewSet(s.Nodes())
	for n := range site.Index(s.Nodes()) {
		if !free.Has(n) && sellable(s, n) {
			held.Add(n)
		}
	}
	o := place.NewOccupancy(s)
	o.Take(held)
	return o
}
