package run_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"bulkhead/book"
	"bulkhead/claim"
	"bulkhead/examples"
	"bulkhead/fabric"
	"bulkhead/keystore"
	"bulkhead/ledger/memory"
	"bulkhead/meter"
	"bulkhead/prove"
	"bulkhead/run"
	"bulkhead/sim"
	"bulkhead/site"
)

// cable is what lies between the control plane and all devices of its fabrics.
type cable struct {
	cut    bool
	gone   bool // the drivers' own process is behind the cut, so that nobody says which leaves are silent
	writes int  // tried while it was cut
	// numbers, where set, are another site file's, by which drivers number their ports.
	numbers   claim.Digest
	restarted bool // drivers know no cursor: each look is answered in full
}

// behind is a fabric's driver at the other end of the cable.
type behind struct {
	fabric.Driver
	*cable
	leaves []site.Leaf
	cursor uint64
	missed bool // the cut began after the last whole reading
	number claim.Digest
}

func (b *behind) numbering() claim.Digest {
	if !b.numbers.IsZero() {
		return b.numbers
	}
	return b.number
}

var errCut = errors.New("the management network is cut")

func (b *behind) Observe(ctx context.Context, s fabric.Scope) (fabric.Observation, error) {
	if !b.cut {
		if b.missed || b.restarted {
			s.Since = 0 // nobody saw what was done to a leaf meanwhile
		}
		o, err := b.Driver.Observe(ctx, s)
		o.Numbering = b.numbering()
		if err == nil {
			b.cursor, b.missed = o.Cursor, false
		}
		return o, err
	}
	b.missed = true
	if b.gone {
		return fabric.Observation{}, errCut
	}
	o, err := b.Driver.Observe(ctx, fabric.Scope{}) // for its time
	o.Cursor, o.Devices = b.cursor, nil
	for _, l := range b.leaves {
		o.Devices = append(o.Devices, fabric.DeviceReading{Leaf: l, At: o.At})
	}
	return o, err
}

func (b *behind) Apply(ctx context.Context, c fabric.Change, f fabric.Fence) (fabric.ApplyReceipt, error) {
	if b.cut {
		if len(c.Ports) > 0 { // an empty one only shows who writes
			b.writes++
		}
		return fabric.ApplyReceipt{}, errCut
	}
	if len(c.Ports) == 0 {
		return b.Driver.Apply(ctx, c, f)
	}
	if c.Numbering.IsZero() || fabric.SameNumbering(c.Fabric, c.Numbering, b.numbering()) != nil {
		return fabric.ApplyReceipt{}, fmt.Errorf("change numbered %s: %w", c.Numbering, fabric.ErrNumbering)
	}
	return b.Driver.Apply(ctx, c, f)
}

func (b *behind) Lockdown(ctx context.Context, ports []site.Port, f fabric.Fence) error {
	if b.cut {
		b.writes++
		return errCut
	}
	return b.Driver.Lockdown(ctx, ports, f)
}

