package solve

import (
	"cmp"
	"maps"
	"slices"

	"bulkhead/place"
	"bulkhead/site"
)

// window is how many nodes fewer than it could a number of whole SUs may give in
// an optimal slice: less than an SU's nodes stay idle, and as many may be moved
// to the smaller leaf.
const window = 2 * site.MaxSUNodes

// menu is what a pod offers under a relaxation: for each number of whole SUs,
// the cheapest way to give so many nodes.
type menu struct {
	pod    *podStock
	sus    []int          // SUs that may be whole, indexes into pod.sus, the largest first
	nodes  []int          // nodes that each of them gives at most
	best   []int          // nodes of the first 0, 1, 2... of them
	ways   [][]rackOption // how much of each of them may be used
	cells  [][]uint64
	chosen []uint8 // how each cell was made: by SU, whole SUs and deficit the option's number from 1, or 0
	small  []offer // what the smaller leaf may give: of each number of nodes the tightest SU
	rough  []offer // of these, the most nodes for each number of racks
	width  int
	flows  int
	lists  map[listed]offers
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
	// What a leaf sends depends on the size of the slice, as long as it is small.
	key := s.names.Of(append(parts, x.flows, x.any, min(s.want, site.MaxSUNodes+place.MaskBits))...)
	if m, ok := s.menus[key]; ok {
		return m
	}
	m := &menu{pod: p, flows: x.flows, lists: map[listed]offers{}, width: min(window, 2*s.o.Site().Shape.SUNodes)}
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
	m.fill(s)
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
// that give d nodes less than the k largest could, where no fewer nodes less cost as
// little. Cost: SUs² * window * racks steps at most, 1 ms for a pod of 50 SUs.
func (m *menu) fill(s *search) {
	m.cells = make([][]uint64, len(m.sus)+1)
	all := make([]uint64, len(m.cells)*m.width)
	for i := range all {
		all[i] = never
	}
	for k := range m.cells {
		m.cells[k], all = all[:m.width:m.width], all[m.width:]
	}
	m.cells[0][0] = 0
	deficits := make([]uint16, len(m.cells)*m.width) // that each row has, from k * width on
	live := make([]int, len(m.cells))                // how many
	live[0] = 1
	m.chosen = make([]uint8, rows(len(m.sus))*m.width)
	for i := range m.sus {
		options := s.options(m, i)
		m.ways = append(m.ways, options)
		for k := i; k >= 0; k-- {
			// The k+1 largest have one more, which is at least this one.
			shift := m.best[k+1] - m.best[k] - m.nodes[i]
			from, to, chosen := m.cells[k], m.cells[k+1], m.row(i, k+1)
			chosen = chosen[:len(to)]
			have := deficits[k*m.width:][:live[k]]
			for number, o := range options {
				by, cost, way := shift+o.deficit, o.cost, uint8(number+1)
				for _, d := range have {
					at := int(d) + by
					if uint(at) >= uint(len(to)) { // so that nothing below is checked again
						break
					}
					if c := from[d] + cost; c < to[at] {
						to[at], chosen[at] = c, way
					}
				}
			}
			s.work += len(options)*len(have) + m.width/4
			next, n, cheapest := deficits[(k+1)*m.width:][:m.width], 0, never
			for d, c := range to {
				if c < cheapest {
					cheapest = c
					next[n] = uint16(d)
					n++
				} else {
					to[d] = never
				}
			}
			live[k+1] = n
		}
	}
}

// rows is how many rows of chosen belong to the first so many SUs: of the first,
// one whole SU may have been taken; of the second, one or two; and so on.
func rows(sus int) int { return sus * (sus + 1) / 2 }

// row is what was chosen of SU i in slices of so many of the first i + 1 whole SUs.
func (m *menu) row(i, leaves int) []uint8 {
	at := (rows(i) + leaves - 1) * m.width
	return m.chosen[at : at+m.width]
}

// picked is a whole SU of a plan.
type picked struct{ at, racks, nodes int }

// pick finds the SUs that make a cell.
func (m *menu) pick(s *search, leaves, deficit int) []picked {
	out := make([]picked, 0, leaves)
	k, d := leaves, deficit
	for i := len(m.sus) - 1; i >= 0 && k > 0; i-- {
		number := int(m.row(i, k)[d])
		if number == 0 {
			continue
		}
		o := m.ways[i][number-1]
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
			o := offer{closed: last, nodes: n, small: int32(i), racks: int32(r + 1), cost: s.pack.sus(1) + uint64(r+1)<<s.tie.bits + s.tie.of(u)}
			if old, ok := best[size{n, r + 1}]; n > 0 && (!ok || o.cost < old.cost) {
				best[size{n, r + 1}] = o
			}
		}
	}
	all := slices.SortedFunc(maps.Values(best), func(a, b offer) int { return cmp.Or(b.nodes-a.nodes, cmp.Compare(a.cost, b.cost)) })
	racks, cheapest := int32(1<<30), never
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
