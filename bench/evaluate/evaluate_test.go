package evaluate

import (
	"math"
	"math/rand/v2"
	"testing"

	"bulkhead/bench/sites"
)

// site: 2 halls of 2 pods of 2 SUs of 64 nodes and one of 22, so that an SU is
// nodes 0-63, a pod 0-149, a hall 0-299.
func small() (*sites.Tree, *sites.Occupancy) {
	t := sites.NewTree("test", 2, 2, 150)
	return t, &sites.Occupancy{Holder: make([]int32, t.Nodes())}
}

func span(ranges string) []int32 {
	nodes, err := sites.ParseRanges(ranges)
	if err != nil {
		panic(err)
	}
	return nodes
}

func TestCountsByHand(t *testing.T) {
	tree, o := small()
	for _, c := range []struct {
		slice  string
		counts Counts
	}{
		{"0", Counts{1, 1, 1, 1}},
		{"0-7", Counts{1, 1, 1, 1}},
		{"0-8", Counts{1, 1, 1, 2}},
		{"7,8", Counts{1, 1, 1, 2}},
		{"63,64", Counts{1, 1, 2, 2}},
		{"149,150", Counts{1, 2, 2, 2}},
		{"299,300", Counts{2, 2, 2, 2}},
		{"128-149", Counts{1, 1, 1, 3}}, // the small SU: 22 nodes in 3 racks
		{"0-599", Counts{2, 4, 12, 76}},
	} {
		nodes := span(c.slice)
		got, err := Count(tree, o, len(nodes), nodes)
		if err != nil || got != c.counts {
			t.Errorf("%s: %s, %v; expected %s", c.slice, got, err, c.counts)
		}
	}
}

func TestNoAnswerIsRefused(t *testing.T) {
	tree, o := small()
	o.Holder[5], o.Holder[6] = 1, sites.Failed
	for _, c := range []struct {
		asked int
		slice []int32
	}{{2, []int32{1}}, {2, []int32{1, 1}}, {1, []int32{600}}, {1, []int32{-1}}, {1, []int32{5}}, {1, []int32{6}}} {
		if _, err := Count(tree, o, c.asked, c.slice); err == nil {
			t.Errorf("%v for %d nodes was accepted", c.slice, c.asked)
		}
	}
}

func TestBoundByHand(t *testing.T) {
	tree, o := small()
	for _, c := range []struct {
		asked int
		bound Counts
	}{{1, Counts{1, 1, 1, 1}}, {64, Counts{1, 1, 1, 8}}, {65, Counts{1, 1, 2, 9}}, {151, Counts{1, 2, 3, 19}}, {301, Counts{2, 3, 5, 38}}} {
		if got := Bound(tree, o, c.asked); got != c.bound {
			t.Errorf("%d nodes: %s, expected %s", c.asked, got, c.bound)
		}
	}
	for n := range 300 { // the first hall is full but for one node
		o.Holder[n] = 1
	}
	o.Holder[17] = sites.Free
	if got := Bound(tree, o, 301); got != (Counts{2, 3, 7, 39}) {
		t.Errorf("%s, expected 2/3/7/39", got)
	}
}

// By hand: m = 4,096 bytes, 400 Gb/s, 8 rails, so 3,200 Gb/s a node, 204,800 an
// SU, and 13,107,200 a pod.
func TestAllToAllByHand(t *testing.T) {
	tree, _ := small()
	for _, c := range []struct {
		slice string
		ns    float64
	}{
		{"0", 0},
		{"0,1", 8 * 8 * 4096 * 8 / 3200.0},                   // two nodes: the node's own links
		{"0-63", 8 * 8 * 63 * 4096 * 8 / 3200.0},             // in an SU: still the node
		{"0-127", 64 * 64 * 64 * 4096 * 8 / 204800.0},        // two SUs of 64: node and SU tie within 127/128
		{"0-63,150-213", 64 * 64 * 64 * 4096 * 8 / 204800.0}, // in two pods: their uplinks are for 64 SUs
	} {
		nodes := span(c.slice)
		want := max(c.ns, float64(64*(len(nodes)-1)*4096*8)/3200)
		if got := AllToAllNS(tree, nodes); math.Abs(got-want) > 1e-6*want {
			t.Errorf("%s: %g ns, expected %g", c.slice, got, want)
		}
	}
	tree.Shape.PodTaper = 256 // now the pods are the limit
	got := AllToAllNS(tree, span("0-63,150-213"))
	if want := 64.0 * 64 * 64 * 4096 * 8 * 256 / 13107200; math.Abs(got-want) > 1e-6*want {
		t.Errorf("tapered: %g ns, expected %g", got, want)
	}
}

func TestSharedLinksByHand(t *testing.T) {
	const su, pod = 8 * 64, 8 * 64 * 64
	for _, c := range []struct {
		name, slice, other string
		links, tenants     int
	}{
		{"alone", "0-99", "", 0, 0},
		{"the other stays in the SU", "0-9,64-73", "10-19", 0, 0},
		{"the slice stays in the SU", "0-9", "10-19,64-73", 0, 0},
		{"both leave the SU", "0-9,64-73", "10-19,128-137", su, 1},
		{"both in two SUs", "0-9,64-73", "10-19,74-83", 2 * su, 1},
		{"both leave the pod, in no common SU", "0-9,150-159", "64-73,300-309", pod, 1},
		{"both leave the pod and the SU", "0-9,150-159", "10-19,160-169", 2*su + 2*pod, 1},
		{"different halls", "0-99", "300-399", 0, 0},
	} {
		tree, o := small()
		if c.other != "" {
			for _, n := range span(c.other) {
				o.Holder[n] = 3
			}
		}
		if got := Shared(tree, o, span(c.slice)); got.Links() != c.links || got.Tenants != c.tenants {
			t.Errorf("%s: %+v, expected %d links, %d tenants", c.name, got, c.links, c.tenants)
		}
	}
}

