package dated

import (
	"testing"

	"pgregory.net/rapid"
)

// TestEarliestAgainstEveryDay: no day before the answer would do, and the day
// itself does.
func TestEarliestAgainstEveryDay(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := New(drawSite(t), on(0), nil)
		for i := range rapid.IntRange(0, 4).Draw(t, "others") {
			begin := rapid.IntRange(0, 9).Draw(t, "begin")
			if p, err := c.Plan(ask(string(rune('a'+i)), rapid.IntRange(1, 6).Draw(t, "nodes"), begin, begin+rapid.IntRange(1, 12).Draw(t, "days"))); err == nil {
				if err := c.Commit(p); err != nil {
					t.Fatal(err)
				}
			}
		}
		size, days := rapid.IntRange(1, 12).Draw(t, "size"), rapid.IntRange(1, 9).Draw(t, "length")
		got, err := c.Earliest(Query{Fabric: "roce", Kind: "H100", Links: "shared", Sizes: []int{size}, From: on(0), Length: on(days).Sub(on(0))})
		if err != nil {
			t.Fatal(err)
		}
		d := got[0]
		for day := range 40 {
			p, err := c.Plan(ask("x", size, day, day+days))
			if err != nil {
				continue
			}
			if !d.Begin.Equal(on(day)) {
				t.Fatalf("day %d would do, Earliest says %s (%v)", day, d.Begin, d.Why)
			}
			if d.Shape != p.Final().Certificate.Cost {
				t.Fatalf("in the shape %s, Earliest says %s", p.Final().Certificate.Cost, d.Shape)
			}
			return
		}
		if !d.Begin.IsZero() || d.Why == nil {
			t.Fatalf("no day would do, Earliest says %s", d.Begin)
		}
	})
}

// TestNamesMakeNoRoom: an ask begins together with a booking that would have to move to
// a worse place if the ask came first. Whether there is room does not hang on its name.
func TestNamesMakeNoRoom(t *testing.T) {
	c := New(grow(2, 4, 0, plot{on(2), [][]int{{1}}}, plot{on(0), [][]int{{3}, {3, 3}}}), on(0), nil)
	for _, o := range []struct {
		id                 string
		begin, nodes, days int
	}{{"a", 0, 1, 1}, {"b", 2, 1, 1}, {"c", 1, 2, 2}, {"d", 3, 1, 1}} {
		p, err := c.Plan(ask(o.id, o.nodes, o.begin, o.begin+o.days))
		if err == nil {
			err = c.Commit(p)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"aa", "x"} {
		if _, err := c.Plan(ask(name, 7, 1, 4)); err != nil {
			t.Errorf("under the name %s: %v", name, err)
		}
	}
}
