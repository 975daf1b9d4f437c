package solve

import "sort"

// front is what a part of the tree offers, as a staircase: point i says that
// nodes[i] nodes, and no more, can be had at cost[i], and that no cheaper cost
// gives as many. Both columns ascend strictly. A front that begins with (0, 0)
// offers to leave that part untouched.
//
// Working on staircases instead of one cell a node count is what makes large
// asks cheap: an empty pod of 3,125 nodes has 392 steps.
type front struct {
	nodes []uint32
	cost  []uint64
}

func (f front) len() int { return len(f.nodes) }

// most returns how many nodes the front offers at any cost.
func (f front) most() uint32 {
	if len(f.nodes) == 0 {
		return 0
	}
	return f.nodes[len(f.nodes)-1]
}

// untouched is the front of nothing.
func untouched() front { return front{nodes: []uint32{0}, cost: []uint64{0}} }

// store keeps fronts. Points are written once and never moved, so that fronts
// may share its chunks; a new chunk is taken when one is full.
type store struct {
	nodes []uint32
	cost  []uint64
	chunk int // points in the next chunk
}

// Chunks double up to this many points, so that small asks stay small.
const firstChunk, lastChunk = 1 << 8, 1 << 15

// begin makes room for a front of up to n points.
func (s *store) begin(n int) {
	if cap(s.nodes)-len(s.nodes) < n {
		s.chunk = min(max(2*s.chunk, firstChunk), lastChunk)
		room := max(s.chunk, n)
		s.nodes, s.cost = make([]uint32, 0, room), make([]uint64, 0, room)
	}
}

// keep copies f into the store.
func (s *store) keep(f front) front {
	s.begin(f.len())
	at := len(s.nodes)
	s.nodes = append(s.nodes, f.nodes...)
	s.cost = append(s.cost, f.cost...)
	return front{s.nodes[at:len(s.nodes):len(s.nodes)], s.cost[at:len(s.cost):len(s.cost)]}
}

// merger merges fronts of disjoint parts: the (min,+) product of staircases.
// It owns the scratch space.
type merger struct {
	best  []uint64 // cheapest cost by node count, from the lower bound on
	nodes []uint32 // the result's points
	cost  []uint64
}

const never = ^uint64(0)

// merge returns the front of two disjoint parts together. More than want nodes
// count as want; what cannot reach low is left out. It is exact: a point that is left
// out has another with as many nodes for no more, which completes in as many
// ways, or cannot be completed.
// The result is valid until the next merge.
// Cost: at most len(a)*len(b) steps of about 1 ns, and want-low.
func (m *merger) merge(a, b front, low, want uint32) front {
	if a.len() < b.len() {
		a, b = b, a // the longer one into the inner loop
	}
	want = min(want, a.most()+b.most())
	if a.len() == 0 || b.len() == 0 || low > want {
		return front{}
	}
	size := int(want-low) + 1
	if cap(m.best) < size {
		m.best = make([]uint64, size+size/4)
	}
	best := m.best[:size]
	for i := range best {
		best[i] = never
	}
	// As b's point has more nodes, both ends of the useful part of a fall.
	first, end := a.len(), a.len()
	for j, have := range b.nodes {
		price := b.cost[j]
		for first > 0 && a.nodes[first-1]+have >= low {
			first--
		}
		for end > 0 && a.nodes[end-1]+have >= want {
			end--
		}
		// The first point that is enough is the cheapest that is.
		if end < a.len() {
			if c := price + a.cost[end]; c < best[size-1] {
				best[size-1] = c
			}
		}
		if first >= end {
			continue
		}
		nodes, cost := a.nodes[first:end], a.cost[first:end]
		cost = cost[:len(nodes)]
		offset := have - low // may wrap around; so does the sum, back again
		for i, n := range nodes {
			at := n + offset
			if c := price + cost[i]; c < best[at] {
				best[at] = c
			}
		}
	}
	// From the top down, a point counts only if it is cheaper than all above it.
	m.nodes, m.cost = m.nodes[:0], m.cost[:0]
	cheapest := never
	for i := size - 1; i >= 0; i-- {
		if best[i] < cheapest {
			cheapest = best[i]
			m.nodes = append(m.nodes, low+uint32(i))
			m.cost = append(m.cost, cheapest)
		}
	}
	for i, j := 0, len(m.nodes)-1; i < j; i, j = i+1, j-1 {
		m.nodes[i], m.nodes[j] = m.nodes[j], m.nodes[i]
		m.cost[i], m.cost[j] = m.cost[j], m.cost[i]
	}
	return front{m.nodes, m.cost}
}

// split finds the two points that merge made point (nodes, cost) of: indexes
// into a and b. Of several it takes the one with the least of b.
// Cost: O(len(b) log len(a)).
func split(a, b front, nodes uint32, cost uint64) (i, j int, ok bool) {
	for j = range b.nodes {
		if b.cost[j] > cost {
			break
		}
		rest := cost - b.cost[j]
		i = sort.Search(a.len(), func(i int) bool { return a.cost[i] >= rest })
		if i < a.len() && a.cost[i] == rest && a.nodes[i]+b.nodes[j] >= nodes {
			return i, j, true
		}
	}
	return 0, 0, false
}
