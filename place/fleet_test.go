package place

import (
	"math/rand/v2"
	"testing"

	"bulkhead/place/placetest"
	"bulkhead/site"

	"pgregory.net/rapid"
)

// Slots keep their numbers and no healthy node ever leaves one, whatever fails,
// comes back or is matched; and when something fits, nothing stays empty.
func TestFleetKeepsSlotsAndEvictsNobody(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		seed := rapid.Uint64().Draw(t, "seed")
		r := rand.New(rand.NewPCG(seed, 11))
		s := placetest.Grow(placetest.RandomPlot(r, 60))
		order := r.Perm(s.Nodes())
		cut := 1 + r.IntN(s.Nodes())
		var slots []site.Index
		for _, n := range order[:cut] {
			slots = append(slots, site.Index(n))
		}
		spares := site.NewSet(s.Nodes())
		for _, n := range order[cut:] {
			spares.Add(site.Index(n))
		}
		f := NewFleet(s, slots, spares)
		for range rapid.IntRange(1, 30).Draw(t, "steps") {
			was, failed := f.Slots(), f.failed.Clone()
			switch r.IntN(3) {
			case 0:
				for range 1 + r.IntN(4) {
					n := site.Index(r.IntN(s.Nodes() + 1))
					f.Fail(n)
					failed.Add(n)
				}
			case 1:
				for n := range failed.Clone().All() {
					if r.IntN(2) == 0 {
						f.Return(n)
					}
				}
			case 2:
				before := f.Degraded()
				swaps := f.Replace()
				if f.Degraded() != before-len(swaps) {
					t.Fatalf("%d slots were empty, %d swaps, %d are", before, len(swaps), f.Degraded())
				}
				for _, i := range f.empty {
					for n := range f.ready.All() {
						if s.KindOf(n) == s.KindOf(f.slots[i].node) && s.ComputeFabric(n) == s.ComputeFabric(f.slots[i].node) {
							t.Fatalf("slot %d is degraded and node %d would do", i, n)
						}
					}
				}
			}
			if err := f.Check(was, failed); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// A year on a site of 12,500 nodes: the failures that are published for it, two
// days of repair, nothing ever moves but what failed.
func TestFleetForAYear(t *testing.T) {
	s := placetest.Grow(wide())
	var slots []site.Index
	for n := range site.Index(s.Nodes()) {
		if !s.IsSpare(n) {
			slots = append(slots, n)
		}
	}
	f := NewFleet(s, slots, s.Spares())
	r := rand.New(rand.NewPCG(1, 365))
	perDay := float64(s.Nodes()*site.GPUs) * PublishedRate
	var repairing [][]site.Index
	swaps, near, down := 0, 0, 0
	for range 365 {
		was, failed := f.Slots(), f.failed.Clone()
		var today []site.Index
		for range poisson(r, perDay) {
			n := site.Index(r.IntN(s.Nodes()))
			today = append(today, n)
			failed.Add(n)
		}
		f.Fail(today...)
		for _, swap := range f.Replace() {
			swaps++
			if swap.Distance <= SameSU {
				near++
			}
		}
		down += f.Degraded()
		if err := f.Check(was, failed); err != nil {
			t.Fatal(err)
		}
		if repairing = append(repairing, today); len(repairing) > 2 {
			f.Return(repairing[0]...)
			repairing = repairing[1:]
		}
	}
	if swaps < 10_000 || near*100 < swaps*50 || down > swaps/100 {
		t.Errorf("%d swaps, %d in the same SU, %d slot days degraded", swaps, near, down)
	}
	t.Logf("%d swaps, %.1f %% in the same SU or rack, %d slot days degraded", swaps, 100*float64(near)/float64(swaps), down)
}

func poisson(r *rand.Rand, mean float64) int {
	n := 0
	for at := r.ExpFloat64(); at < mean; at += r.ExpFloat64() {
		n++
	}
	return n
}

// wide is 12,500 nodes of one class in four pods, a spare an SU.
func wide() placetest.Plot {
	p := placetest.Plot{RackNodes: 8, SUNodes: 64, Spares: 2}
	for range 4 {
		pod := placetest.PodPlot{Kinds: []string{"H100"}}
		for left := 3125; left > 0; left -= 64 {
			pod.SUs = append(pod.SUs, min(64, left))
		}
		p.Halls = append(p.Halls, []placetest.PodPlot{pod})
	}
	return p
}
