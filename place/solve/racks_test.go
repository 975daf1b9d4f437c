package solve

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"bulkhead/lease"
	"bulkhead/place"
	"bulkhead/place/check"
	"bulkhead/place/placetest"
	"bulkhead/site"
)

// exhaustiveRacks tries every set of racks that are free and whole, and returns
// the best cost of every number of nodes that one of them makes up.
func exhaustiveRacks(s *site.Site, free *site.Set, fabric int, kind string) map[int]place.Cost {
	type rack struct {
		su, nodes int
		split     bool
	}
	var racks []rack
	byID := map[int]int{}
	for n := range site.Index(s.Nodes()) {
		if s.ComputeFabric(n) != fabric || s.KindOf(n) != kind || s.IsSpare(n) || s.IsRetired(n) {
			continue
		}
		id := s.RackOf(n)
		if _, known := byID[id]; !known {
			byID[id] = len(racks)
			racks = append(racks, rack{su: s.SUOf(n)})
		}
		r := &racks[byID[id]]
		r.nodes++
		r.split = r.split || !free.Has(n)
	}
	best := map[int]place.Cost{}
	for set := range uint(1) << len(racks) {
		nodes, sus, pods, halls := 0, map[int]bool{}, map[int]bool{}, map[int]bool{}
		c, split := place.Cost{}, false
		for i, r := range racks {
			if set>>i&1 == 0 {
				continue
			}
			split = split || r.split
			nodes += r.nodes
			c.Racks++
			sus[r.su], pods[s.SUs[r.su].Pod], halls[s.Pods[s.SUs[r.su].Pod].Hall] = true, true, true
		}
		c.SUs, c.Pods, c.Halls = len(sus), len(pods), len(halls)
		if was, has := best[nodes]; !split && nodes > 0 && (!has || c.Less(was)) {
			best[nodes] = c
		}
	}
	return best
}

// TestExhaustiveWholeRacksAgree compares every ask for whole racks on small, uneven
// sites: what can be had, at what cost, which sizes are nearest, and that no rack
// of a slice is split.
func TestExhaustiveWholeRacksAgree(t *testing.T) {
	sites, met, refused, wider := 1500, 0, 0, 0
	if testing.Short() {
		sites = 200
	}
	for seed := range uint64(sites) {
		r := rand.New(rand.NewPCG(seed, 71))
		s := placetest.Grow(placetest.RandomPlot(r, 10))
		free := placetest.All(s)
		for range r.IntN(1 + s.Nodes()/3) {
			free.Remove(site.Index(r.IntN(s.Nodes())))
		}
		for fabric := range 2 {
			for _, kind := range []string{"H100", "H200"} {
				best := exhaustiveRacks(s, free, fabric, kind)
				most := 0
				for n := range best {
					most = max(most, n)
				}
				for n := 1; n <= most+1; n++ {
					ask := place.Ask{Nodes: n, Fabric: s.Fabrics[fabric].ID, Kind: kind, Links: lease.Shared, WholeRacks: true}
					name := fmt.Sprintf("seed %d: %s", seed, ask)
					want, can := best[n]
					slice, err := Among(s, free, ask)
					var none *place.NoRacksError
					if !can {
						smaller, larger := n-1, n+1
						for ; smaller > 0 && best[smaller] == (place.Cost{}); smaller-- {
						}
						for ; larger <= most && best[larger] == (place.Cost{}); larger++ {
						}
						if larger > most {
							larger = 0
						}
						if most == 0 {
							continue // the kind may not be there at all
						}
						if !errors.As(err, &none) || none.Smaller != smaller || none.Larger != larger || none.Have != most {
							t.Fatalf("%s: %v, expected %d or %d of %d", name, err, smaller, larger, most)
						}
						refused++
						continue
					}
					if err != nil {
						t.Fatalf("%s: %v", name, err)
					}
					if slice.Certificate.Cost != want {
						t.Fatalf("%s: solved %s, exhaustively %s", name, slice.Certificate.Cost, want)
					}
					if err := check.Among(s, free, slice); err != nil {
						t.Fatalf("%s: %v", name, err)
					}
					own := site.SetOf(slice.Nodes...)
					for _, n := range slice.Nodes {
						for other := range site.Index(s.Nodes()) {
							if s.RackOf(other) == s.RackOf(n) && !s.IsSpare(other) && !own.Has(other) {
								t.Fatalf("%s: rack %d is split", name, s.RackOf(n))
							}
						}
					}
					met++
					ask.WholeRacks = false
					if loose := mustSolveAsk(t, s, free, ask); loose.Certificate.Cost.Less(want) {
						wider++
					} else if want.Less(loose.Certificate.Cost) {
						t.Fatalf("%s: %s, and with split racks %s", name, want, loose.Certificate.Cost)
					}
				}
			}
		}
	}
	t.Logf("%d met, %d refused, %d wider than with split racks, on %d sites", met, refused, wider, sites)
	if met < 5*sites || refused < 4*sites || wider < sites/10 {
		t.Error("too little was tried")
	}
}

