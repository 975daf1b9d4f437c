package solve

import (
	"errors"
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

// tinyFabric draws a site of a few SUs with few spines and cores, of which
// links are held and failed, and nodes held and broken.
func tinyFabric(r *rand.Rand) *place.Occupancy {
	p := placetest.Plot{RackNodes: 1 + r.IntN(2), Spares: r.IntN(2)}
	sus := 2 + r.IntN(5)
	largest := 0
	for range 1 + r.IntN(3) {
		var hall []placetest.PodPlot
		for range 1 + r.IntN(2) {
			pod := placetest.PodPlot{Kinds: []string{"H100"}}
			if r.IntN(9) == 0 {
				pod.Kinds = []string{"H100", "H200"}
			}
			same := 1 + r.IntN(3)
			for range 1 + r.IntN(3) {
				if sus == 0 {
					break
				}
				sus--
				nodes := same
				if r.IntN(4) == 0 {
					nodes = 1 + r.IntN(4)
				}
				p.SUNodes = max(p.SUNodes, nodes)
				pod.SUs = append(pod.SUs, nodes)
			}
			largest = max(largest, len(pod.SUs))
			hall = append(hall, pod)
		}
		p.Halls = append(p.Halls, hall)
	}
	s := placetest.Grow(p)
	s.Shape.Spines = 2 + r.IntN(4)
	s.Shape.PodTaper = 1
	s.Shape.PodSUs = largest + r.IntN(2)
	if r.IntN(4) == 0 {
		s.Shape.PodTaper = 2
		s.Shape.PodSUs++
	}
	s.Shape.Cores = r.IntN(12)
	o := place.NewOccupancy(s)
	busy, broken, links := r.IntN(4), r.IntN(3), r.IntN(4)
	for n := range site.Index(s.Nodes()) {
		if r.IntN(12) < busy {
			o.Taken.Add(n)
		} else if r.IntN(12) < broken {
			o.Broken.Add(n)
		}
	}
	alike := r.IntN(2) == 0 // all planes alike, or each its own
	draw := func(all []place.Mask, at, width, chance int) {
		for i := range width {
			if r.IntN(16) < chance {
				all[at] = all[at].Or(place.MaskOf(i))
			}
		}
	}
	for _, all := range []struct {
		masks  []place.Mask
		width  int
		stride int
		step   int
	}{{o.AssignedUp, s.Shape.Spines, 1, site.Rails}, {o.FailedUp, s.Shape.Spines, 1, site.Rails},
		{o.AssignedCore, s.Shape.CoreLinks(), s.Shape.Spines, site.Rails * s.Shape.Spines}, {o.FailedCore, s.Shape.CoreLinks(), s.Shape.Spines, site.Rails * s.Shape.Spines}} {
		for base := 0; base < len(all.masks); base += all.step {
			for rail := range site.Rails {
				for k := range all.stride {
					at := base + rail*all.stride + k
					if rail > 0 && alike {
						all.masks[at] = all.masks[base+k]
					} else if rail == 0 || r.IntN(3) == 0 {
						draw(all.masks, at, all.width, links)
					}
				}
			}
		}
	}
	// Nobody holds uplinks of an SU in which nobody has a node.
	for su := range s.SUs {
		used := false
		for _, n := range s.SUs[su].Nodes {
			used = used || o.Taken.Has(n)
		}
		if !used {
			for rail := range site.Rails {
				o.AssignedUp[su*site.Rails+rail] = place.Mask{}
			}
		}
		if used && r.IntN(6) == 0 {
			all := true
			for _, n := range s.SUs[su].Nodes {
				all = all && o.Taken.Has(n)
			}
			o.Whole[su] = all
		}
	}
	// Who holds: hermetic slices, others, or both at different times.
	for su := range s.SUs {
		mode := r.IntN(3)
		for _, n := range s.SUs[su].Nodes {
			if !o.Taken.Has(n) {
				continue
			}
			who := mode
			if mode == 1 {
				who = r.IntN(4)
			}
			if who == 0 || who == 3 || o.Whole[su] {
				o.Hermetic.Add(n)
			}
			if who == 2 && !o.Whole[su] {
				o.Shared.Add(n)
			}
			if who == 3 && !o.Whole[su] {
				o.Unsaid.Add(n)
			}
		}
	}
	return o
}

// scarceCores draws a site of many small pods, of which core links are held in
// different places: what fits is a matter of which pods go together.
func scarceCores(r *rand.Rand) *place.Occupancy {
	p := placetest.Plot{RackNodes: 1 + r.IntN(2)}
	p.SUNodes = p.RackNodes
	left, each := 4+r.IntN(3), 1+r.IntN(2)
	for range 1 + r.IntN(2) {
		var hall []placetest.PodPlot
		for range 2 + r.IntN(2) {
			n := min(left, each)
			if r.IntN(4) == 0 {
				n = min(left, 3-each)
			}
			if left -= n; n > 0 {
				hall = append(hall, placetest.PodPlot{Kinds: []string{"H100"}, SUs: slices.Repeat([]int{p.SUNodes}, n)})
			}
		}
		if len(hall) > 0 {
			p.Halls = append(p.Halls, hall)
		}
	}
	s := placetest.Grow(p)
	s.Shape.Spines, s.Shape.PodSUs, s.Shape.PodTaper, s.Shape.Cores = 2+r.IntN(2), 2, 1, 12
	s.Shape.PodSUs = 2 + r.IntN(2)
	o := place.NewOccupancy(s)
	chance := 2 + r.IntN(8)
	for pod := range s.Pods {
		for spine := range s.Shape.Spines {
			var m place.Mask
			for core := range s.Shape.CoreLinks() {
				if r.IntN(16) < chance {
					m = m.Or(place.MaskOf(core))
				}
			}
			for rail := range site.Rails {
				o.AssignedCore[o.SpineAt(pod, rail, spine)] = m
			}
		}
	}
	if r.IntN(4) == 0 {
		n := site.Index(r.IntN(s.Nodes()))
		o.Taken.Add(n)
		o.Hermetic.Add(n)
	}
	return o
}

// TestHermeticExhaustiveSolverAgrees compares every ask on thousands of tiny
// fabrics, what can be had, what it costs and how little harm it does.
func TestHermeticExhaustiveSolverAgrees(t *testing.T) {
	var least, more, open [2]int // of slices up to an SU's nodes and above: those with the least harm, others, and those that are not proven to have it
	sites, asks, several, cut, vague, refused := 1500, 0, 0, 0, 0, map[int]int{}
	if testing.Short() {
		sites = 150
	}
	for seed := range uint64(sites + 1) {
		usual := seed < uint64(sites)
		if !usual {
			seed = 52904 // two small pods that are the slice's alone beside a larger one that has fewer core links
		}
		r := rand.New(rand.NewPCG(seed, 11))
		o := tinyFabric(r)
		if usual && seed%3 == 2 {
			o = scarceCores(r)
		}
		y := newTally(o, 0, "H100")
		if len(y.best) == 1 {
			continue
		}
		before := o.LinksDigest(0)
		for n := 1; n < len(y.best); n++ {
			ask := place.Ask{Nodes: n, Fabric: "roce", Kind: "H100", Links: lease.Hermetic}
			slice, err := On(o, ask)
			asks++
			var none *place.NoSliceError
			if slice.Certificate.Cut || errors.As(err, &none) && none.Cut {
				cut++ // an honest "don't know"
				continue
			}
			if y.best[n].Halls == 1<<30 {
				var e *place.NoSliceError
				if !errors.As(err, &e) {
					t.Fatalf("seed %d, %d nodes: exhaustively infeasible, solved %s, %v", seed, n, slice.Certificate.Cost, err)
				}
				refused[e.Condition]++
				smaller, larger := 0, 0
				for m := range y.best {
					if m > 0 && y.best[m].Halls < 1<<30 {
						if m < n {
							smaller = m
						} else if larger == 0 {
							larger = m
						}
					}
				}
				if e.Vague { // an honest "don't know" about one of these
					vague++
					continue
				}
				if e.Smaller != smaller || e.Larger != larger {
					t.Fatalf("seed %d: %v; exhaustively %d and %d", seed, e, smaller, larger)
				}
				continue
			}
			if err != nil {
				t.Fatalf("seed %d, %d nodes: %v; exhaustively %s", seed, n, err, y.best[n])
			}
			if slice.Certificate.Cost != y.best[n] {
				t.Fatalf("seed %d, %d nodes: solved %s, exhaustively %s", seed, n, slice.Certificate.Cost, y.best[n])
			}
			if err := check.On(o, slice); err != nil {
				t.Fatalf("seed %d, %d nodes: %v", seed, n, err)
			}
			does, bound, size := *slice.Certificate.Harm, slice.Certificate.HarmBound, 0
			does.Racks = 0
			if n > y.unit {
				size = 1
			}
			if h := y.harm[n]; bound.Halls > h.Halls || bound.Pods > h.Pods || bound.SUs > h.SUs || does.Compare(h) < 0 {
				t.Fatalf("seed %d, %d nodes: harm %s, bound %s, exhaustively %s", seed, n, does, bound, h)
			}
			if does == y.harm[n] {
				least[size]++
			} else if more[size]++; slice.Certificate.Cost.SUs == 1 || strings.Contains(slice.Certificate.Proof, "proven by its bound: that no slice of this cost does less harm") {
				t.Fatalf("seed %d, %d nodes: harm %s called the least, exhaustively %s", seed, n, does, y.harm[n])
			}
			if strings.Contains(slice.Certificate.Proof, "not proven: that no slice of this cost does less harm") {
				open[size]++
			}
			if len(slice.Certificate.Links.Planes) > 0 {
				several++
				for range 3 {
					if err := check.Route(slice.Certificate.Links, r.Perm(n)); err != nil {
						t.Fatalf("seed %d, %d nodes: %v", seed, n, err)
					}
				}
			}
		}
		if o.LinksDigest(0) != before {
			t.Fatal("solving changed the occupancy")
		}
	}
	t.Logf("slices up to an SU's nodes, and larger ones: with the least harm %v, with more %v, not proven %v", least, more, open)
	t.Logf("%d asks, %d slices with links, %d searches cut, %d for other sizes, refused by condition: %v", asks, several, cut, vague, refused)
	if more[1] > 0 || more[0]*100 > least[0] || least[1]-open[1] < open[1] {
		t.Errorf("%v slices do more harm than others of their cost, of %v that do not, and %v are not proven: slices of whole SUs should do the least", more, least, open)
	}
	if cut*1000 > asks || vague*50 > asks {
		t.Errorf("%d of %d searches were cut: the bound on the search is too tight", cut, asks)
	}
	if several < sites/2 || refused[1] == 0 || refused[2] == 0 || refused[3] == 0 || refused[4] == 0 || refused[5] == 0 {
		t.Errorf("the fabrics are too tame to tell")
	}
}
