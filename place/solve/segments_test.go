package solve

import (
	"errors"
	"math/rand/v2"
	"strings"
	"testing"

	"bulkhead/lease"
	"bulkhead/place"
	"bulkhead/place/check"
	"bulkhead/place/placetest"
	"bulkhead/site"
)

// rackSite is NVL72 racks of 18 trays, of which the first so many of each are free.
func rackSite(t *testing.T, free ...int) (*site.Site, *site.Set) {
	t.Helper()
	s := placetest.Grow(placetest.Plot{RackNodes: 18, SUNodes: 72, Halls: [][]placetest.PodPlot{{{Kinds: []string{"GB200"}, SUs: []int{72, 72}}}}})
	s.Kinds = []site.Kind{{ID: "GB200", NVLinkRacks: true}}
	set := site.NewSet(s.Nodes())
	rack := 0
	for number := range s.SUs {
		nodes := s.SUs[number].Nodes
		for at := 0; at < len(nodes) && rack < len(free); at += s.RackNodes {
			for _, n := range nodes[at : at+free[rack]] {
				set.Add(n)
			}
			rack++
		}
	}
	return s, set
}

func segments(nodes, segment int) place.Ask {
	return place.Ask{Nodes: nodes, Fabric: "roce", Kind: "GB200", Links: lease.Shared, Segment: segment}
}

// perRack is how many nodes a slice has of each rack, by number.
func perRack(s *site.Site, nodes []site.Index) map[int]int {
	out := map[int]int{}
	for _, n := range nodes {
		out[s.RackOf(n)]++
	}
	return out
}

// 64 GPUs in one domain, at least 16 trays: of racks with 18, 16, 9 and 8 left it is the
// one with 16, wherever it stands.
func TestASegmentTakesTheFullestRackThatSuffices(t *testing.T) {
	for at, free := range [][]int{{18, 16, 9, 8}, {9, 18, 8, 16}, {18, 18, 8, 9, 18, 16}} {
		s, set := rackSite(t, free...)
		slice, err := Among(s, set, segments(16, 16))
		if err != nil {
			t.Fatal(err)
		}
		for rack, n := range perRack(s, slice.Nodes) {
			if n != 16 || free[rack] != 16 {
				t.Errorf("%d: %d nodes of the rack with %d free", at, n, free[rack])
			}
		}
		if err := check.Among(s, set, slice); err != nil {
			t.Error(err)
		}
	}
}

// 36 trays as three segments of 12 come out equal on racks of 17, and are refused with
// the numbers where one rack has too few.
func TestSegmentsComeOutEqual(t *testing.T) {
	s, set := rackSite(t, 17, 17, 17)
	slice, err := Among(s, set, segments(36, 12))
	if err != nil {
		t.Fatal(err)
	}
	if got := perRack(s, slice.Nodes); len(got) != 3 || got[0] != 12 || got[1] != 12 || got[2] != 12 {
		t.Errorf("nodes by rack: %v", got)
	}
	if err := check.Among(s, set, slice); err != nil {
		t.Error(err)
	}
	s, set = rackSite(t, 17, 11, 17, 3)
	_, err = Among(s, set, segments(36, 12))
	var none *place.NoSegmentsError
	if !errors.As(err, &none) || none.Have != 2 || !strings.Contains(err.Error(), "3 segments of 12 nodes each do not fit: in 2 racks one fits, free are 17 nodes in 2 racks, 11 nodes in 1 rack, 3 nodes in 1 rack.") {
		t.Errorf("%v", err)
	}
	for _, bad := range []place.Ask{segments(36, 19), segments(36, 5), segments(36, -1), {Nodes: 36, Fabric: "roce", Kind: "GB200", Links: lease.Hermetic, Segment: 12}} {
		if _, err := Among(s, set, bad); err == nil {
			t.Errorf("asked: %+v", bad)
		}
	}
}

