package dated

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"bulkhead/place"
	"bulkhead/place/solve"
	"bulkhead/site"
)

func drawSite(t *rapid.T) *site.Site {
	var halls []plot
	for h := range rapid.IntRange(1, 3).Draw(t, "halls") {
		hall := plot{from: on(rapid.IntRange(0, 8).Draw(t, fmt.Sprintf("hall %d from", h)))}
		for range rapid.IntRange(1, 2).Draw(t, "pods") {
			hall.pods = append(hall.pods, rapid.SliceOfN(rapid.IntRange(1, 4), 1, 3).Draw(t, "SUs"))
		}
		halls = append(halls, hall)
	}
	return grow(2, 4, rapid.IntRange(0, 1).Draw(t, "spares"), halls...)
}

// promised counts, day by day, what there is and what is promised of it: the
// slow and obvious way.
func promised(c *Schedule, day int) (have, kept int) {
	for n := range site.Index(c.site.Nodes()) {
		if !c.site.IsSpare(n) && !c.site.InService(n).After(on(day)) {
			have++
		}
	}
	for _, h := range c.Bookings() {
		if !h.Begin.After(on(day)) && on(day).Before(h.End) {
			kept += len(h.Nodes)
		}
	}
	return have, kept
}

// TestNeverOverbooked drives a schedule with whatever may happen to one, and
// looks at every node on every day. It also shows that the peak decides: an ask,
// ramp or not, is met exactly if on every day there is enough.
func TestNeverOverbooked(t *testing.T) {
	moved, several := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		c := New(drawSite(t), on(0), nil)
		ran := map[string][]site.Index{}
		today := 0
		for step := range rapid.IntRange(10, 50).Draw(t, "steps") {
			begin := today + rapid.IntRange(0, 10).Draw(t, "begin")
			a := ask(fmt.Sprintf("b%d", step), rapid.IntRange(1, 3).Draw(t, "nodes"), begin, begin+rapid.IntRange(1, 8).Draw(t, "days"))
			a.Worsen = true
			for i := range rapid.IntRange(0, 2).Draw(t, "ramp") {
				a.Ramp = fmt.Sprintf("r%d", step)
				at := rapid.IntRange(begin, int(a.End.Sub(on(0)).Hours()/24)-1).Draw(t, "step's date")
				if !on(at).Before(a.Steps[len(a.Steps)-1].Begin) {
					a.Steps = append(a.Steps, Step{ID: fmt.Sprintf("b%d.%d", step, i), Nodes: rapid.IntRange(1, 3).Draw(t, "more"), Begin: on(at)})
				}
			}
			switch rapid.IntRange(0, 9).Draw(t, "what") {
			case 0:
				today += rapid.IntRange(0, 3).Draw(t, "days pass")
				c.Advance(on(today))
				continue
			case 1:
				if all := c.Bookings(); len(all) > 0 {
					h := all[rapid.IntRange(0, len(all)-1).Draw(t, "which")]
					c.End(h.ID, on(max(today, rapid.IntRange(0, 25).Draw(t, "end"))))
				}
				continue
			case 2:
				moved += len(c.Improve())
				continue
			}
			enough := true
			for d := begin; on(d).Before(a.End); d++ {
				have, kept := promised(c, d)
				wanted := 0
				for _, s := range a.Steps {
					if !s.Begin.After(on(d)) {
						wanted += s.Nodes
					}
				}
				enough = enough && have-kept >= wanted
			}
			p, err := c.Plan(a)
			if enough != (err == nil) {
				t.Fatalf("enough on every day: %v; the plan: %v", enough, err)
			}
			var short *ShortError
			if err != nil && !errors.As(err, &short) {
				t.Fatal(err)
			}
			if err == nil {
				moved += len(p.Moves)
				if len(p.Moves) > 1 {
					several++
				}
				if err := c.Commit(p); err != nil {
					t.Fatal(err)
				}
			}
			check(t, c, ran)
		}
		check(t, c, ran)
	})
	if (moved == 0 || several == 0) && !testing.Short() { // short runs draw too few
		t.Errorf("%d bookings were placed again, several at once %d times: the draws show nothing", moved, several)
	}
}

