package run_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"bulkhead/book"
	"bulkhead/fabric"
	"bulkhead/meter"
	"bulkhead/prove"
	"bulkhead/sim"
	"bulkhead/site"
)

// stubborn is a fabric whose devices take nothing that is written, when told so.
type stubborn struct {
	fabric.Driver
	deaf bool
}

func (d *stubborn) Apply(ctx context.Context, c fabric.Change, f fabric.Fence) (fabric.ApplyReceipt, error) {
	if d.deaf {
		c.Ports = nil
	}
	return d.Driver.Apply(ctx, c, f)
}

func (d *stubborn) Lockdown(ctx context.Context, ports []site.Port, f fabric.Fence) error {
	if d.deaf {
		return nil
	}
	return d.Driver.Lockdown(ctx, ports, f)
}

// TestCutOffIsApartAndNotTogether: a port that has lost its labels leaks nothing and reaches
// nobody. Its lease is apart and not together, its slot is not up meanwhile, and the
// tenant's own verifier says which of the two was missing.
func TestCutOffIsApartAndNotTogether(t *testing.T) {
	ctx := context.Background()
	w, template := traysWorld(t)
	fabrics := map[string]fabric.Driver{}
	var all []*stubborn
	for id, d := range w.sim.Fabrics() {
		s := &stubborn{Driver: d}
		all, fabrics[id] = append(all, s), s
	}
	p := w.audited(t, template, fabrics)
	c := lighthouse(t)
	w.signs(t, p, c)
	w.until(t, p, time.Date(2026, 5, 3, 0, 0, 0, 0, time.UTC))
	if delivered(p) == 0 {
		t.Fatal("nothing was handed over")
	}
	var first book.Lease
	p.View(func(s *book.State) { first = *s.Leases[0] })
	if now, _ := p.Isolation(first.ID); now.Apart != prove.Proven || now.Together != prove.Proven {
		t.Fatalf("before anything happens: apart %s, together %s", now.Apart, now.Together)
	}

	for _, s := range all {
		s.deaf = true
	}
	if err := w.sim.Inject(ctx, w.clock.Now(), sim.Fault{Kind: sim.Emptied, Node: first.Slots[0]}); err != nil {
		t.Fatal(err)
	}
	w.live(t, p, 3)
	if now, _ := p.Isolation(first.ID); now.Verdict != prove.Cut || now.Apart != prove.Proven || now.Together != prove.Cut || now.Cut == 0 {
		t.Errorf("a port has lost its labels: %+v", now)
	}
	for _, s := range all {
		s.deaf = false
	}
	w.live(t, p, 3)
	if now, _ := p.Isolation(first.ID); now.Together != prove.Proven {
		t.Errorf("the port was written again: %+v", now)
	}

	report, err := takenHome(ctx, p, w.keys, "nvl72", c.Tenant)
	if err != nil {
		t.Fatal(err)
	}
	said := strings.Join(report.NotProven, "\n")
	if want := "that the members of " + string(first.ID) + " reached each other at "; !strings.Contains(said, want) || !strings.Contains(said, "it was isolated all the same") {
		t.Errorf("not proven says\n%s\nand not %q", said, want)
	}
	down := false
	p.View(func(s *book.State) {
		for _, e := range s.Leases[0].Events {
			down = down || e.Slots == "0" && e.State == meter.IsolationUnproven
		}
	})
	if !down {
		t.Error("the slot was up while it reached nobody")
	}
}
