package claim

import "testing"

// What joins to one text are two sequences still.
func TestAChainTellsApartWhatJoinsAlike(t *testing.T) {
	c := Chain{}
	number := map[int]string{}
	for name, things := range map[string][]any{
		"4.1 and 1":       {"4.1", "1"},
		"4.11":            {"4.11"},
		"4 and .11":       {"4", ".11"},
		"one with spaces": append(Strings([]string{"a b"}), "c"),
		"two":             append(Strings([]string{"a", "b"}), "c"),
		"two, then three": append(Strings([]string{"a"}), Strings([]string{"b", "c"})...),
		"a number":        {1},
		"its text":        {"1"},
	} {
		n := c.Of(things...)
		if other, taken := number[n]; taken || n == 0 || n != c.Of(things...) {
			t.Errorf("%s has number %d, as %q does", name, n, other)
		}
		number[n] = name
	}
	if c.Of() != 0 {
		t.Error("the empty sequence has a number of its own")
	}
}
