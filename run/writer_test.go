package run_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"bulkhead/book"
	"bulkhead/examples"
	"bulkhead/ledger"
	"bulkhead/run"
	"bulkhead/sim"
	"bulkhead/site"
)

// shaky is a ledger whose next append goes wrong in one way.
type shaky struct {
	ledger.Log
	before error // the disk is full: nothing is written
	after  error // written, and the answer is lost
	stolen bool  // another writer was there first, with as many entries

	big func() error // asked before a group of a megabyte
}

func (l *shaky) Append(ctx context.Context, expect uint64, entries []ledger.Entry, bodies []ledger.Body) error {
	size := 0
	for _, b := range bodies {
		size += len(b.Data)
	}
	if l.big != nil && size >= 1<<20 {
		if err := l.big(); err != nil {
			return err
		}
	}
	before, after, stolen := l.before, l.after, l.stolen
	l.before, l.after, l.stolen = nil, nil, false
	if before != nil {
		return before
	}
	if stolen {
		others := append([]ledger.Entry(nil), entries...)
		for i := range others {
			others[i].Salt[0] ^= 1
		}
		if err := l.Log.Append(ctx, expect, others, bodies); err != nil {
			return err
		}
	}
	return errors.Join(l.Log.Append(ctx, expect, entries, bodies), after)
}

var errDisk = errors.New("no space left on device")

func TestAppendsThatGoWrong(t *testing.T) {
	tenant := func(id string) book.RegisterTenant { return book.RegisterTenant{Tenant: id, Name: id} }
	for name, c := range map[string]struct {
		spoil func(l *shaky)
		goes  bool // the writer goes on
		held  int  // tenants in the ledger afterwards
	}{
		"the disk is full":           {func(l *shaky) { l.before = errDisk }, false, 1},
		"the answer is lost":         {func(l *shaky) { l.after = errDisk }, true, 2},
		"another writer was quicker": {func(l *shaky) { l.stolen = true }, false, 2},
	} {
		t.Run(name, func(t *testing.T) {
			w, _ := newWorld(t)
			log := &shaky{Log: w.log}
			w.log = log
			p := w.open(t)
			w.submit(t, p, tenant("first"))
			c.spoil(log)
			_, err := p.Submit(context.Background(), "", tenant("second"))
			if (err == nil) != c.goes || (p.Broken() == nil) != c.goes {
				t.Fatalf("submitting: %v, broken: %v; expected it to go on: %t", err, p.Broken(), c.goes)
			}
			if !c.goes {
				// Whatever the old writer still holds in memory, it writes nothing more.
				if _, err := p.Submit(context.Background(), "", tenant("third")); err == nil {
					t.Error("a writer that has stopped took a command")
				}
			}
			again := w.open(t)
			again.View(func(s *book.State) {
				if len(s.Tenants) != c.held {
					t.Errorf("%d tenants in the ledger, expected %d", len(s.Tenants), c.held)
				}
			})
			w.submit(t, again, tenant("fourth"))
		})
	}
}

