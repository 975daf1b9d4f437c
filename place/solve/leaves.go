package solve

import (
	"slices"

	"bulkhead/place"
	"bulkhead/site"
)

// leafUse is an SU of a slice.
type leafUse struct{ su, pod, nodes int }

// leavesOf counts the nodes of a slice by SU. The nodes must be of the site.
func leavesOf(s *site.Site, nodes []site.Index) []leafUse {
	var out []leafUse
	at := map[int]int{}
	for _, n := range nodes {
		su := s.SUOf(n)
		i, ok := at[su]
		if !ok {
			i = len(out)
			at[su] = i
			out = append(out, leafUse{su: su, pod: s.SUs[su].Pod})
		}
		out[i].nodes++
	}
	return out
}

func podsOf(leaves []leafUse) []int {
	var out []int
	for _, l := range leaves {
		if !slices.Contains(out, l.pod) {
			out = append(out, l.pod)
		}
	}
	return out
}

// podLeaves writes the SUs of nodes in rank order.
func podLeaves(s *site.Site, nodes []site.Index) []place.PodLeaves {
	var out []place.PodLeaves
	for _, leaf := range leavesOf(s, nodes) {
		if pod := s.Pods[leaf.pod].ID; len(out) == 0 || out[len(out)-1].Pod != pod {
			out = append(out, place.PodLeaves{Pod: pod})
		}
		p := &out[len(out)-1]
		p.SUs, p.Nodes = append(p.SUs, s.SUs[leaf.su].ID), append(p.Nodes, leaf.nodes)
	}
	return out
}

// need is how many flows can leave a part of the slice at once.
func need(part, all int) int { return min(part, all-part) }
