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

// leased solves an ask, checks and commits it.
func leased(t *testing.T, o *place.Occupancy, ask place.Ask) place.Slice {
	t.Helper()
	slice, err := On(o, ask)
	if err != nil {
		t.Fatal(err)
	}
	if err := check.On(o, slice); err != nil {
		t.Fatal(err)
	}
	if err := o.Commit(slice); err != nil {
		t.Fatal(err)
	}
	return slice
}

func wholeOf(o *place.Occupancy, domain func(site.Index) int) (whole, all int) {
	free, s := o.Free(), o.Site()
	broken, seen := map[int]bool{}, map[int]bool{}
	for n := range site.Index(s.Nodes()) {
		if !s.IsSpare(n) {
			seen[domain(n)] = true
			broken[domain(n)] = broken[domain(n)] || !free.Has(n)
		}
	}
	for d := range seen {
		if !broken[d] {
			whole++
		}
	}
	return whole, len(seen)
}

// A hundred leases of one node go where something is broken already: they fill the
// SUs of one pod one by one.
func TestSmallLeasesStayTogether(t *testing.T) {
	for _, links := range []lease.Links{lease.Shared, lease.Hermetic} {
		s := colossus(t)
		o := place.NewOccupancy(s)
		halls := map[int]bool{}
		sizes := 0
		leases := 100
		if links == lease.Hermetic {
			leases = 3
		}
		for i := range leases {
			slice := leased(t, o, place.Ask{Nodes: 1, Fabric: "roce", Kind: "H100", Links: links})
			if i < 5 {
				halls[s.HallOf(slice.Nodes[0])] = true
			}
			su := s.SUs[s.SUOf(slice.Nodes[0])]
			sizes = max(sizes, len(su.Nodes)-su.Spares)
		}
		if len(halls) != 1 {
			t.Errorf("%s: the first five are in %d halls", links, len(halls))
		}
		whole, all := wholeOf(o, s.SUOf)
		if all-whole != (leases+sizes-1)/sizes {
			t.Errorf("%s: small leases leave %d of %d SUs whole, of %d nodes each", links, whole, all, sizes)
		}
	}
}

// trays is a hall of eight racks of 18 trays, four an SU.
func trays() *place.Occupancy {
	s := placetest.Grow(placetest.Plot{RackNodes: 18, SUNodes: 72, Halls: [][]placetest.PodPlot{{{Kinds: []string{"GB200"}, SUs: []int{72, 72}}}}})
	return place.NewOccupancy(s)
}

func TestTraysStayInFewRacks(t *testing.T) {
	for _, links := range []lease.Links{lease.Shared, lease.Hermetic} {
		o := trays()
		one := place.Ask{Nodes: 1, Fabric: "roce", Kind: "GB200", Links: links}
		for range 4 {
			leased(t, o, one)
		}
		if whole, _ := wholeOf(o, o.Site().RackOf); whole != 7 {
			t.Errorf("%s: four trays leave %d racks whole, expected 7", links, whole)
		}
		leased(t, o.Clone(), place.Ask{Nodes: 7 * 18, Fabric: "roce", Kind: "GB200", Links: lease.Shared, WholeRacks: true})
		for range 36 {
			leased(t, o, one)
		}
		if whole, _ := wholeOf(o, o.Site().RackOf); whole != 5 {
			t.Errorf("%s: forty trays leave %d racks whole, expected 5", links, whole)
		}
	}
}

// Two pods of two halls, each with a part taken: a node more goes beside the others.
func TestNearOfEqualHarm(t *testing.T) {
	s := placetest.Grow(placetest.Plot{RackNodes: 2, SUNodes: 4, Halls: [][]placetest.PodPlot{
		{{Kinds: []string{"H100"}, SUs: []int{4, 4}}}, {{Kinds: []string{"H100"}, SUs: []int{4, 4}}}, {{Kinds: []string{"H100"}, SUs: []int{4, 4}}},
	}})
	free := placetest.All(s)
	for hall := range 3 {
		free.Remove(s.SUs[2*hall].Nodes[0])
	}
	for hall := range 3 {
		slice, err := Near(s, free, place.Ask{Nodes: 1, Fabric: "roce", Kind: "H100", Links: lease.Shared}, site.SetOf(s.SUs[2*hall].Nodes[0]))
		if err != nil {
			t.Fatal(err)
		}
		if s.SUOf(slice.Nodes[0]) != 2*hall {
			t.Errorf("near hall %d it goes to SU %d", hall, s.SUOf(slice.Nodes[0]))
		}
		if err := check.Among(s, free, slice); err != nil {
			t.Error(err)
		}
	}
}

// TestNoSliceOfTheCostDoesLessHarm tries every set of nodes of small sites.
func TestNoSliceOfTheCostDoesLessHarm(t *testing.T) {
	tried := 0
	for seed := range uint64(150) {
		r := rand.New(rand.NewPCG(seed, 17))
		s := placetest.Grow(placetest.RandomPlot(r, 7))
		free := site.NewSet(s.Nodes())
		for n := range site.Index(s.Nodes()) {
			if r.IntN(4) > 0 {
				free.Add(n)
			}
		}
		t0 := newTree(s, free, 0, "H100", nil)
		var mine []site.Index
		for n := range free.All() {
			if s.KindOf(n) == "H100" && s.ComputeFabric(n) == 0 && !s.IsSpare(n) {
				mine = append(mine, n)
			}
		}
		if len(mine) == 0 || len(mine) > 11 {
			continue
		}
		type best struct {
			cost place.Cost
			harm place.Harm
		}
		bests := map[int]best{}
		for set := 1; set < 1<<len(mine); set++ {
			var nodes []site.Index
			for i, n := range mine {
				if set>>i&1 == 1 {
					nodes = append(nodes, n)
				}
			}
			cost := place.CostOf(s, nodes)
			b, known := bests[len(nodes)]
			if known && b.cost.Less(cost) {
				continue
			}
			if harm := *t0.harm(nodes); !known || cost.Less(b.cost) || harm.Compare(b.harm) < 0 {
				bests[len(nodes)] = best{cost, harm}
			}
		}
		for n, b := range bests {
			slice := mustSolve(t, s, free, n)
			tried++
			if slice.Certificate.Cost != b.cost || *slice.Certificate.Harm != b.harm {
				t.Fatalf("seed %d: %d nodes cost %s with harm %s, and %s with %s is there", seed, n, slice.Certificate.Cost, slice.Certificate.Harm, b.cost, b.harm)
			}
			if err := check.Among(s, free, slice); err != nil {
				t.Fatal(err)
			}
		}
	}
	if tried < 100 {
		t.Errorf("only %d asks", tried)
	}
}
