package check

import (
	"fmt"

	"bulkhead/lease"
	"bulkhead/place"
	"bulkhead/site"
)

// Among verifies a slice and its placement certificate against the site and the
// free nodes: it counts nodes and compares.
//
// It verifies that every node is in the site and free, once, of the asked class,
// no spare, in rank order; their number; the cost, counted again; the bound of
// each level by itself; the harm, and how near it is to nodes that it names; the collective bounds; both digests; the words of the
// proof. That the cost is the optimum follows from this only on levels whose gap
// is zero. On the others it is the solver's word, and the proof must say so.
//
// Errors name the field or node, what was expected and what was found; see
// [place.ErrOccupancy] for the one that only means "too late".
// Cost: O(nodes), about 1.5 ms at 50,000; it allocates O(domains), 0.3 MB.
//
// Of a hermetic slice it verifies the link assignment as well, by colouring (see
// [Route]); here as if every node that is not free were another lease's and no
// link were held or failed. [On] knows better.
func Among(s *site.Site, free *site.Set, sl place.Slice) error {
	if sl.Certificate.Ask.Links != lease.Hermetic {
		return check(s, free, nil, sl)
	}
	held := site.NewSet(s.Nodes())
	for n := range site.Index(s.Nodes()) {
		if !free.Has(n) && forSale(s, n) {
			held.Add(n)
		}
	}
	o := place.NewOccupancy(s)
	o.Take(held)
	return check(s, free, o, sl)
}

// On verifies a slice against what is free on an occupancy, see [Among].
func On(o *place.Occupancy, sl place.Slice) error {
	if sl.Certificate.Ask.Links == lease.Hermetic {
		return check(o.Site(), o.Untaken(), o, sl)
	}
	return check(o.Site(), o.Free(), o, sl)
}

// check needs o for hermetic slices only.
func check(s *site.Site, free *site.Set, o *place.Occupancy, sl place.Slice) error {
	c := &sl.Certificate
	if c.Version != place.CertificateVersion {
		return fmt.Errorf("placement certificate: version %d, expected %d", c.Version, place.CertificateVersion)
	}
	fabric, err := classOf(s, c.Ask)
	if err != nil {
		return fmt.Errorf("placement certificate: %w", err)
	}
	all := free
	if c.Ask.WholeRacks {
		free = wholeRacksOf(s, free, fabric, c.Ask.Kind)
	}
	if c.Ask.Segment > 0 {
		if err := Segments(s, sl.Nodes, c.Ask.Segment); err != nil {
			return err
		}
		free = segmentsOf(s, free, fabric, c.Ask.Kind, c.Ask.Segment)
	}
	if err := checkNodes(s, free, fabric, &sl); err != nil {
		return err
	}
	if c.Ask.WholeRacks {
		if err := Racks(s, sl.Nodes); err != nil {
			return err
		}
	}
	if got := place.SliceDigest(sl.Nodes); got != c.Slice {
		return fmt.Errorf("placement certificate: slice %s, expected %s, of the nodes in their order", c.Slice, got)
	}
	if got := place.OccupancyDigest(s, free, fabric, c.Ask.Kind); got != c.Occupancy {
		return fmt.Errorf("placement certificate: occupancy %s, expected %s: %w", c.Occupancy, got, place.ErrOccupancy)
	}
	census := takeCensus(s, free, fabric, c.Ask.Kind)
	slice, cost := census.of(s, sl.Nodes)
	bound := census.bound(c.Ask.Nodes)
	for _, row := range [...]struct {
		field      string
		got, value place.Cost
	}{
		{"cost", c.Cost, cost},
		{"bound", c.Bound, bound},
		{"optimum", c.Optimum, cost},
		{"gap", c.Gap, cost.Sub(bound)},
	} {
		if row.got != row.value {
			return fmt.Errorf("placement certificate: %s %s, expected %s (halls/pods/SUs/racks)", row.field, row.got, row.value)
		}
	}
	if c.Gap.Halls != 0 && c.Ask.Links == lease.Shared && !c.Ask.WholeRacks && c.Ask.Segment == 0 {
		return fmt.Errorf("placement certificate: cost %s: %d halls would do, and halls come first: not the optimum", c.Cost, bound.Halls)
	}
	if err := unproven(c); err != nil {
		return err
	}
	whole := census
	if c.Ask.Segment > 0 { // harm is to what was free, not to what was offered of it
		whole = takeCensus(s, all, fabric, c.Ask.Kind)
	}
	if err := whole.harm(s, o, &sl); err != nil {
		return err
	}
	if err := census.nearness(s, &sl); err != nil {
		return err
	}
	if c.Free != census.free {
		return fmt.Errorf("placement certificate: free %d, expected %d", c.Free, census.free)
	}
	allReduce, allToAll := boundsOf(s.Shape, s.RailsOf(sl.Nodes[0]), slice, census.ideal(c.Ask.Nodes))
	if c.AllReduce != allReduce {
		return fmt.Errorf("placement certificate: all_reduce %+v, expected %+v", c.AllReduce, allReduce)
	}
	if c.AllToAll != allToAll {
		return fmt.Errorf("placement certificate: all_to_all %+v, expected %+v", c.AllToAll, allToAll)
	}
	if c.Ask.Links == lease.Hermetic {
		if err := checkLinks(o, &sl); err != nil {
			return err
		}
	} else if c.Links != nil || c.Cut {
		return fmt.Errorf("placement certificate: links: a slice with shared links holds none, and its search is not ended, but it says otherwise")
	}
	if want := c.Words(); c.Proof != want {
		return fmt.Errorf("placement certificate: proof %.80q, expected %.80q: it must say what is checked and what is not", c.Proof, want)
	}
	return nil
}

