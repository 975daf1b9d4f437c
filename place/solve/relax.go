package solve

import (
	"math/bits"
	"slices"
)

// relax solves a relaxation, and reports whether it has a solution.
func (s *search) relax(x *relaxation) bool {
	switch x.form {
	case onePod:
		return s.relaxOne(x)
	case twoPods:
		return s.relaxTwo(x)
	default:
		return s.relaxMany(x)
	}
}

func part(m *menu, pod int, o offer) planPart {
	return planPart{menu: m, pod: pod, leaves: o.leaves, deficit: o.deficit, small: o.small, racks: o.racks, closed: o.closed}
}

func (s *search) relaxOne(x *relaxation) bool {
	m := s.menuOf(x.a, x)
	x.bound = never
	for _, small := range []bool{false, true} {
		for _, o := range m.offers(1, len(m.sus)+1, small, true) {
			if cost := s.pack.halls(1) + s.pod(x.a) + o.cost; o.nodes >= s.want && cost < x.bound {
				x.bound, x.plan = cost, plan{parts: []planPart{part(m, x.a, o)}, rest: -1}
			}
		}
	}
	return x.bound != never
}

func (s *search) relaxTwo(x *relaxation) bool {
	a, b := s.menuOf(x.a, x), s.menuOf(x.b, x)
	base := s.pack.halls(1) + s.pod(x.a) + s.pod(x.b)
	if s.pods[x.a].hall != s.pods[x.b].hall {
		base += s.pack.halls(1)
	}
	x.bound = never
	try := func(as, bs []offer) {
		// More nodes cost more on both sides: walk them against each other.
		j := 0
		for i := len(as) - 1; i >= 0; i-- {
			for j < len(bs) && as[i].nodes+bs[j].nodes < s.want {
				j++
			}
			if j == len(bs) {
				return
			}
			if cost := base + as[i].cost + bs[j].cost; cost < x.bound {
				x.bound, x.plan = cost, plan{parts: []planPart{part(a, x.a, as[i]), part(b, x.b, bs[j])}, rest: -1}
			}
		}
	}
	all := max(len(a.sus), len(b.sus)) + 1
	other := x.few // least leaves of the larger pod
	if x.more > 0 {
		other, all = x.more, x.more
	}
	for _, small := range [][2]bool{{false, false}, {true, false}, {false, true}} {
		if x.must && !small[0] && !small[1] {
			continue
		}
		if x.few == 0 {
			try(a.offers(1, all, small[0], true), b.offers(1, all, small[1], true))
			continue
		}
		if x.more == 0 || x.larger == x.b {
			try(a.offers(x.few, x.few, small[0], true), b.offers(other, all, small[1], true))
		}
		if x.more == 0 || x.larger == x.a {
			try(a.offers(other, all, small[0], true), b.offers(x.few, x.few, small[1], true))
		}
	}
	return x.bound != never
}

// point is a partial slice of many pods.
type point struct {
	nodes int
	cost  uint64
	state int // that it came from
	from  int // point of that state, one pod before
	pod   int // that was added, or -1
	rest  bool
	offer int // index into the pod's offers in that role
}

// States of a partial slice: whether it has its smaller pod, and whether it has
// a pod in the hall that is being looked at.
const (
	hasRest = 1
	isOpen  = 2
	states  = 4
)

// treeChoice is what a pod may give as one of the full trees, and as the remainder
// tree.
type treeChoice struct {
	menu       *menu
	full, rest []offer
}

// most is the most nodes that the pod gives in one of the roles.
func (c *treeChoice) most() int {
	n := 0
	for _, offers := range [...][]offer{c.full, c.rest} {
		if len(offers) > 0 {
			n = max(n, offers[len(offers)-1].nodes)
		}
	}
	return n
}

// relaxMany is a knapsack over pods: each is a full tree, the remainder tree, or not
// of the slice.
func (s *search) relaxMany(x *relaxation) bool {
	choices := make([]treeChoice, len(s.pods))
	after := make([]int, len(s.pods)+1) // most nodes of the pods from i on
	for i := len(s.pods) - 1; i >= 0; i-- {
		choices[i] = s.treeChoice(x, i)
		after[i] = after[i+1] + choices[i].most()
	}
	if after[0] < s.want {
		return false
	}
	steps := s.addTrees(choices, after)
	x.bound = never
	last := steps[len(s.pods)]
	var at *point
	for state := range states {
		if x.must && state&hasRest == 0 {
			continue
		}
		for k := range last[state] {
			if p := &last[state][k]; p.nodes >= s.want && p.cost < x.bound {
				x.bound, at = p.cost, p
			}
		}
	}
	if at == nil {
		return false
	}
	x.plan = planOf(choices, steps, at)
	return true
}

