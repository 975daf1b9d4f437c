//go:build labs

package ethlab

import (
	"context"
	"testing"

	"bulkhead/fabric"
	"bulkhead/fabric/ethernet/evpn"
	"bulkhead/lab/await"
	"bulkhead/lab/stage"
	"bulkhead/site"
)

// TestAttacks mounts the corpus, one attack after the other, on one fabric.
func TestAttacks(t *testing.T) {
	r := &recorder{now: map[site.Leaf][]byte{}}
	var g gates
	l := begin(t, Options{Wrap: func(d *Watched) fabric.Driver { r.Watched = d; return r },
		Device: func(leaf string, agent evpn.Device) evpn.Device { return &gate{agent, leaf, &g} }})
	ctx := await.Context(t)
	check(t, l.Sell(ctx))
	if a, b := len(l.Nodes(stage.Tenants[0])), len(l.Nodes(stage.Tenants[1])); a != 5 || b != 3 {
		t.Fatalf("%d and %d nodes are delivered, expected 5 and 3", a, b)
	}
	check(t, l.Settle(ctx))
	l.apart(t)
	l.Probed = 1 // what follows is done to the first rail, and packets cost time
	corpus := l.Attacks()
	check(t, stage.Check(corpus))
	r.begin(l)
	for _, a := range corpus {
		if !t.Run(a.Name, func(t *testing.T) {
			r.arm()
			mount := a.Mount
			a.Mount = func(ctx context.Context) (func(context.Context) error, error) {
				undo, err := mount(ctx)
				return func(ctx context.Context) error {
					r.writes() // where the control plane did not: as it was seen
					return undo(ctx)
				}, err
			}
			r.end(l, l.attacked(t, &g, a))
		}) {
			return // what is left of it would fail the others
		}
	}
	if *record {
		r.write(t)
	}
}

// TestBadDays is days on which things break at the control plane and on its way to
// the leaves, one after the other on one fabric of real FRR.
func TestBadDays(t *testing.T) {
	b := beginBadDays(t)
	for _, d := range []struct {
		name string
		day  func(*testing.T)
	}{
		{"the management network is cut", b.managementCut},
		{"FRR of a leaf is restarted", b.restarted},
		{"changes wake the loop", b.wakes},
		{"a leaf is out of reach at each step of a change", b.unreachableAtEachStep},
		{"the control plane is killed within a change", b.killed},
		{"a stale control plane comes back", b.stale},
	} {
		if !t.Run(d.name, d.day) {
			return // what is left of it would fail the others
		}
	}
}