// What must hold for any slice: no level is below its bound, a level has no
// fewer domains than the one above, relabelling nodes inside a rack changes
// nothing, one more node never touches fewer domains.
func TestProperties(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	for range 300 {
		tree, _ := small()
		o := sites.Occupy(tree, []int{0, 25, 50, 75}[r.IntN(4)], r.Uint64())
		var free []int32
		for n, h := range o.Holder {
			if h == sites.Free {
				free = append(free, int32(n))
			}
		}
		r.Shuffle(len(free), func(i, j int) { free[i], free[j] = free[j], free[i] })
		asked := 1 + r.IntN(len(free)-1)
		c, err := Count(tree, o, asked, free[:asked])
		if err != nil {
			t.Fatal(err)
		}
		b := Bound(tree, o, asked)
		if c.Halls < b.Halls || c.Pods < b.Pods || c.SUs < b.SUs || c.Racks < b.Racks {
			t.Fatalf("%d nodes touch %s, below the bound %s", asked, c, b)
		}
		if c.Halls > c.Pods || c.Pods > c.SUs || c.SUs > c.Racks || c.Racks > asked {
			t.Fatalf("%d nodes touch %s", asked, c)
		}
		more, err := Count(tree, o, asked+1, free[:asked+1])
		if err != nil || more.Compare(c) < 0 {
			t.Fatalf("one node more touches %s, before it was %s (%v)", more, c, err)
		}
		// In reverse order the nodes are the same slice.
		turned := make([]int32, asked)
		for i := range turned {
			turned[i] = free[asked-1-i]
		}
		if again, _ := Count(tree, o, asked, turned); again != c {
			t.Fatalf("%s in one order, %s in the other", c, again)
		}
		if a, b := AllToAllNS(tree, free[:asked]), AllToAllNS(tree, turned); a != b {
			t.Fatalf("%g ns in one order, %g in the other", a, b)
		}
		if Shared(tree, &sites.Occupancy{Holder: make([]int32, tree.Nodes())}, free[:asked]).Links() != 0 {
			t.Fatal("links are shared with nobody")
		}
	}
}

func TestOwnersByHand(t *testing.T) {
	a := Link{Up: true, At: 3, Rail: 1, Spine: 5}
	b := Link{At: 3, Rail: 1, Spine: 5, Core: 2}
	o := NewOwners()
	o.Take(1, []Link{a, b})
	o.Take(2, []Link{{Up: true, At: 3, Rail: 2, Spine: 5}})
	if o.Double != 0 || o.Taken() != 3 {
		t.Fatalf("%d double, %d taken", o.Double, o.Taken())
	}
	o.Take(2, []Link{b})
	if o.Double != 1 {
		t.Fatal("a link with two owners was not noticed")
	}
	o.Return(1, []Link{a, b})
	o.Return(2, []Link{b})
	o.Take(3, []Link{a, b})
	if o.Double != 1 || o.Taken() != 3 {
		t.Fatalf("%d double, %d taken after all came back", o.Double, o.Taken())
	}
}

func TestCarriesByHand(t *testing.T) {
	tree, _ := small()
	links := func(su int32, count int) []Link {
		var out []Link
		for rail := range tree.Shape.Rails {
			for spine := range count {
				out = append(out, Link{Up: true, At: su, Rail: int8(rail), Spine: int16(spine)})
			}
		}
		return out
	}
	slice := span("0-9,64-67") // 10 nodes in SU 0, 4 in SU 1
	if err := Carries(tree, slice, append(links(0, 4), links(1, 4)...)); err != nil {
		t.Error(err)
	}
	if Carries(tree, slice, append(links(0, 4), links(1, 3)...)) == nil || Carries(tree, slice, links(0, 4)) == nil {
		t.Error("too few links were enough")
	}
	if err := Carries(tree, span("0-9"), nil); err != nil {
		t.Error("what stays in an SU needs no links:", err)
	}
	if Carries(tree, span("0-9,150-159"), append(links(0, 10), links(3, 10)...)) == nil {
		t.Error("no links between pods were enough")
	}
}

func TestExposedByHand(t *testing.T) {
	const su, pod = 8 * 64, 8 * 64 * 64
	for _, c := range []struct {
		a, b         string
		shared, used int
	}{
		{"0-9", "10-19", 0, 0},
		{"0-9,64-73", "10-19", 0, 2 * su},
		{"0-9,64-73", "10-19,128-137", su, 3 * su},
		{"0-9,150-159", "300-309,64-73", pod, 4*su + 3*pod},
	} {
		tree, o := small()
		for _, n := range span(c.a) {
			o.Holder[n] = 1
		}
		for _, n := range span(c.b) {
			o.Holder[n] = 2
		}
		if shared, used := Exposed(tree, o); shared != c.shared || used != c.used {
			t.Errorf("%s and %s: %d of %d, expected %d of %d", c.a, c.b, shared, used, c.shared, c.used)
		}
	}
}
