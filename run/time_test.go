package run_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"bulkhead/book"
	"bulkhead/claim"
	"bulkhead/fabric"
	"bulkhead/ledger"
	"bulkhead/run"
	"bulkhead/site"
)

// jumpy is the clock of a machine that can be set wrong, beside a count that can't.
type jumpy struct {
	*run.VirtualClock // the count, and the clock while it is right
	start             time.Time
	boot              string

	mu     sync.Mutex
	by     time.Duration // wrong by
	synced bool
}

func newJumpy(c *run.VirtualClock) *jumpy {
	return &jumpy{VirtualClock: c, start: c.Now(), boot: "test"}
}

func (c *jumpy) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.VirtualClock.Now().Add(c.by)
}

func (c *jumpy) Count() run.Count {
	return run.Count{Shown: c.Now(), Since: c.VirtualClock.Now().Sub(c.start), Boot: c.boot}
}

func (c *jumpy) Synchronised() bool { return c.synced }

func (c *jumpy) Source() string { return run.SourceMachine }

func (c *jumpy) jump(by time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.by = by
}

const twoYears = 2 * 365 * 24 * time.Hour

// openAt opens a control plane whose machine's clock can be set wrong.
func openAt(t *testing.T, w *world, clock *jumpy, mark run.ClockMark) *run.Plane {
	t.Helper()
	p, err := run.Open(t.Context(), run.Config{
		Log: w.log, Signers: w.keys, Clock: clock, Mark: mark, Writer: "test", Audit: book.CheckInvariants,
		Devices: run.Devices{Fabrics: w.sim.Fabrics(), Nodes: w.sim.Nodes(), Storage: w.sim.Storage()},
	})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// facts is what a jump of the clock must not change.
type facts struct {
	delivered, returned, invoices, turnovers, swaps int
}

func factsOf(p *run.Plane) (f facts) {
	p.View(func(s *book.State) {
		for _, l := range s.Leases {
			f.delivered += l.Delivered
			if !l.Returning.IsZero() || !l.Returned.IsZero() {
				f.returned++
			}
		}
		f.invoices, f.swaps = len(s.Invoices), len(s.Swaps)
		for n := range s.Nodes.Turnover {
			f.turnovers += int(s.Nodes.Turnover[n])
		}
	})
	return f
}

// since lists the entries of some kinds that are newer than a position.
func since(t *testing.T, log ledger.Log, after uint64, kinds ...string) (found []ledger.Entry) {
	t.Helper()
	for e, err := range log.Read(context.Background(), after+1) {
		if err != nil {
			t.Fatal(err)
		}
		for _, kind := range kinds {
			if strings.HasPrefix(e.Kind, kind) {
				found = append(found, e)
			}
		}
	}
	return found
}

// destroys are the kinds of which none may follow from a clock that has jumped.
var destroys = []string{"lease.return", "lease.deliver", "lease.swapped", "invoice", "step.begun", "storage.destroyed", "contract."}

// TestTheClockJumps: the clock of a machine jumps two years ahead for some looks and comes
// back. No lease has ended, no node was wiped, nothing was billed, and what drifted
// meanwhile was locked down and is there to be seen.
func TestTheClockJumps(t *testing.T) {
	w := imported(t)
	clock := newJumpy(w.clock)
	p := openAt(t, w, clock, run.ClockMark{})
	w.sell(t, p)
	w.until(t, p, time.Date(2026, 5, 2, 12, 0, 0, 0, time.UTC))
	before := factsOf(p)
	if before.delivered == 0 {
		t.Fatal("nothing is delivered")
	}
	if c := p.Clock(); !c.Confirmed || !c.Now.Equal(w.clock.Now()) || c.Source != run.SourceMachine {
		t.Fatalf("before the jump: %+v", c)
	}
	head, _ := w.log.Head(t.Context())

	clock.jump(twoYears)
	var port site.Port
	p.View(func(s *book.State) {
		for _, l := range s.Leases {
			if l.Delivered > 0 {
				port = site.PortOf(l.Slots[0], 0)
			}
		}
	})
	w.sim.Tamper(port, fabric.Compile(w.sim.Site().Fabrics[w.sim.Site().FabricOf(port)].Family, 77))
	for range 3 {
		w.live(t, p, 1)
		c := p.Clock()
		if c.Confirmed || !c.Now.Equal(w.clock.Now()) || !p.SiteClock().Now().Equal(w.clock.Now()) || !strings.Contains(c.Why, "days ahead") {
			t.Fatalf("while the clock is two years ahead: %+v; the time is %s", c, w.clock.Now())
		}
	}
	held := strings.Join(p.Plan(t.Context()).Deferred, "\n")
	for _, want := range []string{"the time is in doubt", "clock confirm", "the site's time is", "the machine's clock shows 2028-"} {
		if !strings.Contains(held, want) {
			t.Errorf("plan show does not say %q:\n%s", want, held)
		}
	}
	_, err := p.Submit(t.Context(), "", noticeOf("tidewater"))
	var refused *book.Refusal
	if !errors.As(err, &refused) || !strings.Contains(err.Error(), "in doubt") {
		t.Errorf("a notice while the time is in doubt: %v", err)
	}
	w.submit(t, p, book.PauseLoop{Hall: "hall-a", By: "test", Reason: "people can still hold it back"})
	w.submit(t, p, book.ResumeLoop{Hall: "hall-a", By: "test"})
	if _, err := p.IssueInvoices(t.Context()); err != nil {
		t.Fatal(err)
	}
	if after := factsOf(p); after != before {
		t.Errorf("while the clock is two years ahead: %+v, before: %+v", after, before)
	}
	if found := since(t, w.log, head, destroys...); len(found) > 0 {
		t.Errorf("%d entries that end, move or bill, the first %s: %s", len(found), found[0].Kind, found[0].Body)
	}
	if found := since(t, w.log, head, "fabric.drifted", "fabric.locked"); len(found) < 2 {
		t.Errorf("what drifted while the time was in doubt was not locked down: %d entries", len(found))
	}

	clock.jump(0)
	w.live(t, p, 2)
	if c := p.Clock(); !c.Confirmed || !c.Since.IsZero() {
		t.Errorf("after the clock came back: %+v", c)
	}
	if after := factsOf(p); after.returned != before.returned || after.invoices != before.invoices || after.delivered != before.delivered {
		t.Errorf("after the clock came back: %+v, before: %+v", after, before)
	}
	if found := since(t, w.log, head, "clock."); len(found) != 2 || found[0].Kind != book.KindClockDoubted || found[1].Kind != book.KindClockSettled {
		t.Errorf("the ledger says of the clock: %v; expected a doubt and its end", found)
	}
	for e, err := range w.log.Read(t.Context(), 1) {
		if err != nil || e.Time.After(w.clock.Now()) {
			t.Fatalf("entry %d is of %s, in the future (%v)", e.Seq, e.Time, err)
		}
	}
	must(t, p.ActAsShown(t.Context(), "", noticeOf("tidewater"), nil))
}

// TestAnApproverConfirmsTheClock: the clock was wrong before and is right now, which only
// a person can know.
func TestAnApproverConfirmsTheClock(t *testing.T) {
	w := imported(t)
	clock := newJumpy(w.clock)
	p := openAt(t, w, clock, run.ClockMark{})
	w.live(t, p, 2)
	approver := book.Actor{Subject: "approver on duty", Role: "approver"}
	confirm := func(p *run.Plane, said time.Time, by book.Actor, reason string) error {
		_, err := p.ConfirmClock(t.Context(), "", said, by, reason)
		return err
	}
	if err := confirm(p, clock.Now(), approver, "why not"); err == nil || !strings.Contains(err.Error(), "not in doubt") {
		t.Errorf("confirming a clock that is right: %v", err)
	}
	clock.jump(30 * time.Hour)
	w.live(t, p, 1)
	for name, err := range map[string]error{
		"an operator":              confirm(p, clock.Now(), book.Actor{Subject: "operator", Role: "operator"}, "it is right"),
		"the loop":                 confirm(p, clock.Now(), book.Loop, "it is right"),
		"no reason":                confirm(p, clock.Now(), approver, ""),
		"somebody with other time": confirm(p, clock.Now().Add(-30*time.Hour), approver, "it is right"),
	} {
		var refused *book.Refusal
		if !errors.As(err, &refused) || p.Clock().Confirmed {
			t.Errorf("%s confirms: %v, %+v", name, err, p.Clock())
		}
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(confirm(p, clock.Now().Add(time.Minute), approver, "the machine had slept"))
	c := p.Clock()
	if !c.Confirmed || !c.Now.Equal(clock.Now()) || !c.Head.Equal(clock.Now()) {
		t.Errorf("confirmed: %+v, the clock shows %s", c, clock.Now())
	}
	w.live(t, p, 2)
	if c := p.Clock(); !c.Confirmed || !c.Now.Equal(clock.Now()) {
		t.Errorf("two hours later: %+v, the clock shows %s", c, clock.Now())
	}
	// Another server on the same machine knows it too.
	mark, usable := p.ClockMark()
	if !usable {
		t.Fatal("no mark")
	}
	again := openAt(t, w, clock, mark)
	if c := again.Clock(); !c.Confirmed {
		t.Errorf("opened again: %+v", c)
	}
}

// TestTheServerWasAway: a control plane that was down, by what it knows of how long.
func TestTheServerWasAway(t *testing.T) {
	for name, c := range map[string]struct {
		away   time.Duration
		boot   string // of the machine that it begins again on
		synced bool
		wrong  time.Duration
		doubt  bool
	}{
		"an upgrade":                                {away: 20 * time.Minute, boot: "another"},
		"a night, the machine was up":               {away: 12 * time.Hour, boot: "test"},
		"a week, the machine was up":                {away: 7 * 24 * time.Hour, boot: "test"},
		"a night, the machine was off":              {away: 12 * time.Hour, boot: "another", synced: true},
		"a night, off, and nobody tells the time":   {away: 12 * time.Hour, boot: "another", doubt: true},
		"three days, the machine was off":           {away: 72 * time.Hour, boot: "another", synced: true, doubt: true},
		"an hour, the clock is two years ahead":     {away: time.Hour, boot: "test", synced: true, wrong: twoYears, doubt: true},
		"an hour, off, the clock is two years late": {away: time.Hour, boot: "another", synced: true, wrong: twoYears, doubt: true},
	} {
		t.Run(name, func(t *testing.T) {
			w := imported(t)
			clock := newJumpy(w.clock)
			p := openAt(t, w, clock, run.ClockMark{})
			w.live(t, p, 2)
			mark, _ := p.ClockMark()
			before := factsOf(p)
			w.clock.Set(w.clock.Now().Add(c.away))
			if err := w.sim.Advance(t.Context(), w.clock.Now()); err != nil {
				t.Fatal(err)
			}
			clock.boot, clock.synced = c.boot, c.synced
			clock.jump(c.wrong)
			p = openAt(t, w, clock, mark)
			if err := p.Tick(t.Context()); err != nil {
				t.Fatal(err)
			}
			if status := p.Clock(); status.Confirmed == c.doubt {
				t.Errorf("%+v, expected it to be in doubt: %t", status, c.doubt)
			}
			if !c.doubt {
				return
			}
			if after := factsOf(p); after.turnovers != before.turnovers {
				t.Errorf("turnovers while the time is in doubt: %+v, before %+v", after, before)
			}
			// To begin again, even on a machine that is told the time, is no answer.
			clock.boot, clock.synced = "a third", true
			clock.jump(c.wrong + 5*time.Hour)
			if again := openAt(t, w, clock, run.ClockMark{}).Clock(); again.Confirmed {
				t.Errorf("opened again: %+v", again)
			}
		})
	}
}

// fromDevices is a clock that simulated devices give.
type fromDevices struct{ *run.VirtualClock }

func (fromDevices) Source() string { return run.SourceSimulated }

// TestNoSimulatedTimeForHardware: a site of real devices never takes the time of simulated
// ones, neither when it is imported nor when it is there.
func TestNoSimulatedTimeForHardware(t *testing.T) {
	w, template := newWorld(t)
	header := template.Header()
	header.Origin = claim.Hardware
	encoded, err := header.Encode()
	if err != nil {
		t.Fatal(err)
	}
	var units []book.ImportedUnit
	if _, err := template.Compile(func(inv *site.SUInventory) error {
		units = append(units, book.ImportedUnit{Inventory: inv, Body: inv.Encode()})
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	open := func(clock run.Clock) (*run.Plane, error) {
		return run.Open(t.Context(), run.Config{Log: w.log, Signers: w.keys, Clock: clock, Writer: "test"})
	}
	p, err := open(fromDevices{w.clock})
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Import(t.Context(), template, nil); err != nil {
		t.Errorf("a simulated site, by the time of simulated devices: %v", err)
	}
	w, _ = newWorld(t)
	if p, err = open(newJumpy(w.clock)); err != nil {
		t.Fatal(err)
	}
	w.submit(t, p, book.ImportSite{Header: header, HeaderBody: encoded, SUs: units})
	if _, err := open(fromDevices{w.clock}); err == nil || !strings.Contains(err.Error(), "origin is hardware") || !strings.Contains(err.Error(), "without --simulated") {
		t.Errorf("a site of hardware by the time of simulated devices: %v", err)
	}
	if _, err := open(newJumpy(w.clock)); err != nil {
		t.Errorf("a site of hardware by its machine's clock: %v", err)
	}
}

// ahead is a fabric's driver on a machine whose clock is ahead.
type ahead struct {
	fabric.Driver
	by     *time.Duration
	silent *bool
}

func (d ahead) Observe(ctx context.Context, s fabric.Scope) (fabric.Observation, error) {
	if *d.silent {
		return fabric.Observation{}, errors.New("it does not answer")
	}
	o, err := d.Driver.Observe(ctx, s)
	o.At = o.At.Add(*d.by)
	for i := range o.Devices {
		o.Devices[i].At = o.Devices[i].At.Add(*d.by)
	}
	return o, err
}

// TestAReadingIsNoNewerThanItsArrival: a driver whose clock is years ahead, and that falls
// silent then, is unknown as soon as any other.
func TestAReadingIsNoNewerThanItsArrival(t *testing.T) {
	w := imported(t)
	by, silent := twoYears, false
	fabrics := w.sim.Fabrics()
	for id, d := range fabrics {
		fabrics[id] = ahead{d, &by, &silent}
	}
	p, err := run.Open(t.Context(), run.Config{Log: w.log, Signers: w.keys, Clock: newJumpy(w.clock), Writer: "test", Audit: book.CheckInvariants,
		Devices: run.Devices{Fabrics: fabrics, Nodes: w.sim.Nodes(), Storage: w.sim.Storage()}})
	if err != nil {
		t.Fatal(err)
	}
	w.live(t, p, 2)
	silent = true
	w.live(t, p, 2)
	p.View(func(s *book.State) {
		if len(s.Unread) == 0 {
			t.Error("no leaf has been answering for two hours, and none is unread")
		}
	})
}
