package ethlab

import (
	"context"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"bulkhead/fabric/ethernet/evpn"
	"bulkhead/lab/await"
	"bulkhead/lab/stage"
)

// told are the attacks of the story, by the begin of their names: one each of what a
// leaf, a route, silence, a reflector and a leased node can do. The others are mounted
// by TestAttacks, and other days are TestBadDays, with the build tag labs.
var told = []string{"a port moved into the rival's bridge", "a leaf announces a MAC", "a leaf falls silent", "a reflector keeps nothing", "a leaf announces its VNIs no more", "frames from the rival's MAC"}

// TestStory is the lab in short: two rivals are sold parts of the same scalable units,
// proven apart and tried with packets; the management network is cut, and nothing of
// theirs is; they are attacked.
func TestStory(t *testing.T) {
	b := &badDays{}
	b.Lab = begin(t, Options{Calm: true,
		Device: func(leaf string, agent evpn.Device) evpn.Device { return &gate{agent, leaf, &b.gates} },
		Policy: func(spine netip.Addr, agent evpn.Reflector) evpn.Reflector {
			return &policyGate{agent, gate{leaf: spine.String(), gates: &b.gates}}
		}})
	ctx := await.Context(t)
	check(t, b.Sell(ctx))
	check(t, b.Settle(ctx))
	b.apart(t)
	if !t.Run("the management network is cut", b.managementCut) {
		return
	}
	b.Probed = 1
	mounted := 0
	for _, a := range b.Attacks() {
		if !slices.ContainsFunc(told, func(begin string) bool { return strings.HasPrefix(a.Name, begin) }) {
			continue
		}
		mounted++
		if !t.Run(a.Name, func(t *testing.T) { b.attacked(t, &b.gates, a) }) {
			return // what is left of it would fail the others
		}
	}
	if mounted != len(told) {
		t.Errorf("%d attacks were mounted, expected %q", mounted, told)
	}
}

// attacked mounts an attack and expects it to end as it says, and everything to be as
// before when it is undone.
func (l *Lab) attacked(t *testing.T, g *gates, a stage.Attack) stage.Outcome {
	t.Helper()
	if a.Name == "a leaf falls silent" { // which it does at once for who asks it, not only after the longest that a leaf may take
		mount := a.Mount
		a.Mount = func(ctx context.Context) (func(context.Context) error, error) {
			leaf := l.victims()[0].leaf
			undo, err := mount(ctx)
			g.setCut(leaf, true)
			return func(ctx context.Context) error { g.setCut(leaf, false); return undo(ctx) }, err
		}
	}
	ctx := await.Context(t)
	o, err := l.Try(ctx, a, l)
	if err != nil {
		t.Error(err)
	}
	t.Logf("%s: %d packets at first, %d after %d looks, %.1f s; recorded %s, findings %s", a.Ends, len(o.First), len(o.After), o.Looks, o.Took.Seconds(), stage.Counts(o.Recorded), stage.Counts(o.Findings))
	if err == nil {
		t.Logf(`measured {"attack": %q, "packets": %d, "seconds": %.2f}`, a.Name, len(o.First), o.Took.Seconds()) // for package dated
	}
	check(t, l.Settle(ctx))
	l.apart(t)
	return o
}
