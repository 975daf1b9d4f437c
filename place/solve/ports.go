package solve

import (
	"cmp"
	"slices"

	"bulkhead/place"
	"bulkhead/site"
)

// A slice of at most an SU's nodes takes what ports are free. If one SU has
// enough nodes, it needs no link at all. Else it is L leaves of A nodes each and
// perhaps one smaller, in one pod; or in two of any sizes; or in several with as
// many leaves each and at most one that has fewer, where the smaller leaf is. The
// masks of free uplinks are ANDed, leaf by leaf, and those of core links, pod by
// pod. That is NP-hard in general, and small here, because a branch ends when the
// leaves and pods that are left are too few for the positions that are left.

// maxTries bounds the leaves that are looked at for one ask, someTries those for one of
// the sizes that are tried to name the nearest.
const (
	maxTries  = 8_000_000
	someTries = 1_000_000
)

// portSearch is one ask of at most an SU's nodes.
type portSearch struct {
	h         *hermetic
	want      int
	tries     int   // leaves that were looked at
	limit     int   // of these
	condition int   // the furthest that was reached
	rails     []int // the first plane of each group of planes that are alike
	pods      []portPod

	best  int // racks that a slice of this many SUs must beat
	nodes []site.Index
	links *place.LinkSet
}

// portPod is a pod as the search sees it.
type portPod struct {
	at     int          // index into hermetic.pods
	cores  []place.Mask // core links by group of planes and spine position, at most
	key    string       // equal for pods of a hall that are alike
	leaves []portLeaf
}

// portLeaf is an SU that can be a leaf of the shape that is tried.
type portLeaf struct {
	u     *suStock
	racks int
	up    [site.Rails]place.Mask // by group of planes
	same  bool                   // as the leaf before it
}

// portRole is what a pod of a shape has.
type portRole struct {
	full  int // leaves of a nodes
	small bool
}

// portShape is what is tried: so many pods of one role, and one of another.
type portShape struct {
	a, full, small     int // nodes of a leaf, how many, nodes of the smaller leaf or 0
	links, linksSmall  int // uplinks that they need
	pods, halls        int
	most, other        portRole // of all pods but one, and of that one
	cheapest, coreNeed int      // racks of a leaf at least; core links of a pod at least
	useful             [site.Rails]place.Mask
}

// portState is what has been chosen.
type portState struct {
	masks, mine [site.Rails]place.Mask // positions that all leaves have, and that the smaller one has too
	racks       int
	hasSmall    bool
	chosen      []chosenLeaf
	cores       []place.Mask // that all pods of the first role have
	rest        []place.Mask // that the other pod has
	halls, hall int
	first, last int // pods of each role that are still to come
}

type chosenLeaf struct {
	u     *suStock
	pod   int // number
	nodes int
	small bool
}

func (h *hermetic) ports(want int) answer {
	if u := h.oneLeaf(want); u != nil {
		return answer{nodes: u.take(h.o, u.cover(want), want), links: &place.LinkSet{}, weighed: true}
	}
	p := &portSearch{h: h, want: want, limit: maxTries, condition: equalLeaves}
	if h.some {
		p.limit = min(someTries, h.work)
	}
	defer func() { h.spent += p.tries }()
	p.prepare()
	halls := map[int]bool{}
	for i := range h.pods {
		halls[h.pods[i].hall] = true
	}
	pods := len(h.pods)
	if h.o.Site().Shape.CoreLinks() == 0 {
		pods = min(pods, 1)
	}
	for nHalls := 1; nHalls <= len(halls); nHalls++ {
		for nPods := nHalls; nPods <= min(pods, want); nPods++ {
			for n := max(2, nPods); n <= want; n++ {
				p.best = 1 << 30
				for a := (want + n - 1) / n; a < want && (n-1)*a < want; a++ {
					p.shapes(n, a, nPods, nHalls)
				}
				if p.nodes != nil || p.tries > p.limit {
					least := place.Cost{Halls: nHalls, Pods: nPods, SUs: n} // with fewer nothing was found
					return answer{nodes: p.nodes, links: p.links, cut: p.tries > p.limit, least: least, condition: p.condition}
				}
			}
		}
	}
	return answer{condition: p.condition}
}

