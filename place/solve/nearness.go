package solve

import (
	"cmp"
	"slices"

	"bulkhead/place"
	"bulkhead/site"
)

// nearness says how near a slice of the tree's nodes is to others, nil where there are
// none, and what slices of its cost can't be nearer than. weighed says that the search
// looked for the nearest.
func (t *tree) nearness(nodes []site.Index, cost place.Cost, near *site.Set, weighed bool) *place.Nearness {
	others := place.SUsOf(t.site, near)
	if len(others) == 0 {
		return nil
	}
	n := &place.Nearness{Others: others, Far: place.FarFrom(t.site, nodes, others), Weighed: weighed}
	var halls, pods, sus divided
	for i := range t.halls {
		h := &t.halls[i]
		halls.add(h.nodes, h.far)
		for j := range h.pods {
			pods.add(h.pods[j].nodes, h.pods[j].far)
			for _, su := range h.pods[j].sus {
				sus.add(su.nodes, t.shapes[su.shape].far)
			}
		}
	}
	want := len(nodes)
	n.Bound = place.Far{Halls: halls.least(cost.Halls, want), Pods: pods.least(cost.Pods, want), SUs: sus.least(cost.SUs, want)}
	return n
}

// divided is the sizes of domains of one level, those that a slice should rather not touch
// apart from the others.
type divided struct{ shunned, others []int }

func (d *divided) add(size int, shunned bool) {
	if shunned {
		d.shunned = append(d.shunned, size)
	} else {
		d.others = append(d.others, size)
	}
}

// least is how many of those to shun must be among so many domains that hold want nodes
// together: the largest of both sorts, with one more of them until it is enough.
func (d *divided) least(domains, want int) int {
	sums := func(sizes []int) []int {
		slices.SortFunc(sizes, func(a, b int) int { return cmp.Compare(b, a) })
		out := make([]int, 1, len(sizes)+1)
		for i, n := range sizes {
			out = append(out, out[i]+n)
		}
		return out
	}
	shunned, others := sums(d.shunned), sums(d.others)
	for k := range shunned {
		if rest := domains - k; rest >= 0 && rest < len(others) && shunned[k]+others[rest] >= want {
			return k
		}
	}
	return len(d.shunned) + 1 // so many domains do not hold them at all
}
