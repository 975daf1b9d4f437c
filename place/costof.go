package place

import (
	"slices"

	"bulkhead/site"
)

// CostOf counts the domains that nodes touch, in whatever order they come. It is
// what a slice costs, without any claim that it is a good one.
// Cost: O(n), and O(n log n) where they are not in rank order.
func CostOf(s *site.Site, nodes []site.Index) Cost {
	if !slices.IsSortedFunc(nodes, func(a, b site.Index) int { return rankCompare(s, a, b) }) {
		nodes = slices.Clone(nodes)
		RankOrder(s, nodes)
	}
	var c Cost
	hall, pod, su, rack := -1, -1, -1, -1
	for _, n := range nodes {
		if r := s.RackOf(n); r != rack {
			rack = r
			c.Racks++
		}
		if u := s.SUOf(n); u != su {
			su = u
			c.SUs++
			if p := s.SUs[u].Pod; p != pod {
				pod = p
				c.Pods++
				if h := s.Pods[p].Hall; h != hall {
					hall = h
					c.Halls++
				}
			}
		}
	}
	return c
}
