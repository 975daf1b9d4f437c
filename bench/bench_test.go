package main

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"bulkhead/bench/evaluate"
	"bulkhead/bench/sites"
)

// What the contenders are judged by must notice what it is for.
func TestJudgeNoticesWhatWasNotKept(t *testing.T) {
	tree := sites.NewTree("test", 4, 1, 150)
	booking := sites.Booking{ID: "a", Steps: []sites.Step{{Day: 10, Nodes: 2}}, End: 20, Gone: 20}
	other := sites.Booking{ID: "b", Steps: []sites.Step{{Day: 19, Nodes: 1}}, End: 30, Gone: 30}
	good := func() outcome {
		return outcome{rows: []delivered{{booking: booking, kept: true, nodes: []int32{3, 4}}, {booking: other, kept: true, nodes: []int32{5}}}}
	}
	o := good()
	if err := o.judge(tree); err != nil {
		t.Fatal(err)
	}
	if o.perDay[9] != 0 || o.perDay[10] != 2 || o.perDay[19] != 3 || o.perDay[29] != 1 || o.perDay[30] != 0 {
		t.Error("nodes are leased on other days")
	}
	for name, spoil := range map[string]func(*outcome){
		"a node short":        func(o *outcome) { o.rows[0].nodes = []int32{3} },
		"a node twice":        func(o *outcome) { o.rows[0].nodes = []int32{3, 3} },
		"a hall too early":    func(o *outcome) { o.rows[0].nodes = []int32{3, 451} },
		"not a node":          func(o *outcome) { o.rows[0].nodes = []int32{3, 600} },
		"overlaps by one day": func(o *outcome) { o.rows[1].nodes = []int32{3} },
	} {
		o := good()
		spoil(&o)
		if o.judge(tree) == nil {
			t.Errorf("%s: not noticed", name)
		}
	}
}

// The lease of 15 nodes has one spare: the spare takes over, nothing else moves;
// while nothing waits, the slot is open, and a repair ends that.
func TestEstateCountsWhatHappened(t *testing.T) {
	tree := sites.NewTree("test", 1, 1, 16)
	fresh := func() *estate {
		e := &estate{tree: tree, inSlot: make([]int32, 16), down: make([]bool, 16), open: map[int32]float64{}}
		for n := range e.inSlot {
			e.inSlot[n] = -1
		}
		for n := range int32(15) { // node 15 is the spare, in another rack than nodes 0 to 7
			e.slot, e.lease, e.inSlot[n] = append(e.slot, n), append(e.lease, 1), n
		}
		return e
	}
	inOrder := func(candidates, failed []int32) []int32 {
		out := make([]int32, len(failed))
		for i := range out {
			out[i] = -1
			if i < len(candidates) {
				out[i] = candidates[i]
			}
		}
		return out
	}
	e := fresh()
	err := e.live([]sites.Failure{
		{Hour: 1, Node: 0, Repair: 0.5, Heals: true}, {Hour: 2, Node: 1, Repair: 10}, {Hour: 3, Node: 2, Repair: 20}, {Hour: 4, Node: 3, Repair: 0.25, Heals: true}}, 100, inOrder)
	if err != nil {
		t.Fatal(err)
	}
	// Hour 2: node 1 fails, 15 takes over. Hour 3: node 2 fails, nothing waits
	// until node 1 is back at hour 12: 9 hours open, in the same rack.
	if e.failures != 4 || e.healed != 2 || e.long != 2 || e.waited != 1 || e.replaced() != 2 || e.where[sameSU] != 1 || e.where[sameRack] != 1 || e.openHours != 9 || e.selfHours != 0.75 || e.moved != 0 {
		t.Errorf("%+v", *e)
	}
	if got := len(e.leaseOf(5)); got != 15 {
		t.Errorf("the lease has %d nodes", got)
	}
	// Whoever takes a node that works out of its slot is found out.
	thief := func(_, failed []int32) []int32 { return []int32{9} }
	e = fresh()
	if err := e.live([]sites.Failure{{Hour: 2, Node: 1, Repair: 10}}, 100, thief); err == nil || e.moved != 1 {
		t.Errorf("a healthy node was moved, and nobody noticed: %v", err)
	}
}

