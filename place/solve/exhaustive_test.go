package solve

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"bulkhead/lease"
	"bulkhead/place"
	"bulkhead/place/check"
	"bulkhead/place/placetest"
	"bulkhead/site"
)

// exhaustive tries every set of racks and returns the best cost for every
// number of nodes. It is the definition of the optimum, and nothing else.
func exhaustive(s *site.Site, free *site.Set, fabric int, kind string) []place.Cost {
	type rack struct{ id, su, pod, hall, nodes int }
	var racks []rack
	for n := range free.All() {
		su := s.SUOf(n)
		if s.ComputeFabric(n) != fabric || s.KindOf(n) != kind || s.IsSpare(n) {
			continue
		}
		if len(racks) == 0 || racks[len(racks)-1].id != s.RackOf(n) {
			racks = append(racks, rack{s.RackOf(n), su, s.PodOf(n), s.HallOf(n), 0})
		}
		racks[len(racks)-1].nodes++
	}
	total := 0
	for _, r := range racks {
		total += r.nodes
	}
	best := make([]place.Cost, total+1)
	for n := range best {
		best[n] = place.Cost{Halls: 1 << 30}
	}
	var sus, pods, halls [64]int
	var try func(i, nodes int, c place.Cost)
	try = func(i, nodes int, c place.Cost) {
		if i == len(racks) {
			for n := nodes; n > 0 && c.Less(best[n]); n-- {
				best[n] = c
			}
			return
		}
		try(i+1, nodes, c)
		r := racks[i]
		c.Racks++
		for _, domain := range []struct {
			inside *int
			level  *int
		}{{&sus[r.su], &c.SUs}, {&pods[r.pod], &c.Pods}, {&halls[r.hall], &c.Halls}} {
			if *domain.inside == 0 {
				*domain.level++
			}
			*domain.inside++
		}
		try(i+1, nodes+r.nodes, c)
		sus[r.su]--
		pods[r.pod]--
		halls[r.hall]--
	}
	try(0, 0, place.Cost{})
	return best
}

// TestExhaustiveSolverAgrees compares every ask on thousands of small sites.
func TestExhaustiveSolverAgrees(t *testing.T) {
	sites, asks := 3000, 0
	if testing.Short() {
		sites = 300
	}
	for seed := range uint64(sites) {
		r := rand.New(rand.NewPCG(seed, 1))
		s := placetest.Grow(placetest.RandomPlot(r, 11))
		free := site.NewSet(s.Nodes())
		keep := 1 + r.IntN(4)
		for n := range site.Index(s.Nodes()) {
			if r.IntN(4) < keep {
				free.Add(n)
			}
		}
		for fabric := range 2 {
			for _, kind := range []string{"H100", "H200"} {
				best := exhaustive(s, free, fabric, kind)
				for n := 1; n < len(best); n++ {
					ask := place.Ask{Nodes: n, Fabric: s.Fabrics[fabric].ID, Kind: kind, Links: lease.Shared}
					name := fmt.Sprintf("seed %d: %s, %d free", seed, ask, len(best)-1)
					slice, err := Among(s, free, ask)
					if err != nil {
						t.Fatalf("%s: %v", name, err)
					}
					if slice.Certificate.Cost != best[n] || slice.Certificate.Optimum != best[n] {
						t.Fatalf("%s: solved %s, exhaustively %s", name, slice.Certificate.Cost, best[n])
					}
					if err := check.Among(s, free, slice); err != nil {
						t.Fatalf("%s: %v", name, err)
					}
					asks++
				}
				_, err := Among(s, free, place.Ask{Nodes: len(best), Fabric: s.Fabrics[fabric].ID, Kind: kind, Links: lease.Shared})
				var short *place.NoFitError
				if err == nil || errors.As(err, &short) && (short.Have != len(best)-1 || short.Short != 1) {
					t.Fatalf("seed %d: one more than free: %v", seed, err)
				}
			}
		}
	}
	t.Logf("%d asks on %d sites", asks, sites)
	if asks < 10*sites {
		t.Errorf("only %d asks on %d sites: the sites are too small to tell", asks, sites)
	}
}

// TestLooseReachAgrees solves without the table that skips hopeless merges.
func TestLooseReachAgrees(t *testing.T) {
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 2))
		s := placetest.Grow(placetest.RandomPlot(r, 40))
		free := placetest.RandomHalf(s, r)
		tree := newTree(s, free, 0, "H100", nil)
		for n := 1; n <= tree.nodes; n += 1 + r.IntN(3) {
			tight, loose := newReach(tree, n), looseReach(tree, n)
			_, a, _, err := solveWithin(tree, tight, n)
			if err != nil {
				t.Fatal(err)
			}
			_, b, _, err := solveWithin(tree, loose, n)
			if err != nil {
				t.Fatal(err)
			}
			if a != b {
				t.Fatalf("seed %d, %d nodes: %s with the table, %s without", seed, n, a, b)
			}
			if a.Halls != tight.halls || a.Pods != tight.pods {
				t.Fatalf("seed %d, %d nodes: %s, but reach says %d halls, %d pods", seed, n, a, tight.halls, tight.pods)
			}
		}
	}
}
