package solve

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"slices"
	"testing"

	"bulkhead/lease"
	"bulkhead/place"
	"bulkhead/place/check"
	"bulkhead/place/placetest"
	"bulkhead/site"

	"pgregory.net/rapid"
)

func draw(t *rapid.T) (*site.Site, *site.Set, *rand.Rand) {
	r := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 4))
	s := placetest.Grow(placetest.RandomPlot(r, 60))
	return s, placetest.RandomHalf(s, r), r
}

func mustSolve(t interface{ Fatalf(string, ...any) }, s *site.Site, free *site.Set, nodes int) place.Slice {
	slice, err := Among(s, free, place.Ask{Nodes: nodes, Fabric: "roce", Kind: "H100", Links: lease.Shared})
	if err != nil {
		t.Fatalf("%d nodes: %v", nodes, err)
	}
	return slice
}

func usable(s *site.Site, free *site.Set) int { return newTree(s, free, 0, "H100", nil).nodes }

func TestMoreFreeNodesNeverCostMore(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s, free, r := draw(t)
		if usable(s, free) == 0 {
			return
		}
		nodes := 1 + r.IntN(usable(s, free))
		before := mustSolve(t, s, free, nodes)
		for range 1 + r.IntN(5) {
			free.Add(site.Index(r.IntN(s.Nodes())))
		}
		if after := mustSolve(t, s, free, nodes); before.Certificate.Cost.Less(after.Certificate.Cost) {
			t.Fatalf("%d nodes cost %s, with more free nodes %s", nodes, before.Certificate.Cost, after.Certificate.Cost)
		}
		if fewer := max(1, nodes-1); before.Certificate.Cost.Less(mustSolve(t, s, free, fewer).Certificate.Cost) {
			t.Fatalf("%d nodes cost more than %d", fewer, nodes)
		}
	})
}

// TestRelabelling shuffles halls, pods, SUs and racks. Numbers do not matter:
// cost, bounds and collectives stay.
func TestRelabelling(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 5))
		p := placetest.RandomPlot(r, 60)
		p.Spares = 0 // which nodes are spares depends on their position
		s := placetest.Grow(p)
		free := placetest.RandomHalf(s, r)
		if usable(s, free) == 0 {
			return
		}
		nodes := 1 + r.IntN(usable(s, free))
		other, otherFree := relabel(s, free, r)
		a, b := mustSolve(t, s, free, nodes).Certificate, mustSolve(t, other, otherFree, nodes)
		if err := check.Among(other, otherFree, b); err != nil {
			t.Fatal(err)
		}
		// Of equally good slices the choice may differ, and so may the exact
		// bounds of the collectives; the ideal's may not.
		c := b.Certificate
		if a.Cost != c.Cost || a.Bound != c.Bound || a.Free != c.Free || a.AllToAll.IdealNS != c.AllToAll.IdealNS || a.AllReduce != c.AllReduce {
			t.Fatalf("%d nodes: %+v\nrelabelled: %+v", nodes, a, c)
		}
	})
}

// relabel builds the same site with its domains in another order.
func relabel(s *site.Site, free *site.Set, r *rand.Rand) (*site.Site, *site.Set) {
	o := &site.Site{Name: s.Name, Shape: s.Shape, Fabrics: s.Fabrics, RackNodes: s.RackNodes}
	o.Halls, o.Pods = make([]site.Hall, len(s.Halls)), make([]site.Pod, len(s.Pods))
	halls, pods := r.Perm(len(s.Halls)), r.Perm(len(s.Pods))
	for i, h := range s.Halls {
		o.Halls[halls[i]] = h
	}
	for i, p := range s.Pods {
		p.Hall = halls[p.Hall]
		o.Pods[pods[i]] = p
	}
	set := site.NewSet(0)
	for _, i := range r.Perm(len(s.SUs)) {
		su := s.SUs[i]
		su.Pod = pods[su.Pod]
		// Only whole racks may change places: a short last one stays last.
		var racks [][]site.Index
		for at := 0; at < len(su.Nodes); at += s.RackNodes {
			racks = append(racks, su.Nodes[at:min(at+s.RackNodes, len(su.Nodes))])
		}
		whole := len(su.Nodes) / s.RackNodes
		r.Shuffle(whole, func(a, b int) { racks[a], racks[b] = racks[b], racks[a] })
		su.Nodes = nil
		for pos, old := range slices.Concat(racks...) {
			n := site.Index(len(o.NodeID))
			if free.Has(old) {
				set.Add(n)
			}
			su.Nodes = append(su.Nodes, n)
			o.NodeID = append(o.NodeID, s.NodeID[old])
			o.NodeSU = append(o.NodeSU, uint32(len(o.SUs)))
			o.NodePos = append(o.NodePos, uint8(pos))
		}
		o.SUs = append(o.SUs, su)
	}
	return o, set
}