// check looks at every node on every day, and at whether what ran has moved.
func check(t *rapid.T, c *Schedule, ran map[string][]site.Index) {
	t.Helper()
	if err := c.Check(); err != nil {
		t.Fatal(err)
	}
	for d := range 40 {
		in := map[site.Index]string{}
		for _, h := range c.Bookings() {
			if h.Begin.After(on(d)) || !on(d).Before(h.End) {
				continue
			}
			for _, n := range h.Nodes {
				if in[n] != "" {
					t.Fatalf("day %d: node %s is in %s and in %s", d, c.site.NodeID[n], in[n], h.ID)
				}
				in[n] = h.ID
				if c.site.IsSpare(n) || c.site.InService(n).After(on(d)) {
					t.Fatalf("day %d: node %s of %s is a spare or not in service", d, c.site.NodeID[n], h.ID)
				}
			}
		}
	}
	for _, h := range c.Bookings() {
		if h.Begin.After(c.Now()) {
			continue
		}
		if was, known := ran[h.ID]; known && !slices.Equal(was, h.Nodes) {
			t.Fatalf("%s runs, and was moved from %v to %v", h.ID, was, h.Nodes)
		}
		ran[h.ID] = h.Nodes
	}
}

// TestRampIsNested draws ramps among other bookings: the final size is the best
// that there is for it unless the dates forbid that, each step is inside the
// next, and what was asked for is what comes.
func TestRampIsNested(t *testing.T) {
	forced := 0
	rapid.Check(t, func(t *rapid.T) {
		c := New(drawSite(t), on(0), nil)
		for i := range rapid.IntRange(0, 3).Draw(t, "others") {
			begin := rapid.IntRange(0, 9).Draw(t, "begin")
			p, err := c.Plan(ask(fmt.Sprintf("o%d", i), rapid.IntRange(1, 5).Draw(t, "nodes"), begin, begin+rapid.IntRange(1, 9).Draw(t, "days")))
			if err == nil {
				err = c.Commit(p)
				if err != nil {
					t.Fatal(err)
				}
			}
		}
		a := Ask{Ramp: "r", Fabric: "roce", Kind: "H100", Links: "shared", End: on(30), Partial: rapid.Bool().Draw(t, "partial")}
		at := 0
		for i := range rapid.IntRange(1, 4).Draw(t, "steps") {
			a.Steps = append(a.Steps, Step{ID: fmt.Sprintf("r%d", i), Nodes: rapid.IntRange(1, 4).Draw(t, "nodes"), Begin: on(at)})
			at += rapid.IntRange(0, 5).Draw(t, "later")
		}
		p, err := c.Plan(a)
		if err != nil {
			return
		}
		checkPlan(t, c, a, p)
		if p.Final().Certificate.Cost != p.Unnested {
			forced++
		}
		if err := c.Commit(p); err != nil {
			t.Fatal(err)
		}
		check(t, c, map[string][]site.Index{})
	})
	if forced == 0 && !testing.Short() { // short runs draw too few
		t.Error("no ramp was drawn whose dates force another slice than the best of its final size")
	}
}

// TestWhatIsLeftOfARampIsMovedOnce: the step of a ramp that had begun has ended, the
// others have not begun. They may be placed again, and no plan moves one twice.
func TestWhatIsLeftOfARampIsMovedOnce(t *testing.T) {
	c := New(grow(2, 4, 0, plot{on(0), [][]int{{4, 4}}}), on(0), nil)
	p, err := c.Plan(Ask{Ramp: "r", Fabric: "roce", Kind: "H100", Links: "shared", End: on(30),
		Steps: []Step{{ID: "r0", Nodes: 2, Begin: on(0)}, {ID: "r1", Nodes: 2, Begin: on(10)}, {ID: "r2", Nodes: 2, Begin: on(20)}}})
	if err == nil {
		err = c.Commit(p)
	}
	if err != nil {
		t.Fatal(err)
	}
	c.End("r0", on(2))
	c.Advance(on(3))
	class, times := site.Class{Fabric: c.site.Fabrics[0].ID, Kind: "H100"}, map[string]int{}
	for _, u := range append(c.movable(class), c.tails(class)...) {
		for _, h := range u.bookings {
			times[h.ID]++
		}
	}
	if len(times) != 2 || times["r1"] != 1 || times["r2"] != 1 {
		t.Errorf("how often each may be placed again: %v; expected r1 and r2 once", times)
	}
}