// leased is a world with a delivered lease, seen through a cable.
func leased(t *testing.T, policy string) (*world, *run.Plane, *cable) {
	t.Helper()
	ctx := t.Context()
	data, err := examples.Files.ReadFile("tiny/site.yaml")
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Replace(string(data), "  poll: 10m\n", policy, 1)
	if text == string(data) {
		t.Fatal("the site's policy is not what this test replaces")
	}
	template, err := site.ParseTemplate("site.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	start := time.Date(2026, 4, 28, 0, 0, 0, 0, time.UTC)
	w := &world{log: memory.New(), clock: run.NewVirtualClock(start)}
	if w.keys, err = keystore.InMemory(strings.NewReader(strings.Repeat("0123456789abcdef", 64)), start); err != nil {
		t.Fatal(err)
	}
	config := sim.DefaultConfig(1, start)
	config.FailureRate = 0 // nothing here is about nodes
	if w.sim, err = sim.FromTemplate(template, config); err != nil {
		t.Fatal(err)
	}
	c, fabrics, s := &cable{}, map[string]fabric.Driver{}, w.sim.Site()
	for id, driver := range w.sim.Fabrics() {
		index, _ := s.FabricByID(id)
		b := &behind{Driver: driver, cable: c, number: fabric.Numbering(s, index)}
		for l := range site.Leaf(s.Leaves()) {
			if s.FabricOfLeaf(l) == index {
				b.leaves = append(b.leaves, l)
			}
		}
		fabrics[id] = b
	}
	p, err := run.Open(ctx, run.Config{Log: w.log, Signers: w.keys, Clock: w.clock, Writer: "test", Audit: book.CheckInvariants,
		Devices: run.Devices{Fabrics: fabrics, Nodes: w.sim.Nodes(), Storage: w.sim.Storage()}})
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Import(ctx, template, nil); err != nil {
		t.Fatal(err)
	}
	w.sell(t, p)
	w.until(t, p, time.Date(2026, 5, 2, 12, 0, 0, 0, time.UTC))
	if delivered(p) == 0 {
		t.Fatal("nothing was delivered")
	}
	return w, p, c
}

// minutes lives minute by minute.
func (w *world) minutes(t *testing.T, p *run.Plane, n int) {
	t.Helper()
	for range n {
		now := w.clock.Now().Add(time.Minute)
		if err := w.sim.Advance(t.Context(), now); err != nil {
			t.Fatal(err)
		}
		w.clock.Set(now)
		if err := p.Tick(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

// unproven is when slots of leases stopped and began to be proven again, as they
// are billed.
func unproven(p *run.Plane) (from, to map[time.Time]bool) {
	from, to = map[time.Time]bool{}, map[time.Time]bool{}
	p.View(func(s *book.State) {
		for _, l := range s.Leases {
			exposed := false
			for _, e := range l.Events {
				switch {
				case e.State == meter.IsolationUnproven && exposed: // of more or fewer ports
				case e.State == meter.IsolationUnproven:
					from[e.At], exposed = true, true
				case exposed:
					to[e.At] = true
				}
			}
		}
	})
	return from, to
}

// unknowns counts ports of which nothing is known, and those of other verdicts than
// proven and unknown.
func unknowns(p *run.Plane) (unknown, other int) {
	p.Ports(func(_ site.Port, v prove.Verdict, _ prove.Check) {
		switch v {
		case prove.Unknown:
			unknown++
		case prove.Proven:
		default:
			other++
		}
	})
	return unknown, other
}

// TestManagementNetworkCut: the control plane reaches no leaf any more, for ten
// minutes and for longer than the window, whether drivers still say which leaves are
// silent or are behind the cut themselves. Not one write is tried, nothing is locked
// down, and no port changes. Within the window the verdicts stand; after it, every
// port is unknown, tenants are told, and their slots are billed as unproven until
// the minute in which all is read back, and proven.
func TestManagementNetworkCut(t *testing.T) {
	const standard = "  poll: 1m\n" // and a window of 15 minutes, which is the default
	for _, c := range []struct {
		name    string
		policy  string
		minutes int
		window  int
		gone    bool
	}{
		{"ten minutes", standard, 10, 15, false},
		{"ten minutes, drivers too", standard, 10, 15, true},
		{"fifteen minutes, not more than the window", standard, 15, 15, false},
		{"fifteen minutes, drivers too", standard, 15, 15, true},
		{"ten minutes with a window of five", "  poll: 1m\n  isolation-window: 5m\n", 10, 5, false},
		{"forty minutes", standard, 40, 15, false},
		{"forty minutes, drivers too", standard, 40, 15, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			w, p, cable := leased(t, c.policy)
			leaves, up, rows, before, begun := w.sim.Site().Leaves(), delivered(p), w.carried(t), w.kinds(t), w.clock.Now()
			if unknown, other := unknowns(p); unknown+other > 0 {
				t.Fatalf("before the cut %d ports are unknown, %d not proven", unknown, other)
			}
			cable.cut, cable.gone = true, c.gone
			w.minutes(t, p, c.minutes)
			lost := c.minutes > c.window
			unknown, other := unknowns(p)
			if want := map[bool]int{true: w.sim.Site().Ports()}[lost]; unknown != want || other > 0 {
				t.Errorf("%d ports are unknown, expected %d; %d red or cut off, expected none", unknown, want, other)
			}
			during := w.kinds(t)
			if got, want := during[fabric.KindUnread]-before[fabric.KindUnread] >= leaves, lost; got != want {
				t.Errorf("alarm about all %d leaves: %t, expected %t (%d entries)", leaves, got, want, during[fabric.KindUnread]-before[fabric.KindUnread])
			}
			var verdicts []string
			p.View(func(s *book.State) {
				for _, l := range s.Leases {
					verdicts = append(verdicts, l.Verdict)
				}
				if s.Control.Brake != nil || len(s.Drifted) > 0 {
					t.Errorf("%d ports are locked, the brake is %+v", len(s.Drifted), s.Control.Brake)
				}
			})
			if want := map[bool]string{true: "unknown", false: "proven"}[lost]; strings.Join(verdicts, " ") != want {
				t.Errorf("the lease's verdict is %q, expected %q", verdicts, want)
			}
			cable.cut = false
			w.minutes(t, p, 90) // an hour is how long a bad verdict stands at least
			if unknown, other := unknowns(p); unknown+other > 0 {
				t.Errorf("when it is back %d ports are unknown, %d not proven", unknown, other)
			}
			after := w.kinds(t)
			for _, kind := range []string{fabric.KindDrifted, fabric.KindLocked, fabric.KindRestored, book.KindBrake} {
				if after[kind] != before[kind] {
					t.Errorf("%d entries %s were written", after[kind]-before[kind], kind)
				}
			}
			if a, b := after[fabric.KindReread]-before[fabric.KindReread], after[fabric.KindUnread]-before[fabric.KindUnread]; a != b {
				t.Errorf("%d entries say that a leaf is unread, %d that it is read again", b, a)
			}
			if cable.writes > 0 || delivered(p) != up {
				t.Errorf("%d writes were tried while it was cut; %d nodes are delivered, before it were %d", cable.writes, delivered(p), up)
			}
			if got := w.carried(t); !maps.Equal(got, rows) {
				t.Error("a port carries something else than before the cut")
			}
			from, to := unproven(p)
			minute := func(n int) time.Time { return begun.Add(time.Duration(n) * time.Minute) }
			if lost {
				if len(from) != 1 || len(to) != 1 || !from[minute(c.window+1)] || !to[minute(c.minutes+1)] {
					t.Errorf("billed as unproven from %v to %v, expected minutes %d to %d after %s", from, to, c.window+1, c.minutes+1, begun)
				}
			} else if len(from) > 0 {
				t.Errorf("billed as unproven from %v, within the window", from)
			}
			p.View(func(s *book.State) {
				for _, l := range s.Leases {
					if l.Verdict != prove.Proven.String() {
						t.Errorf("when it is back the verdict of %s is %s", l.ID, l.Verdict)
					}
				}
				if len(s.Unread)+len(s.Silent) > 0 {
					t.Errorf("leaves still count as silent: %s", fmt.Sprint(s.Unread, s.Silent))
				}
			})
		})
	}
}
