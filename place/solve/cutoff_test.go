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

// twoInOne is three SUs of four nodes: two slices that have one whole each, and
// half of the third.
func twoInOne(t *testing.T) (o *place.Occupancy, first, second place.Slice) {
	t.Helper()
	s := placetest.Grow(placetest.Plot{RackNodes: 2, SUNodes: 4, Halls: [][]placetest.PodPlot{{{Kinds: []string{"H100"}, SUs: []int{4, 4, 4}}}}})
	s.Shape.Spines, s.Shape.PodSUs = 4, 3
	o = place.NewOccupancy(s)
	for _, slice := range []*place.Slice{&first, &second} {
		var err error
		if *slice, err = On(o, hermeticAsk(6)); err != nil {
			t.Fatal(err)
		}
		if err := check.On(o, *slice); err != nil {
			t.Fatal(err)
		}
		if slice == &first {
			if err := o.Commit(first); err != nil {
				t.Fatal(err)
			}
		}
	}
	if first.Certificate.Links.RestSU != second.Certificate.Links.RestSU || !second.Certificate.Links.Planes[0].Rest.Has(3) {
		t.Fatalf("not the slices that the test is about: %s and %s", first.Certificate.Links.Encode(), second.Certificate.Links.Encode())
	}
	return o, first, second
}

// TestTheLastUplinkIsHeldWhereNobodyMissesIt: of the SU that two hermetic slices
// share the second holds the last uplink, and no longer if anybody else has, or
// could have, a node there.
func TestTheLastUplinkIsHeldWhereNobodyMissesIt(t *testing.T) {
	o, first, second := twoInOne(t)
	shared := slices.IndexFunc(o.Site().SUs, func(su site.SU) bool { return su.ID == first.Certificate.Links.RestSU })
	mine := site.SetOf(first.Nodes...)
	var theirs site.Index
	for _, n := range o.Site().SUs[shared].Nodes {
		if mine.Has(n) {
			theirs = n
		}
	}
	for name, change := range map[string]func(*place.Occupancy){
		"a lease with shared links":      func(c *place.Occupancy) { c.Shared.Add(theirs) },
		"somebody":                       func(c *place.Occupancy) { c.Take(site.SetOf(theirs)) },
		"nobody, and it may come back":   func(c *place.Occupancy) { c.Drop(site.SetOf(theirs)); c.Out(site.SetOf(theirs)) },
		"nobody, and it may be promised": func(c *place.Occupancy) { c.Drop(site.SetOf(theirs)) },
	} {
		c := o.Clone()
		change(c)
		if _, err := On(c, hermeticAsk(6)); err == nil && name != "nobody, and it may be promised" {
			t.Errorf("a node is held by %s: the last uplink was given all the same", name)
		}
		forged := second
		links := *second.Certificate.Links
		links.Occupancy = c.LinksDigest(0)
		forged.Certificate.Links = &links
		forged.Certificate.Free = newTree(c.Site(), c.Untaken(), 0, "H100", nil).nodes
		forged.Certificate.Occupancy = place.OccupancyDigest(c.Site(), c.Untaken(), 0, "H100")
		if err := check.On(c, forged); err == nil || !strings.Contains(err.Error(), "last that is common") {
			t.Errorf("a node is held by %s, and the check says %v", name, err)
		}
	}
	if err := o.Commit(second); err != nil {
		t.Fatal(err)
	}
	// The first one ends: what it had in the SU is nothing for shared links.
	if err := o.Release(first); err != nil {
		t.Fatal(err)
	}
	if got := o.Free().Len(); got != 4 {
		t.Errorf("%d nodes are free for shared links, expected the 4 of the SU that is whole", got)
	}
	if slice, err := On(o, place.Ask{Nodes: 5, Fabric: "roce", Kind: "H100", Links: lease.Shared}); err == nil {
		t.Errorf("a lease with shared links is cut off: %v", slice.Nodes)
	}
	if err := o.Apart([]site.Index{theirs}, nil); !errors.Is(err, place.ErrOccupancy) {
		t.Errorf("a node without common links was given to a lease with shared links: %v", err)
	}
	again, err := On(o, hermeticAsk(6)) // with hermetic links it still serves
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(check.On(o, again), o.Commit(again)); err != nil {
		t.Error(err)
	}
	// The other way round: whoever comes with the last uplink finds a lease there.
	c := place.NewOccupancy(o.Site())
	if err := c.Keep([]site.Index{theirs}, nil); err != nil {
		t.Fatal(err)
	}
	if err := c.Apart(second.Nodes, second.Certificate.Links); !errors.Is(err, place.ErrOccupancy) {
		t.Errorf("the last uplink was taken from a lease with shared links: %v", err)
	}
}

