package solve

import (
	"slices"

	"bulkhead/place"
	"bulkhead/site"
)

// inWholeRacks is what is free of the racks of a class of which nobody else has a
// node: all nodes of the rack that may be sold are free. A rack with a node that
// is out of order is not whole: half a domain is nobody's idea of one.
// Cost: O(nodes).
func inWholeRacks(s *site.Site, free *site.Set, fabric int, kind string) *site.Set {
	out := site.NewSet(s.Nodes())
	for number := range s.SUs {
		su := &s.SUs[number]
		if su.Kind != kind || s.Pods[su.Pod].Fabric != fabric {
			continue
		}
		for at := 0; at < len(su.Nodes); at += s.RackNodes {
			rack := su.Nodes[at:min(at+s.RackNodes, len(su.Nodes))]
			if slices.ContainsFunc(rack, func(n site.Index) bool { return sellable(s, n) && !free.Has(n) }) {
				continue
			}
			for _, n := range rack {
				if sellable(s, n) {
					out.Add(n)
				}
			}
		}
	}
	return out
}

// makeUp refuses a size that no set of the tree's racks has, and names the nearest
// that one does. Cost: O(nodes) for each size of rack.
func (t *tree) makeUp(ask place.Ask) error {
	var racks [site.MaxSUNodes + 1]int // by nodes
	for i := range t.halls {
		for j := range t.halls[i].pods {
			for _, su := range t.halls[i].pods[j].sus {
				for _, n := range t.shapes[su.shape].racks {
					racks[n]++
				}
			}
		}
	}
	can := make([]bool, t.nodes+1)
	can[0] = true
	used := make([]int, t.nodes+1)
	for size, number := range racks {
		if size == 0 || number == 0 {
			continue
		}
		clear(used) // racks of this size, as few as can be
		for n := size; n <= t.nodes; n++ {
			if !can[n] && can[n-size] && used[n-size] < number {
				can[n], used[n] = true, used[n-size]+1
			}
		}
	}
	if ask.Nodes <= t.nodes && can[ask.Nodes] {
		return nil
	}
	e := &place.NoRacksError{Ask: ask, Have: t.nodes}
	for n := min(ask.Nodes-1, t.nodes); n > 0 && e.Smaller == 0; n-- {
		if can[n] {
			e.Smaller = n
		}
	}
	for n := ask.Nodes + 1; n <= t.nodes && e.Larger == 0; n++ {
		if can[n] {
			e.Larger = n
		}
	}
	return e
}

// exact is the least cost of each number of nodes from low on, made up of whole
// racks; never where none do. Unlike a front it can't leave out a number because
// a larger one is as cheap: too many is not enough here.
type exact struct {
	low  int
	cost []uint64
}

func (e exact) at(n int) uint64 {
	if n < e.low || n >= e.low+len(e.cost) {
		return never
	}
	return e.cost[n-e.low]
}

// with is e and another part together, from low to high nodes.
func (e exact) with(o exact, low, high int) exact {
	out := exact{low, make([]uint64, max(0, high-low+1))}
	for i := range out.cost {
		out.cost[i] = never
	}
	for j, price := range o.cost {
		if price == never {
			continue
		}
		for i := max(0, low-o.low-j-e.low); i < len(e.cost); i++ {
			n := e.low + i + o.low + j
			if n > high {
				break
			}
			if e.cost[i] != never && e.cost[i]+price < out.cost[n-low] {
				out.cost[n-low] = e.cost[i] + price
			}
		}
	}
	return out
}

// used adds the cost of the domain itself to every number but none.
func (e exact) used(price uint64) exact {
	for i := range e.cost {
		if e.low+i > 0 && e.cost[i] != never {
			e.cost[i] += price
		}
	}
	return e
}

// parted finds how many nodes of b a number of a and b together takes at its cost,
// the fewest of several.
func parted(a, b exact, n int, cost uint64) (ofB int, ok bool) {
	for j, price := range b.cost {
		ofB = b.low + j
		if rest := a.at(n - ofB); price != never && rest != never && rest+price == cost {
			return ofB, true
		}
	}
	return 0, false
}

// wholeProgram is the dynamic program of an ask for whole racks: as program, with
// a cell for each number of nodes.
type wholeProgram struct {
	*tree
	pack  weights
	want  int
	shape []exact // by SU shape
	pods  map[string]exact
	halls map[string]hallExact
}

// hallExact is steps[i] of the first i pods, and the hall as a whole.
type hallExact struct {
	pods, steps []exact
	whole       exact
}