func TestIdeal(t *testing.T) {
	if got := ideal(12_501); got != (evaluate.Counts{Halls: 2, Pods: 5, SUs: 196, Racks: 1563}) {
		t.Error(got)
	}
}

// On an empty site of four SUs of eight: what each yardstick starts.
func TestYardsticks(t *testing.T) {
	try := func(p placer, sizes ...int) (started []int) {
		for i, n := range sizes {
			ok, _, err := p.start(int32(i+1), n)
			if err != nil {
				t.Fatal(err)
			}
			if ok {
				started = append(started, n)
			}
		}
		return started
	}
	sizes := []int{12, 12, 5, 4, 3}
	if got := try(newPacking(4, 8, false), sizes...); !slices.Equal(got, []int{12, 12, 5, 3}) {
		t.Errorf("packed: %v", got) // 8+4, 8+4 in the same part; 5 and 3 in the last SU
	}
	if got := try(&moving{su: 8, sus: 4, holds: map[int32]int{}}, 12, 12, 5, 4); !slices.Equal(got, []int{12, 12, 5}) {
		t.Errorf("moved: %v", got)
	}
	if got := try(&counting{free: 32, holds: map[int32]int{}}, sizes...); !slices.Equal(got, []int{12, 12, 5, 3}) {
		t.Errorf("counted: %v", got)
	}
	// Two parts of four would take all uplinks of their SU: one has to go elsewhere.
	if got := try(newPacking(4, 8, true), 12, 12, 5, 4); !slices.Equal(got, []int{12, 12, 4}) {
		t.Errorf("packed with a common uplink: %v", got)
	}
	p := newPacking(4, 8, false)
	try(p, 12, 12, 5)
	for tenant := range int32(3) {
		if err := p.end(tenant + 1); err != nil {
			t.Fatal(err)
		}
	}
	if got := try(p, 32); len(got) != 1 {
		t.Error("what ended is not free")
	}
}

// All jobs of the site's size, one after the other: always full, and everything
// but one is refused each time.
func TestFlowMeasuresUse(t *testing.T) {
	var jobs []sites.Job
	for range 60 {
		jobs = append(jobs, sites.Job{Nodes: 8, Time: 10})
	}
	s, err := flow(jobs, 10, 2, &counting{free: 8, holds: map[int32]int{}}, ceiling{})
	if err != nil || s.used != 1 || s.started != 11 {
		t.Errorf("%+v, %v", s, err)
	}
	if s, err = flow(jobs, 16, 0, &counting{free: 16, holds: map[int32]int{}}, ceiling{}); err != nil || s.used != 1 {
		t.Errorf("%+v, %v", s, err)
	}
	if s, err = flow(jobs, 20, 0, &counting{free: 15, holds: map[int32]int{}}, ceiling{}); err != nil || s.used != 0.4 {
		t.Errorf("%+v, %v", s, err)
	}
	if _, err = flow(jobs, 8, 0, &counting{free: 7, holds: map[int32]int{}}, ceiling{}); err == nil {
		t.Error("a stream of which nothing fits did not end")
	}
}

// unsure refuses everything after the first, and one time in two can't prove it.
type unsure struct {
	started bool
	asked   int
	in      int
}

func (u *unsure) start(_ int32, nodes int) (bool, int, error) {
	if !u.started {
		u.started = true
		return true, 0, nil
	}
	if u.asked++; u.asked == 1 {
		u.in += nodes
	}
	return false, nodes, nil
}
func (u *unsure) end(int32) error { u.started, u.asked = false, 0; return nil }
func (u *unsure) doubt() int      { n := u.in; u.in = 0; return n }

// Jobs of five nodes, one at a time on a site of twenty: a quarter is in use, and a
// quarter more would be if the refusal of the second had no reason.
func TestFlowMeasuresDoubt(t *testing.T) {
	var jobs []sites.Job
	for range 60 {
		jobs = append(jobs, sites.Job{Nodes: 5, Time: 10})
	}
	s, err := flow(jobs, 20, 0, &unsure{}, ceiling{su: 5, sus: 4})
	if err != nil || s.used != 0.25 || s.doubt != 0.25 || s.bound != 1 {
		t.Errorf("%+v, %v", s, err)
	}
}

