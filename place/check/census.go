package check

import (
	"bulkhead/place"
	"bulkhead/site"
)

// census counts the free and the sellable nodes of a class by domain.
type census struct {
	free                    int
	racks, sus, pods, halls []int // free nodes, by number
	emptySUs, emptyPods     []int // sellable nodes, free or not
	emptyRacks, emptyHalls  []int
}

func takeCensus(s *site.Site, free *site.Set, fabric int, kind string) *census {
	c := &census{
		racks: make([]int, s.Racks()), sus: make([]int, len(s.SUs)), pods: make([]int, len(s.Pods)), halls: make([]int, len(s.Halls)),
		emptySUs: make([]int, len(s.SUs)), emptyPods: make([]int, len(s.Pods)),
		emptyRacks: make([]int, s.Racks()), emptyHalls: make([]int, len(s.Halls)),
	}
	for n := range site.Index(s.Nodes()) {
		su := s.SUOf(n)
		pod := s.SUs[su].Pod
		if s.SUs[su].Kind != kind || s.Pods[pod].Fabric != fabric || !forSale(s, n) {
			continue
		}
		c.emptySUs[su]++
		c.emptyPods[pod]++
		c.emptyRacks[s.RackOf(n)]++
		c.emptyHalls[s.Pods[pod].Hall]++
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
func (c *census) bound(want int) place.Cost {
	return place.Cost{Halls: fewest(c.halls, want), Pods: fewest(c.pods, want), SUs: fewest(c.sus, want), Racks: fewest(c.racks, want)}
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
func (c *census) of(s *site.Site, nodes []site.Index) (spreading, place.Cost) {
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
	return spreading{nodes: len(nodes), sus: sus, pods: pods},
		place.Cost{Halls: touched(halls), Pods: touched(pods), SUs: touched(sus), Racks: touched(racks)}
}

// ideal spreads nodes over the empty site, the largest domains first.
func (c *census) ideal(nodes int) spreading {
	return spreading{nodes: nodes, sus: pour(nodes, c.emptySUs), pods: pour(nodes, c.emptyPods)}
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
