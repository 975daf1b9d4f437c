package place

import (
	"cmp"
	"slices"

	"bulkhead/site"
)

// A slice of at most an SU's nodes takes what ports are free. If one SU has
// enough nodes, it needs no link at all. Else it is L leaves of A nodes each and
// perhaps one smaller: the masks of free uplinks are ANDed, leaf by leaf, and a
// branch is given up when fewer than A positions are left. That is NP-hard in
// general, and small here.

// maxTries bounds the leaves that are tried for one ask.
const maxTries = 2_000_000

// portSearch is one ask of at most an SU's nodes.
type portSearch struct {
	h         *hermetic
	want      int
	tries     int
	condition int // the furthest that was reached

	best  int // racks that a slice of as many SUs as are tried must beat
	nodes []site.Index
	links *LinkSet
	sus   int // of nodes
	racks int
}

func (h *hermetic) ports(want int) (nodes []site.Index, links *LinkSet, cut bool, condition int) {
	if u := h.oneLeaf(want); u != nil {
		return u.take(h.o, u.cover(want), want), &LinkSet{}, false, 0
	}
	p := &portSearch{h: h, want: want, condition: 1}
	halls := map[int]bool{}
	for i := range h.pods {
		halls[h.pods[i].hall] = true
	}
	pods := len(h.pods)
	if h.o.site.Shape.CoreLinks() == 0 {
		pods = min(pods, 1)
	}
	for nHalls := 1; nHalls <= len(halls); nHalls++ {
		for nPods := nHalls; nPods <= min(pods, want); nPods++ {
			p.subsets(nil, 0, nPods, nHalls)
			if p.nodes != nil || p.tries > maxTries {
				return p.nodes, p.links, p.tries > maxTries, p.condition
			}
		}
	}
	return nil, nil, false, p.condition
}

// oneLeaf returns the SU that has so many nodes in the fewest racks; of equal
// ones that with the fewest nodes, so that larger ones stay whole.
func (h *hermetic) oneLeaf(want int) *suStock {
	var best *suStock
	for i := range h.pods {
		for j := range h.pods[i].sus {
			u := &h.pods[i].sus[j]
			if u.nodes < want {
				continue
			}
			if best == nil || cmp.Or(u.cover(want)-best.cover(want), u.nodes-best.nodes) < 0 {
				best = u
			}
		}
	}
	return best
}

// subsets tries every set of pods of a size that spans so many halls, and keeps
// the best of them.
func (p *portSearch) subsets(chosen []int, from, nPods, nHalls int) {
	if p.tries > maxTries {
		return
	}
	if len(chosen) == nPods {
		halls, free := map[int]bool{}, 0
		for _, i := range chosen {
			halls[p.h.pods[i].hall] = true
			for j := range p.h.pods[i].sus {
				free += p.h.pods[i].sus[j].nodes
			}
		}
		if len(halls) == nHalls && free >= p.want {
			p.within(chosen)
		}
		return
	}
	for i := from; i < len(p.h.pods); i++ {
		p.tries++
		p.subsets(append(chosen, i), i+1, nPods, nHalls)
	}
}

// portLeaf is an SU in one of the pods that are tried.
type portLeaf struct {
	u   *suStock
	pod int // index into the chosen pods
}

// within looks for the best slice in just these pods: fewest SUs, then racks. A
// slice that was found in other pods before must be beaten.
func (p *portSearch) within(pods []int) {
	var leaves []portLeaf
	for i, at := range pods {
		for j := range p.h.pods[at].sus {
			leaves = append(leaves, portLeaf{&p.h.pods[at].sus[j], i})
		}
	}
	most := min(len(leaves), p.want)
	if p.nodes != nil {
		most = min(most, p.sus)
	}
	for n := max(2, len(pods)); n <= most; n++ {
		p.best = 1 << 30
		if p.nodes != nil && p.sus == n {
			p.best = p.racks
		}
		before := p.best
		for a := (p.want + n - 1) / n; a < p.want; a++ {
			switch small := p.want - (n-1)*a; {
			case small == a:
				p.choose(&portTry{leaves: byRacks(leaves, a), pods: pods, full: n, a: a})
			case small > 0:
				p.choose(&portTry{leaves: byRacks(leaves, a), all: leaves, pods: pods, full: n - 1, a: a, small: small})
			}
		}
		if p.best < before {
			p.sus, p.racks = n, p.best
			return
		}
	}
}

// byRacks returns the leaves that have a nodes, those in the fewest racks first,
// and of these the tightest, so that larger ones stay whole.
func byRacks(leaves []portLeaf, a int) []portLeaf {
	out := slices.DeleteFunc(slices.Clone(leaves), func(l portLeaf) bool { return l.u.nodes < a })
	slices.SortStableFunc(out, func(x, y portLeaf) int { return cmp.Or(x.u.cover(a)-y.u.cover(a), x.u.nodes-y.u.nodes) })
	return out
}

