package solve

import (
	"slices"
	"testing"

	"bulkhead/place"
	"bulkhead/place/placetest"
	"bulkhead/site"
)

// TestConditionsAreTheTruth asks of the smallest fabrics, one pod with three
// spines, what hermetic links are for: can every permutation be routed, with one
// flow a link, if each leaf holds at most as many uplinks as it has nodes? It
// tries every choice of uplinks and every permutation, and compares with what the
// conditions say. Nothing of the solver is in it but assign, which it judges.
func TestConditionsAreTheTruth(t *testing.T) {
	const spines = 3
	// Every distribution of up to five nodes over three leaves, and every set of
	// uplinks that works at each.
	for _, counts := range [][]int{{1, 1}, {2, 1}, {2, 2}, {3, 1}, {3, 2}, {1, 1, 1}, {2, 1, 1}, {2, 2, 1}, {3, 1, 1}} {
		masks := 1 << (spines * len(counts))
		for works := 0; works < masks; works++ {
			up := make([]int, len(counts))
			for leaf := range counts {
				up[leaf] = works >> (spines * leaf) & (1<<spines - 1)
			}
			truth := someChoiceRoutesAll(counts, up)
			if claim := conditionsHold(counts, up); claim != truth {
				t.Fatalf("leaves of %v nodes with uplinks %b: the conditions say %v, all permutations %v", counts, up, claim, truth)
			}
		}
	}
}

// someChoiceRoutesAll tries every choice of at most as many uplinks as nodes.
func someChoiceRoutesAll(counts, up []int) bool {
	held := make([]int, len(counts))
	var choose func(leaf int) bool
	choose = func(leaf int) bool {
		if leaf == len(counts) {
			return routesAll(counts, held)
		}
		for set := up[leaf]; ; set = (set - 1) & up[leaf] {
			if ones(set) <= counts[leaf] {
				held[leaf] = set
				if choose(leaf + 1) {
					return true
				}
			}
			if set == 0 {
				return false
			}
		}
	}
	return choose(0)
}

// routesAll tries every permutation of the nodes.
func routesAll(counts, held []int) bool {
	var leafOf []int
	for leaf, n := range counts {
		for range n {
			leafOf = append(leafOf, leaf)
		}
	}
	to := make([]int, len(leafOf))
	used := make([]bool, len(leafOf))
	var permute func(i int) bool
	permute = func(i int) bool {
		if i == len(to) {
			var flows [][2]int
			for from, at := range to {
				if leafOf[from] != leafOf[at] {
					flows = append(flows, [2]int{leafOf[from], leafOf[at]})
				}
			}
			return routes(flows, held, make([]int, len(counts)), make([]int, len(counts)))
		}
		for at := range to {
			if used[at] {
				continue
			}
			used[at], to[i] = true, at
			ok := permute(i + 1)
			used[at] = false
			if !ok {
				return false
			}
		}
		return true
	}
	return permute(0)
}

// routes gives flows spines by trying them all.
func routes(flows [][2]int, held, up, down []int) bool {
	if len(flows) == 0 {
		return true
	}
	from, to := flows[0][0], flows[0][1]
	for spine := 0; spine < 8; spine++ {
		bit := 1 << spine
		if held[from]&held[to]&bit == 0 || up[from]&bit != 0 || down[to]&bit != 0 {
			continue
		}
		up[from] |= bit
		down[to] |= bit
		ok := routes(flows[1:], held, up, down)
		up[from] &^= bit
		down[to] &^= bit
		if ok {
			return true
		}
	}
	return false
}

// conditionsHold asks assign, with any leaf as the smaller one.
func conditionsHold(counts, up []int) bool {
	p := placetest.Plot{RackNodes: 8, SUNodes: 8, Halls: [][]placetest.PodPlot{{{Kinds: []string{"H100"}, SUs: slices.Repeat([]int{8}, len(counts))}}}}
	s := placetest.Grow(p)
	s.Shape.Spines = 4 // the last stays common
	o := place.NewOccupancy(s)
	var leaves []leafUse
	for leaf, n := range counts {
		leaves = append(leaves, leafUse{su: leaf, nodes: n})
		for spine := range 3 {
			if up[leaf]>>spine&1 == 0 {
				for rail := range site.Rails {
					o.FailUplink(place.Uplink{SU: leaf, Rail: rail, Spine: spine}, true)
				}
			}
		}
	}
	for rest := -1; rest < len(counts); rest++ {
		equal := true
		for i := range counts {
			for j := range counts {
				if i != rest && j != rest && counts[i] != counts[j] {
					equal = false
				}
			}
			if rest >= 0 && i != rest && counts[i] < counts[rest] {
				equal = false
			}
		}
		if !equal {
			continue // condition 1
		}
		if _, bad := assign(o, newLayout(o, leaves, false, rest, -1)); bad == nil {
			return true
		}
	}
	return false
}
