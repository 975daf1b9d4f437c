package solve

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"strings"
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
	for i := range 6 {
		hall, links := i/2, []lease.Links{lease.Shared, lease.Hermetic}[i%2]
		slice, err := Near(s, free, place.Ask{Nodes: 1, Fabric: "roce", Kind: "H100", Links: links}, site.SetOf(s.SUs[2*hall].Nodes[0]))
		if err != nil {
			t.Fatal(err)
		}
		if is := slice.Certificate.Nearness; s.SUOf(slice.Nodes[0]) != 2*hall || is.Far != (place.Far{}) || !is.Weighed {
			t.Errorf("%s, near hall %d it goes to SU %d: %+v", links, hall, s.SUOf(slice.Nodes[0]), is)
		}
		if err := check.Among(s, free, slice); err != nil {
			t.Error(err)
		}
	}
}

// TestNoSliceOfTheCostDoesLessHarm tries every set of nodes of small sites, and which of
// those that do as little is the nearest to some nodes that are taken.
func TestNoSliceOfTheCostDoesLessHarm(t *testing.T) {
	tried, nearer, proven, forged := 0, 0, 0, 0
	for seed := range uint64(150) {
		r := rand.New(rand.NewPCG(seed, 17))
		s := placetest.Grow(placetest.RandomPlot(r, 7))
		free := site.NewSet(s.Nodes())
		for n := range site.Index(s.Nodes()) {
			if r.IntN(4) > 0 {
				free.Add(n)
			}
		}
		near := site.NewSet(s.Nodes())
		for n := range site.Index(s.Nodes()) {
			if !free.Has(n) && r.IntN(3) == 0 {
				near.Add(n)
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
			far  place.Far
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
			far := farAway(s, nodes, near)
			if harm := *t0.harm(nodes); !known || cost.Less(b.cost) || cmp.Or(harm.Compare(b.harm), far.Compare(b.far)) < 0 {
				bests[len(nodes)] = best{cost, harm, far}
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
			if near.Empty() {
				if slice.Certificate.Nearness != nil {
					t.Fatalf("seed %d: it is near to nothing, and says %+v", seed, slice.Certificate.Nearness)
				}
				continue
			}
			was := farAway(s, slice.Nodes, near)
			slice, err := Near(s, free, slice.Certificate.Ask, near)
			if err != nil {
				t.Fatal(err)
			}
			is := slice.Certificate.Nearness
			if slice.Certificate.Cost != b.cost || *slice.Certificate.Harm != b.harm || is.Far != b.far || !is.Weighed {
				t.Fatalf("seed %d: %d nodes cost %s with harm %s, %s far, and %s with %s, %s is there", seed, n, slice.Certificate.Cost, slice.Certificate.Harm, is.Far, b.cost, b.harm, b.far)
			}
			if err := check.Among(s, free, slice); err != nil {
				t.Fatal(err)
			}
			if is.Far.Compare(was) < 0 {
				nearer++
			}
			if is.Far == is.Bound {
				proven++
			}
			if is.Bound.Halls > b.far.Halls || is.Bound.Pods > b.far.Pods || is.Bound.SUs > b.far.SUs {
				t.Fatalf("seed %d: %d nodes: bound %s, and %s far is there", seed, n, is.Bound, b.far)
			}
			for what, change := range map[string]func(n *place.Nearness){
				"nearer than it is":      func(n *place.Nearness) { n.Far.SUs-- },
				"farther than it is":     func(n *place.Nearness) { n.Far.Halls++ },
				"a bound that is higher": func(n *place.Nearness) { n.Bound.Pods++ },
				"a bound that is lower":  func(n *place.Nearness) { n.Bound.SUs-- },
				"nobody's SUs":           func(n *place.Nearness) { n.Others = nil },
				"an SU twice":            func(n *place.Nearness) { n.Others = append(slices.Clone(n.Others), n.Others[len(n.Others)-1]) },
				"an SU of no site":       func(n *place.Nearness) { n.Others = append(slices.Clone(n.Others), len(s.SUs)) },
			} {
				other, c := slice, *is
				change(&c)
				other.Certificate.Nearness = &c
				other.Certificate.Proof = other.Certificate.Words()
				if forged++; check.Among(s, free, other) == nil {
					t.Fatalf("seed %d: %d nodes: %s: accepted", seed, n, what)
				}
			}
		}
	}
	if tried < 100 || nearer < 10 || proven < 10 || forged < 100 {
		t.Errorf("only %d asks, %d nearer for being asked to, %d proven by their bound, %d forged", tried, nearer, proven, forged)
	}
}

// farAway counts, node by node, the domains of nodes that have none of near.
func farAway(s *site.Site, nodes []site.Index, near *site.Set) place.Far {
	count := func(domain func(site.Index) int) int {
		far := map[int]bool{}
		for _, n := range nodes {
			far[domain(n)] = true
		}
		for n := range near.All() {
			delete(far, domain(n))
		}
		return len(far)
	}
	return place.Far{Halls: count(s.HallOf), Pods: count(s.PodOf), SUs: count(s.SUOf)}
}

// Two SUs of two racks, one of which has lost a rack: a whole rack more is taken of that
// one, and whoever takes it of the other is told. A rack that is larger would not do.
func TestWholeRacksTakenOfAWholeSUAreSeen(t *testing.T) {
	for _, row := range []struct {
		sus  []int // nodes, in racks of two
		lost int   // nodes of the first SU's first rack
		seen bool
	}{{[]int{4, 4}, 2, true}, {[]int{4, 4}, 0, false}, {[]int{3, 4}, 1, false}} {
		s := placetest.Grow(placetest.Plot{RackNodes: 2, SUNodes: 4, Halls: [][]placetest.PodPlot{{{Kinds: []string{"H100"}, SUs: row.sus}}}})
		free := placetest.All(s)
		if row.lost == 2 {
			free.Remove(s.SUs[0].Nodes[0]) // the rack is whole no more: all of it is gone for who wants whole ones
		}
		if row.lost == 1 {
			free.Remove(s.SUs[0].Nodes[0])
			free.Remove(s.SUs[0].Nodes[1]) // what is left is a rack of one node
		}
		slice, err := Among(s, free, place.Ask{Nodes: 2, Fabric: "roce", Kind: "H100", Links: lease.Shared, WholeRacks: true})
		if err != nil {
			t.Fatal(err)
		}
		if err := check.Among(s, free, slice); err != nil || row.seen && s.SUOf(slice.Nodes[0]) != 0 {
			t.Fatalf("%v: %v, in SU %d", row, err, s.SUOf(slice.Nodes[0]))
		}
		slice.Nodes = slices.Clone(s.SUs[1].Nodes[:2])
		slice.Certificate.Slice, slice.Certificate.Harm = place.SliceDigest(slice.Nodes), newTree(s, inWholeRacks(s, free, 0, "H100"), 0, "H100", nil).harm(slice.Nodes)
		err = check.Among(s, free, slice)
		if seen := err != nil && strings.Contains(err.Error(), "would do as well"); seen != row.seen || !seen && err != nil {
			t.Errorf("%v: two nodes of the whole SU: %v", row, err)
		}
	}
}

// What a hermetic certificate says of the least harm is reckoned again.
func TestBoundsOfHarmAreReckonedAgain(t *testing.T) {
	s := placetest.Grow(placetest.Plot{RackNodes: 2, SUNodes: 4, Halls: [][]placetest.PodPlot{
		{{Kinds: []string{"H100"}, SUs: []int{4, 4, 4}}, {Kinds: []string{"H100"}, SUs: []int{4, 4, 4}}},
		{{Kinds: []string{"H100"}, SUs: []int{4, 4, 4}}, {Kinds: []string{"H100"}, SUs: []int{4, 4, 4}}},
	}})
	s.Shape.PodSUs, s.Shape.PodTaper = 3, 1
	o := place.NewOccupancy(s)
	leased(t, o, hermeticAsk(1))
	o.Out(site.SetOf(s.SUs[9].Nodes[0]))
	for _, nodes := range []int{2, 5, 8, 11, 13, 20} {
		slice, err := OnNear(o, hermeticAsk(nodes), site.SetOf(s.SUs[0].Nodes[0]))
		if err != nil {
			t.Fatal(err)
		}
		if err := check.On(o, slice); err != nil {
			t.Fatal(err)
		}
		c := &slice.Certificate
		was := *c
		for what, change := range map[string]func(h *place.Harm){
			"halls": func(h *place.Harm) { h.Halls++ }, "pods": func(h *place.Harm) { h.Pods++ },
			"SUs": func(h *place.Harm) { h.SUs++ }, "racks": func(h *place.Harm) { h.Racks-- },
		} {
			bound := *was.HarmBound
			change(&bound)
			c.HarmBound = &bound
			c.Proof = c.Words()
			if err := check.On(o, slice); err == nil || !strings.Contains(err.Error(), "harm_bound") {
				t.Errorf("%d nodes: a bound with other %s: %v", nodes, what, err)
			}
		}
		*c = was
		if c.HarmBound = nil; check.On(o, slice) == nil {
			t.Errorf("%d nodes: the bound is left out, and the proof goes on to name it", nodes)
		}
		if c.Proof = c.Words(); check.On(o, slice) != nil || !strings.Contains(c.Proof, "is not said") {
			t.Errorf("%d nodes: of a certificate without a bound the proof says %q", nodes, c.Proof)
		}
	}
	shared, err := On(o, place.Ask{Nodes: 5, Fabric: "roce", Kind: "H100", Links: lease.Shared})
	if err != nil {
		t.Fatal(err)
	}
	if shared.Certificate.HarmBound = shared.Certificate.Harm; check.On(o, shared) == nil {
		t.Error("a slice with shared links states a bound that nobody reckons")
	}
}

// A hermetic slice of many SUs takes the pods that are broken already, though another is
// tighter; and of equal harm those near the contract's other tranches.
func TestHermeticSlicesOfManySUsDoTheLeastHarm(t *testing.T) {
	plot := placetest.Plot{RackNodes: 8, SUNodes: 64}
	for _, nodes := range []int{56, 64, 64} {
		plot.Halls = append(plot.Halls, []placetest.PodPlot{{Kinds: []string{"H100"}, SUs: []int{nodes, nodes, nodes, nodes}}})
	}
	s := placetest.Grow(plot)
	s.Shape.PodSUs, s.Shape.PodTaper = 4, 1
	o := place.NewOccupancy(s)
	// The first hall is whole, and three of its SUs are just enough. The others are broken.
	o.Out(site.SetOf(s.SUs[7].Nodes[0], s.SUs[11].Nodes[0]))
	for hall := 1; hall < 3; hall++ {
		slice, err := OnNear(o, hermeticAsk(168), site.SetOf(s.SUs[4*hall+3].Nodes[5]))
		if err != nil {
			t.Fatal(err)
		}
		c := slice.Certificate
		if err := check.On(o, slice); err != nil {
			t.Fatal(err)
		}
		if s.HallOf(slice.Nodes[0]) != hall || c.Harm.Halls+c.Harm.Pods != 0 || c.Nearness.Far.Halls+c.Nearness.Far.Pods != 0 {
			t.Errorf("near hall %d it goes to hall %d, with harm %s, %s far", hall, s.HallOf(slice.Nodes[0]), c.Harm, c.Nearness.Far)
		}
	}
}