// A link that two leases hold is found out, whoever says otherwise.
func TestHermeticOwnersAreKept(t *testing.T) {
	tree := sites.NewTreeOf("test", 1, 4, 8, 8, 8)
	var s streamed
	h, err := newHermetic(tree, 0, &s)
	if err != nil {
		t.Fatal(err)
	}
	for tenant, nodes := range []int{100, 20, 12, 5, 64} {
		if _, _, err := h.start(int32(tenant+1), nodes); err != nil {
			t.Fatal(err)
		}
	}
	if h.owners.Double != 0 || s.short != nil || h.owners.Taken() == 0 {
		t.Fatalf("%d links have two owners of %d; %v", h.owners.Double, h.owners.Taken(), s.short)
	}
	h.owners.Take(99, h.links[1])
	if h.owners.Double != len(h.links[1]) {
		t.Errorf("%d of %d links given away twice were noticed", h.owners.Double, len(h.links[1]))
	}
	for tenant := range h.links {
		if err := h.end(tenant); err != nil {
			t.Fatal(err)
		}
	}
}

// The bound is what no choice of those that wait can exceed, by hand and against
// every choice.
func TestCeilingIsABound(t *testing.T) {
	c := ceiling{su: 8, sus: 4}
	run := runs{{nodes: 12}, {nodes: 5}} // a whole SU and nine nodes in parts: of four SUs one is whole, one and a bit are parts
	for _, one := range []struct {
		waiting []int
		want    int
	}{
		{nil, 0}, {[]int{16}, 0}, {[]int{8}, 8}, {[]int{8, 8}, 8}, {[]int{8, 7, 7}, 15}, {[]int{15}, 15}, {[]int{16, 3, 4}, 7}, {[]int{16, 8, 8}, 8}, {[]int{30}, 0},
	} {
		if got := c.more(run, one.waiting); got != one.want {
			t.Errorf("%v: %d more, expected %d", one.waiting, got, one.want)
		}
	}
	r := rand.New(rand.NewPCG(1, 1))
	for range 2000 {
		c := ceiling{su: 1 + r.IntN(9), sus: 1 + r.IntN(8)}
		var run runs
		whole, part := 0, 0
		for {
			n := 1 + r.IntN(3*c.su)
			w, p := whole+n/c.su, part+n%c.su
			if w+(p+c.su-1)/c.su > c.sus {
				break
			}
			whole, part, run = w, p, append(run, running{nodes: n})
		}
		var waiting []int
		for range r.IntN(7) {
			waiting = append(waiting, 1+r.IntN(3*c.su))
		}
		most := 0
		for choice := range 1 << len(waiting) {
			w, p, sum := whole, part, 0
			for i, n := range waiting {
				if choice>>i&1 == 1 {
					w, p, sum = w+n/c.su, p+n%c.su, sum+n
				}
			}
			if w+(p+c.su-1)/c.su <= c.sus {
				most = max(most, sum)
			}
		}
		if got := c.more(run, waiting); got != most {
			t.Fatalf("%+v, %v running, %v waiting: %d more, by every choice %d", c, run, waiting, got, most)
		}
	}
}

// A stream below the bar is excused by what is proven, and by nothing else.
func TestFillingIsJudgedByProof(t *testing.T) {
	one := func(used, doubt float64, cut int) []filled {
		f := filled{c: streams[0]}
		f.got.used, f.got.bound, f.got.cut, f.got.doubt, f.packed.used = used, 0.999, cut, doubt, 0.97
		f.got.conditions[4] = 1000
		return []filled{f}
	}
	for _, c := range []struct {
		of              []filled
		missed, excused bool
	}{
		{one(0.971, 0.01, 500), false, false},
		{one(0.952, 0, 0), false, true},
		{one(0.952, 0.017, 100), false, true},
		{one(0.952, 0.019, 100), true, false},
		{one(0.949, 0, 0), true, false},
	} {
		bar := judged(c.of)
		if bar.Missed() != c.missed || bar.Excused != c.excused {
			t.Errorf("%s", bar)
		}
		if !bar.Met && !strings.Contains(bar.Got, "The bound is 99.90 %") {
			t.Errorf("the bound is not given: %s", bar)
		}
	}
}
