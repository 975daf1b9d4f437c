package run_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"bulkhead/book"
	"bulkhead/fabric"
	"bulkhead/prove"
	"bulkhead/run"
	"bulkhead/sim"
	"bulkhead/site"
)

// counted is a fabric that counts how often each port is written.
type counted struct {
	stubborn
	writes map[site.Port]int
}

func (d *counted) Apply(ctx context.Context, c fabric.Change, f fabric.Fence) (fabric.ApplyReceipt, error) {
	for _, p := range c.Numbers() {
		d.writes[p]++
	}
	return d.stubborn.Apply(ctx, c, f)
}

// handedOver is a site with a lease whose nodes are handed over, and its fabrics.
func handedOver(t *testing.T) (w *world, p *run.Plane, of map[string]*counted, first book.Lease) {
	t.Helper()
	w, template := traysWorld(t)
	fabrics := map[string]fabric.Driver{}
	of = map[string]*counted{}
	for id, d := range w.sim.Fabrics() {
		of[id] = &counted{stubborn{Driver: d}, map[site.Port]int{}}
		fabrics[id] = of[id]
	}
	p = w.audited(t, template, fabrics)
	w.signs(t, p, lighthouse(t))
	w.until(t, p, time.Date(2026, 5, 3, 0, 0, 0, 0, time.UTC))
	p.View(func(s *book.State) { first = *s.Leases[0] })
	if first.Delivered == 0 {
		t.Fatal("nothing was handed over")
	}
	return w, p, of, first
}

// TestOneLookIsOneWrite: a port that reads as before when it was written is written once a
// tick for as long as it does, and no more than that; it is mended when it takes writes.
func TestOneLookIsOneWrite(t *testing.T) {
	w, p, of, first := handedOver(t)
	for _, d := range of {
		d.deaf = true
		clear(d.writes)
	}
	must(t, w.sim.Inject(t.Context(), w.clock.Now(), sim.Fault{Kind: sim.Emptied, Node: first.Slots[0]}))
	port := site.PortOf(first.Slots[0], 0)
	var id string
	p.View(func(s *book.State) { id = s.Site.Fabrics[s.Site.FabricOf(port)].ID })
	for tick := 1; tick <= 3; tick++ {
		w.live(t, p, 1)
		if n := of[id].writes[port]; n != tick {
			t.Fatalf("after %d ticks the port was written %d times", tick, n)
		}
	}
	if n := p.Unmended(); n != 1 {
		t.Errorf("%d ports are said to read as before: expected 1", n)
	}
	for _, d := range of {
		d.deaf = false
	}
	w.live(t, p, 1)
	if now, _ := p.Isolation(first.ID); now.Verdict != prove.Proven || p.Unmended() != 0 || of[id].writes[port] != 4 {
		t.Errorf("the port takes writes again: %+v, %d unmended, %d writes", now, p.Unmended(), of[id].writes[port])
	}
}

// TestWhatDiffersIsPutBack: what differs at a leaf and makes no check fail turns no verdict
// and is in no ledger; it is told with its age, and put back by one write at that leaf. A leaf
// that does not take it is written again a sweep later.
func TestWhatDiffersIsPutBack(t *testing.T) {
	w, p, of, first := handedOver(t)
	var leaf site.Leaf
	var id, name string
	var sweep time.Duration
	p.View(func(s *book.State) {
		leaf = s.Site.LeafOf(site.PortOf(first.Slots[0], site.Frontend))
		id, name, sweep = s.Site.Fabrics[s.Site.FabricOfLeaf(leaf)].ID, s.Site.LeafID(leaf), s.Policy.Sweep
	})
	writes := func() (n int) {
		for _, d := range of {
			for _, times := range d.writes {
				n += times
			}
		}
		return n
	}
	before, wrote := w.kinds(t), writes()
	of[id].deaf = true
	must(t, w.sim.Inject(t.Context(), w.clock.Now(), sim.Fault{Kind: sim.Differs, Leaf: leaf}))
	w.live(t, p, 1)
	since := w.clock.Now()
	if n, age := p.Differing(); n != 1 || age != 0 || writes() != wrote+1 {
		t.Fatalf("%d differ, for %s, and %d writes: expected one of each, now", n, age, writes()-wrote)
	}
	w.live(t, p, 3)
	want := name + ": a line of its configuration is missing (since " + since.Format(time.RFC3339) + ")"
	if got := p.Plan(t.Context()).Differs; !slices.Equal(got, []string{want}) {
		t.Errorf("plan show has %q, expected %q", got, want)
	}
	if _, age := p.Differing(); age != w.clock.Now().Sub(since) {
		t.Errorf("it is %s old, expected %s", age, w.clock.Now().Sub(since))
	}
	if now, _ := p.Isolation(first.ID); now.Verdict != prove.Proven {
		t.Errorf("the lease is %s: %q", now.Verdict, now.Findings)
	}
	if n, most := writes()-wrote, 1+int(w.clock.Now().Sub(since)/sweep); n < 1 || n > most {
		t.Errorf("%d writes while the leaf took none, expected one a sweep of %s, %d", n, sweep, most)
	}
	of[id].deaf = false
	w.live(t, p, int(sweep/time.Hour)+1)
	if n, _ := p.Differing(); n != 0 || len(p.Plan(t.Context()).Differs) != 0 {
		t.Errorf("%d differ still: %q", n, p.Plan(t.Context()).Differs)
	}
	for kind, n := range w.kinds(t) {
		if n != before[kind] && (kind == fabric.KindDrifted || kind == fabric.KindLocked || kind == prove.KindVerdict) {
			t.Errorf("%d entries of %s, before %d", n, kind, before[kind])
		}
	}
}