// TestStepwiseRampSaysWhatItCost: there is room for the first step only where the last
// would not have gone. The plan says what the last date alone would have given.
func TestStepwiseRampSaysWhatItCost(t *testing.T) {
	c := New(grow(2, 4, 0, plot{on(0), [][]int{{2}}}, plot{on(2), [][]int{{1}, {1}}}, plot{on(0), [][]int{{4}}}), on(0), nil)
	// Two racks of the largest hall have a node taken, each by a lease of a day, and the
	// first hall one for good: what comes by itself goes there, for it is broken.
	for _, h := range []Booking{{ID: "x", End: on(60), Nodes: []site.Index{0}}, {ID: "o0", End: on(1), Nodes: []site.Index{4}}, {ID: "o1", End: on(1), Nodes: []site.Index{6}}} {
		h.Fabric, h.Kind, h.Links, h.Begin = "roce", "H100", "shared", on(0)
		if err := c.Book(h); err != nil {
			t.Fatal(err)
		}
	}
	p, err := c.Plan(Ask{Ramp: "r", Fabric: "roce", Kind: "H100", Links: "shared", End: on(30),
		Steps: []Step{{ID: "r0", Nodes: 2, Begin: on(0)}, {ID: "r1", Nodes: 1, Begin: on(1)}, {ID: "r2", Nodes: 1, Begin: on(2)}, {ID: "r3", Nodes: 2, Begin: on(3)}}})
	if err != nil {
		t.Fatal(err)
	}
	best, err := solve.Among(c.site, c.Free(on(3), on(30)), place.Ask{Nodes: 6, Fabric: "roce", Kind: "H100", Links: "shared"})
	if err != nil {
		t.Fatal(err)
	}
	if !p.Stepwise || p.Unnested != best.Certificate.Cost || !p.Unnested.Less(p.Final().Certificate.Cost) {
		t.Errorf("stepwise %t, %s for the last date alone, %s as it is; expected a stepwise plan that costs more than %s", p.Stepwise, p.Unnested, p.Final().Certificate.Cost, best.Certificate.Cost)
	}
}

func checkPlan(t *rapid.T, c *Schedule, a Ask, p *Plan) {
	t.Helper()
	got := map[string]int{}
	var before *site.Set
	for _, prefix := range p.Prefixes {
		now := site.SetOf(prefix.Slice.Nodes...)
		if before != nil && !now.Contains(before) {
			t.Fatalf("the slice of %s does not hold that of the step before it", prefix.Begin)
		}
		before = now
	}
	all := site.NewSet(0)
	for _, part := range p.Parts {
		got[part.Step] += len(part.Nodes)
		for _, n := range part.Nodes {
			if all.Has(n) {
				t.Fatalf("node %d comes twice", n)
			}
			all.Add(n)
		}
		if p.Late(part) && !a.Partial {
			t.Fatalf("%s comes late, and nobody allowed that", part.ID)
		}
	}
	for _, s := range a.Steps {
		if got[s.ID] != s.Nodes {
			t.Fatalf("step %s gets %d nodes of %d", s.ID, got[s.ID], s.Nodes)
		}
	}
	if !all.Equal(before) {
		t.Fatal("the parts are not the final slice")
	}
	best, err := solve.Among(c.site, c.Free(p.Prefixes[len(p.Prefixes)-1].Begin, a.End), place.Ask{Nodes: a.Nodes(), Fabric: "roce", Kind: "H100", Links: "shared"})
	if len(p.Moves) == 0 && (err != nil || best.Certificate.Cost != p.Unnested) {
		t.Fatalf("the best of the final size costs %v, %v; the plan says %v", best.Certificate.Cost, err, p.Unnested)
	}
}

// A ramp of hermetic links is refused in words: its steps would need links of one
// slice, and those are assigned to a lease.
func TestHermeticRampIsRefused(t *testing.T) {
	c := New(grow(2, 4, 0, plot{on(0), [][]int{{4, 4}, {4, 4}}}), on(0), nil)
	_, err := c.Plan(Ask{Ramp: "r", Fabric: "roce", Kind: "H100", Links: "hermetic", End: on(90),
		Steps: []Step{{ID: "a", Nodes: 2, Begin: on(0)}, {ID: "b", Nodes: 2, Begin: on(30)}}})
	if err == nil || !strings.Contains(err.Error(), "a ramp of hermetic links: they are assigned to a lease, so ask for each step by itself") {
		t.Error(err)
	}
}

