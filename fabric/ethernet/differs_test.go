package ethernet_test

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"

	. "bulkhead/fabric/ethernet"
)

// Whatever a leaf's programs say, what differs is a list that a capture takes, in one
// form, and of no more than so many words; the judgement of a leaf with it is that of the
// leaf without it.
func TestDifferencesTurnNothing(t *testing.T) {
	const most, longest = 16, 120
	s, base := testSite(), ideal(t, 4097, 4098)
	want, err := Readings(s, 0, &base)
	if err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(t *rapid.T) {
		c := base
		c.Differs = Differences(rapid.SliceOfN(rapid.OneOf(rapid.String(), rapid.StringN(100, 200, 400)), 0, 40).Draw(t, "words"))
		raw, err := Encode(&c)
		if err != nil {
			t.Fatal(err)
		}
		back, err := Decode(raw)
		if err != nil || !reflect.DeepEqual(back.Differs, c.Differs) {
			t.Fatalf("%q came back as %q, %v", c.Differs, back.Differs, err)
		}
		if got, err := Readings(s, 0, &back); err != nil || !reflect.DeepEqual(got, want) {
			t.Fatalf("with %q the leaf reads\n%+v, %v, and without\n%+v", c.Differs, got, err, want)
		}
		if again := Differences(c.Differs); !reflect.DeepEqual(again, c.Differs) {
			t.Fatalf("made again of %q: %q", c.Differs, again)
		}
	})
	var many []string
	for i := range 40 {
		many = append(many, fmt.Sprintf("VNI %d is configured", i))
	}
	if got := Differences(many); len(got) != most || got[most-1] != "~ and 25 more" {
		t.Errorf("of 40: %d, the last %q", len(got), got[len(got)-1])
	}
	for _, bad := range []string{`,"differs":[]}`, `,"differs":[""]}`, `,"differs":["b","a"]}`, `,"differs":["a\n"]}`, `,"differs":["` + strings.Repeat("x", longest+1) + `"]}`} {
		c := base
		raw, err := Encode(&c)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Decode([]byte(strings.TrimSuffix(string(raw), "}") + bad)); err == nil {
			t.Errorf("%.40s is taken", bad)
		}
	}
}
