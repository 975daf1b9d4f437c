package site_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"bulkhead/site"
)

// TestSetAgainstMap runs random operations on a Set and on a map.
func TestSetAgainstMap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		draw := func(name string) (*site.Set, map[site.Index]bool) {
			set, model := site.NewSet(rapid.IntRange(0, 300).Draw(t, "room")), map[site.Index]bool{}
			for range rapid.IntRange(0, 60).Draw(t, name) {
				n := site.Index(rapid.Uint32Range(0, 260).Draw(t, "n"))
				if rapid.IntRange(0, 4).Draw(t, "remove") == 0 {
					set.Remove(n)
					delete(model, n)
				} else {
					set.Add(n)
					model[n] = true
				}
			}
			return set, model
		}
		equal := func(what string, set *site.Set, model map[site.Index]bool) {
			var want []site.Index
			for n := range model {
				want = append(want, n)
			}
			slices.Sort(want)
			if got := set.Slice(); !slices.Equal(got, want) || set.Len() != len(want) || set.Empty() != (len(want) == 0) {
				t.Fatalf("%s: %v, want %v", what, got, want)
			}
			text := set.String()
			back, err := site.ParseSet(text, 261)
			if err != nil || !back.Equal(set) || back.String() != text {
				t.Fatalf("%s: %q does not read back: %v", what, text, err)
			}
		}
		a, modelA := draw("a")
		b, modelB := draw("b")
		equal("a", a, modelA)
		before := a.String()
		union, minus, both := a.Clone(), a.Clone(), a.Clone()
		union.Union(b)
		minus.Subtract(b)
		both.Intersect(b)
		mUnion, mMinus, mBoth := map[site.Index]bool{}, map[site.Index]bool{}, map[site.Index]bool{}
		for n := range modelA {
			mUnion[n] = true
			if modelB[n] {
				mBoth[n] = true
			} else {
				mMinus[n] = true
			}
		}
		for n := range modelB {
			mUnion[n] = true
		}
		equal("union", union, mUnion)
		equal("subtract", minus, mMinus)
		equal("intersect", both, mBoth)
		if a.String() != before {
			t.Fatal("a clone shares its bits")
		}
		if a.Intersects(b) != (len(mBoth) > 0) || a.Contains(b) != (len(mBoth) == len(modelB)) {
			t.Fatal("Intersects or Contains disagree")
		}
		if a.Equal(b) != (len(mUnion) == len(mBoth)) {
			t.Fatal("Equal disagrees")
		}
	})
}

func TestSetText(t *testing.T) {
	set := site.RangeSet(0, 512)
	set.Add(520)
	if got := set.String(); got != "0-511,520" {
		t.Errorf("String: %q", got)
	}
	data, err := json.Marshal(struct{ S *site.Set }{set})
	if err != nil || string(data) != `{"S":"0-511,520"}` {
		t.Errorf("JSON: %s, %v", data, err)
	}
	var back struct{ S *site.Set }
	if err := json.Unmarshal(data, &back); err != nil || !back.S.Equal(set) {
		t.Errorf("JSON does not read back: %v", err)
	}
	var none *site.Set
	if none.Len() != 0 || none.Has(3) || none.String() != "" || !none.Equal(site.NewSet(9)) {
		t.Error("a nil set is not the empty set")
	}
	if set := site.SetOf(7, 7, 3); set.String() != "3,7" {
		t.Errorf("SetOf: %s", set)
	}
}

func TestParseSetRefuses(t *testing.T) {
	for _, text := range []string{",", "1,", "1-", "-1", "1-1", "2-1", "01", "1,2", "1-3,4", "1-3,2", "5,3", "1,1", "1 ", "+1", "0x1",
		"100", "0-100", "99999999999", "4294967296", "1-2-3", "٣", strings.Repeat("9", 400)} {
		if set, err := site.ParseSet(text, 100); err == nil {
			t.Errorf("ParseSet(%q) = %s, expected an error", text, set)
		}
	}
}

func FuzzParseSet(f *testing.F) {
	for _, seed := range []string{"", "0", "0-511,520", "1,3,5-9", "5-3", "1,2"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		set, err := site.ParseSet(text, 100_000)
		if err != nil {
			return
		}
		if set.String() != text {
			t.Fatalf("%q reads as %q", text, set)
		}
		if n := set.Slice(); len(n) > 0 && n[len(n)-1] >= 100_000 {
			t.Fatalf("%q: beyond the limit", text)
		}
	})
}

func BenchmarkSetText(b *testing.B) {
	set := site.NewSet(50_000)
	for n := site.Index(0); n < 50_000; n += 3 {
		set.Add(n)
	}
	for b.Loop() {
		if back, err := site.ParseSet(set.String(), 50_000); err != nil || back.Len() != set.Len() {
			b.Fatal(err)
		}
	}
}