// TestAGroupInFlightGoesWrong: what a wave of nodes says is long, so that the first of
// it is being written while the next is decided. That fails: nothing after it reaches
// the ledger, and the tick says so.
func TestAGroupInFlightGoesWrong(t *testing.T) {
	data, err := examples.Files.ReadFile("small/site.yaml")
	if err != nil {
		t.Fatal(err)
	}
	more := strings.NewReplacer("nodes: 16, sus: 2", "nodes: 64, sus: 8", "nodes: 8, sus: 1", "nodes: 64, sus: 8", "phase: p2", "phase: p1", "phase: p3", "phase: p1")
	large, _, _ := strings.Cut(more.Replace(string(data)), "\ntotals:")
	template, err := site.ParseTemplate("site.yaml", []byte(large))
	if err != nil {
		t.Fatal(err)
	}
	w, _ := newWorld(t)
	if w.sim, err = sim.FromTemplate(template, sim.DefaultConfig(1, begin)); err != nil {
		t.Fatal(err)
	}
	log := &shaky{Log: w.log}
	w.log = log
	meanwhile := make(chan struct{}, 1)
	p, err := run.Open(t.Context(), run.Config{
		Log: log, Signers: w.keys, Clock: w.clock, Writer: "test",
		Devices: run.Devices{Fabrics: w.sim.Fabrics(), Nodes: w.sim.Nodes(), Storage: w.sim.Storage()},
		Audit: func(*book.State) error { // an entry is decided
			select {
			case meanwhile <- struct{}{}:
			default:
			}
			return nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Import(t.Context(), template, nil); err != nil {
		t.Fatal(err)
	}
	var head uint64
	overlapped := false
	log.big = func() error { // only one is ever reached: it fails
		head, _ = log.Log.Head(context.Background())
		select { // of an entry that was decided before
		case <-meanwhile:
		default:
		}
		select {
		case <-meanwhile:
			overlapped = true
		case <-time.After(10 * time.Second):
		}
		return errDisk
	}
	for hour := 0; err == nil && hour < 48; hour++ {
		now := w.clock.Now().Add(time.Hour)
		if err := w.sim.Advance(t.Context(), now); err != nil {
			t.Fatal(err)
		}
		w.clock.Set(now)
		err = p.Tick(t.Context())
	}
	if !errors.Is(err, errDisk) || !errors.Is(p.Broken(), errDisk) {
		t.Fatalf("the tick: %v; the writer: %v; expected both to say %v", err, p.Broken(), errDisk)
	}
	if !overlapped {
		t.Error("nothing was decided while the group was written")
	}
	if now, err := log.Log.Head(t.Context()); err != nil || now != head {
		t.Errorf("the ledger has %d entries, error %v; expected %d as before the group that failed", now, err, head)
	}
}

// backwards is a clock that somebody sets wrong.
type backwards struct {
	run.Clock
	by time.Duration
}

func (c *backwards) Now() time.Time { return c.Clock.Now().Add(-c.by) }

func TestTheClockGoesBack(t *testing.T) {
	w, template := newWorld(t)
	clock := &backwards{Clock: w.clock}
	p, err := run.Open(context.Background(), run.Config{
		Log: w.log, Signers: w.keys, Clock: clock, Writer: "test",
		Devices: run.Devices{Fabrics: w.sim.Fabrics(), Nodes: w.sim.Nodes(), Storage: w.sim.Storage()},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Import(context.Background(), template, nil); err != nil {
		t.Fatal(err)
	}
	w.live(t, p, 2)
	head := func() (seq uint64) {
		p.View(func(s *book.State) { seq = s.Seq })
		return seq
	}

	clock.by = time.Second // a correction by NTP: time stands still until it has passed
	w.submit(t, p, book.RegisterTenant{Tenant: "one", Name: "one"})

	clock.by = 24 * time.Hour // a wrong clock: nothing may be written in the past
	was := head()
	if _, err := p.Submit(context.Background(), "", book.RegisterTenant{Tenant: "two", Name: "two"}); !errors.Is(err, run.ErrClock) {
		t.Errorf("a command a day before the last entry: %v, expected ErrClock", err)
	}
	if err := p.Tick(context.Background()); !errors.Is(err, run.ErrClock) {
		t.Errorf("a tick a day before the last entry: %v, expected ErrClock", err)
	}
	if head() != was || p.Broken() != nil {
		t.Errorf("head %d, was %d; broken: %v: expected nothing written, and nothing broken", head(), was, p.Broken())
	}

	if c := p.Clock(); c.Confirmed || !c.Now.Equal(c.Head) || !c.Machine.Equal(clock.Now()) || !strings.Contains(c.Why, "ledger set-aside") {
		t.Errorf("the clock is %+v, expected it not to be confirmed and to say what to do", c)
	}
	if held := strings.Join(p.Plan(context.Background()).Deferred, "\n"); !strings.Contains(held, "behind the ledger's last entry") {
		t.Errorf("the plan holds %q", held)
	}
	if _, err := p.ConfirmClock(context.Background(), "", clock.Now(), book.Actor{Subject: "approver", Role: "approver"}, "it is right"); err == nil {
		t.Error("a clock behind the ledger was confirmed")
	}

	clock.by = 0
	w.submit(t, p, book.RegisterTenant{Tenant: "two", Name: "two"})
	w.live(t, p, 2)
	last := time.Time{}
	for e, err := range w.log.Read(context.Background(), 1) {
		if err != nil {
			t.Fatal(err)
		}
		if e.Time.Before(last) {
			t.Errorf("entry %d is of %s, the one before of %s", e.Seq, e.Time, last)
		}
		last = e.Time
	}
}
