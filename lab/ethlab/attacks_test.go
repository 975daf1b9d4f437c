package ethlab

import (
	"testing"

	"bulkhead/lab/rivals"
)

// TestAttacks mounts the corpus, one attack after the other, on one fabric.
func TestAttacks(t *testing.T) {
	l := begin(t)
	if err := l.Sell(t.Context()); err != nil {
		t.Fatal(err)
	}
	if a, b := len(l.Nodes(rivals.Tenants[0])), len(l.Nodes(rivals.Tenants[1])); a != 5 || b != 3 {
		t.Fatalf("%d and %d nodes are delivered, expected 5 and 3", a, b)
	}
	if err := l.Settle(t.Context()); err != nil {
		t.Fatal(err)
	}
	corpus := l.Attacks()
	if err := rivals.Check(corpus); err != nil {
		t.Fatal(err)
	}
	for _, a := range corpus {
		t.Run(a.Name, func(t *testing.T) {
			leaks, err := l.Leaks(t.Context())
			if err != nil || len(leaks) > 0 {
				t.Fatalf("before the attack: leaks %v, %v", leaks, err)
			}
			cut, err := l.CutOff(t.Context())
			if err != nil || len(cut) > 0 {
				t.Fatalf("before the attack: cut off %v, %v", cut, err)
			}
			o, err := l.Try(t.Context(), a, l)
			if err != nil {
				t.Error(err)
			}
			t.Logf("%s: %d packets at first, %d after a sweep; recorded %s, findings %s", a.Ends, len(o.First), len(o.After), rivals.Counts(o.Recorded), rivals.Counts(o.Findings))
			if err := l.Settle(t.Context()); err != nil {
				t.Fatal(err)
			}
		})
	}
}
