package place

import (
	"errors"
	"fmt"

	"bulkhead/lease"
	"bulkhead/site"
)

// ErrOccupancy is returned when a certificate was made for other free nodes
// than those given: something was leased, returned or failed since. Solve again.
var ErrOccupancy = errors.New("the free nodes are not those that the placement certificate was made for: solve again")

// Check verifies a slice and its placement certificate against the site and the
// free nodes. It shares no code with the solver: it counts nodes and compares.
//
// It verifies that every node is in the site and free, once, of the asked class,
// no spare, in rank order; their number; the cost, counted again; the bound of
// each level by itself; the collective bounds; both digests; the words of the
// proof. That the cost is the optimum follows from this only on levels whose gap
// is zero. On the others it is the solver's word, and the proof must say so.
//
// Errors name the field or node, what was expected and what was found; see
// [ErrOccupancy] for the one that only means "too late".
// Cost: O(nodes), about 1.5 ms at 50,000; it allocates O(domains), 0.3 MB.
//
// Of a hermetic slice it verifies the link assignment as well, by colouring (see
// [LinkSet.Route]); here as if every node that is not free were another lease's
// and no link were held or failed. [Occupancy.Check] knows better.
func Check(s *site.Site, free *site.Set, sl Slice) error {
	if sl.Certificate.Ask.Links == lease.Hermetic {
		return check(s, free, strict(s, free), sl)
	}
	return check(s, free, nil, sl)
}

// strict is an occupancy in which every node that is not free is held.
func strict(s *site.Site, free *site.Set) *Occupancy {
	o := NewOccupancy(s)
	for n := range site.Index(s.Nodes()) {
		if !free.Has(n) && sellable(s, n) {
			o.held.Add(n)
		}
	}
	return o
}

// check needs o for hermetic slices only.
func check(s *site.Site, free *site.Set, o *Occupancy, sl Slice) error {
	c := &sl.Certificate
	if c.Version != CertificateVersion {
		return fmt.Errorf("placement certificate: version %d, expected %d", c.Version, CertificateVersion)
	}
	fabric, err := c.Ask.check(s)
	if err != nil {
		return fmt.Errorf("placement certificate: %w", err)
	}
	if c.Ask.WholeRacks {
		free = inWholeRacks(s, free, fabric, c.Ask.Kind)
	}
	if c.Ask.Segment > 0 {
		if err := CheckSegments(s, sl.Nodes, c.Ask.Segment); err != nil {
			return err
		}
		free = inSegments(s, free, fabric, c.Ask.Kind, c.Ask.Segment, s.RackNodes, nil)
	}
	if err := checkNodes(s, free, fabric, &sl); err != nil {
		return err
	}
	if c.Ask.WholeRacks {
		if err := CheckRacks(s, sl.Nodes); err != nil {
			return err
		}
	}
	if got := SliceDigest(sl.Nodes); got != c.Slice {
		return fmt.Errorf("placement certificate: slice %s, expected %s, of the nodes in their order", c.Slice, got)
	}
	if got := OccupancyDigest(s, free, fabric, c.Ask.Kind); got != c.Occupancy {
		return fmt.Errorf("placement certificate: occupancy %s, expected %s: %w", c.Occupancy, got, ErrOccupancy)
	}
	census := takeCensus(s, free, fabric, c.Ask.Kind)
	slice, cost := census.of(s, sl.Nodes)
	bound := census.bound(c.Ask.Nodes)
	for _, row := range [...]struct {
		field      string
		got, value Cost
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
	if c.Free != census.free {
		return fmt.Errorf("placement certificate: free %d, expected %d", c.Free, census.free)
	}
	allReduce, allToAll := collectives(s.Shape, s.RailsOf(sl.Nodes[0]), slice, census.ideal(c.Ask.Nodes))
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
		return fmt.Errorf("placement certificate: links: a slice with shared links holds none, but some are named")
	}
	if want := proof(c.Gap, c.Ask, c.Cut); c.Proof != want {
		return fmt.Errorf("placement certificate: proof %.80q, expected %.80q: it must say what is checked and what is not", c.Proof, want)
	}
	return nil
}

