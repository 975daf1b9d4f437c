package solve

import (
	"slices"
	"sort"
)

// offer is a number of nodes at a cost, and how to get them.
type offer struct {
	nodes   int
	cost    uint64
	leaves  int32 // whole SUs
	deficit int32
	small   int32 // index into pod.sus of the smaller leaf, or -1
	racks   int32 // of the smaller leaf
	closed  bool  // which holds the last uplink
}

// sus counts the SUs of an offer.
func (o *offer) sus() int {
	if o.small >= 0 {
		return int(o.leaves) + 1
	}
	return int(o.leaves)
}

// offers is a list in which more nodes cost more. As SUs come before all else that a
// list tells apart, those of one number of SUs stand together: ends says where each
// number's end.
type offers struct {
	list []offer
	ends []int
}

func newOffers(list []offer) offers {
	o := offers{list: list}
	for i := range list {
		if i+1 == len(list) || list[i+1].sus() != list[i].sus() {
			o.ends = append(o.ends, i+1)
		}
	}
	return o
}

// upTo is the offers of so many SUs at most. It is what a list would be that was made
// of these only: what costs more can't replace any of them.
func (o offers) upTo(sus int) offers {
	groups := sort.Search(len(o.ends), func(i int) bool { return o.list[o.ends[i]-1].sus() > sus })
	if groups == 0 {
		return offers{}
	}
	return offers{list: o.list[:o.ends[groups-1]], ends: o.ends[:groups]}
}

// above is the offers that give more than so many nodes.
func (o offers) above(nodes int) offers {
	from := sort.Search(len(o.list), func(i int) bool { return o.list[i].nodes > nodes })
	if from == 0 {
		return o
	}
	out := offers{list: o.list[from:]}
	for _, end := range o.ends {
		if end > from {
			out.ends = append(out.ends, end-from)
		}
	}
	return out
}

// most is the most nodes that an offer gives.
func (o offers) most() int {
	if len(o.list) == 0 {
		return 0
	}
	return o.list[len(o.list)-1].nodes
}

// The smaller leaf of an offer: there is none; it is one of those that cost the least
// but for ties, as long lists take long; or any that is listed.
type smallLeaf int

const (
	noSmall smallLeaf = iota
	roughSmall
	anySmall
	maybeSmall // there is none, or one as in roughSmall
)

// listed is which offers a menu has been asked for.
type listed struct {
	low, high int // whole SUs
	small     smallLeaf
}

// offers lists what low to high leaves can give, without or with the smaller leaf,
// which counts as one of them.
func (m *menu) offers(s *search, low, high int, small smallLeaf) offers {
	most := len(m.sus)
	if small != noSmall {
		most++
	}
	if high = min(high, most); low > high {
		return offers{}
	}
	if low <= 1 {
		return m.list(s, listed{0, len(m.sus), small}).upTo(high)
	}
	if small != noSmall {
		low, high = low-1, high-1
	}
	return m.list(s, listed{low, high, small})
}

// either lists what up to so many whole SUs give, and what up to so many leaves with
// the smaller one among them give: the best of both, and what only one of them goes on
// with.
func (m *menu) either(s *search, whole, small int) [2]offers {
	both := m.list(s, listed{0, len(m.sus), maybeSmall}).upTo(min(whole, small))
	var more offers
	if whole > small {
		more = m.offers(s, 1, whole, noSmall)
	} else if small > whole {
		more = m.offers(s, 1, small, roughSmall)
	}
	return [2]offers{both, more.above(both.most())}
}

// maxListed bounds the offers that are kept in lists, over all menus: 40 MB.
const maxListed = 1_000_000

// list makes a list, or finds it.
func (m *menu) list(s *search, key listed) offers {
	if known, ok := m.lists[key]; ok {
		return known
	}
	leaves := m.rough
	switch key.small {
	case anySmall:
		leaves = m.small
	case noSmall:
		leaves = nil
	}
	most := m.best[key.high]
	if len(leaves) > 0 {
		most += leaves[len(leaves)-1].nodes
	}
	costs := slices.Grow(s.costs[:0], most+1)[:most+1]
	made := slices.Grow(s.made[:0], most+1)[:most+1]
	s.costs, s.made = costs, made
	for i := range costs {
		costs[i] = never
	}
	for k := key.low; k <= key.high; k++ {
		for d, c := range m.cells[k] {
			nodes := m.best[k] - d
			if c == never || nodes < 0 {
				continue
			}
			if (key.small == noSmall || key.small == maybeSmall) && c < costs[nodes] {
				costs[nodes], made[nodes] = c, madeOf{int32(k), int32(d), -1}
			}
			for i := range leaves {
				x := &leaves[i]
				if at, c := nodes+x.nodes, c+x.cost; c < costs[at] {
					costs[at], made[at] = c, madeOf{int32(k), int32(d), int32(i)}
				}
			}
			s.work += 1 + len(leaves)
		}
	}
	count, cheapest := 0, never
	for n := most; n > 0; n-- {
		if costs[n] < cheapest {
			cheapest = costs[n]
			count++
		} else {
			costs[n] = never
		}
	}
	out := make([]offer, 0, count)
	for n := 1; n <= most; n++ {
		if costs[n] == never {
			continue
		}
		o := offer{nodes: n, cost: costs[n], leaves: made[n].leaves, deficit: made[n].deficit, small: -1}
		if i := made[n].small; i >= 0 {
			o.small, o.racks, o.closed = leaves[i].small, leaves[i].racks, leaves[i].closed
		}
		out = append(out, o)
	}
	if s.listed += len(out); s.listed > maxListed {
		s.listed = len(out)
		for _, other := range s.menus {
			clear(other.lists)
		}
	}
	m.lists[key] = newOffers(out)
	return m.lists[key]
}