// portTry is one shape in one set of pods.
type portTry struct {
	leaves, all []portLeaf
	pods        []int
	full        int // leaves of a nodes
	a           int
	small       int // nodes of the smaller leaf; 0 = none
	chosen      []portLeaf
}

// unused is how many of the pods have no leaf yet.
func (t *portTry) unused() int {
	n := 0
	for pod := range t.pods {
		if !slices.ContainsFunc(t.chosen, func(l portLeaf) bool { return l.pod == pod }) {
			n++
		}
	}
	return n
}

func (p *portSearch) choose(t *portTry) {
	var masks [site.Rails]Mask
	for rail := range masks {
		masks[rail] = below(maskBits)
	}
	p.deeper(t, 0, 0, masks)
}

func (p *portSearch) deeper(t *portTry, from, racks int, masks [site.Rails]Mask) {
	if len(t.chosen) == t.full {
		p.finish(t, racks, masks)
		return
	}
	links := need(t.a, p.want)
	missing := t.full - len(t.chosen)
	if t.unused() > missing+min(t.small, 1) {
		return // a pod would have no leaf: that is a set of fewer pods
	}
	for i := from; i <= len(t.leaves)-missing; i++ {
		if p.tries++; p.tries > maxTries {
			return
		}
		l := t.leaves[i]
		cost := l.u.cover(t.a)
		// The leaves to come cost no less than this one.
		least := racks + cost*(t.full-len(t.chosen))
		if t.small > 0 {
			least++
		}
		if least >= p.best {
			return
		}
		next, fits := masks, true
		for rail := range next {
			if l.u.up[rail].Count() < links {
				p.condition = max(p.condition, 2)
			}
			next[rail] = next[rail].and(l.u.up[rail])
			if next[rail].Count() < links {
				fits = false
				break
			}
		}
		if !fits {
			if p.condition == 2 && len(t.chosen) > 0 {
				p.condition = 3
			}
			continue
		}
		t.chosen = append(t.chosen, l)
		p.deeper(t, i+1, racks+cost, next)
		t.chosen = t.chosen[:len(t.chosen)-1]
	}
}

// finish adds the smaller leaf, and looks at the pods and their cores.
func (p *portSearch) finish(t *portTry, racks int, masks [site.Rails]Mask) {
	if t.small == 0 {
		p.settle(t, racks, nil)
		return
	}
	links := need(t.small, p.want)
	for i := range t.all {
		if p.tries++; p.tries > maxTries {
			return
		}
		l := t.all[i]
		cost := racks + l.u.cover(t.small)
		if l.u.nodes < t.small || cost >= p.best || slices.ContainsFunc(t.chosen, func(c portLeaf) bool { return c.u == l.u }) {
			continue
		}
		fits := true
		for rail := range masks {
			if masks[rail].and(l.u.up[rail]).Count() < links {
				p.condition = max(p.condition, 3)
				fits = false
				break
			}
		}
		if fits {
			p.settle(t, cost, &l)
		}
	}
}

func (p *portSearch) settle(t *portTry, racks int, small *portLeaf) {
	if racks >= p.best {
		return
	}
	counts, extra := make([]int, len(t.pods)), -1
	for _, l := range t.chosen {
		counts[l.pod]++
	}
	if small != nil {
		extra = small.pod
	}
	for i := range counts {
		if counts[i] == 0 && i != extra {
			return // a set of fewer pods, which was tried
		}
	}
	rest, ok := smallerPod(counts, extra)
	if !ok {
		p.condition = max(p.condition, 4)
		return
	}
	var uses []leafUse
	var nodes []site.Index
	add := func(l portLeaf, n int) {
		uses = append(uses, leafUse{su: l.u.su, pod: p.h.pods[t.pods[l.pod]].pod, nodes: n})
		nodes = append(nodes, l.u.take(p.h.o, l.u.cover(n), n)...)
	}
	for _, l := range t.chosen {
		add(l, t.a)
	}
	restLeaf, restPod := -1, -1
	if small != nil {
		restLeaf = len(uses)
		add(*small, t.small)
	}
	if rest >= 0 {
		restPod = p.h.pods[t.pods[rest]].pod
	}
	links, bad := assign(p.h.o, newLayout(p.h.o, uses, false, restLeaf, restPod))
	if bad != nil {
		p.condition = max(p.condition, bad.condition)
		return
	}
	p.best, p.nodes, p.links = racks, nodes, links
}

// smallerPod finds the one pod that has fewer leaves than the others; extra is
// the pod with the smaller leaf, or -1. Two pods may have any sizes.
func smallerPod(counts []int, extra int) (int, bool) {
	if len(counts) <= 2 {
		return -1, true
	}
	most := slices.Max(counts)
	rest := -1
	for i, n := range counts {
		if n < most {
			if rest >= 0 {
				return -1, false
			}
			rest = i
		}
	}
	if extra >= 0 {
		if rest >= 0 && rest != extra {
			return -1, false
		}
		if rest < 0 {
			return -1, false // the pod with the smaller leaf would be the larger one
		}
	}
	return rest, true
}
