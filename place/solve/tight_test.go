package solve

import (
	"testing"

	"bulkhead/lease"
	"bulkhead/place"
	"bulkhead/place/check"
	"bulkhead/place/placetest"
	"bulkhead/site"
)

// A pod of six SUs of eight nodes, each a rack. Others have five nodes of the
// first SU and two of the second, inside each SU. Twelve nodes are a whole SU and
// four more: both the second and a whole SU would do at the same cost, and the
// second is taken, so that four SUs stay whole.
func TestSmallerLeafIsTheTightest(t *testing.T) {
	s := placetest.Grow(placetest.Plot{RackNodes: 8, SUNodes: 8, Halls: [][]placetest.PodPlot{{{SUs: []int{8, 8, 8, 8, 8, 8}, Kinds: []string{"H100"}}}}})
	o := place.NewOccupancy(s)
	o.Take(site.SetOf(s.SUs[0].Nodes[:5]...))
	o.Take(site.SetOf(s.SUs[1].Nodes[:2]...))
	for _, c := range []struct{ nodes, small, in int }{
		{12, 4, 1}, {13, 5, 1}, // six are free in the second SU
		{10, 2, 0}, {11, 3, 0}, // three in the first, which is tighter
		{15, 7, -1}, // seven: only in an SU of which nobody has a part
	} {
		slice, err := On(o, place.Ask{Nodes: c.nodes, Fabric: "roce", Kind: "H100", Links: lease.Hermetic})
		if err != nil {
			t.Fatal(err)
		}
		if err := check.On(o, slice); err != nil {
			t.Fatal(err)
		}
		in := make([]int, len(s.SUs))
		for _, n := range slice.Nodes {
			in[s.SUOf(n)]++
		}
		if c.in >= 0 && in[c.in] != c.small {
			t.Errorf("%d nodes lie as %v, expected %d in SU %d", c.nodes, in, c.small, c.in)
		}
		if c.in < 0 && in[0]+in[1] > 0 {
			t.Errorf("%d nodes lie as %v, expected none in the first two SUs", c.nodes, in)
		}
	}
}

// Of slices of one cost the tightest is taken, in whichever pod, and then the one
// that leaves other pods whole.
func TestTiesGoToTheTightest(t *testing.T) {
	s := placetest.Grow(placetest.Plot{RackNodes: 8, SUNodes: 8, Halls: [][]placetest.PodPlot{{
		{SUs: []int{8, 8, 8, 8}, Kinds: []string{"H100"}},
		{SUs: []int{8, 8, 8, 8}, Kinds: []string{"H100"}},
		{SUs: []int{8, 8, 8}, Kinds: []string{"H100"}},
	}}})
	o := place.NewOccupancy(s)
	o.Take(site.SetOf(s.SUs[0].Nodes[:2]...)) // six are free of the first pod's first SU
	o.Take(site.SetOf(s.SUs[4].Nodes[:3]...)) // five of the second's
	for _, c := range []struct{ nodes, small, in int }{
		{13, 5, 4}, // a whole SU and five more, which fill the tightest
		{14, 6, 0}, // only the first pod has a part of six
		{15, 7, -1},
	} {
		slice, err := On(o, place.Ask{Nodes: c.nodes, Fabric: "roce", Kind: "H100", Links: lease.Hermetic})
		if err != nil {
			t.Fatal(err)
		}
		if err := check.On(o, slice); err != nil {
			t.Fatal(err)
		}
		in := make([]int, len(s.SUs))
		for _, n := range slice.Nodes {
			in[s.SUOf(n)]++
		}
		if c.small > 0 && c.in >= 0 && in[c.in] != c.small {
			t.Errorf("%d nodes lie as %v, expected %d in SU %d", c.nodes, in, c.small, c.in)
		}
		if c.in < 0 && in[0]+in[4] > 0 {
			t.Errorf("%d nodes lie as %v: a part was broken that is too small", c.nodes, in)
		}
	}
	// Two whole SUs: a pod of two is taken before one of three or four.
	o.Take(site.SetOf(s.SUs[8].Nodes[:1]...))
	slice, err := On(o, place.Ask{Nodes: 16, Fabric: "roce", Kind: "H100", Links: lease.Hermetic})
	if err != nil {
		t.Fatal(err)
	}
	if pod := s.PodOf(slice.Nodes[0]); pod != 2 {
		t.Errorf("two whole SUs are in pod %d, expected the pod that has no more than two", pod)
	}
}

// Three pods, of which one can't give the leaves of the best pair: a slice of less
// than an SU that spans pods is compared with those found in other pods before,
// whatever their numbers of SUs. The cost does not depend on the order of pods.
func TestPortsCompareAcrossPods(t *testing.T) {
	for _, order := range [][]int{{0, 1, 2}, {2, 1, 0}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {0, 2, 1}} {
		free := [][][]int{ // pod, SU: positions that are free, of racks of two
			{{0, 2, 6}, {0, 2}, {0}},
			{{0, 2}, {0}},
			{{0, 1}},
		}
		p := placetest.Plot{RackNodes: 2, SUNodes: 8, Halls: [][]placetest.PodPlot{nil}}
		for range order {
			p.Halls[0] = append(p.Halls[0], placetest.PodPlot{SUs: []int{8, 8, 8}, Kinds: []string{"H100"}})
		}
		s := placetest.Grow(p)
		s.Shape.Spines, s.Shape.PodSUs, s.Shape.PodTaper = 5, 4, 1
		o := place.NewOccupancy(s)
		for n := range site.Index(s.Nodes()) {
			o.Taken.Add(n)
		}
		for at, pod := range order {
			for su, positions := range free[pod] {
				for _, position := range positions {
					o.Taken.Remove(s.SUs[3*at+su].Nodes[position])
				}
			}
		}
		slice, err := On(o, place.Ask{Nodes: 7, Fabric: "roce", Kind: "H100", Links: lease.Hermetic})
		if err != nil {
			t.Fatal(err)
		}
		if got := slice.Certificate.Cost; got != (place.Cost{Halls: 1, Pods: 2, SUs: 4, Racks: 6}) {
			t.Errorf("pods in the order %v: %s, expected 1/2/4/6", order, got)
		}
	}
}
