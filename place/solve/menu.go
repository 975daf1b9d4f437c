package solve

import (
	"cmp"
	"maps"
	"slices"

	"bulkhead/site"
)

// window is how many nodes fewer than it could a number of whole SUs may give in
// an optimal slice: less than an SU's nodes stay idle, and as many may be moved
// to the smaller leaf.
const window = 2 * site.MaxSUNodes

// menu is what a pod offers under a relaxation: for each number of whole SUs,
// the cheapest way to give so many nodes.
type menu struct {
	pod   *podStock
	sus   []int // SUs that may be whole, indexes into pod.sus, the largest first
	nodes []int // nodes that each of them gives at most
	best  []int // nodes of the first 0, 1, 2... of them
	cells [][]uint64
	small []offer // what the smaller leaf may give: of each number of nodes the tightest SU
	rough []offer // of these, the most nodes for each number of racks
	width int
	flows int
	lists map[listed][]offer
}

// allowed returns how many of an SU's nodes a slice may have when a leaf can
// send so many flows at once: a leaf that has most of the slice's nodes sends no more
// than the others can receive.
func (s *search) allowed(nodes, flows int) int {
	if s.want-nodes <= flows {
		return nodes
	}
	return min(nodes, flows)
}

// listed is which offers a menu has been asked for.
type listed struct {
	low, high  int
	small, any bool // with the smaller leaf; which may be any that is listed
}

// offer is a number of nodes at a cost, and how to get them.
type offer struct {
	nodes   int
	cost    uint64
	leaves  int // whole SUs
	deficit int
	small   int  // index into pod.sus of the smaller leaf, or -1
	racks   int  // of the smaller leaf
	closed  bool // which holds the last uplink
}

// rackOption is a number of an SU's fullest racks.
type rackOption struct {
	racks, deficit int
	cost           uint64
}

// menuOf returns the menu of a pod. Menus are kept: most relaxations see a pod
// alike.
func (s *search) menuOf(pod int, x *relaxation) *menu {
	p := &s.pods[pod]
	var parts []any
	limit := map[int]int{}
	shut := map[int]bool{}
	open := map[int]bool{} // SUs of which the last uplink stays common
	none := false
	for _, r := range x.without {
		switch r := r.(type) {
		case noRemainderLeaf:
			if r.pod != pod {
				continue
			}
			none = true
		case noFullLeaf:
			if s.o.Site().SUs[r.su].Pod != p.pod {
				continue
			}
			shut[r.su] = true
		case lastUplinkCommon:
			if s.o.Site().SUs[r.su].Pod != p.pod {
				continue
			}
			open[r.su] = true
		case remainderLeaf:
			if s.o.Site().SUs[r.su].Pod != p.pod {
				continue
			}
			limit[r.su] = r.flows
		default:
			continue // about pods
		}
		parts = append(parts, r)
	}
	if len(parts) == 0 {
		parts = append(parts, p.shape()) // pods that look alike have the same menu
	} else {
		parts = append(parts, pod)
	}
	key := s.names.Of(append(parts, x.flows, x.any)...)
	if m, ok := s.menus[key]; ok {
		return m
	}
	m := &menu{pod: p, flows: x.flows, lists: map[listed][]offer{}, width: min(window, 2*s.o.Site().Shape.SUNodes)}
	for i := range p.sus {
		if u := &p.sus[i]; u.whole && !shut[u.su] {
			m.sus = append(m.sus, i)
		}
	}
	slices.SortStableFunc(m.sus, func(a, b int) int {
		x, y := &p.sus[a], &p.sus[b]
		if x.nodes != y.nodes {
			return y.nodes - x.nodes
		}
		return x.flaws - y.flaws
	})
	m.best = []int{0}
	for _, i := range m.sus {
		n := s.allowed(p.sus[i].nodes, x.flows)
		m.nodes = append(m.nodes, n)
		m.best = append(m.best, m.best[len(m.best)-1]+n)
	}
	m.cells = m.fill(s, nil)
	if !none {
		m.smaller(s, limit, open, x.any)
	}
	s.menus[key] = m
	return m
}

// options lists how much of an SU may be used, everything first.
func (s *search) options(m *menu, i int) []rackOption {
	u := &m.pod.sus[m.sus[i]]
	tie := s.tie.of(u)
	var out []rackOption
	sum := 0
	for r := range u.racks {
		if sum >= m.nodes[i] {
			break
		}
		sum += u.racks[r].nodes
		if d := m.nodes[i] - s.allowed(sum, m.flows); d < m.width {
			out = append(out, rackOption{racks: r + 1, deficit: d, cost: s.pack.sus(1) + uint64(r+1)<<s.tie.bits + tie})
		}
	}
	return out
}