// solveWhole returns the nodes of an optimal slice of whole racks, in no order,
// and its cost. makeUp has said that there is one.
// Cost: O(nodes²) over halls in the worst case; see BenchmarkSolveWholeRacks.
func solveWhole(t *tree, want int) (nodes []site.Index, best place.Cost, was weighed, err error) {
	pack, err := newWeights(t, want)
	if err != nil {
		return nil, place.Cost{}, weighed{}, err
	}
	p := &wholeProgram{tree: t, pack: pack, want: want, pods: map[string]exact{}, halls: map[string]hallExact{}}
	for _, shape := range t.shapes {
		least := leastRacks(shape.racks)[0]
		e := exact{cost: make([]uint64, len(least))}
		for n, racks := range least {
			switch {
			case racks < 0:
				e.cost[n] = never
			case racks > 0:
				e.cost[n] = pack.su(shape.mark) + pack.racks(racks, racks)
			}
		}
		p.shape = append(p.shape, e)
	}
	steps, rest := []exact{{cost: []uint64{0}}}, t.nodes
	for i := range t.halls {
		rest -= t.halls[i].nodes
		steps = append(steps, steps[i].with(p.hall(i).whole, max(0, want-rest), want))
	}
	cost := steps[len(steps)-1].at(want)
	if cost == never {
		return nil, place.Cost{}, weighed{}, errLost
	}
	for i, n, c := len(t.halls)-1, want, cost; i >= 0; i-- {
		h := p.hall(i)
		of, ok := parted(steps[i], h.whole, n, c)
		if !ok {
			return nil, place.Cost{}, weighed{}, errLost
		}
		if of > 0 {
			if nodes, err = p.takeHall(nodes, i, of); err != nil {
				return nil, place.Cost{}, weighed{}, err
			}
		}
		n, c = n-of, c-h.whole.at(of)
	}
	return nodes, pack.cost(cost), pack.weighed, nil
}

// leastRacks[i][n] is the fewest racks from the i-th on that have n nodes
// together; -1: none do.
func leastRacks(racks []uint8) [][]int {
	total := 0
	for _, n := range racks {
		total += int(n)
	}
	least := make([][]int, len(racks)+1)
	for i := len(racks); i >= 0; i-- {
		least[i] = make([]int, total+1)
		for n := range least[i] {
			least[i][n] = -1
			if i == len(racks) {
				continue
			}
			without, size := least[i+1][n], int(racks[i])
			least[i][n] = without
			if n >= size {
				if with := least[i+1][n-size]; with >= 0 && (without < 0 || with+1 < without) {
					least[i][n] = with + 1
				}
			}
		}
		if i == len(racks) {
			least[i][0] = 0
		}
	}
	return least
}

func (p *wholeProgram) pod(part *podPart) exact {
	key := part.key()
	if e, ok := p.pods[key]; ok {
		return e
	}
	steps := p.podSteps(part)
	e := steps[len(steps)-1].used(p.pack.pod(part.mark))
	p.pods[key] = e
	return e
}

// podSteps[i] is of the first i SUs of a pod.
func (p *wholeProgram) podSteps(part *podPart) []exact {
	steps, nodes := []exact{{cost: []uint64{0}}}, 0
	for i := range part.sus {
		nodes += part.sus[i].nodes
		steps = append(steps, steps[i].with(p.shape[part.sus[i].shape], 0, min(nodes, p.want)))
	}
	return steps
}

func (p *wholeProgram) hall(i int) hallExact {
	part := &p.tree.halls[i]
	if h, ok := p.halls[part.key]; ok {
		return h
	}
	h, nodes := hallExact{steps: []exact{{cost: []uint64{0}}}}, 0
	for j := range part.pods {
		nodes += part.pods[j].nodes
		h.pods = append(h.pods, p.pod(&part.pods[j]))
		h.steps = append(h.steps, h.steps[j].with(h.pods[j], 0, min(nodes, p.want)))
	}
	last := h.steps[len(h.steps)-1]
	h.whole = exact{last.low, slices.Clone(last.cost)}.used(p.pack.hall(part.mark))
	p.halls[part.key] = h
	return h
}

func (p *wholeProgram) takeHall(nodes []site.Index, hall, n int) ([]site.Index, error) {
	h, part := p.hall(hall), &p.tree.halls[hall]
	for j := len(part.pods) - 1; j >= 0; j-- {
		of, ok := parted(h.steps[j], h.pods[j], n, h.steps[j+1].at(n))
		if !ok {
			return nil, errLost
		}
		if n -= of; of == 0 {
			continue
		}
		steps, pod := p.podSteps(&part.pods[j]), &part.pods[j]
		for k := len(pod.sus) - 1; k >= 0; k-- {
			su := &pod.sus[k]
			ofSU, ok := parted(steps[k], p.shape[su.shape], of, steps[k+1].at(of))
			if !ok {
				return nil, errLost
			}
			if of -= ofSU; ofSU > 0 {
				nodes = p.takeRacks(nodes, su.su, ofSU)
			}
		}
	}
	return nodes, nil
}

// takeRacks takes the fewest racks of an SU that have n nodes together.
func (p *wholeProgram) takeRacks(nodes []site.Index, su, n int) []site.Index {
	all := p.site.SUs[su].Nodes
	var racks [][]site.Index
	var sizes []uint8
	for at := 0; at < len(all); at += p.site.RackNodes {
		var rack []site.Index
		for _, one := range all[at:min(at+p.site.RackNodes, len(all))] {
			if p.free.Has(one) && sellable(p.site, one) {
				rack = append(rack, one)
			}
		}
		if len(rack) > 0 {
			racks, sizes = append(racks, rack), append(sizes, uint8(len(rack)))
		}
	}
	least := leastRacks(sizes)
	for i, rack := range racks {
		if n >= len(rack) && least[i+1][n-len(rack)] >= 0 && least[i][n] == least[i+1][n-len(rack)]+1 {
			nodes = append(nodes, rack...)
			n -= len(rack)
		}
	}
	return nodes
}
