package place

import (
	"cmp"
	"fmt"

	"bulkhead/site"
)

// Nearness is how near a slice is to nodes that its tenant has already: those of the
// same contract's other tranches. Of slices of one cost, and then of one harm, the
// nearest is the one with the least far from them, halls first.
type Nearness struct {
	Others []int `json:"others"` // numbers of the SUs in which these have nodes, ascending
	Far    Far   `json:"far"`    // of the slice
	Bound  Far   `json:"bound"`  // of slices of its cost at least, each level by itself
	// Weighed says that the solver has looked for the nearest of all slices of the cost
	// and the harm; else what the slice is near to is only counted.
	Weighed bool `json:"weighed"`
}

// Far is how many halls, pods and SUs of a slice have no node of those that it should
// be near.
type Far struct {
	Halls int `json:"halls"`
	Pods  int `json:"pods"`
	SUs   int `json:"sus"`
}

// Compare is negative where f is nearer than o, and 0 where they are as near.
func (f Far) Compare(o Far) int {
	return cmp.Or(f.Halls-o.Halls, f.Pods-o.Pods, f.SUs-o.SUs)
}

// String writes "0 halls, 1 pod, 2 SUs".
func (f Far) String() string {
	return fmt.Sprintf("%s, %s, %s", count(f.Halls, "hall"), count(f.Pods, "pod"), count(f.SUs, "SU"))
}

// FarFrom counts what nodes touch that has no node in any of the other SUs. Numbers of
// SUs that the site does not have are passed over.
// Cost: O(nodes).
func FarFrom(s *site.Site, nodes []site.Index, others []int) (f Far) {
	halls, pods, sus := map[int]bool{}, map[int]bool{}, map[int]bool{} // whether it was counted; true from the start: near
	for _, su := range others {
		if su >= 0 && su < len(s.SUs) {
			pod := s.SUs[su].Pod
			halls[s.Pods[pod].Hall], pods[pod], sus[su] = true, true, true
		}
	}
	once := func(seen map[int]bool, domain int, far *int) {
		if !seen[domain] {
			seen[domain] = true
			*far++
		}
	}
	for _, n := range nodes {
		once(halls, s.HallOf(n), &f.Halls)
		once(pods, s.PodOf(n), &f.Pods)
		once(sus, s.SUOf(n), &f.SUs)
	}
	return f
}

// SUsOf lists the SUs that nodes are in, ascending.
func SUsOf(s *site.Site, nodes *site.Set) (sus []int) {
	seen := make([]bool, len(s.SUs))
	for n := range nodes.All() {
		if int(n) < s.Nodes() {
			seen[s.SUOf(n)] = true
		}
	}
	for su, is := range seen {
		if is {
			sus = append(sus, su)
		}
	}
	return sus
}

// Words says how near a slice is, for a person, and what is known of the nearest.
func (n *Nearness) Words() string {
	if n == nil {
		return ""
	}
	text := "far from the contract's other tranches: " + n.Far.String()
	switch {
	case n.Far == n.Bound:
		return text + ", and no slice of this cost has less"
	case n.Weighed:
		return fmt.Sprintf("%s; slices of this cost have %s at least, and none of this cost and harm has less by the solver's word", text, n.Bound)
	}
	return fmt.Sprintf("%s; slices of this cost have %s at least, and that none has less is not said", text, n.Bound)
}

// words is what the proof of a certificate says of it.
func (n *Nearness) words() string {
	if n == nil {
		return ""
	}
	text := fmt.Sprintf("checked: what of the slice is far from the same contract's other tranches, counted again: %s have no node of theirs; slices of this cost have %s at least, each level by itself. ", n.Far, n.Bound)
	switch {
	case n.Far == n.Bound:
		return text + "proven by its bound: that no slice of this cost is nearer. "
	case n.Weighed:
		return text + "that no slice of this cost and harm is nearer is the solver's word. "
	}
	return text + "that no slice of this cost and harm is nearer is not said. "
}
