package check

import (
	"fmt"

	"bulkhead/place"
)

// Route routes one permutation of a hermetic slice's traffic over the links that
// it holds: node i, in rank order, sends to node to[i]. It returns an error if
// that can't be done with one flow an uplink, each way, and Flows a core link;
// then the link assignment is wrong.
//
// It is a colouring: leaves are the vertices of a bipartite multigraph (once as
// senders, once as receivers), flows that leave their leaf are its edges, spine
// positions are the colours. By König's theorem as many colours do as the
// largest degree is, which is at most the nodes of a leaf. The leaf that has
// fewer uplinks is padded with loops up to the common degree: a loop has the
// same colour at both ends, so the leaf's real flows use the same few colours
// both ways, and the colours can be named so that these are its own spines. For
// the core links of the spines in a position it is the same again, with pods as
// vertices and cores as colours.
//
// It knows nothing of the solver, and of the certificate only the links.
// Cost: about 30 ms for 40,000 nodes and each plane that differs.
func Route(l *place.LinkSet, to []int) error {
	if l == nil {
		return fmt.Errorf("links: the slice holds none: only hermetic slices do")
	}
	if len(l.Planes) == 0 {
		return nil // everything turns in the leaf
	}
	r := router{l: l, restSU: -1, restPod: -1}
	for pod, p := range l.Pods {
		if p.Pod == l.RestPod {
			r.restPod = pod
		}
		for i, su := range p.SUs {
			if su == l.RestSU {
				r.restSU = len(r.sus)
			}
			for range p.Nodes[i] {
				r.leafAt = append(r.leafAt, len(r.sus))
			}
			r.sus, r.podOf = append(r.sus, su), append(r.podOf, pod)
		}
	}
	if len(to) != len(r.leafAt) {
		return fmt.Errorf("permutation of %d, expected of the slice's %d nodes", len(to), len(r.leafAt))
	}
	seen := make([]bool, len(to))
	for from, at := range to {
		if at < 0 || at >= len(to) || seen[at] {
			return fmt.Errorf("permutation: %d sends to %d, which is out of range or receives twice", from, at)
		}
		seen[at] = true
		if r.leafAt[from] != r.leafAt[at] {
			r.flows = append(r.flows, [2]int{r.leafAt[from], r.leafAt[at]})
		}
	}
	for i := range l.Planes {
		if err := r.plane(&l.Planes[i]); err != nil {
			return fmt.Errorf("links: rails %s: %w", l.Planes[i].Rails, err)
		}
	}
	return nil
}

// router routes one permutation over one link set.
type router struct {
	l       *place.LinkSet
	sus     []string // by leaf
	podOf   []int    // of each leaf
	leafAt  []int    // of each node
	flows   [][2]int // between leaves
	restSU  int      // leaf, or -1
	restPod int      // or -1
}

func (r *router) plane(plane *place.PlaneLinks) error {
	spine, err := colour(len(r.sus), r.flows, plane.Spines, plane.Rest, r.restSU, 1)
	if err != nil {
		return fmt.Errorf("between leaves: %w", err)
	}
	// The colouring is not trusted either: count what each link carries.
	up, down := make([]place.Mask, len(r.sus)), make([]place.Mask, len(r.sus))
	var byPosition [place.MaskBits][][2]int
	for i, flow := range r.flows {
		for end, used := range [...][]place.Mask{up, down} {
			leaf := flow[end]
			held := plane.Spines
			if leaf == r.restSU {
				held = plane.Rest
			}
			if !held.Has(spine[i]) {
				return fmt.Errorf("SU %s: a flow takes the uplink to spine position %d, which the slice does not hold", r.sus[leaf], spine[i])
			}
			if used[leaf].Has(spine[i]) {
				return fmt.Errorf("SU %s: two flows take the uplink to spine position %d", r.sus[leaf], spine[i])
			}
			used[leaf] = used[leaf].Or(place.MaskOf(spine[i]))
		}
		if from, to := r.podOf[flow[0]], r.podOf[flow[1]]; from != to {
			byPosition[spine[i]] = append(byPosition[spine[i]], [2]int{from, to})
		}
	}
	for position, flows := range byPosition {
		if len(flows) > 0 {
			if err := r.cores(plane, position, flows); err != nil {
				return fmt.Errorf("between pods, at spine position %d: %w", position, err)
			}
		}
	}
	return nil
}

