package main

import (
	"context"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"bulkhead/book"
	"bulkhead/claim"
	"bulkhead/contract"
	"bulkhead/fabric"
	"bulkhead/keystore"
	"bulkhead/lab/await"
	"bulkhead/lab/story"
	"bulkhead/ledger/sqlite"
	controlplane "bulkhead/run"
	"bulkhead/run/datadir"
	"bulkhead/sim"
	"bulkhead/wire"
)

// makeLedger makes a folder whose ledger begins at a time: the tiny site is imported and
// acme has signed for two nodes. Then it is as late as later says, and the loop looks once.
func makeLedger(ts *testscript.TestScript, folder string, at, later time.Time) {
	ctx := context.Background()
	d := datadir.Dir(ts.MkAbs(folder))
	ts.Check(os.MkdirAll(string(d), 0o700))
	log, err := sqlite.Open(d.Ledger())
	ts.Check(err)
	defer log.Close()
	keys, err := keystore.Open(d.Keys(), at)
	ts.Check(err)
	clock := controlplane.NewVirtualClock(at)
	plane, err := controlplane.Open(ctx, controlplane.Config{Log: log, Signers: keys, Published: d.Published(keys), Clock: clock, Writer: "test"})
	ts.Check(err)
	cast, err := story.LoadParts("tiny")
	ts.Check(err)
	ts.Check(plane.Import(ctx, cast.Site, nil))
	text, err := firstLease(14)
	ts.Check(err)
	c, err := contract.Parse("first.yaml", []byte(text))
	ts.Check(err)
	_, err = plane.Submit(ctx, "", book.RegisterTenant{Tenant: c.Tenant, Name: "Acme"})
	ts.Check(err)
	_, err = plane.Quote(ctx, "first-v1", c, 0)
	ts.Check(err)
	_, err = plane.Submit(ctx, "", book.SignQuote{Quote: "first-v1", By: "test", Signed: contract.ByTenant("test")})
	ts.Check(err)
	clock.Set(later)
	ts.Check(plane.Tick(ctx))
	ts.Check(plane.Publish(ctx))
}

// makeFutureLedger makes a ledger whose clock has shown the year 2100 for one look: the
// lease has ended, and all its months are billed.
func makeFutureLedger(ts *testscript.TestScript, neg bool, args []string) {
	at := time.Now().Add(-2 * time.Hour)
	makeLedger(ts, args[0], at, time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC))
}

// makeOldLedger makes a ledger whose last entry is ten days old.
func makeOldLedger(ts *testscript.TestScript, neg bool, args []string) {
	at := time.Now().Add(-10 * 24 * time.Hour)
	makeLedger(ts, args[0], at, at.Add(time.Minute))
}

// stuck is a simulated site that does not say what time it is until it is let go.
type stuck struct {
	wire.Control
	asked atomic.Int64
	let   chan struct{}
	now   time.Time
}

func (s *stuck) Now(ctx context.Context) (time.Time, error) {
	s.asked.Add(1)
	select {
	case <-s.let:
		return s.now, nil
	case <-ctx.Done():
		return time.Time{}, ctx.Err()
	}
}

// A simulated site that hangs is asked once at a time, and nobody waits for it: its time
// stands still, and goes on when it answers.
func TestNobodyWaitsForASimulatedClock(t *testing.T) {
	s := &stuck{let: make(chan struct{}), now: story.Begin.Add(time.Hour)}
	c := &siteClock{control: s, now: story.Begin}
	const looks = 1000
	for range looks {
		if now := c.Now(); !now.Equal(story.Begin) {
			t.Fatalf("it has said nothing, and it is %s", now)
		}
	}
	if n := s.asked.Load(); n > looks/10 {
		t.Errorf("asked %d times in %d looks", n, looks)
	}
	close(s.let)
	await.Must(t, "the time of who answers", func() bool { return c.Now().Equal(s.now) })
}

// hardware is a driver that says so.
type hardware struct{ fabric.Driver }

func (h hardware) Capabilities(ctx context.Context) (fabric.Capabilities, error) {
	c, err := h.Driver.Capabilities(ctx)
	c.Origin = claim.Hardware
	return c, err
}

// A fabric of hardware is neither read nor written by the time of simulated devices.
func TestHardwareHasNoSimulatedTime(t *testing.T) {
	cast, err := story.LoadParts("tiny")
	if err != nil {
		t.Fatal(err)
	}
	world, err := sim.FromTemplate(cast.Site, sim.DefaultConfig(1, story.Begin))
	if err != nil {
		t.Fatal(err)
	}
	clock := controlplane.NewVirtualClock(story.Begin)
	for id, d := range world.Fabrics() {
		if _, err := inSiteTime(d, clock).Observe(t.Context(), fabric.Scope{}); err != nil {
			t.Errorf("%s, simulated: %v", id, err)
		}
		d = inSiteTime(hardware{d}, clock)
		_, observed := d.Observe(t.Context(), fabric.Scope{})
		_, applied := d.Apply(t.Context(), fabric.NewChange(id, nil), fabric.Fence{Term: 1})
		for what, err := range map[string]error{"read": observed, "written": applied, "locked down": d.Lockdown(t.Context(), nil, fabric.Fence{Term: 1})} {
			if err == nil || !strings.Contains(err.Error(), "this fabric is hardware") {
				t.Errorf("%s, hardware, is %s: %v", id, what, err)
			}
		}
	}
}