// treeChoice lists what pod i may give.
func (s *search) treeChoice(x *relaxation, i int) treeChoice {
	m := s.menuOf(i, x)
	c := treeChoice{menu: m}
	// As many links as r leaves need is what counts.
	least := x.r - s.o.Site().Shape.PodTaper + 1
	all := s.pods[i].size - s.pods[i].taken // leaves that shut the pod
	full := x.without.asFull(i)
	switch full {
	case anyLeaves:
		c.full = m.offers(least, x.r, false, false)
	case allLeaves:
		if all >= least && all <= x.r {
			c.full = m.offers(all, all, false, false)
		}
	}
	if n := s.pods[i].size; full != noLeaves && n == len(m.sus) && n < least {
		c.full = m.offers(n, n, false, false) // it is the slice's alone
	}
	// Where all other pods are the slice's alone and small, the one with R leaves
	// may be the one that has fewer core links: it sends no more than they receive.
	longest := x.r - 1
	if s.small(x.r) > 1 {
		longest = x.r
	}
	choice, most := x.without.asRemainder(i)
	switch choice {
	case anyLeaves:
		// The remainder leaf is one of them.
		c.rest = m.offers(1, min(x.r, most+1), true, false)
		if !x.must {
			c.rest = union(m.offers(1, min(longest, most), false, false), c.rest)
		}
	case allLeaves:
		if all <= min(longest, most) && !x.must {
			c.rest = m.offers(all, all, false, false)
		}
	}
	return c
}

// addTrees returns the partial slices of the first 0, 1, 2... pods, by state.
func (s *search) addTrees(choices []treeChoice, after []int) [][states][]point {
	steps := make([][states][]point, len(s.pods)+1)
	steps[0][0] = []point{{pod: -1}}
	var table [states]dense
	for i := range s.pods {
		closing := i > 0 && s.pods[i-1].hall != s.pods[i].hall
		for state := range states {
			for at := range steps[i][state] {
				p := &steps[i][state][at]
				if p.nodes+after[i] < s.want {
					continue
				}
				now := state
				if closing {
					now &^= isOpen
				}
				if table[now].better(s.want, p.nodes, p.cost) {
					table[now].put(point{nodes: p.nodes, cost: p.cost, state: state, from: at, pod: -1})
				}
				base := p.cost + s.pod(i)
				if now&isOpen == 0 {
					base += s.pack.halls(1)
				}
				add := func(offers []offer, to int, rest bool) {
					for k := range offers {
						nodes := min(p.nodes+offers[k].nodes, s.want)
						cost := base + offers[k].cost
						if nodes+after[i+1] >= s.want && table[to].better(s.want, nodes, cost) && cost+s.least(s.want-nodes) < s.best {
							table[to].put(point{nodes: nodes, cost: cost, state: state, from: at, pod: i, rest: rest, offer: k})
						}
					}
				}
				add(choices[i].full, now|isOpen, false)
				if now&hasRest == 0 {
					add(choices[i].rest, now|isOpen|hasRest, true)
				}
			}
		}
		for state := range states {
			steps[i+1][state] = table[state].drain()
		}
	}
	return steps
}

// planOf goes the way back from a partial slice of all pods.
func planOf(choices []treeChoice, steps [][states][]point, at *point) plan {
	out := plan{rest: -1}
	for i := len(choices) - 1; i >= 0; i-- {
		if at.pod >= 0 {
			c := &choices[at.pod]
			o := c.full
			if at.rest {
				out.rest, o = at.pod, c.rest
			}
			out.parts = append(out.parts, part(c.menu, at.pod, o[at.offer]))
		}
		at = &steps[i][at.state][at.from]
	}
	slices.Reverse(out.parts)
	return out
}

// small counts the pods that a slice may have alone with fewer than r leaves.
func (s *search) small(r int) int {
	n := 0
	for i := range s.pods {
		if p := &s.pods[i]; p.size < r && p.wholes() == p.size {
			n++
		}
	}
	return n
}

// union is the best of two lists of offers.
func union(a, b []offer) []offer {
	all := append(slices.Clone(a), b...)
	slices.SortFunc(all, func(a, b offer) int {
		if a.nodes != b.nodes {
			return b.nodes - a.nodes
		}
		if a.cost < b.cost {
			return -1
		}
		return 1
	})
	out := all[:0]
	cheapest := never
	for _, o := range all {
		if o.cost < cheapest {
			cheapest = o.cost
			out = append(out, o)
		}
	}
	slices.Reverse(out)
	return out
}

// dense keeps the cheapest point for every number of nodes.
type dense struct {
	at     []int32  // 1 + index into points
	set    []uint64 // which numbers of nodes have a point
	points []point
}

// better reports whether a cost is less than that of so many nodes so far.
func (d *dense) better(want, nodes int, cost uint64) bool {
	if d.at == nil {
		d.at, d.set = make([]int32, want+1), make([]uint64, want/64+1)
	}
	i := d.at[nodes]
	return i == 0 || cost < d.points[i-1].cost
}

func (d *dense) put(p point) {
	if i := d.at[p.nodes]; i != 0 {
		d.points[i-1] = p
		return
	}
	d.points = append(d.points, p)
	d.at[p.nodes] = int32(len(d.points))
	d.set[p.nodes/64] |= 1 << (p.nodes % 64)
}

// drain returns the points that are cheaper than all with more nodes, in
// ascending order, and empties the table.
func (d *dense) drain() []point {
	var out []point
	cheapest := never
	for word := len(d.set) - 1; word >= 0; word-- {
		for left := d.set[word]; left != 0; {
			top := bits.Len64(left) - 1
			left &^= 1 << top
			n := word*64 + top
			if p := &d.points[d.at[n]-1]; p.cost < cheapest {
				cheapest = p.cost
				out = append(out, *p)
			}
			d.at[n] = 0
		}
		d.set[word] = 0
	}
	slices.Reverse(out)
	d.points = d.points[:0]
	return out
}