// unproven checks what is said of a slice whose search was ended: that the best may
// cost less than it, and no less than each level's bound. A certificate that says more
// of the best than that claims an optimum, and must not call itself cut.
func unproven(c *place.Certificate) error {
	switch least := c.Least; {
	case least == nil:
		return nil
	case !c.Cut:
		return fmt.Errorf("placement certificate: least %s, expected none: the search was not ended", least)
	case !least.Less(c.Cost):
		return fmt.Errorf("placement certificate: least %s, expected less than the cost %s: else it is the optimum, and not cut", least, c.Cost)
	case least.Halls < c.Bound.Halls, least.Pods < c.Bound.Pods, least.SUs < c.Bound.SUs, least.Racks < c.Bound.Racks, least.Moves != 0:
		return fmt.Errorf("placement certificate: least %s, expected no level below the bound %s", least, c.Bound)
	}
	return nil
}

func checkNodes(s *site.Site, free *site.Set, fabric int, sl *place.Slice) error {
	ask := sl.Certificate.Ask
	if len(sl.Nodes) != ask.Nodes {
		return fmt.Errorf("slice: %d nodes, expected the %d asked", len(sl.Nodes), ask.Nodes)
	}
	// hall, pod, SU, position, as one number, ascends strictly: rank order,
	// and no node twice.
	last := [4]int{-1}
	for i, n := range sl.Nodes {
		if int(n) >= s.Nodes() {
			return fmt.Errorf("slice: rank %d: node %d, expected below %d", i, n, s.Nodes())
		}
		su := s.SUOf(n)
		pod := s.SUs[su].Pod
		switch {
		case s.SUs[su].Kind != ask.Kind:
			return fmt.Errorf("slice: rank %d: node %s is of kind %s, expected %s", i, s.NodeID[n], s.SUs[su].Kind, ask.Kind)
		case s.Pods[pod].Fabric != fabric:
			return fmt.Errorf("slice: rank %d: node %s is on fabric %s, expected %s", i, s.NodeID[n], s.Fabrics[s.Pods[pod].Fabric].ID, ask.Fabric)
		case s.IsSpare(n):
			return fmt.Errorf("slice: rank %d: node %s is a spare, which is never sold", i, s.NodeID[n])
		case s.IsRetired(n):
			return fmt.Errorf("slice: rank %d: node %s is retired", i, s.NodeID[n])
		case !free.Has(n):
			return fmt.Errorf("slice: rank %d: node %s is not free: %w", i, s.NodeID[n], place.ErrOccupancy)
		}
		at := [4]int{s.Pods[pod].Hall, pod, su, int(s.NodePos[n])}
		for level := range at {
			if at[level] > last[level] {
				break
			}
			if at[level] < last[level] || level == 3 {
				return fmt.Errorf("slice: rank %d: node %s does not follow the one before it by hall, pod, SU and position, or is there twice", i, s.NodeID[n])
			}
		}
		last = at
	}
	return nil
}