// oneLeaf returns the SU that has so many nodes in the fewest racks; of equal
// ones that with the least harm, then the nearest, then that with the fewest nodes.
func (h *hermetic) oneLeaf(want int) *suStock {
	var best *suStock
	var least place.Harm
	var nearest place.Far
	own := newBeside(h.o.Site(), h.near)
	for i := range h.pods {
		for j := range h.pods[i].sus {
			u := &h.pods[i].sus[j]
			if u.nodes < want {
				continue
			}
			harm := u.harm
			_, harm.Racks = u.gentlest(u.cover(want), want)
			far := own.farOf(h.pods[i].hall, h.pods[i].pod, u.su)
			if best == nil || cmp.Or(u.cover(want)-best.cover(want), harm.Compare(least), far.Compare(nearest), u.nodes-best.nodes) < 0 {
				best, least, nearest = u, harm, far
			}
		}
	}
	return best
}

// prepare groups the planes that are alike, and orders the pods: those of which
// the fewest SUs are whole first, so that others stay so.
func (p *portSearch) prepare() {
	h, o := p.h, p.h.o
	alike := func(a, b int) bool {
		for i := range h.pods {
			for j := range h.pods[i].sus {
				if u := &h.pods[i].sus[j]; u.up[a] != u.up[b] || u.last[a] != u.last[b] {
					return false
				}
			}
			for spine := range o.Site().Shape.Spines {
				if coreLinks(o, h.pods[i].pod, a, spine, true) != coreLinks(o, h.pods[i].pod, b, spine, true) {
					return false
				}
			}
		}
		return true
	}
	for rail := range o.Site().FabricRails(h.fabric) {
		if !slices.ContainsFunc(p.rails, func(r int) bool { return alike(r, rail) }) {
			p.rails = append(p.rails, rail)
		}
	}
	for i := range h.pods {
		pod := portPod{at: i}
		for _, rail := range p.rails {
			for spine := range o.Site().Shape.Spines {
				pod.cores = append(pod.cores, coreLinks(o, h.pods[i].pod, rail, spine, false))
			}
		}
		pod.key = p.key(&pod)
		p.pods = append(p.pods, pod)
	}
	slices.SortStableFunc(p.pods, func(a, b portPod) int {
		x, y := &h.pods[a.at], &h.pods[b.at]
		return cmp.Or(cmp.Compare(x.hall, y.hall), x.wholes()-y.wholes())
	})
}

// key is equal for pods of a hall between which the search can't tell.
func (p *portSearch) key(pod *portPod) string {
	stock := &p.h.pods[pod.at]
	b := []byte(stock.shape())
	word := func(m place.Mask) {
		for _, w := range m {
			for range 8 {
				b = append(b, byte(w))
				w >>= 8
			}
		}
	}
	for j := range stock.sus {
		for _, rail := range p.rails {
			word(stock.sus[j].up[rail])
			word(stock.sus[j].last[rail])
		}
	}
	for _, m := range pod.cores {
		word(m)
	}
	return string(append(b, byte(stock.hall), byte(stock.hall>>8)))
}

// shapes tries n leaves, of a nodes each but for one that may have fewer, in every
// way in which so many pods can have them.
func (p *portSearch) shapes(n, a, nPods, nHalls int) {
	t := portShape{a: a, full: n, pods: nPods, halls: nHalls, links: need(a, p.want)}
	if small := p.want - (n-1)*a; small < a {
		t.full, t.small, t.linksSmall = n-1, small, need(small, p.want)
	}
	if !p.leaves(&t) {
		return
	}
	reached := p.condition
	small := t.small > 0
	try := func(most, other portRole) {
		t.most, t.other = most, other
		if t.coreNeed = p.coreLinks(most.full); nPods == 2 {
			t.coreNeed = p.coreLinks(min(most.full, other.full))
		}
		st := portState{hall: -1, first: nPods - 1, last: 1}
		st.masks = t.useful
		p.podsFrom(&t, 0, st)
	}
	switch {
	case nPods == 1:
		try(portRole{}, portRole{t.full, small})
	case nPods == 2:
		for k := 1; k <= t.full; k++ {
			if other := t.full - k; small || other > 0 && other <= k {
				try(portRole{k, false}, portRole{other, small})
			}
		}
	default:
		for c := 1; c*(nPods-1) <= t.full; c++ {
			if r := t.full - c*(nPods-1); r < c && (small || r > 0) || r == c && !small {
				try(portRole{c, false}, portRole{r, small})
			}
		}
	}
	if p.nodes == nil && p.condition == reached {
		p.condition = max(p.condition, equalTrees)
	}
}

