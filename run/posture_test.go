package run_test

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"testing"
	"time"

	"bulkhead/book"
	"bulkhead/fabric"
	"bulkhead/run"
)

// guarded is a fabric whose guard can be taken away and put back.
type guarded struct {
	fabric.Driver
	rung          chan struct{}
	silent        bool // its word that something changed is not of the guard
	gone, deaf    bool // taken away; and putting it back does not help
	looks, mended int
}

func (g *guarded) Await(ctx context.Context, _ uint64) error {
	select {
	case <-g.rung:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (g *guarded) Capabilities(ctx context.Context) (fabric.Capabilities, error) {
	c, err := g.Driver.Capabilities(ctx)
	c.Wakeful = !g.silent
	return c, err
}

func (g *guarded) Posture(context.Context) (fabric.Posture, error) {
	g.looks++
	return fabric.Posture{Items: []fabric.PostureItem{{Name: "guard", OK: !g.gone, Grade: "measured"}}}, nil
}

func (g *guarded) Mend(context.Context, fabric.Fence) error {
	g.mended++
	g.gone = g.gone && g.deaf
	return nil
}

// A guard is looked at when its driver says that something changed, without waiting for
// the clock, and put back; one that can't be put back does not keep the loop at it.
func TestPostureIsLookedAtWhenWoken(t *testing.T) {
	w, template := newWorld(t)
	fabrics := w.sim.Fabrics()
	id := slices.Sorted(maps.Keys(fabrics))[0]
	g := &guarded{Driver: fabrics[id], rung: make(chan struct{}, 1)}
	fabrics[id] = g
	p, err := run.Open(t.Context(), run.Config{Log: w.log, Signers: w.keys, Clock: w.clock, Writer: "test", Logger: slog.New(slog.DiscardHandler),
		Devices: run.Devices{Fabrics: fabrics, Nodes: w.sim.Nodes(), Storage: w.sim.Storage()}})
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Import(t.Context(), template, nil); err != nil {
		t.Fatal(err)
	}
	tick := func() {
		t.Helper()
		if err := p.Tick(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	ring := func() {
		t.Helper()
		g.rung <- struct{}{}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := p.Await(ctx); err != nil {
			t.Fatal(err)
		}
		tick()
	}
	expect := func(when string, looks, mended int, holds bool) {
		t.Helper()
		var is bool
		p.View(func(s *book.State) { is = s.Postures[id].Holds })
		if g.looks != looks || g.mended != mended || is != holds {
			t.Errorf("%s: looked at %d times, put back %d times, holds %t: expected %d, %d, %t", when, g.looks, g.mended, is, looks, mended, holds)
		}
	}
	tick()
	expect("at first", 1, 0, true)
	g.gone = true
	tick()
	expect("taken away, and nobody says so", 1, 0, true)
	ring()
	expect("the driver says so", 3, 1, true)
	tick()
	expect("afterwards", 3, 1, true)
	g.gone, g.silent = true, true
	ring()
	expect("the driver speaks of other things", 3, 1, true)
	g.gone, g.deaf, g.silent = true, true, false
	ring()
	expect("taken away for good", 5, 2, false)
	ring()
	expect("said again at once", 5, 2, false)
	w.clock.Set(w.clock.Now().Add(2 * time.Minute))
	tick()
	expect("later", 7, 3, false)
}