// fill is the knapsack of a pod: cells[k][d] is the cheapest cost of k whole SUs
// that give d nodes less than the k largest could. trace, if given, learns what
// was chosen at each SU: the option's number from 1, or 0.
// Cost: SUs² * window * racks steps at most, 2 ms for a pod of 64 SUs.
func (m *menu) fill(s *search, trace func(i int, k, d, option int)) [][]uint64 {
	cells := make([][]uint64, len(m.sus)+1)
	for k := range cells {
		cells[k] = make([]uint64, m.width)
		for d := range cells[k] {
			cells[k][d] = never
		}
	}
	cells[0][0] = 0
	for i := range m.sus {
		options := s.options(m, i)
		for k := i; k >= 0; k-- {
			// The k+1 largest have one more, which is at least this one.
			shift := m.best[k+1] - m.best[k] - m.nodes[i]
			from, to := cells[k], cells[k+1]
			for number, o := range options {
				by := shift + o.deficit
				if by >= m.width {
					continue
				}
				for d := 0; d+by < m.width; d++ {
					if from[d] == never {
						continue
					}
					if c := from[d] + o.cost; c < to[d+by] {
						to[d+by] = c
						if trace != nil {
							trace(i, k+1, d+by, number+1)
						}
					}
				}
			}
		}
	}
	return cells
}

// picked is a whole SU of a plan.
type picked struct{ at, racks, nodes int }

// pick finds the SUs that make a cell.
func (m *menu) pick(s *search, leaves, deficit int) []picked {
	if leaves == 0 {
		return nil
	}
	per := (len(m.sus) + 1) * m.width
	chosen := make([]uint8, len(m.sus)*per)
	m.fill(s, func(i, k, d, option int) { chosen[i*per+k*m.width+d] = uint8(option) })
	var out []picked
	k, d := leaves, deficit
	for i := len(m.sus) - 1; i >= 0 && k > 0; i-- {
		number := int(chosen[i*per+k*m.width+d])
		if number == 0 {
			continue
		}
		o := s.options(m, i)[number-1]
		out = append(out, picked{at: m.sus[i], racks: o.racks, nodes: m.nodes[i] - o.deficit})
		d -= m.best[k] - m.best[k-1] - m.nodes[i] + o.deficit
		k--
	}
	slices.Reverse(out)
	return out
}

// smaller lists what the one smaller leaf may give: an SU that somebody else has
// nodes of, or one whose uplinks are not all in order; any SU, if so wanted.
func (m *menu) smaller(s *search, limit map[int]int, open map[int]bool, any bool) {
	type size struct{ nodes, racks int }
	best := map[size]offer{}
	for i := range m.pod.sus {
		u := &m.pod.sus[i]
		if u.whole && u.flaws == 0 && !any {
			continue // as a whole leaf it gives as much
		}
		flows, closed := u.uplinks(), u.closed()
		if cap, ok := limit[u.su]; ok {
			flows, closed = min(flows, cap), min(closed, cap+1)
		}
		sum := 0
		for r := range u.racks {
			sum += u.racks[r].nodes
			n, last := s.allowed(sum, flows), false
			if sum == u.nodes && n < sum && u.closing && !open[u.su] && s.allowed(sum, closed) == sum {
				n, last = sum, true
			}
			o := offer{closed: last, nodes: n, small: i, racks: r + 1, cost: s.pack.sus(1) + uint64(r+1)<<s.tie.bits + s.tie.of(u)}
			if old, ok := best[size{n, r + 1}]; n > 0 && (!ok || o.cost < old.cost) {
				best[size{n, r + 1}] = o
			}
		}
	}
	all := slices.SortedFunc(maps.Values(best), func(a, b offer) int { return cmp.Or(b.nodes-a.nodes, cmp.Compare(a.cost, b.cost)) })
	racks, cheapest := 1<<30, never
	for _, o := range all {
		if o.racks < racks {
			racks = o.racks
			m.rough = append(m.rough, o)
		}
		if o.cost < cheapest {
			cheapest = o.cost
			m.small = append(m.small, o)
		}
	}
	slices.Reverse(m.rough)
	slices.Reverse(m.small)
}

// offers lists what low to high leaves can give, without or with the smaller
// leaf, which counts as one of them. More nodes cost more in the result. The
// smaller leaf is any that is listed, or, as long lists take long, one of those
// that cost the least but for ties.
func (m *menu) offers(low, high int, small, any bool) []offer {
	leaves := m.rough
	if any {
		leaves = m.small
	}
	whole := high
	if small {
		low, whole = low-1, high-1
	}
	low, whole = max(low, 0), min(whole, len(m.sus))
	if low > whole || small && len(leaves) == 0 {
		return nil
	}
	key := listed{low, whole, small, any}
	if list, ok := m.lists[key]; ok {
		return list
	}
	most := m.best[whole]
	if small {
		most += leaves[len(leaves)-1].nodes
	}
	best := make([]offer, most+1)
	for i := range best {
		best[i].cost = never
	}
	put := func(o offer) {
		if o.cost < best[o.nodes].cost {
			best[o.nodes] = o
		}
	}
	for k := low; k <= whole; k++ {
		for d, c := range m.cells[k] {
			nodes := m.best[k] - d
			if c == never || nodes < 0 {
				continue
			}
			if !small {
				put(offer{nodes: nodes, cost: c, leaves: k, deficit: d, small: -1})
				continue
			}
			for _, x := range leaves {
				put(offer{nodes: nodes + x.nodes, cost: c + x.cost, leaves: k, deficit: d, small: x.small, racks: x.racks, closed: x.closed})
			}
		}
	}
	var out []offer
	cheapest := never
	for n := most; n > 0; n-- {
		if best[n].cost < cheapest {
			cheapest = best[n].cost
			out = append(out, best[n])
		}
	}
	slices.Reverse(out)
	m.lists[key] = out
	return out
}
