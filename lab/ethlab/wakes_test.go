package ethlab

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"bulkhead/book"
	"bulkhead/fabric"
	"bulkhead/fabric/ethernet/evpn"
	"bulkhead/lab/await"
	"bulkhead/lab/stage"
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

// heardOf makes a change, waits until one who hears of everything has heard, and then
// reports whether the other has heard too: who has not is deaf to it. With it, what is
// to be heard is waited for.
func (b *badDays) heardOf(t *testing.T, change func(), expected bool, changes func(context.Context) error) bool {
	t.Helper()
	ctx := await.Context(t)
	all := b.hearing(t, true, true)
	reference := quiet(t, func() uint64 { return looked(t, all) }, all.Await)
	bounded, cancel := context.WithTimeout(ctx, await.Patience)
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- changes(bounded) }()
	change()
	if err := all.Await(bounded, reference); err != nil {
		t.Fatalf("who hears of everything hears nothing: %v", err)
	}
	if !expected {
		cancel()
	}
	return <-done == nil
}

// looked looks at everything and returns the cursor.
func looked(t *testing.T, d *evpn.Driver) uint64 {
	t.Helper()
	o, err := d.Observe(t.Context(), fabric.Scope{})
	check(t, err)
	return o.Cursor
}

// wakesFor lets the control plane look whenever it is woken, until it has recorded what
// it is to see. No time passes for it.
func (b *badDays) wakesFor(t *testing.T, what string, change func(), seen func(kinds map[string]int, notes string) bool) {
	t.Helper()
	ctx := await.Context(t)
	quiet(t, func() uint64 { check(t, b.Plane.Tick(ctx)); return 0 }, func(ctx context.Context, _ uint64) error { return b.Plane.Await(ctx) })
	head, now := b.Head(), b.Clock.Now()
	begun := time.Now()
	change()
	check(t, b.Plane.Await(ctx)) // it is woken, and no look is due
	check(t, await.Until(ctx, what, func() (string, bool) {
		check(t, b.Plane.Tick(ctx))
		kinds, notes, err := b.Recorded(ctx, head)
		check(t, err)
		said := strings.Join(notes, " ")
		return fmt.Sprintf("recorded %v, %s", kinds, said), seen(kinds, said)
	}))
	if !b.Clock.Now().Equal(now) {
		t.Errorf("the clock went on to %s", b.Clock.Now())
	}
	t.Logf("%s: %s after the change", what, time.Since(begun).Round(time.Millisecond))
}

// wakes: a change of a leaf's tables, which no route tells of, and an EVPN route, which
// no leaf made, each end the waiting of a driver that hears of the one by agents and of
// the other by the collector; who is deaf to it hears nothing. A reflector's agent tells
// of its policy. A control plane that waits sees the change although no look is due, its
// clock stands still, and puts back what was done to a reflector.
func (b *badDays) wakes(t *testing.T) {
	ctx := await.Context(t)
	v := b.victims()[0]
	unlock := func() { check(t, b.at(ctx, v.leaf, "bridge link set dev %s locked off", v.swp())) }
	lock := func() { check(t, b.at(ctx, v.leaf, "bridge link set dev %s locked on", v.swp())) }
	var route stage.Attack
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
		cursor := quiet(t, func() uint64 { return looked(t, d) }, d.Await)
		if heard := b.heardOf(t, c.change, c.heard, func(ctx context.Context) error { return d.Await(ctx, cursor) }); heard != c.heard {
			t.Errorf("%s: heard %t, expected %t", c.name, heard, c.heard)
		}
		c.undo()
	}
	b.proven(t)
	b.wakesFor(t, "a leaf's table changed, and its port is locked down", unlock, func(kinds map[string]int, notes string) bool {
		return kinds[fabric.KindLocked] > 0 && strings.Contains(notes, "enforcement-off")
	})
	b.proven(t)
	b.wakesFor(t, "a reflector's policy changed, and is put back", open, func(kinds map[string]int, notes string) bool {
		holds := false
		b.Plane.View(func(s *book.State) { holds = s.Postures[FabricID].Holds })
		return kinds[fabric.KindPosture] == 2 && strings.Contains(notes, "to-leaves") && holds
	})
}
