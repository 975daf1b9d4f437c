package solve

import (
	"math/rand/v2"
	"testing"

	"bulkhead/lease"
	"bulkhead/place"
	"bulkhead/place/check"
	"bulkhead/place/placetest"
	"bulkhead/site"
)

// plain is the dynamic program of the textbook: one cell a node count, every
// level merged whole, nothing skipped. Slow, short, and enough for sites that
// no exhaustive search could do.
func plain(s *site.Site, free *site.Set, want int) place.Cost {
	const inf = 1 << 60
	const rack, su, pod, hall = 1, 1 << 14, 1 << 26, 1 << 34
	merge := func(a, b []int) []int {
		out := make([]int, min(want, len(a)+len(b)-2)+1)
		for i := range out {
			out[i] = inf
		}
		for i, x := range a {
			for j, y := range b {
				at := min(i+j, want)
				out[at] = min(out[at], x+y)
			}
		}
		return out
	}
	// A part that is used costs something more; a part may be left out.
	used := func(a []int, cost int) []int {
		out := append([]int(nil), a...)
		for i := 1; i < len(out); i++ {
			out[i] += cost
		}
		return out
	}
	cells := []int{0}
	for h := range s.Halls {
		hallCells := []int{0}
		for p := range s.Pods {
			if s.Pods[p].Hall != h || s.Pods[p].Fabric != 0 {
				continue
			}
			podCells := []int{0}
			for u := range s.SUs {
				if s.SUs[u].Pod != p {
					continue
				}
				suCells := []int{0}
				racks := map[int]int{}
				for _, n := range s.SUs[u].Nodes {
					if free.Has(n) && !s.IsSpare(n) {
						racks[s.RackOf(n)]++
					}
				}
				for _, n := range racks {
					one := make([]int, min(n, want)+1)
					for i := 1; i < len(one); i++ {
						one[i] = rack
					}
					suCells = merge(suCells, one)
				}
				podCells = merge(podCells, used(suCells, su))
			}
			hallCells = merge(hallCells, used(podCells, pod))
		}
		cells = merge(cells, used(hallCells, hall))
	}
	best := cells[want]
	return place.Cost{Halls: best / hall, Pods: best % hall / pod, SUs: best % pod / su, Racks: best % su}
}

// TestPlainProgramAgrees compares asks on sites of a few hundred to a few
// thousand nodes, where the skipping of merges matters.
func TestPlainProgramAgrees(t *testing.T) {
	rounds := 60
	if testing.Short() {
		rounds = 10
	}
	for seed := range uint64(rounds) {
		r := rand.New(rand.NewPCG(seed, 3))
		p := placetest.Plot{RackNodes: 4 + r.IntN(5), Spares: r.IntN(3), SUNodes: 64}
		same := r.IntN(2) == 0
		for range 1 + r.IntN(5) {
			var hall []placetest.PodPlot
			for range 1 + r.IntN(3) {
				pod := placetest.PodPlot{Kinds: []string{"H100"}}
				for range 1 + r.IntN(6) {
					nodes := 48
					if !same {
						nodes = 20 + r.IntN(45)
					}
					pod.SUs = append(pod.SUs, nodes)
				}
				hall = append(hall, pod)
			}
			p.Halls = append(p.Halls, hall)
		}
		s := placetest.Grow(p)
		free := [...]func() *site.Set{
			func() *site.Set { return placetest.RandomHalf(s, r) }, func() *site.Set { return placetest.LeasedHalf(s, r) }, func() *site.Set { return placetest.All(s) },
		}[r.IntN(3)]()
		usable := newTree(s, free, 0, "H100", nil).nodes
		for range 3 {
			if usable == 0 {
				break
			}
			n := 1 + r.IntN(usable)
			slice, err := Among(s, free, place.Ask{Nodes: n, Fabric: "roce", Kind: "H100", Links: lease.Shared})
			if err != nil {
				t.Fatalf("seed %d, %d nodes: %v", seed, n, err)
			}
			if want := plain(s, free, n); slice.Certificate.Cost != want {
				t.Fatalf("seed %d, %d of %d nodes: solved %s, plainly %s", seed, n, usable, slice.Certificate.Cost, want)
			}
			if err := check.Among(s, free, slice); err != nil {
				t.Fatalf("seed %d, %d nodes: %v", seed, n, err)
			}
		}
	}
}