func TestRankOrderKeepsDomainsTogether(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s, free, r := draw(t)
		nodes := free.Slice()
		r.Shuffle(len(nodes), func(i, j int) { nodes[i], nodes[j] = nodes[j], nodes[i] })
		place.RankOrder(s, nodes)
		for _, domain := range []func(site.Index) int{s.HallOf, s.PodOf, s.SUOf, s.RackOf} {
			left := map[int]bool{}
			for i := 1; i < len(nodes); i++ {
				if domain(nodes[i]) != domain(nodes[i-1]) {
					left[domain(nodes[i-1])] = true
				}
				if left[domain(nodes[i])] {
					t.Fatalf("domain %d is entered twice", domain(nodes[i]))
				}
			}
		}
		slices.Sort(nodes)
		if !slices.Equal(nodes, free.Slice()) {
			t.Fatal("nodes were lost or invented")
		}
	})
}

func TestRefusals(t *testing.T) {
	s := placetest.Grow(placetest.Plot{RackNodes: 4, SUNodes: 16, Spares: 1, Halls: [][]placetest.PodPlot{
		{{Kinds: []string{"H100"}, SUs: []int{16, 16}}},
		{{Kinds: []string{"H200"}, SUs: []int{16}}, {Fabric: 1, Kinds: []string{"H100"}, SUs: []int{16}}},
	}})
	for _, row := range []struct {
		ask  place.Ask
		want string
	}{
		{place.Ask{Nodes: 31, Fabric: "roce", Kind: "H100", Links: lease.Shared}, "31 nodes of H100 on fabric roce do not fit: 30 free, 1 too few; free elsewhere: 15 H200 on fabric roce, 15 H100 on fabric ib"},
		{place.Ask{Nodes: 1, Fabric: "ib", Kind: "H200", Links: lease.Shared}, "1 node of H200 on fabric ib do not fit: 0 free, 1 too few; free elsewhere: 30 H100 on fabric roce, 15 H200 on fabric roce, 15 H100 on fabric ib"},
		{place.Ask{Nodes: 0, Fabric: "roce", Kind: "H100", Links: lease.Shared}, "ask: 0 nodes, expected 1 to 1048576"},
		{place.Ask{Nodes: -1, Fabric: "roce", Kind: "H100", Links: lease.Shared}, "ask: -1 nodes, expected 1 to 1048576"},
		{place.Ask{Nodes: 1 << 40, Fabric: "roce", Kind: "H100", Links: lease.Shared}, "ask: 1099511627776 nodes, expected 1 to 1048576"},
		{place.Ask{Nodes: 1, Fabric: "frontend", Kind: "H100", Links: lease.Shared}, `ask: fabric "frontend", expected a compute fabric of the site: roce, ib`},
		{place.Ask{Nodes: 1, Fabric: "", Kind: "H100", Links: lease.Shared}, `ask: fabric "", expected a compute fabric of the site: roce, ib`},
		{place.Ask{Nodes: 1, Fabric: "roce", Kind: "B200", Links: lease.Shared}, `ask: GPU kind "B200", expected one that the site has: H100, H200`},
		{place.Ask{Nodes: 1, Fabric: "roce", Kind: "H100", Links: ""}, `ask: links "", expected "shared" or "hermetic"`},
	} {
		if _, err := Among(s, placetest.All(s), row.ask); err == nil || err.Error() != row.want {
			t.Errorf("%+v:\n got %v\nwant %s", row.ask, err, row.want)
		}
	}
	if _, err := Among(s, nil, place.Ask{Nodes: 1, Fabric: "roce", Kind: "H100", Links: lease.Shared}); err == nil {
		t.Error("a node was found in no free set")
	}
	if _, err := Among(&site.Site{}, nil, place.Ask{Nodes: 1, Fabric: "roce", Kind: "H100", Links: lease.Shared}); err == nil {
		t.Error("a node was found in no site")
	}
}