// shareable is an empty fabric on which slices of several SUs find room.
func shareable(r *rand.Rand) *place.Occupancy {
	nodes := 3 + r.IntN(3)
	p := placetest.Plot{RackNodes: nodes, SUNodes: nodes, Spares: max(0, r.IntN(4)-2)}
	for range 1 + r.IntN(2) {
		p.Halls = append(p.Halls, []placetest.PodPlot{{Kinds: []string{"H100"}, SUs: slices.Repeat([]int{nodes}, 3+r.IntN(2))}})
	}
	s := placetest.Grow(p)
	s.Shape.Spines, s.Shape.PodSUs, s.Shape.PodTaper = nodes, 4, 1
	return place.NewOccupancy(s)
}

// TestNobodyWithSharedLinksIsCutOff lets leases of both classes come and go, and
// nodes fail and come back: wherever a lease with shared links has a node, its
// leaves have a common uplink, and who takes the last one leaves no node behind.
func TestNobodyWithSharedLinksIsCutOff(t *testing.T) {
	given, beside := 0, 0
	for seed := range uint64(600) {
		r := rand.New(rand.NewPCG(seed, 27))
		o := shareable(r)
		s := o.Site()
		var held []place.Slice
		for range 60 {
			switch r.IntN(8) {
			case 0:
				o.Out(site.SetOf(site.Index(r.IntN(s.Nodes()))))
			case 1:
				o.Back(site.SetOf(site.Index(r.IntN(s.Nodes()))))
			case 2:
				if len(held) > 0 {
					i := r.IntN(len(held))
					if err := o.Release(held[i]); err != nil {
						t.Fatal(err)
					}
					held = append(held[:i], held[i+1:]...)
				}
			default:
				ask := hermeticAsk(1 + r.IntN(8))
				if r.IntN(4) == 0 {
					ask.Links = lease.Shared
				}
				slice, err := On(o, ask)
				if err != nil {
					continue
				}
				before := o.Clone()
				if err := errors.Join(check.On(o, slice), o.Commit(slice)); err != nil {
					t.Fatalf("seed %d: %v", seed, err)
				}
				held = append(held, slice)
				whole := map[string]bool{}
				for _, id := range slice.Certificate.Links.WholeSUs() {
					whole[id] = true
				}
				for su := range s.SUs {
					if cutOff(before, su) || !cutOff(o, su) || whole[s.SUs[su].ID] {
						continue
					}
					given++
					for _, n := range s.SUs[su].Nodes {
						if !o.Hermetic.Has(n) {
							t.Fatalf("seed %d: the last uplink of %s is held, and %s is in no hermetic slice", seed, s.SUs[su].ID, s.NodeID[n])
						}
					}
				}
			}
			for _, slice := range held {
				if slice.Certificate.Links != nil {
					continue
				}
				for _, n := range slice.Nodes {
					if cutOff(o, s.SUOf(n)) {
						t.Fatalf("seed %d: %s has shared links and no common uplink", seed, s.NodeID[n])
					}
					for su := range s.SUs {
						if cutOff(o, su) && s.SUs[su].Pod == s.PodOf(n) {
							beside++
						}
					}
				}
			}
		}
	}
	t.Logf("the last uplink of a shared SU was given %d times; a node with shared links was beside one %d times", given, beside)
	if given < 50 || beside < 50 {
		t.Error("the fabrics are too tame to tell")
	}
}

// cutOff says whether somebody holds the last uplink of a leaf of an SU.
func cutOff(o *place.Occupancy, su int) bool {
	for rail := range site.Rails {
		if o.AssignedUp[su*site.Rails+rail].Has(o.Site().Shape.Spines - 1) {
			return true
		}
	}
	return false
}
