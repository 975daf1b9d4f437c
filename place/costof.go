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
	c, _ := recount(s, nodes)
	return c
}
