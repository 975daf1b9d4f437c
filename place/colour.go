package place

import (
	"fmt"

	"bulkhead/site"
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
func (sl Slice) Route(s *site.Site, to []int) error {
	l := sl.Certificate.Links
	if l == nil {
		return fmt.Errorf("links: the slice holds none: only hermetic slices do")
	}
	leaves := leavesOf(s, sl.Nodes)
	if len(leaves) < 2 {
		return nil // everything turns in the leaf
	}
	if len(to) != len(sl.Nodes) {
		return fmt.Errorf("permutation of %d, expected of the slice's %d nodes", len(to), len(sl.Nodes))
	}
	number := make(map[int]int, len(leaves)) // SU -> leaf
	for i, leaf := range leaves {
		number[leaf.su] = i
	}
	seen := make([]bool, len(to))
	leafAt := make([]int, len(sl.Nodes))
	for i, n := range sl.Nodes {
		leafAt[i] = number[s.SUOf(n)]
	}
	flows := make([][2]int, 0, len(to))
	for from, at := range to {
		if at < 0 || at >= len(to) || seen[at] {
			return fmt.Errorf("permutation: %d sends to %d, which is out of range or receives twice", from, at)
		}
		seen[at] = true
		if leafAt[from] != leafAt[at] {
			flows = append(flows, [2]int{leafAt[from], leafAt[at]})
		}
	}
	for i := range l.Planes {
		if err := l.routePlane(s, &l.Planes[i], leaves, flows); err != nil {
			return fmt.Errorf("links: rails %s: %w", l.Planes[i].Rails, err)
		}
	}
	return nil
}

func (l *LinkSet) routePlane(s *site.Site, plane *PlaneLinks, leaves []leafUse, flows [][2]int) error {
	rest := -1
	for i := range leaves {
		if s.SUs[leaves[i].su].ID == l.RestSU {
			rest = i
		}
	}
	spine, err := colour(len(leaves), flows, plane.Spines, plane.Rest, rest, 1)
	if err != nil {
		return fmt.Errorf("between leaves: %w", err)
	}
	// The colouring is not trusted either: count what each link carries.
	up, down := make([]Mask, len(leaves)), make([]Mask, len(leaves))
	var byPosition [maskBits][][2]int
	pods := podsOf(leaves)
	podAt := map[int]int{}
	for i, p := range pods {
		podAt[p] = i
	}
	for i, flow := range flows {
		for end, used := range [...][]Mask{up, down} {
			leaf := flow[end]
			held := plane.Spines
			if leaf == rest {
				held = plane.Rest
			}
			if !held.Has(spine[i]) {
				return fmt.Errorf("SU %s: a flow takes the uplink to spine position %d, which the slice does not hold", s.SUs[leaves[leaf].su].ID, spine[i])
			}
			if used[leaf].Has(spine[i]) {
				return fmt.Errorf("SU %s: two flows take the uplink to spine position %d", s.SUs[leaves[leaf].su].ID, spine[i])
			}
			used[leaf] = used[leaf].or(one(spine[i]))
		}
		from, to := podAt[leaves[flow[0]].pod], podAt[leaves[flow[1]].pod]
		if from != to {
			byPosition[spine[i]] = append(byPosition[spine[i]], [2]int{from, to})
		}
	}
	return l.routeCores(s, plane, pods, &byPosition)
}

func (l *LinkSet) routeCores(s *site.Site, plane *PlaneLinks, pods []int, byPosition *[maskBits][][2]int) error {
	rest := -1
	for i, p := range pods {
		if s.Pods[p].ID == l.RestPod {
			rest = i
		}
	}
	for position, flows := range byPosition {
		if len(flows) == 0 {
			continue
		}
		var set CoreSet
		for _, c := range plane.Cores {
			if c.Spines.Has(position) {
				set = c
			}
		}
		core, err := colour(len(pods), flows, set.Cores, set.Rest, rest, l.Flows)
		if err != nil {
			return fmt.Errorf("between pods, at spine position %d: %w", position, err)
		}
		type link struct{ pod, core, way int }
		carries := map[link]int{}
		for i, flow := range flows {
			for way, pod := range flow {
				held := set.Cores
				if pod == rest {
					held = set.Rest
				}
				if !held.Has(core[i]) {
					return fmt.Errorf("pod %s: a flow takes the link of spine position %d to core %d, which the slice does not hold", s.Pods[pods[pod]].ID, position, core[i])
				}
				at := link{pod, core[i], way}
				if carries[at]++; carries[at] > l.Flows {
					return fmt.Errorf("pod %s: %d flows take the link of spine position %d to core %d, at most %d may", s.Pods[pods[pod]].ID, carries[at], position, core[i], l.Flows)
				}
			}
		}
	}
	return nil
}

// colour gives every edge of a bipartite multigraph on twice n vertices one of
// the positions, so that at most each edges of a vertex and side share one. The
// vertex rest, unless negative, may use its own positions only.
func colour(n int, edges [][2]int, positions, own Mask, rest, each int) ([]int, error) {
	each = max(each, 1)
	k := positions.Count() * each
	if rest >= 0 && !own.within(positions) {
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
	mine, others := expand(own, each), expand(positions.without(own), each)
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

func expand(m Mask, each int) []int {
	var out []int
	for i := range m.all {
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
