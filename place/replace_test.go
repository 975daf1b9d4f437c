package place

import (
	"math/rand/v2"
	"slices"
	"testing"

	"bulkhead/place/placetest"
	"bulkhead/site"
)

// apart is the level of distance of two nodes: 0 same rack to 4 same class, or
// -1 when one can't take the other's place.
func apart(s *site.Site, a, b site.Index) int {
	switch {
	case s.KindOf(a) != s.KindOf(b) || s.ComputeFabric(a) != s.ComputeFabric(b):
		return -1
	case s.RackOf(a) == s.RackOf(b):
		return 0
	case s.SUOf(a) == s.SUOf(b):
		return 1
	case s.PodOf(a) == s.PodOf(b):
		return 2
	case s.HallOf(a) == s.HallOf(b):
		return 3
	}
	return 4
}

// bestMatching tries every matching: as many pairs as possible, then the least
// sum of weights.
func bestMatching(s *site.Site, candidates, failed []site.Index, weights [5]int) (pairs, sum int) {
	used := map[site.Index]bool{}
	var try func(i, n, w int)
	try = func(i, n, w int) {
		if i == len(failed) {
			if n > pairs || n == pairs && w < sum {
				pairs, sum = n, w
			}
			return
		}
		try(i+1, n, w)
		for _, c := range candidates {
			if level := apart(s, failed[i], c); !used[c] && level >= 0 {
				used[c] = true
				try(i+1, n+1, w+weights[level])
				used[c] = false
			}
		}
	}
	try(0, 0, 0)
	return pairs, sum
}

func TestReplaceAgainstEveryMatching(t *testing.T) {
	for seed := range uint64(2000) {
		r := rand.New(rand.NewPCG(seed, 6))
		s := placetest.Grow(placetest.RandomPlot(r, 12))
		order := r.Perm(s.Nodes())
		cut := min(len(order), 1+r.IntN(5))
		var failed, candidates []site.Index
		for _, n := range order[:cut] {
			failed = append(failed, site.Index(n))
		}
		for _, n := range order[cut:min(len(order), cut+r.IntN(6))] {
			candidates = append(candidates, site.Index(n))
		}
		// Failed nodes and strangers may be in the set; they are no candidates.
		set := site.SetOf(candidates...)
		set.Add(failed[0])
		set.Add(site.Index(s.Nodes() + 3))
		got := Replace(s, set, failed)
		if len(got) != len(failed) {
			t.Fatalf("seed %d: %d answers for %d failures", seed, len(got), len(failed))
		}
		used := site.NewSet(0)
		for i, n := range got {
			if n == NoNode {
				continue
			}
			if !slices.Contains(candidates, n) || used.Has(n) || apart(s, failed[i], n) < 0 {
				t.Fatalf("seed %d: node %d for %d", seed, n, failed[i])
			}
			used.Add(n)
		}
		// Whatever the distances cost, as long as farther costs more.
		for range 3 {
			var weights [5]int
			for i := range weights {
				weights[i] = r.IntN(4)
				if i > 0 {
					weights[i] += weights[i-1]
				}
			}
			pairs, sum := bestMatching(s, candidates, failed, weights)
			gotPairs, gotSum := 0, 0
			for i, n := range got {
				if n != NoNode {
					gotPairs++
					gotSum += weights[apart(s, failed[i], n)]
				}
			}
			if gotPairs != pairs || gotSum != sum {
				t.Fatalf("seed %d, weights %v: %d pairs at %d, best %d at %d (failed %v, candidates %v, got %v)",
					seed, weights, gotPairs, gotSum, pairs, sum, failed, candidates, got)
			}
		}
	}
}

func TestReplacePrefersSparesAndRefusesStrangers(t *testing.T) {
	s := placetest.Grow(placetest.Plot{RackNodes: 4, SUNodes: 16, Spares: 1, Halls: [][]placetest.PodPlot{
		{{Kinds: []string{"H100"}, SUs: []int{16, 16}}},
		{{Fabric: 1, Kinds: []string{"H100"}, SUs: []int{16}}, {Kinds: []string{"H200"}, SUs: []int{16}}},
	}})
	candidates := site.SetOf(8, 15, 20, 40, 60) // 15 is the spare of the first SU
	if got := Replace(s, candidates, []site.Index{0}); got[0] != 15 {
		t.Errorf("node %d, expected the spare 15", got[0])
	}
	if got := Replace(s, candidates, []site.Index{9}); got[0] != 8 {
		t.Errorf("node %d, expected 8 of the same rack", got[0])
	}
	if got := Replace(s, site.SetOf(40, 60), []site.Index{0}); got[0] != NoNode {
		t.Errorf("node %d of another fabric or kind took the place", got[0])
	}
	if got := Replace(s, nil, []site.Index{0, 1}); got[0] != NoNode || got[1] != NoNode {
		t.Errorf("nodes out of nothing: %v", got)
	}
	if got := Replace(s, candidates, []site.Index{1 << 20, NoNode, 0}); got[0] != NoNode || got[1] != NoNode || got[2] != 15 {
		t.Errorf("strangers: %v", got)
	}
	if got := Replace(s, candidates, nil); len(got) != 0 {
		t.Errorf("%v for nothing", got)
	}
}

