package prove_test

import (
	"testing"

	"pgregory.net/rapid"

	. "bulkhead/prove"
)

// TestTwoVerdicts: the verdict of a certificate is the worst of both, and each is by what
// concerns it alone.
func TestTwoVerdicts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := func(name string) int { return rapid.IntRange(0, 2).Draw(t, name) }
		proven, cut, red, unknown := n("proven"), n("cut"), n("red"), n("unknown")
		elsewhere := rapid.Bool().Draw(t, "elsewhere")
		ports := proven + cut + red + unknown
		apart, together := Apart(ports, red, unknown, elsewhere), Together(ports, cut, red, unknown)
		whole := Proven
		if ports == 0 {
			whole = Unknown
		}
		for v, some := range map[Verdict]bool{Cut: cut > 0, Red: red > 0 || elsewhere, Unknown: unknown > 0} {
			if some {
				whole = Worse(whole, v)
			}
		}
		if got := Worse(apart, together); got != whole {
			t.Errorf("apart %s and together %s, and the whole is %s", apart, together, whole)
		}
		if cut > 0 && (together != Cut || Apart(ports, red, unknown, elsewhere) == Cut) {
			t.Errorf("%d ports are cut off: apart %s, together %s", cut, apart, together)
		}
		if red+unknown+cut == 0 && ports > 0 && together != Proven {
			t.Errorf("every port is proven, and together is %s", together)
		}
		if together == Proven && cut+red+unknown > 0 || apart == Proven && (red+unknown > 0 || elsewhere) {
			t.Errorf("apart %s, together %s, of %d cut off, %d red, %d unknown", apart, together, cut, red, unknown)
		}
	})
}