func checkNodes(s *site.Site, free *site.Set, fabric int, sl *Slice) error {
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
			return fmt.Errorf("slice: rank %d: node %s is not free: %w", i, s.NodeID[n], ErrOccupancy)
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

// census counts the free and the sellable nodes of a class by domain.
type census struct {
	free                    int
	racks, sus, pods, halls []int // free nodes, by number
	emptySUs, emptyPods     []int // sellable nodes, free or not
}

func takeCensus(s *site.Site, free *site.Set, fabric int, kind string) *census {
	c := &census{
		racks: make([]int, s.Racks()), sus: make([]int, len(s.SUs)), pods: make([]int, len(s.Pods)), halls: make([]int, len(s.Halls)),
		emptySUs: make([]int, len(s.SUs)), emptyPods: make([]int, len(s.Pods)),
	}
	for n := range site.Index(s.Nodes()) {
		su := s.SUOf(n)
		pod := s.SUs[su].Pod
		if s.SUs[su].Kind != kind || s.Pods[pod].Fabric != fabric || s.IsSpare(n) || s.IsRetired(n) {
			continue
		}
		c.emptySUs[su]++
		c.emptyPods[pod]++
		if !free.Has(n) {
			continue
		}
		c.free++
		c.racks[s.RackOf(n)]++
		c.sus[su]++
		c.pods[pod]++
		c.halls[s.Pods[pod].Hall]++
	}
	return c
}

// bound returns the fewest domains of each level that hold want nodes.
func (c *census) bound(want int) Cost {
	return Cost{Halls: fewest(c.halls, want), Pods: fewest(c.pods, want), SUs: fewest(c.sus, want), Racks: fewest(c.racks, want)}
}

// fewest counts domains by size and takes the largest first.
func fewest(sizes []int, want int) int {
	largest := 0
	for _, n := range sizes {
		largest = max(largest, n)
	}
	domains := make([]int, largest+1)
	for _, n := range sizes {
		domains[n]++
	}
	taken := 0
	for size := largest; size > 0 && want > 0; size-- {
		for range domains[size] {
			if want <= 0 {
				break
			}
			want -= size
			taken++
		}
	}
	return taken
}

// of counts how a slice is spread. A domain counts when a node of it is there.
func (c *census) of(s *site.Site, nodes []site.Index) (spread, Cost) {
	racks, sus := make([]int, len(c.racks)), make([]int, len(c.sus))
	pods, halls := make([]int, len(c.pods)), make([]int, len(c.halls))
	for _, n := range nodes {
		racks[s.RackOf(n)]++
		sus[s.SUOf(n)]++
		pods[s.PodOf(n)]++
		halls[s.HallOf(n)]++
	}
	touched := func(domains []int) int {
		n := 0
		for _, inside := range domains {
			if inside > 0 {
				n++
			}
		}
		return n
	}
	return spread{nodes: len(nodes), sus: sus, pods: pods},
		Cost{Halls: touched(halls), Pods: touched(pods), SUs: touched(sus), Racks: touched(racks)}
}

// ideal spreads nodes over the empty site, the largest domains first.
func (c *census) ideal(nodes int) spread {
	return spread{nodes: nodes, sus: pour(nodes, c.emptySUs), pods: pour(nodes, c.emptyPods)}
}

func pour(nodes int, capacities []int) []int {
	largest := 0
	for _, n := range capacities {
		largest = max(largest, n)
	}
	domains := make([]int, largest+1)
	for _, n := range capacities {
		domains[n]++
	}
	var out []int
	for size := largest; size > 0; size-- {
		for i := 0; i < domains[size] && nodes > 0; i++ {
			out = append(out, min(size, nodes))
			nodes -= out[len(out)-1]
		}
	}
	return out
}