// most is the size of a largest matching, by augmenting paths: another method than
// the one under test.
func most(s *site.Site, candidates []site.Index, failures []Failure, links func(site.Index) int) int {
	slotOf := map[site.Index]int{}
	var try func(i int, seen map[site.Index]bool) bool
	try = func(i int, seen map[site.Index]bool) bool {
		for _, c := range candidates {
			level := apart(s, failures[i].Node, c)
			if seen[c] || level < 0 || level > int(failures[i].Within) || links(c) != failures[i].Links {
				continue
			}
			seen[c] = true
			if other, taken := slotOf[c]; !taken || try(other, seen) {
				slotOf[c] = i
				return true
			}
		}
		return false
	}
	pairs := 0
	for i := range failures {
		if try(i, map[site.Index]bool{}) {
			pairs++
		}
	}
	return pairs
}

// Slots that are bound to their SU or pod, and candidates whose links are one
// lease's: nothing is served from too far or by another's links, as many as
// possible are served, and the more bound ones first.
func TestReplaceBoundSlots(t *testing.T) {
	for seed := range uint64(3000) {
		r := rand.New(rand.NewPCG(seed, 8))
		s := placetest.Grow(placetest.RandomPlot(r, 20))
		order := r.Perm(s.Nodes())
		cut := min(len(order), 1+r.IntN(8))
		owner := make([]int, s.Nodes())
		for n := range owner {
			owner[n] = max(0, r.IntN(4)-1)
		}
		links := func(n site.Index) int { return owner[n] }
		var failures []Failure
		for _, n := range order[:cut] {
			failures = append(failures, Failure{Node: site.Index(n), Within: Distance(r.IntN(levels)), Links: owner[n]})
		}
		var candidates []site.Index
		for _, n := range order[cut:min(len(order), cut+r.IntN(9))] {
			candidates = append(candidates, site.Index(n))
		}
		got := ReplaceFailures(s, site.SetOf(candidates...), failures, links)
		used := site.NewSet(0)
		served := make([]int, levels) // within at most that level
		for i, n := range got {
			if n == NoNode {
				continue
			}
			if level := apart(s, failures[i].Node, n); used.Has(n) || level < 0 || level > int(failures[i].Within) || owner[n] != failures[i].Links {
				t.Fatalf("seed %d: node %d for %+v", seed, n, failures[i])
			}
			used.Add(n)
			for level := failures[i].Within; int(level) < levels; level++ {
				served[level]++
			}
		}
		for within := range levels {
			var bound []Failure
			for _, f := range failures {
				if int(f.Within) <= within {
					bound = append(bound, f)
				}
			}
			if want := most(s, candidates, bound, links); served[within] != want {
				t.Fatalf("seed %d: %d of those bound within %s are served, %d could be", seed, served[within], Distance(within), want)
			}
		}
	}
}

// Of equally near nodes the one is taken whose rack, SU and pod are no longer whole.
func TestReplacementDoesTheLeastHarm(t *testing.T) {
	s := placetest.Grow(placetest.Plot{RackNodes: 2, SUNodes: 4, Halls: [][]placetest.PodPlot{
		{{Kinds: []string{"H100"}, SUs: []int{4, 4, 4}}, {Kinds: []string{"H100"}, SUs: []int{4, 4}}},
	}})
	candidates := placetest.All(s)
	for _, n := range s.SUs[0].Nodes { // the lease that fails has all of its SU
		candidates.Remove(n)
	}
	candidates.Remove(s.SUs[2].Nodes[0])
	got := Replace(s, candidates, []site.Index{s.SUs[0].Nodes[0], s.SUs[0].Nodes[1]})
	if want := []site.Index{s.SUs[2].Nodes[1], s.SUs[2].Nodes[2]}; !slices.Equal(got, want) {
		t.Errorf("replaced by %v, expected %v: the rack that is broken, then its SU", got, want)
	}
}