func mustSolveAsk(t testing.TB, s *site.Site, free *site.Set, ask place.Ask) place.Slice {
	t.Helper()
	slice, err := Among(s, free, ask)
	if err != nil {
		t.Fatal(err)
	}
	return slice
}

// TestSplitRacksAreRefused: a certificate that calls a slice one of whole racks,
// with every figure and digest as they should be, while a rack is split.
func TestSplitRacksAreRefused(t *testing.T) {
	s := placetest.Grow(placetest.Plot{RackNodes: 4, SUNodes: 16, Spares: 1, Halls: [][]placetest.PodPlot{{{Kinds: []string{"H100"}, SUs: []int{16, 16}}}}})
	ask := place.Ask{Nodes: 8, Fabric: "roce", Kind: "H100", Links: lease.Shared, WholeRacks: true}
	slice := mustSolveAsk(t, s, placetest.All(s), ask)
	if err := check.Among(s, placetest.All(s), slice); err != nil || slice.Certificate.Cost.Racks != 2 {
		t.Fatal(slice.Certificate.Cost, err)
	}
	forged := slice
	forged.Nodes = append([]site.Index{0, 1, 2, 3, 4, 5}, 8, 9) // a rack, and two halves
	c := &forged.Certificate
	c.Slice = place.SliceDigest(forged.Nodes)
	c.Cost = place.CostOf(s, forged.Nodes)
	c.Optimum, c.Gap = c.Cost, c.Cost.Sub(c.Bound)
	c.Proof = c.Words()
	if err := check.Among(s, placetest.All(s), forged); err == nil || !strings.Contains(err.Error(), "is split") {
		t.Errorf("a split rack: %v", err)
	}
	// The same flag taken away or put on is noticed, too.
	other := slice
	other.Certificate.Ask.WholeRacks = false
	if err := check.Among(s, placetest.All(s), other); err == nil {
		t.Error("whole racks are taken for any")
	}
	// A rack of which somebody else has a node by now is whole no more.
	free := placetest.All(s)
	free.Remove(slice.Nodes[0])
	if err := check.Among(s, free, slice); !errors.Is(err, place.ErrOccupancy) {
		t.Errorf("a rack that somebody else is in: %v", err)
	}
	if _, err := Among(s, placetest.All(s), place.Ask{Nodes: 9, Fabric: "roce", Kind: "H100", Links: lease.Shared, WholeRacks: true}); err == nil ||
		!strings.Contains(err.Error(), "no whole racks make up 9 nodes of H100 on fabric roce; 8 or 10 nodes would do") {
		t.Errorf("9 nodes: %v", err)
	}
	if _, err := Among(s, placetest.All(s), place.Ask{Nodes: 8, Fabric: "roce", Kind: "H100", Links: lease.Hermetic, WholeRacks: true}); err == nil || !strings.Contains(err.Error(), "not offered") {
		t.Errorf("hermetic: %v", err)
	}
}

// BenchmarkSolveWholeRacks asks 50,000 nodes of which half are taken by leases, one
// rack in nine a node short.
func BenchmarkSolveWholeRacks(b *testing.B) {
	p := placetest.Plot{RackNodes: 8, SUNodes: 64, Spares: 1}
	for range 12 {
		var hall []placetest.PodPlot
		for range 2 {
			pod := placetest.PodPlot{Kinds: []string{"H100"}}
			for left := 2083; left > 0; left -= 64 {
				pod.SUs = append(pod.SUs, min(left, 64))
			}
			hall = append(hall, pod)
		}
		p.Halls = append(p.Halls, hall)
	}
	s := placetest.Grow(p)
	free := placetest.LeasedHalf(s, rand.New(rand.NewPCG(1, 1)))
	t := newTree(s, inWholeRacks(s, free, 0, "H100"), 0, "H100", nil)
	for _, nodes := range []int{1_000, t.nodes / 2, t.nodes - 500} {
		b.Run(fmt.Sprint(nodes), func(b *testing.B) {
			for b.Loop() {
				mustSolveAsk(b, s, free, place.Ask{Nodes: nodes, Fabric: "roce", Kind: "H100", Links: lease.Shared, WholeRacks: true})
			}
		})
	}
}