func TestSolveIsDeterministicAndLeavesArgumentsAlone(t *testing.T) {
	s := placetest.Large(4, 4)
	r := rand.New(rand.NewPCG(7, 7))
	free := placetest.LeasedHalf(s, r)
	before := free.Clone()
	a, b := mustSolve(t, s, free, 10_000), mustSolve(t, s, free, 10_000)
	if !slices.Equal(a.Nodes, b.Nodes) || !bytes.Equal(a.Certificate.Encode(), b.Certificate.Encode()) {
		t.Error("the same arguments gave two slices")
	}
	if !free.Equal(before) {
		t.Error("the free set was changed")
	}
	if err := check.Among(s, free, a); err != nil {
		t.Error(err)
	}
}

func TestPackedCostsCompareLikeCosts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		level := func(name string) int { return rapid.IntRange(0, 5000).Draw(t, name) }
		most := place.Cost{Halls: 5000, Pods: 5000, SUs: 5000, Racks: 5000}
		a := place.Cost{Halls: level("h"), Pods: level("p"), SUs: level("s"), Racks: level("r")}
		b := place.Cost{Halls: level("h2"), Pods: level("p2"), SUs: level("s2"), Racks: level("r2")}
		if rapid.Bool().Draw(t, "near") {
			b.Halls, b.Pods = a.Halls, a.Pods
		}
		pack, err := newPacking(most)
		if err != nil {
			t.Fatal(err)
		}
		packed := func(c place.Cost) uint64 {
			return pack.halls(c.Halls) + pack.pods(c.Pods) + pack.sus(c.SUs) + uint64(c.Racks)
		}
		if (packed(a) < packed(b)) != a.Less(b) || pack.unpack(packed(a)) != a {
			t.Fatalf("%s and %s", a, b)
		}
	})
	if _, err := newPacking(place.Cost{Halls: 1 << 20, Pods: 1 << 20, SUs: 1 << 20, Racks: 1 << 20}); err == nil {
		t.Error("more than 63 bits were packed")
	}
}

// TestNoSliceStraddles: of whatever class of a site of several fabrics and kinds
// is asked, a slice has nodes of that class only, each once, and none that is a
// spare, out of service or somebody's; a hermetic one has the links of its own
// fabric only, and never part of an SU that its assignment calls whole.
func TestNoSliceStraddles(t *testing.T) {
	hermetic, split := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		s, free, r := draw(t)
		s.Shape.Spines, s.Shape.PodSUs, s.Shape.PodTaper = 1+r.IntN(8), 4, 1
		supplies := s.Supplies()
		class := supplies[r.IntN(len(supplies))].Class
		mine := s.NodesOf(class.Fabric, class.Kind)
		for _, links := range []lease.Links{lease.Shared, lease.Hermetic} {
			slice, err := Among(s, free, place.Ask{Nodes: 1 + r.IntN(mine.Len()), Fabric: class.Fabric, Kind: class.Kind, Links: links})
			var few *place.NoFitError
			var none *place.NoSliceError
			switch {
			case errors.As(err, &few), errors.As(err, &none):
				continue
			case err != nil:
				t.Fatal(err)
			}
			set := site.SetOf(slice.Nodes...)
			if set.Len() != slice.Certificate.Ask.Nodes || len(slice.Nodes) != set.Len() {
				t.Fatalf("%d nodes, %d different, asked were %s", len(slice.Nodes), set.Len(), slice.Certificate.Ask)
			}
			for _, n := range slice.Nodes {
				if !mine.Has(n) || !free.Has(n) || s.IsSpare(n) || s.IsRetired(n) {
					t.Fatalf("%s has node %s, which is not of the class, not free, or not for sale", slice.Certificate.Ask, s.NodeID[n])
				}
			}
			if mine.Len() < s.Nodes() {
				split++
			}
			held := slice.Certificate.Links
			if links == lease.Shared || len(held.Planes) == 0 {
				continue
			}
			hermetic++
			territory, err := place.Territory(s, slice.Nodes, held)
			if err != nil {
				t.Fatal(err)
			}
			for n := range territory.All() {
				if !mine.Has(n) || !free.Has(n) && !s.IsSpare(n) {
					t.Fatalf("%s keeps others out of node %s, which is another's or of another class", slice.Certificate.Ask, s.NodeID[n])
				}
			}
		}
	})
	if (split == 0 || hermetic == 0) && !testing.Short() { // with -short few sites are drawn
		t.Errorf("the sites are too tame to tell: %d asks beside other classes, %d slices with links", split, hermetic)
	}
}
