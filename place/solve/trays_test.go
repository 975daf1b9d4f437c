package solve

import (
	"math/rand/v2"
	"testing"

	"bulkhead/place"
	"bulkhead/place/check"
	"bulkhead/place/placetest"
	"bulkhead/site"
)

// TestHermeticSlicesOfFewerRails: where nodes have fewer GPUs, a link assignment is of
// as many planes; failed links of them count, and no other planes are held or verified.
func TestHermeticSlicesOfFewerRails(t *testing.T) {
	for rails := 1; rails < site.Rails; rails++ {
		s := placetest.Grow(placetest.Plot{RackNodes: 2, SUNodes: 4, Halls: [][]placetest.PodPlot{
			{{Kinds: []string{"GB200"}, SUs: []int{4, 4, 4}}, {Kinds: []string{"GB200"}, SUs: []int{4, 4, 4}}},
			{{Kinds: []string{"GB200"}, SUs: []int{4, 4, 4}}},
		}})
		for i := range s.SUs {
			s.SUs[i].GPUs = rails
		}
		s.Shape.Spines, s.Shape.PodSUs, s.Shape.PodTaper = 6, 4, 1
		for _, nodes := range []int{3, 6, 11, 31} {
			o := place.NewOccupancy(s)
			random := rand.New(rand.NewPCG(uint64(rails), 1))
			for range 3 {
				o.FailUplink(place.Uplink{SU: random.IntN(len(s.SUs)), Rail: random.IntN(rails), Spine: 0}, true)
			}
			if nodes == 3 { // in no SU are three free: it takes ports of two
				held := site.NewSet(s.Nodes())
				for i := range s.SUs {
					held.Add(s.SUs[i].Nodes[0])
					held.Add(s.SUs[i].Nodes[1])
				}
				o.Take(held)
			}
			ask := hermeticAsk(nodes)
			ask.Kind = "GB200"
			slice, err := On(o, ask)
			if err != nil {
				t.Fatalf("%d nodes of %d rails: %v", nodes, rails, err)
			}
			if err := check.On(o, slice); err != nil {
				t.Errorf("%d nodes of %d rails: %v", nodes, rails, err)
			}
			l := slice.Certificate.Links
			if err := check.Links(l, nodes, rails); err != nil {
				t.Error(err)
			}
			if check.Links(l, nodes, rails+1) == nil || rails > 1 && check.Links(l, nodes, rails-1) == nil {
				t.Errorf("%d nodes of %d rails verify as of another number", nodes, rails)
			}
			more := *l
			more.Planes = append([]place.PlaneLinks(nil), l.Planes...)
			more.Planes[0].Rails = more.Planes[0].Rails.Or(place.MaskOf(rails))
			slice.Certificate.Links = &more
			if err := check.On(o, slice); err == nil {
				t.Errorf("%d nodes of %d rails hold links of a plane that there is not", nodes, rails)
			}
			if err := place.NewOccupancy(s).Keep(nil, &more); err == nil {
				t.Errorf("%d nodes of %d rails: links of a plane that there is not can be held", nodes, rails)
			}
		}
	}
}

// TestCollectivesOfFewerRails: with half the rails a node's all-reduce takes twice as
// long; between as many nodes half the GPUs have a quarter of the pairs, on half the links.
func TestCollectivesOfFewerRails(t *testing.T) {
	s := placetest.Grow(placetest.Plot{RackNodes: 8, SUNodes: 64, Halls: [][]placetest.PodPlot{{{Kinds: []string{"H100"}, SUs: []int{64, 64}}}}})
	var nodes []site.Index
	for n := range site.Index(100) {
		nodes = append(nodes, n)
	}
	reduce8, all8 := place.Collectives(s, nodes)
	for i := range s.SUs {
		s.SUs[i].GPUs = 4
	}
	reduce4, all4 := place.Collectives(s, nodes)
	if d := reduce4.SliceNS - 2*reduce8.SliceNS; d < -1 || d > 1 {
		t.Errorf("all-reduce %d ns with 4 rails, %d ns with 8", reduce4.SliceNS, reduce8.SliceNS)
	}
	if d := 2*all4.SliceNS - all8.SliceNS; d < -2 || d > 2 {
		t.Errorf("all-to-all %d ns with 4 rails, %d ns with 8", all4.SliceNS, all8.SliceNS)
	}
	eight, err := place.PlanSpares(place.SparesAsk{Failures: place.DefaultFailures(), Nodes: 72, SUs: 8, SUShort: 0.03, PodShort: 0.01})
	if err != nil {
		t.Fatal(err)
	}
	four, err := place.PlanSpares(place.SparesAsk{Failures: place.DefaultFailures(), Nodes: 72, GPUs: 4, SUs: 8, SUShort: 0.03, PodShort: 0.01})
	if err != nil {
		t.Fatal(err)
	}
	if d := eight.Down - 2*four.Down; d < -1e-9 || d > 1e-9 {
		t.Errorf("%g nodes down with 8 GPUs, %g with 4", eight.Down, four.Down)
	}
	if _, err := place.PlanSpares(place.SparesAsk{Failures: place.DefaultFailures(), Nodes: 72, GPUs: 9, SUs: 8, SUShort: 0.03, PodShort: 0.01}); err == nil {
		t.Error("nodes of 9 GPUs were planned for")
	}
}

// TestRailsDoNotChangeTheSlice: planes are alike, so while no link has failed the best slice
// is the same whatever number there is of them, on sites that others have parts of.
func TestRailsDoNotChangeTheSlice(t *testing.T) {
	random := rand.New(rand.NewPCG(7, 1))
	solved := 0
	for range 60 {
		s := placetest.Grow(placetest.Plot{RackNodes: 2, SUNodes: 4, Halls: [][]placetest.PodPlot{
			{{Kinds: []string{"H100"}, SUs: []int{4, 4, 4}}, {Kinds: []string{"H100"}, SUs: []int{4, 4, 4}}},
			{{Kinds: []string{"H100"}, SUs: []int{4, 4, 4}}},
		}})
		s.Shape.Spines, s.Shape.PodSUs, s.Shape.PodTaper = 6, 4, 1
		held := site.NewSet(s.Nodes())
		for n := range site.Index(s.Nodes()) {
			if random.IntN(4) == 0 {
				held.Add(n)
			}
		}
		other := hermeticAsk(1 + random.IntN(9)) // holds links
		ask := hermeticAsk(2 + random.IntN(24))
		var costs []place.Cost
		for _, rails := range []int{8, 4, 1} {
			for i := range s.SUs {
				s.SUs[i].GPUs = rails
			}
			o := place.NewOccupancy(s)
			o.Take(held)
			if slice, err := On(o, other); err == nil {
				if err := o.Commit(slice); err != nil {
					t.Fatal(err)
				}
			}
			slice, err := On(o, ask)
			if err != nil {
				costs = append(costs, place.Cost{})
				continue
			}
			solved++
			costs = append(costs, slice.Certificate.Cost)
		}
		if costs[0] != costs[1] || costs[0] != costs[2] {
			t.Errorf("%d nodes cost %v with 8, 4 and 1 rails", ask.Nodes, costs)
		}
	}
	if solved < 60 {
		t.Errorf("only %d asks had a slice", solved)
	}
}