// No slice in segments is cheaper, and of those as cheap none keeps out of emptier racks:
// every choice of racks is tried.
func TestSegmentsAreExact(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 7))
	for range 150 {
		free := make([]int, 8)
		for i := range free {
			free[i] = r.IntN(19)
		}
		s, set := rackSite(t, free...)
		segment, number := 1+r.IntN(18), 1+r.IntN(4)
		slice, err := Among(s, set, segments(segment*number, segment))
		best, emptiest, some := place.Cost{}, 0, false
		for chosen := range 1 << len(free) {
			var nodes []site.Index
			racks, most := 0, 0
			for n := range set.All() {
				if rack := s.RackOf(n); chosen>>rack&1 == 1 && free[rack] >= segment && perRack(s, nodes)[rack] < segment {
					nodes = append(nodes, n)
				}
			}
			for rack := range free {
				if chosen>>rack&1 == 1 && free[rack] >= segment {
					racks, most = racks+1, max(most, free[rack])
				}
			}
			if racks != number || len(nodes) != segment*number {
				continue
			}
			if c := place.CostOf(s, nodes); !some || c.Less(best) || c == best && most < emptiest {
				best, emptiest, some = c, most, true
			}
		}
		if (err == nil) != some {
			t.Fatalf("%v free, %d segments of %d: %v, and some do: %v", free, number, segment, err, some)
		}
		if err != nil {
			continue
		}
		most := 0
		for rack := range perRack(s, slice.Nodes) {
			most = max(most, free[rack])
		}
		if slice.Certificate.Cost != best || most != emptiest {
			t.Fatalf("%v free, %d segments of %d: %s and a rack with %d free, expected %s and %d", free, number, segment, slice.Certificate.Cost, most, best, emptiest)
		}
		if err := check.Among(s, set, slice); err != nil {
			t.Fatal(err)
		}
	}
}

// A slice of unequal parts is no slice in segments, whoever says so.
func TestUnequalSegmentsAreRefused(t *testing.T) {
	s, set := rackSite(t, 17, 17, 17)
	slice, err := Among(s, set, segments(36, 12))
	if err != nil {
		t.Fatal(err)
	}
	for n := range set.All() { // one node of the first rack more, and one of the last less
		if s.RackOf(n) == 0 && !site.SetOf(slice.Nodes...).Has(n) {
			slice.Nodes[35] = n
			break
		}
	}
	place.RankOrder(s, slice.Nodes)
	slice.Certificate.Slice = place.SliceDigest(slice.Nodes)
	if err := check.Among(s, set, slice); err == nil || !strings.Contains(err.Error(), "expected the 12 of a segment") {
		t.Errorf("%v", err)
	}
}

// The harm of segments is of all that was free, not of the nodes that were offered: a
// rack of which a segment takes a part was whole if all of it was free. It is counted
// again, and no more is claimed.
func TestTheHarmOfSegmentsIsCounted(t *testing.T) {
	for _, c := range []struct {
		free  []int
		nodes int
		racks int // that are broken
	}{{[]int{18, 16, 9, 8}, 16, 0}, {[]int{18, 16, 18, 8}, 32, 1}, {[]int{18, 18, 18, 18}, 32, 2}} {
		s, set := rackSite(t, c.free...)
		slice, err := Among(s, set, segments(c.nodes, 16))
		if err != nil {
			t.Fatal(err)
		}
		h := slice.Certificate.Harm
		if h == nil || h.Racks != c.racks {
			t.Fatalf("%v free, %d asked: harm %v, expected %d racks", c.free, c.nodes, h, c.racks)
		}
		if err := check.Among(s, set, slice); err != nil {
			t.Error(err)
		}
		if h.Racks++; check.Among(s, set, slice) == nil {
			t.Errorf("%v free, %d asked: a rack more passes", c.free, c.nodes)
		}
		// As releases before wrote it: nothing is claimed.
		slice.Certificate.Harm = nil
		slice.Certificate.Proof = slice.Certificate.Words()
		if err := check.Among(s, set, slice); err != nil {
			t.Error(err)
		}
	}
}
