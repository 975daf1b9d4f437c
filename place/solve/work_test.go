package solve

import (
	"math/rand/v2"
	"strings"
	"testing"

	"bulkhead/place"
	"bulkhead/place/check"
	"bulkhead/place/placetest"
)

// The asks that took longest on 50,000 nodes, half of them taken, one link in 10,000
// broken: one that has no slice, one whose best is found, one that is ended. What
// judges them is the bound on work: a search may pass it by its last relaxation alone.
func TestHardAsksKeepTheirBoundOnWork(t *testing.T) {
	if testing.Short() {
		t.Skip("fills 50,000 nodes with hermetic slices first: 3 s")
	}
	const last = 2_000_000 // no relaxation takes as many steps
	o := crowd(t, sized(50_000), rand.New(rand.NewPCG(5, 5)), 0.5, 10_000)
	for _, c := range []struct {
		nodes int
		cost  place.Cost // zero: no slice
		cut   bool
	}{
		{13_109, place.Cost{}, false},
		{9_629, place.Cost{Halls: 3, Pods: 5, SUs: 155, Racks: 1235}, false},
		{11_549, place.Cost{Halls: 4, Pods: 7, SUs: 187, Racks: 1492}, true},
	} {
		h := newHermetic(o, 0, "H100")
		found, err := h.solve(c.nodes)
		if err != nil {
			t.Fatal(err)
		}
		if h.spent > maxWork+last {
			t.Errorf("%d nodes took %d steps, expected %d at most", c.nodes, h.spent, maxWork)
		}
		if found.cut != c.cut || (found.nodes == nil) != (c.cost == place.Cost{}) {
			t.Errorf("%d nodes: %d found, ended %t, expected cost %s, ended %t", c.nodes, len(found.nodes), found.cut, c.cost, c.cut)
			continue
		}
		if found.nodes == nil {
			smaller, _, _ := h.nearest(c.nodes)
			if h.spent > otherWork+last || smaller < 10_000 {
				t.Errorf("%d nodes: %d would fit, after %d steps, expected 10,000 or more after %d at most", c.nodes, smaller, h.spent, otherWork)
			}
			continue
		}
		slice, err := h.certify(hermeticAsk(c.nodes), found)
		if err != nil {
			t.Fatal(err)
		}
		if err := check.On(o, slice); err != nil {
			t.Error(err)
		}
		// What ended searches had found in all the time that they took is no worse.
		if slice.Certificate.Cost != c.cost || slice.Certificate.Cut != c.cut {
			t.Errorf("%d nodes cost %s, not proven %t, expected %s, %t", c.nodes, slice.Certificate.Cost, slice.Certificate.Cut, c.cost, c.cut)
		}
	}
}

// An ended search says so: in the certificate with what it had proven, in the tenant's
// copy without, and a refusal says that it is no proof.
func TestAnEndedSearchSaysWhatItKnows(t *testing.T) {
	s := placetest.Grow(placetest.Plot{RackNodes: 2, SUNodes: 4, Halls: [][]placetest.PodPlot{
		{{Kinds: []string{"H100"}, SUs: []int{4, 4, 4}}, {Kinds: []string{"H100"}, SUs: []int{4, 4, 4}}},
		{{Kinds: []string{"H100"}, SUs: []int{4, 4, 4}}},
	}})
	s.Shape.Spines, s.Shape.PodSUs, s.Shape.PodTaper = 6, 4, 1
	o := place.NewOccupancy(s)
	for spine := range 3 {
		o.FailUplink(place.Uplink{SU: spine, Rail: 0, Spine: spine}, true)
	}
	ended := 0
	for nodes := 5; nodes <= 36; nodes++ {
		best, refused := On(o, hermeticAsk(nodes))
		for work := 1; work < 200_000; work *= 2 {
			h := newHermetic(o, 0, "H100")
			h.work = work
			found, err := h.solve(nodes)
			if err != nil {
				t.Fatal(err)
			}
			if found.nodes == nil {
				e := &place.NoSliceError{Ask: hermeticAsk(nodes), Condition: found.condition, Cut: found.cut}
				if !found.cut && refused == nil || found.cut != strings.Contains(e.Error(), "not proven") {
					t.Fatalf("%d nodes, %d steps: %v", nodes, work, e)
				}
				continue
			}
			slice, err := h.certify(hermeticAsk(nodes), found)
			if err != nil {
				t.Fatal(err)
			}
			c := &slice.Certificate
			if err := check.On(o, slice); err != nil {
				t.Fatalf("%d nodes, %d steps: %v", nodes, work, err)
			}
			if !c.Cut {
				if c.Cost != best.Certificate.Cost {
					t.Fatalf("%d nodes, %d steps: cost %s, expected %s, or cut", nodes, work, c.Cost, best.Certificate.Cost)
				}
				continue
			}
			ended++
			if best.Certificate.Cost.Less(*c.Least) {
				t.Fatalf("%d nodes, %d steps: at least %s, and %s can be had", nodes, work, c.Least, best.Certificate.Cost)
			}
			tenant := c.Tenant()
			if tenant.Least != nil || !strings.Contains(tenant.Proof, "not proven optimal") || !strings.Contains(c.Proof, "not proven optimal") {
				t.Fatalf("the proofs are %q and %q", c.Proof, tenant.Proof)
			}
			for what, change := range map[string]func(){
				"the search called complete":  func() { c.Cut = false },
				"no less than it costs":       func() { c.Least = &c.Cost },
				"less than the bounds":        func() { c.Least = &place.Cost{} },
				"called complete and no more": func() { c.Cut, c.Least = false, nil },
			} {
				was := *c
				change()
				if c.Proof == c.Words() {
					t.Errorf("%s: the proof says the same", what)
				}
				if c.Cut || c.Least != nil { // else nothing but the proof tells
					c.Proof = c.Words()
				}
				if check.On(o, slice) == nil {
					t.Errorf("%d nodes, %d steps: %s: accepted", nodes, work, what)
				}
				*c = was
			}
		}
	}
	if ended < 10 {
		t.Errorf("only %d searches were ended with a slice in hand", ended)
	}
}
