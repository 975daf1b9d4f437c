package ethlab

import (
	"context"
	"os"
	"strings"
	"testing"

	"bulkhead/fabric"
	"bulkhead/fabric/ethernet/evpn"
	"bulkhead/lab/await"
	"bulkhead/lab/rivals"
	"bulkhead/site"
)

// TestAttacks mounts the corpus, one attack after the other, on one fabric.
func TestAttacks(t *testing.T) {
	r := &recorder{now: map[site.Leaf][]byte{}}
	var g gates
	l := begin(t, Options{Wrap: func(d *Watched) fabric.Driver { r.Watched = d; return r },
		Device: func(leaf string, agent evpn.Device) evpn.Device { return &gate{agent, leaf, &g} }})
	if err := l.Sell(t.Context()); err != nil {
		t.Fatal(err)
	}
	if a, b := len(l.Nodes(rivals.Tenants[0])), len(l.Nodes(rivals.Tenants[1])); a != 5 || b != 3 {
		t.Fatalf("%d and %d nodes are delivered, expected 5 and 3", a, b)
	}
	if err := l.Settle(t.Context()); err != nil {
		t.Fatal(err)
	}
	l.apart(t)
	l.Probed = 1 // what follows is done to the first rail, and packets cost time
	corpus := l.Attacks()
	if err := rivals.Check(corpus); err != nil {
		t.Fatal(err)
	}
	r.begin(l)
	for _, a := range corpus {
		if a.Name == "a leaf falls silent" { // which it does at once for who asks it, not only after the longest that a leaf may take
			mount := a.Mount
			a.Mount = func(ctx context.Context) (func(context.Context) error, error) {
				leaf := l.victims()[0].leaf
				undo, err := mount(ctx)
				g.setCut(leaf, true)
				return func(ctx context.Context) error { g.setCut(leaf, false); return undo(ctx) }, err
			}
		}
		t.Run(a.Name, func(t *testing.T) {
			r.arm()
			o, err := l.Try(t.Context(), a, l)
			r.end(l, o)
			if err != nil {
				t.Error(err)
			}
			t.Logf("%s: %d packets at first, %d after %d looks, %.1f s; recorded %s, findings %s", a.Ends, len(o.First), len(o.After), o.Looks, o.Took.Seconds(), rivals.Counts(o.Recorded), rivals.Counts(o.Findings))
			t.Logf("%s %d | %.1f s | %s |", a.Row(), len(o.First), o.Took.Seconds(), a.Action)
			if err := l.Settle(t.Context()); err != nil {
				t.Fatal(err)
			}
			l.apart(t)
		})
		if t.Failed() {
			return // what is left of it would fail the others
		}
	}
	if *record {
		r.write(t)
	}
}

// apart expects that nothing arrives between the rivals, and everything within one.
func (l *Lab) apart(t *testing.T) {
	t.Helper()
	leaks, err := l.Leaks(t.Context())
	if err != nil || len(leaks) > 0 {
		t.Fatalf("leaks %v, %v", leaks, err)
	}
	check(t, l.Connected(await.Context(t)))
}

func TestTheDocumentHasEveryAttack(t *testing.T) {
	text, err := os.ReadFile("../../docs/attacks-ethernet.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range (&Lab{}).Attacks() {
		if !strings.Contains(string(text), a.Row()) {
			t.Errorf("docs/attacks-ethernet.md has no row %q", a.Row())
		}
	}
}
