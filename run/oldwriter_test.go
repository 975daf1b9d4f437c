package run_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"bulkhead/book"
	"bulkhead/fabric"
	"bulkhead/node"
	"bulkhead/run"
	"bulkhead/site"
)

// away is the way of an old writer to devices that a newer one does not reach: they take
// every order, whatever its fence.
type away struct {
	fabric.Driver
	shared *awayOrders
}

type awayOrders struct {
	mu      sync.Mutex
	failing bool // nothing is applied, and it says so
	cut     bool // the newer writer has begun: orders are kept here and go nowhere
	applied map[site.Port]fabric.Row
}

func (a away) Apply(ctx context.Context, c fabric.Change, f fabric.Fence) (fabric.ApplyReceipt, error) {
	a.shared.mu.Lock()
	defer a.shared.mu.Unlock()
	r := fabric.ApplyReceipt{Change: c.ID}
	switch {
	case a.shared.cut:
		for _, p := range c.Ports {
			a.shared.applied[p.Port] = p.Row
		}
	case a.shared.failing:
		for _, p := range c.Ports {
			r.Failed = append(r.Failed, fabric.PortError{Port: p.Port, Error: "no"})
		}
	default:
		return a.Driver.Apply(ctx, c, f)
	}
	return r, nil
}

// awayNodes are nodes that a newer writer does not reach either: they show an old one
// nothing of it.
type awayNodes struct {
	node.Driver
	shared *awayOrders
}

func (a awayNodes) Apply(ctx context.Context, steps []node.Step, f node.Fence) ([]node.StepReceipt, error) {
	if a.shared.cut && len(steps) == 0 {
		return nil, nil
	}
	return a.Driver.Apply(ctx, steps, f)
}

// What an old writer still orders of devices that take its word is what its state said
// when the newer one began: its state can't change any more, and from the first entry on
// that it can't append it orders nothing at all.
func TestAnOldWriterOrdersNothingNew(t *testing.T) {
	w := imported(t)
	orders := &awayOrders{applied: map[site.Port]fabric.Row{}}
	fabrics := w.sim.Fabrics()
	for id, d := range fabrics {
		fabrics[id] = away{d, orders}
	}
	old, err := run.Open(t.Context(), run.Config{Log: w.log, Signers: w.keys, Clock: w.clock, Writer: "old", Audit: book.CheckInvariants,
		Devices: run.Devices{Fabrics: fabrics, Nodes: awayNodes{w.sim.Nodes(), orders}, Storage: w.sim.Storage()}})
	if err != nil {
		t.Fatal(err)
	}
	w.sell(t, old)
	w.until(t, old, time.Date(2026, 5, 2, 12, 0, 0, 0, time.UTC))
	if delivered(old) == 0 {
		t.Fatal("nothing is delivered")
	}
	var port site.Port
	wanted := func() map[site.Port]fabric.Row {
		out := map[site.Port]fabric.Row{}
		old.View(func(s *book.State) {
			for p := range site.Port(s.Site.Ports()) {
				if label, has := s.Label(s.Site.FabricOf(p), p.Node(), s.Wants(p.Node()).Owner); has {
					out[p] = fabric.Compile(s.Site.Fabrics[s.Site.FabricOf(p)].Family, label.Value)
				}
			}
			for _, l := range s.Leases {
				if l.Delivered > 0 {
					port = site.PortOf(l.Slots[0], 0)
				}
			}
		})
		return out
	}
	// A port is cut off, which is recorded, and what mends it fails: it is to be written.
	before := wanted()
	orders.failing = true
	w.sim.Tamper(port, fabric.Closed())
	if err := old.Tick(t.Context()); err != nil {
		t.Fatal(err)
	}
	newer := w.open(t)
	orders.failing, orders.cut = false, true
	same := func(when string) {
		t.Helper()
		if len(orders.applied) == 0 {
			t.Fatalf("%s: the old writer orders nothing: this test shows nothing", when)
		}
		for p, row := range orders.applied {
			if !row.Equal(before[p]) {
				t.Errorf("%s, port %d: the old writer orders %s, its ledger says %s", when, p, row, before[p])
			}
		}
		clear(orders.applied)
	}
	_ = old.Tick(t.Context()) // it may have noticed
	same("at once")
	// The lease ends at the newer one.
	must(t, newer.ActAsShown(t.Context(), "", noticeOf("tidewater"), nil))
	w.until(t, newer, w.clock.Now().Add(48*time.Hour))
	w.sim.Tamper(port+1, fabric.Closed())
	// What it looked at meanwhile is the first thing that it writes, and shows it that it is old.
	if old.Tick(t.Context()) == nil || len(orders.applied) > 0 {
		t.Errorf("days later the old writer could not append, and orders %v", orders.applied)
	}
	if _, err := old.Submit(t.Context(), "", noticeOf("tidewater")); err == nil {
		t.Error("the old writer appends")
	}
	w.sim.Tamper(port+2, fabric.Closed())
	if old.Tick(t.Context()) == nil || len(orders.applied) > 0 {
		t.Errorf("the old writer could not append, and orders %v", orders.applied)
	}
}