func (p *portSearch) coreLinks(leaves int) int {
	taper := p.h.o.Site().Shape.PodTaper
	return (leaves + taper - 1) / taper
}

func (st *portState) own() *[site.Rails]place.Mask {
	if st.hasSmall {
		return &st.mine
	}
	return nil
}

// podsFrom chooses the pods that are still to come among those from a place on.
func (p *portSearch) podsFrom(t *portShape, from int, st portState) {
	if st.first+st.last == 0 {
		p.settle(t, &st)
		return
	}
	// How many leaves each pod could still give.
	could := make([]int, len(p.pods))
	first, last := 0, 0
	for i := from; i < len(p.pods); i++ {
		for j := range p.pods[i].leaves {
			if p.joins(t, &p.pods[i].leaves[j], &st.masks, st.own()) {
				could[i]++
			}
		}
		p.tries += len(p.pods[i].leaves)
		if could[i] >= t.most.full {
			first++
		}
		if could[i] >= t.other.full {
			last++
		}
	}
	for i := from; i < len(p.pods); i++ {
		if p.tries > p.limit {
			return
		}
		if st.first > 0 && first < st.first || st.last > 0 && last < st.last || max(first, last) < st.first+st.last {
			if len(st.chosen) > 0 {
				p.condition = max(p.condition, commonSpines)
			}
			return
		}
		pod := &p.pods[i]
		repeated := false
		for j := from; j < i && !repeated; j++ {
			repeated = p.pods[j].key == pod.key
		}
		next := st
		if hall := p.h.pods[pod.at].hall; hall != st.hall {
			next.hall = hall
			next.halls++
		}
		if !repeated && next.halls <= t.halls {
			if st.first > 0 && could[i] >= t.most.full {
				role := next
				role.first--
				p.leavesFrom(t, i, 0, t.most, t.most.full, role)
			}
			if st.last > 0 && could[i] >= t.other.full {
				role := next
				role.last--
				p.leavesFrom(t, i, 0, t.other, t.other.full, role)
			}
		}
		if could[i] >= t.most.full {
			first--
		}
		if could[i] >= t.other.full {
			last--
		}
	}
}

// leavesFrom chooses the leaves of a pod that are still missing in its role.
func (p *portSearch) leavesFrom(t *portShape, at, from int, role portRole, missing int, st portState) {
	if missing == 0 {
		if role.small {
			p.smaller(t, at, st)
			return
		}
		p.joined(t, at, role, st)
		return
	}
	pod := &p.pods[at]
	left := 0
	for i := from; i < len(pod.leaves); i++ {
		if p.joins(t, &pod.leaves[i], &st.masks, st.own()) {
			left++
		}
	}
	p.tries += len(pod.leaves) - from
	others := t.full - missing
	for _, c := range st.chosen {
		if !c.small {
			others--
		}
	}
	fresh := true // no leaf like the next one has been tried here
	for i := from; i < len(pod.leaves) && left >= missing; i++ {
		if p.tries > p.limit {
			return
		}
		l := &pod.leaves[i]
		if !l.same {
			fresh = true
		}
		if !p.joins(t, l, &st.masks, st.own()) {
			continue
		}
		left--
		if !fresh {
			continue
		}
		fresh = false
		least := st.racks + l.racks*missing + t.cheapest*others
		if t.small > 0 && !st.hasSmall {
			least++
		}
		if least >= p.best {
			return // those to come take no fewer racks
		}
		next := st
		for g := range p.rails {
			next.masks[g] = st.masks[g].And(l.up[g])
			next.mine[g] = st.mine[g].And(l.up[g])
		}
		next.racks += l.racks
		next.chosen = append(slices.Clip(st.chosen), chosenLeaf{u: l.u, pod: p.h.pods[pod.at].pod, nodes: t.a})
		p.leavesFrom(t, at, i+1, role, missing-1, next)
	}
}

