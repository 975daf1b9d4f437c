package ethlab

import (
	"context"
	"net/netip"
	"strings"
	"testing"
	"time"

	"bulkhead/book"
	"bulkhead/fabric"
	"bulkhead/fabric/ethernet/evpn"
	"bulkhead/lab/await"
	"bulkhead/lab/rivals"
)

// deafAgent is an agent whose word that something changed does not come.
type deafAgent struct{ evpn.Device }

func (deafAgent) Await(ctx context.Context, _ uint64) error {
	<-ctx.Done()
	return ctx.Err()
}

// deafRoutes is a collector of whose news nobody hears.
type deafRoutes struct{ news }

type news = evpn.Routes

func (deafRoutes) Changed(since uint64) ([]netip.Addr, uint64, bool) { return nil, since, false }
func (deafRoutes) Signal() <-chan struct{}                           { return nil }

// hearing is a driver that hears of changes by one way, both, or none.
func (b *badDays) hearing(t *testing.T, agents, routes bool) *evpn.Driver {
	t.Helper()
	d, err := b.NewDriver()
	check(t, err)
	for l, device := range d.Leaves {
		if !agents {
			d.Leaves[l] = deafAgent{device}
		}
	}
	if !routes {
		d.Routes = deafRoutes{d.Routes}
	}
	return d
}

// quiet looks until nothing is heard for a second, and returns what the last look
// gave.
func quiet(t *testing.T, look func() uint64, changes func(context.Context, uint64) error) (cursor uint64) {
	t.Helper()
	check(t, await.True(await.Context(t), "the fabric to be quiet", func() bool {
		cursor = look()
		bounded, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		return changes(bounded, cursor) != nil
	}))
	return cursor
}

// heardOf reports whether a change is heard of, and after how long.
func heardOf(t *testing.T, change func(), patience time.Duration, changes func(context.Context) error) (bool, time.Duration) {
	t.Helper()
	bounded, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- changes(bounded) }()
	begun := time.Now()
	change()
	err := <-done
	return err == nil, time.Since(begun)
}

// wakes: a change of a leaf's tables, which no route tells of, and an EVPN route, which
// no leaf made, each end the waiting of a driver that hears of the one by agents and of
// the other by the collector; who is deaf to it hears nothing. A reflector's agent tells
// of its policy. A control plane that waits sees the change although no look is due, its
// clock stands still, and puts back what was done to a reflector.
func (b *badDays) wakes(t *testing.T) {
	ctx := t.Context()
	v := b.victims()[0]
	unlock := func() { check(t, b.at(ctx, v.leaf, "bridge link set dev %s locked off", v.swp())) }
	lock := func() { check(t, b.at(ctx, v.leaf, "bridge link set dev %s locked on", v.swp())) }
	var route rivals.Attack
	for _, a := range b.routeAttacks() {
		if strings.HasPrefix(a.Name, "a reflector announces routes of its own") {
			route = a
		}
	}
	var withdraw func(context.Context) error
	announce := func() {
		var err error
		withdraw, err = route.Mount(ctx)
		check(t, err)
	}
	open := func() { check(t, b.openReflector(ctx)) }
	putBack := func() {
		_, err := b.Net.Vtysh(ctx, b.spine(), "configure terminal", "route-map to-leaves deny 5", "match community refused")
		check(t, err)
	}
	for _, c := range []struct {
		name           string
		change, undo   func()
		agents, routes bool
		heard          bool
	}{
		{"a leaf's table, heard of by agents", unlock, lock, true, false, true},
		{"a leaf's table, heard of by the collector only", unlock, lock, false, true, false},
		{"a route, heard of by the collector", announce, func() { check(t, withdraw(ctx)) }, false, true, true},
		{"a reflector's policy, and both deaf", open, putBack, false, false, true},
		{"a route, and both deaf", announce, func() { check(t, withdraw(ctx)) }, false, false, false},
	} {
		d := b.hearing(t, c.agents, c.routes)
		cursor := quiet(t, func() uint64 {
			o, err := d.Observe(ctx, fabric.Scope{})
			check(t, err)
			return o.Cursor
		}, d.Await)
		patience := 2 * time.Second
		if c.heard {
			patience = 30 * time.Second
		}
		heard, took := heardOf(t, c.change, patience, func(ctx context.Context) error { return d.Await(ctx, cursor) })
		if heard != c.heard {
			t.Errorf("%s: heard %t, expected %t", c.name, heard, c.heard)
		}
		t.Logf("%s: heard %t, %s after it was made", c.name, heard, took.Round(time.Millisecond))
		c.undo()
	}
	b.proven(t)
	quiet(t, func() uint64 { check(t, b.Plane.Tick(ctx)); return 0 }, func(ctx context.Context, _ uint64) error { return b.Plane.Await(ctx) })
	head, now := b.Head(), b.Clock.Now()
	heard, took := heardOf(t, unlock, 30*time.Second, b.Plane.Await)
	if !heard {
		t.Fatal("a leaf's table changed, and the control plane hears nothing")
	}
	check(t, b.Plane.Tick(ctx))
	kinds, notes, err := b.Recorded(ctx, head)
	check(t, err)
	if said := strings.Join(notes, " "); kinds[fabric.KindLocked] == 0 || !strings.Contains(said, "enforcement-off") || !b.Clock.Now().Equal(now) {
		t.Errorf("woken at %s: recorded %v, %s", b.Clock.Now(), kinds, said)
	}
	t.Logf("the control plane is woken %s after the change, and locks the port down", took.Round(time.Millisecond))
	b.proven(t)
	quiet(t, func() uint64 { check(t, b.Plane.Tick(ctx)); return 0 }, func(ctx context.Context, _ uint64) error { return b.Plane.Await(ctx) })
	head, now = b.Head(), b.Clock.Now()
	if heard, took = heardOf(t, open, 30*time.Second, b.Plane.Await); !heard {
		t.Fatal("a reflector's policy changed, and the control plane hears nothing")
	}
	check(t, b.Plane.Tick(ctx))
	kinds, notes, err = b.Recorded(ctx, head)
	check(t, err)
	holds := false
	b.Plane.View(func(s *book.State) { holds = s.Postures[FabricID].Holds })
	if said := strings.Join(notes, " "); kinds[fabric.KindPosture] != 2 || !strings.Contains(said, "to-leaves") || !holds || !b.Clock.Now().Equal(now) {
		t.Errorf("woken at %s: recorded %v, the posture holds: %t; %s", b.Clock.Now(), kinds, holds, said)
	}
	t.Logf("the control plane is woken %s after the reflector's change, and puts it back", took.Round(time.Millisecond))
}