func (r *router) cores(plane *place.PlaneLinks, position int, flows [][2]int) error {
	var set place.CoreSet
	for _, c := range plane.Cores {
		if c.Spines.Has(position) {
			set = c
		}
	}
	core, err := colour(len(r.l.Pods), flows, set.Cores, set.Rest, r.restPod, r.l.Flows)
	if err != nil {
		return err
	}
	type link struct{ pod, core, way int }
	carries := map[link]int{}
	for i, flow := range flows {
		for way, pod := range flow {
			id, held := r.l.Pods[pod].Pod, set.Cores
			if pod == r.restPod {
				held = set.Rest
			}
			if !held.Has(core[i]) {
				return fmt.Errorf("pod %s: a flow takes the link to core %d, which the slice does not hold", id, core[i])
			}
			at := link{pod, core[i], way}
			if carries[at]++; carries[at] > r.l.Flows {
				return fmt.Errorf("pod %s: %d flows take the link to core %d, at most %d may", id, carries[at], core[i], r.l.Flows)
			}
		}
	}
	return nil
}

// colour gives every edge of a bipartite multigraph on twice n vertices one of
// the positions, so that at most each edges of a vertex and side share one. The
// vertex rest, unless negative, may use its own positions only.
func colour(n int, edges [][2]int, positions, own place.Mask, rest, each int) ([]int, error) {
	each = max(each, 1)
	k := positions.Count() * each
	if rest >= 0 && !own.Within(positions) {
		return nil, fmt.Errorf("the smaller part's positions %s are not among the common ones %s", own, positions)
	}
	loops := 0
	if rest >= 0 {
		loops = (positions.Count() - own.Count()) * each
	}
	all := make([][2]int, 0, len(edges)+loops)
	for range loops {
		all = append(all, [2]int{rest, rest})
	}
	all = append(all, edges...)
	degrees := make([]int, 2*n)
	for _, e := range all {
		for side, v := range e {
			if degrees[2*v+side]++; degrees[2*v+side] > k {
				return nil, fmt.Errorf("%d flows one way, expected at most %d", degrees[2*v+side]-loopsOf(v, rest, loops), k-loopsOf(v, rest, loops))
			}
		}
	}
	colours := konig(n, k, all)
	// Colours become positions: those of the loops are the ones that the
	// smaller part does without.
	place := make([]int, k)
	lost := make([]bool, k)
	for _, c := range colours[:loops] {
		lost[c] = true
	}
	mine, others := expand(own, each), expand(positions.Minus(own), each)
	if rest < 0 {
		mine = expand(positions, each)
	}
	for c := range k {
		if lost[c] {
			place[c], others = others[0], others[1:]
		} else {
			place[c], mine = mine[0], mine[1:]
		}
	}
	out := make([]int, len(edges))
	for i, c := range colours[loops:] {
		out[i] = place[c]
	}
	return out, nil
}

func loopsOf(v, rest, loops int) int {
	if v == rest {
		return loops
	}
	return 0
}

func expand(m place.Mask, each int) []int {
	var out []int
	for i := range m.All {
		for range each {
			out = append(out, i)
		}
	}
	return out
}

// konig colours the edges of a bipartite multigraph of degree at most k with k
// colours, by alternating paths. (D. König, 1916.)
func konig(n, k int, edges [][2]int) []int {
	const none = -1
	colours := make([]int, len(edges))
	at := make([]int32, 2*n*k) // edge of a colour at a vertex and side
	for i := range at {
		at[i] = none
	}
	slot := func(side, v, c int) *int32 { return &at[(2*v+side)*k+c] }
	open := func(side, v int) int {
		row := at[(2*v+side)*k : (2*v+side+1)*k]
		for c, e := range row {
			if e == none {
				return c
			}
		}
		panic("place: a vertex of too many edges") // the caller has counted
	}
	var path []int32
	for i, e := range edges {
		a, b := open(0, e[0]), open(1, e[1])
		if a != b {
			// Exchange a and b along the path that leaves e's right end by a.
			path = path[:0]
			side, v, c := 1, e[1], a
			for {
				next := *slot(side, v, c)
				if next == none {
					break
				}
				path = append(path, next)
				side = 1 - side
				v = edges[next][side]
				c = a + b - c
			}
			for _, p := range path {
				for side, v := range edges[p] {
					*slot(side, v, colours[p]) = none
				}
			}
			for _, p := range path {
				colours[p] = a + b - colours[p]
				for side, v := range edges[p] {
					*slot(side, v, colours[p]) = p
				}
			}
		}
		colours[i] = a
		*slot(0, e[0], a), *slot(1, e[1], a) = int32(i), int32(i)
	}
	return colours
}