// smaller adds the smaller leaf, of any SU of the pod that is not chosen.
func (p *portSearch) smaller(t *portShape, at int, st portState) {
	stock := &p.h.pods[p.pods[at].at]
	var tried []portLeaf
	for j := range stock.sus {
		p.tries++
		u := &stock.sus[j]
		cost := u.cover(t.small)
		if u.nodes < t.small || st.racks+cost >= p.best || slices.ContainsFunc(st.chosen, func(c chosenLeaf) bool { return c.u == u }) {
			continue
		}
		next := st
		next.hasSmall = true
		next.racks += cost
		l, fits := portLeaf{u: u, racks: cost}, true
		for g, rail := range p.rails {
			l.up[g] = u.uplinksFor(rail, t.small)
			next.mine[g] = st.masks[g].And(l.up[g])
			l.up[g] = next.mine[g]
			fits = fits && next.mine[g].Count() >= t.linksSmall
		}
		if !fits {
			p.condition = max(p.condition, commonSpines)
			continue
		}
		if slices.ContainsFunc(tried, func(o portLeaf) bool { return o.up == l.up && o.racks == l.racks && o.u.nodes <= u.nodes }) {
			continue // it would do no more than that one
		}
		tried = append(tried, l)
		next.chosen = append(slices.Clip(st.chosen), chosenLeaf{u: u, pod: stock.pod, nodes: t.small, small: true})
		p.joined(t, at, t.other, next)
	}
}

// joined looks at the cores of the pods so far, and goes on to the next pod.
func (p *portSearch) joined(t *portShape, at int, role portRole, st portState) {
	if t.pods > 1 {
		cores := p.pods[at].cores
		both := func(a, b []place.Mask) []place.Mask {
			out := slices.Clone(a)
			for i := range out {
				out[i] = out[i].And(b[i])
			}
			return out
		}
		switch {
		case role == t.other && st.last == 0 && st.rest == nil && (role != t.most || st.first == 0):
			st.rest = cores
		case st.cores == nil:
			st.cores = cores
		default:
			st.cores = both(st.cores, cores)
		}
		spines := p.h.o.Site().Shape.Spines
		for g := range p.rails {
			for spine := range st.masks[g].All {
				k := g*spines + spine
				if st.cores != nil && st.cores[k].Count() < t.coreNeed ||
					st.cores != nil && st.rest != nil && t.other.full > 0 && st.cores[k].And(st.rest[k]).Empty() {
					st.masks[g] = st.masks[g].Minus(place.MaskOf(spine))
					st.mine[g] = st.mine[g].Minus(place.MaskOf(spine))
				}
			}
			if st.masks[g].Count() < t.links || st.hasSmall && st.mine[g].Count() < t.linksSmall {
				p.condition = commonCores
				return
			}
		}
	}
	p.podsFrom(t, at+1, st)
}

// settle assigns the links of what has been chosen.
func (p *portSearch) settle(t *portShape, st *portState) {
	if st.racks >= p.best {
		return
	}
	rest, restPod := -1, -1
	var uses []leafUse
	counts := map[int]int{}
	for i, c := range st.chosen {
		uses = append(uses, leafUse{su: c.u.su, pod: c.pod, nodes: c.nodes})
		if c.small {
			rest = i
			restPod = c.pod
		} else {
			counts[c.pod]++
		}
	}
	if t.pods > 2 && rest < 0 && t.most != t.other {
		for pod, n := range counts {
			if n == t.other.full {
				restPod = pod
			}
		}
	}
	links, bad := assign(p.h.o, newLayout(p.h.o, uses, false, rest, restPod))
	if bad != nil {
		p.condition = max(p.condition, bad.condition)
		return
	}
	p.best, p.nodes, p.links = st.racks, nil, links
	for _, c := range st.chosen {
		p.nodes = append(p.nodes, c.u.take(p.h.o, c.u.cover(c.nodes), c.nodes)...)
	}
}