// TestShortLeaseUsesTheTail: the nodes of a ramp's last step may be leased until
// its date, and not a day longer.
func TestShortLeaseUsesTheTail(t *testing.T) {
	c := New(grow(2, 4, 0, plot{on(0), [][]int{{4, 4}, {4, 4}}}), on(0), nil)
	ramp := Ask{Ramp: "r", Fabric: "roce", Kind: "H100", Links: "shared", End: on(90),
		Steps: []Step{{ID: "r1", Nodes: 6, Begin: on(0)}, {ID: "r2", Nodes: 10, Begin: on(30)}}}
	p, err := c.Plan(ramp)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Commit(p); err != nil {
		t.Fatal(err)
	}
	tail, err := c.Plan(ask("short", 10, 1, 30))
	if err != nil {
		t.Fatalf("a lease that ends when the ramp's step begins: %v", err)
	}
	if err := c.Commit(tail); err != nil {
		t.Fatal(err)
	}
	_, err = c.Plan(ask("long", 1, 29, 31))
	var short *ShortError
	if !errors.As(err, &short) || short.Have != 0 || !short.Earliest.Equal(on(90)) {
		t.Fatalf("a lease beyond that date: %v", err)
	}
	if err := c.Check(); err != nil {
		t.Fatal(err)
	}
}

// TestReasonCanBeRepeated has the sentences that a person says to a tenant.
func TestReasonCanBeRepeated(t *testing.T) {
	c := New(grow(2, 4, 0, plot{on(0), [][]int{{4, 4}}}, plot{on(20), [][]int{{4, 4, 4, 4}}}), on(0), nil)
	p, err := c.Plan(ask("other", 5, 0, 300))
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Commit(p); err != nil {
		t.Fatal(err)
	}
	for _, one := range []struct {
		nodes int
		want  string
	}{
		{10, "10 nodes (80 GPUs) of H100 on fabric roce can't be promised from 2026-04-06 to 2026-07-15: on 2026-04-06 only 3 nodes (24 GPUs) can be promised, 7 nodes (56 GPUs) too few; " +
			"all of it is there from 2026-04-21, in 1 hall, 1 pod, 3 SUs, 5 racks, and 3 nodes (24 GPUs) from 2026-04-06 already"},
		{25, "25 nodes (200 GPUs) of H100 on fabric roce can't be promised from 2026-04-06 to 2026-07-15: on 2026-04-06 only 3 nodes (24 GPUs) can be promised, 22 nodes (176 GPUs) too few; " +
			"no later date would do with what is planned today, a smaller quantity would: up to 3 nodes (24 GPUs)"},
	} {
		_, err := c.Plan(ask("wish", one.nodes, 5, 105))
		if err == nil || err.Error() != one.want {
			t.Errorf("%d nodes:\n got %v\nwant %s", one.nodes, err, one.want)
		}
	}
}

// TestPartialDelivery: what is there comes on the date, the rest with the hall.
func TestPartialDelivery(t *testing.T) {
	c := New(grow(2, 4, 0, plot{on(0), [][]int{{4, 4}}}, plot{on(20), [][]int{{4, 4}}}), on(0), nil)
	a := ask("a", 12, 5, 105)
	a.Partial = true
	p, err := c.Plan(a)
	if err != nil {
		t.Fatal(err)
	}
	if p.Whole() || len(p.Parts) != 2 || len(p.Parts[0].Nodes) != 8 || len(p.Parts[1].Nodes) != 4 || !p.Parts[1].Begin.Equal(on(20)) || p.Parts[1].Step != "a" {
		t.Fatalf("%+v", p.Parts)
	}
	if err := c.Commit(p); err != nil {
		t.Fatal(err)
	}
	if err := c.Check(); err != nil {
		t.Fatal(err)
	}
	if a = ask("b", 17, 5, 105); true {
		a.Partial = true
	}
	if _, err := c.Plan(a); err == nil {
		t.Fatal("more than the site will ever have is promised in parts")
	}
}

// TestCommitRefusesAnOldPlan: what was planned for another schedule is not put
// in force.
func TestCommitRefusesAnOldPlan(t *testing.T) {
	c := New(grow(2, 4, 0, plot{on(0), [][]int{{4, 4}}}), on(0), nil)
	a, _ := c.Plan(ask("a", 5, 0, 10))
	b, _ := c.Plan(ask("b", 5, 0, 10))
	if err := c.Commit(a); err != nil {
		t.Fatal(err)
	}
	if err := c.Commit(b); err == nil {
		t.Fatal("both of two plans for the same nodes were committed")
	}
	if err := c.Book(Booking{ID: "c", Fabric: "roce", Kind: "H100", Links: "shared", Begin: on(9), End: on(11), Nodes: a.Final().Nodes[:1]}); err == nil {
		t.Fatal("a node is held twice")
	}
}

// Whole reports whether everything comes on its date.
func (p *Plan) Whole() bool {
	for _, part := range p.Parts {
		if p.Late(part) {
			return false
		}
	}
	return true
}
