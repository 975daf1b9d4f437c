package place

import (
	"slices"

	"bulkhead/site"
)

// RankOrder sorts nodes, in place, into the order in which ranks are numbered:
// by hall, pod, SU, then position, so by rack. Every domain's nodes stand
// together, so a ring over the ranks enters and leaves each domain once; then
// the taper above a level costs an all-reduce nothing.
// Cost: O(n log n), about 8 ms for 50,000 nodes in random order.
func RankOrder(s *site.Site, nodes []site.Index) {
	slices.SortFunc(nodes, func(a, b site.Index) int { return rankCompare(s, a, b) })
}

// rankCompare orders two nodes by hall, pod, SU and position.
func rankCompare(s *site.Site, a, b site.Index) int {
	if sa, sb := s.SUOf(a), s.SUOf(b); sa != sb {
		pa, pb := s.SUs[sa].Pod, s.SUs[sb].Pod
		if pa != pb {
			if d := s.Pods[pa].Hall - s.Pods[pb].Hall; d != 0 {
				return d
			}
			return pa - pb
		}
		return sa - sb
	}
	return int(s.NodePos[a]) - int(s.NodePos[b])
}
