package check

import (
	"fmt"
	"slices"

	"bulkhead/lease"
	"bulkhead/place"
	"bulkhead/site"
)

// harmBound reckons again what hermetic slices of a cost do at least. Where the slice
// takes whole SUs, all but one of its SUs are such that nobody else has a node of them.
func (c *census) harmBound(s *site.Site, o *place.Occupancy, cert *place.Certificate) error {
	if cert.HarmBound == nil {
		return nil
	}
	if cert.Ask.Links != lease.Hermetic || cert.Harm == nil {
		return fmt.Errorf("placement certificate: harm_bound %s, expected none: it is stated of hermetic slices that state their harm", cert.HarmBound)
	}
	whole := cert.Links != nil && cert.Links.Whole
	ours := make([]int, len(c.sus)) // free nodes of SUs that a slice may have whole, or of all
	part := make([]int, len(c.sus)) // free nodes of the others
	for su, nodes := range c.sus {
		if whole && slices.ContainsFunc(s.SUs[su].Nodes, o.Taken.Has) {
			part[su] = nodes
		} else {
			ours[su] = nodes
		}
	}
	// What a domain gives is what all of its SUs give that may be whole, and one of the others.
	gives := func(domains int, of func(su int) int) []int {
		sum, one := make([]int, domains), make([]int, domains)
		for su := range c.sus {
			d := of(su)
			sum[d] += ours[su]
			one[d] = max(one[d], part[su])
		}
		for d := range sum {
			sum[d] += one[d]
		}
		return sum
	}
	want := cert.Ask.Nodes
	is := func(free, all []int) func(int) bool { return func(i int) bool { return free[i] == all[i] } }
	least := place.Harm{
		Halls: fewestOf(gives(len(c.halls), func(su int) int { return s.Pods[s.SUs[su].Pod].Hall }), is(c.halls, c.emptyHalls), cert.Cost.Halls, want),
		Pods:  fewestOf(gives(len(c.pods), func(su int) int { return s.SUs[su].Pod }), is(c.pods, c.emptyPods), cert.Cost.Pods, want),
		SUs:   fewestOf(ours, is(c.sus, c.emptySUs), cert.Cost.SUs, want),
		Racks: fewestOf(c.racks, is(c.racks, c.emptyRacks), cert.Cost.Racks, want),
	}
	// Or one of them is the largest of the SUs that it has a part of, be that whole or not.
	largest := [2]int{}
	for su, nodes := range part {
		kind := 0
		if c.sus[su] == c.emptySUs[su] {
			kind = 1
		}
		largest[kind] = max(largest[kind], nodes)
	}
	for kind, nodes := range largest {
		if nodes > 0 {
			least.SUs = min(least.SUs, kind+fewestOf(ours, is(c.sus, c.emptySUs), cert.Cost.SUs-1, want-nodes))
		}
	}
	if least != *cert.HarmBound {
		return fmt.Errorf("placement certificate: harm_bound %s, expected %s (of as many halls/pods/SUs/racks as it costs, the fewest that were whole)", cert.HarmBound, least)
	}
	return nil
}

// nearness counts again how much of a slice is far from the SUs that it should be near,
// and what slices of its cost are at least. Whose nodes these are is for the book to say.
func (c *census) nearness(s *site.Site, sl *place.Slice) error {
	n := sl.Certificate.Nearness
	if n == nil {
		return nil
	}
	halls, pods, sus := make([]bool, len(s.Halls)), make([]bool, len(s.Pods)), make([]bool, len(s.SUs)) // near ones
	last := -1
	for _, su := range n.Others {
		if su <= last || su >= len(s.SUs) {
			return fmt.Errorf("placement certificate: nearness: others: SU number %d after %d, expected ascending numbers below %d", su, last, len(s.SUs))
		}
		last = su
		halls[s.Pods[s.SUs[su].Pod].Hall], pods[s.SUs[su].Pod], sus[su] = true, true, true
	}
	if last < 0 {
		return fmt.Errorf("placement certificate: nearness: others: none, expected the SUs of the contract's other tranches")
	}
	var far place.Far
	seen := [3]map[int]bool{{}, {}, {}}
	for _, node := range sl.Nodes {
		seen[0][s.HallOf(node)], seen[1][s.PodOf(node)], seen[2][s.SUOf(node)] = true, true, true
	}
	for level, near := range [][]bool{halls, pods, sus} {
		for d := range seen[level] {
			if !near[d] {
				*[]*int{&far.Halls, &far.Pods, &far.SUs}[level]++
			}
		}
	}
	if far != n.Far {
		return fmt.Errorf("placement certificate: nearness: far %s, expected %s of the slice without a node of the SUs that it names", n.Far, far)
	}
	not := func(near []bool) func(int) bool { return func(i int) bool { return !near[i] } }
	cost, want := sl.Certificate.Cost, len(sl.Nodes)
	bound := place.Far{Halls: fewestOf(c.halls, not(halls), cost.Halls, want), Pods: fewestOf(c.pods, not(pods), cost.Pods, want), SUs: fewestOf(c.sus, not(sus), cost.SUs, want)}
	if bound != n.Bound {
		return fmt.Errorf("placement certificate: nearness: bound %s, expected %s, at this cost", n.Bound, bound)
	}
	return nil
}

// fewestOf is how many domains of a kind must be among so many that have want nodes
// together. It takes the largest of the others, and exchanges one after the other for the
// largest of that kind.
func fewestOf(sizes []int, ofKind func(int) bool, domains, want int) int {
	var kind, others []int
	for i, n := range sizes {
		switch {
		case n == 0:
		case ofKind(i):
			kind = append(kind, n)
		default:
			others = append(others, n)
		}
	}
	slices.Sort(kind)
	slices.Sort(others)
	top := func(sizes []int, n int) (sum int) {
		for _, size := range sizes[len(sizes)-n:] {
			sum += size
		}
		return sum
	}
	few := max(0, domains-len(others))
	if few > len(kind) {
		return len(kind) + 1 // there are not so many domains
	}
	sum := top(kind, few) + top(others, domains-few)
	for ; sum < want; few++ {
		if few == len(kind) || few == domains {
			return len(kind) + 1
		}
		sum += kind[len(kind)-1-few] - others[len(others)-domains+few]
	}
	return few
}
