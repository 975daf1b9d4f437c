package run_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"bulkhead/book"
	"bulkhead/claim"
	"bulkhead/fabric"
	"bulkhead/ledger"
	"bulkhead/ledger/memory"
	"bulkhead/meter"
	"bulkhead/node"
	"bulkhead/run"
)

// frozen is drivers that give no answer any more, the fabrics' or the nodes'.
type frozen struct {
	fabrics, nodes bool
}

var errFrozen = errors.New("it does not answer")

type frozenFabric struct {
	fabric.Driver
	is *frozen
}

func (f frozenFabric) Observe(ctx context.Context, s fabric.Scope) (fabric.Observation, error) {
	if f.is.fabrics {
		return fabric.Observation{}, errFrozen
	}
	return f.Driver.Observe(ctx, s)
}

type frozenNodes struct {
	node.Driver
	is *frozen
}

func (f frozenNodes) Observe(ctx context.Context, since uint64) (node.Observation, error) {
	if f.is.nodes {
		return node.Observation{}, errFrozen
	}
	return f.Driver.Observe(ctx, since)
}

// watched is a world that sold Tidewater's 32 GPUs, which were delivered on the first of
// May, looked at as often as the policy asks at least.
type watched struct {
	*world
	plane  *run.Plane
	frozen frozen
}

const tideGPUs = 32

func newWatched(t *testing.T) *watched {
	t.Helper()
	w := &watched{world: imported(t)}
	w.start(t)
	w.sell(t, w.plane)
	w.watch(t, time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC))
	if n := delivered(w.plane); n != tideGPUs/8 {
		t.Fatalf("%d nodes were delivered", n)
	}
	return w
}

// start opens a control plane over the world's devices.
func (w *watched) start(t *testing.T) {
	t.Helper()
	fabrics := map[string]fabric.Driver{}
	for id, driver := range w.sim.Fabrics() {
		fabrics[id] = frozenFabric{driver, &w.frozen}
	}
	w.over(t, run.Devices{Fabrics: fabrics, Nodes: frozenNodes{w.sim.Nodes(), &w.frozen}, Storage: w.sim.Storage()})
}

func (w *watched) over(t *testing.T, devices run.Devices) {
	t.Helper()
	p, err := run.Open(t.Context(), run.Config{Log: w.log, Signers: w.keys, Clock: w.clock, Writer: "test", Devices: devices})
	if err != nil {
		t.Fatal(err)
	}
	w.plane = p
}

// step is how far two looks of these tests are apart: as far as the policy lets them.
const step = 20 * time.Minute

// watch lives until an instant, with a look at every step.
func (w *watched) watch(t *testing.T, to time.Time) {
	t.Helper()
	for w.clock.Now().Before(to) {
		now := w.clock.Now().Add(step)
		if now.After(to) {
			now = to
		}
		w.pass(t, now)
		if err := w.plane.Tick(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

// pass lets time pass without a look.
func (w *watched) pass(t *testing.T, to time.Time) {
	t.Helper()
	if err := w.sim.Advance(t.Context(), to); err != nil {
		t.Fatal(err)
	}
	w.clock.Set(to)
}

// may is the first invoice, of May, which must be one that the tenant's verifier takes.
func (w *watched) may(t *testing.T) *meter.Invoice {
	t.Helper()
	all := w.invoices(t)
	if len(all) == 0 {
		t.Fatal("May is not invoiced")
	}
	w.verified(t)
	return all[0]
}

func (w *watched) verified(t *testing.T) {
	t.Helper()
	report, err := takenHome(t.Context(), w.plane, w.keys, w.sim.Site().Name, "tidewater")
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range report.Invoices {
		if !i.Recomputed {
			t.Errorf("%s is not recomputed", i.Number)
		}
	}
}

func (w *watched) invoices(t *testing.T) (out []*meter.Invoice) {
	t.Helper()
	for e, err := range w.log.Read(t.Context(), 1) {
		if err != nil {
			t.Fatal(err)
		}
		if e.Kind != meter.KindInvoiced {
			continue
		}
		var issued meter.Invoiced
		if err := json.Unmarshal(e.Body, &issued); err != nil {
			t.Fatal(err)
		}
		i, err := w.plane.Invoice(t.Context(), issued.Statement)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, i)
	}
	return out
}

// usage is the GPU-seconds of an invoice in a state.
func usage(i *meter.Invoice, state meter.SlotState) (sum int64) {
	for _, u := range i.Usage {
		for _, s := range u.States {
			if s.State == state {
				sum += s.GPUSeconds
			}
		}
	}
	return sum
}

// silent holds an invoice to one silent stretch of all its GPUs.
func silent(t *testing.T, i *meter.Invoice, from, to time.Time, what string) {
	t.Helper()
	if len(i.Silence) != 1 {
		t.Fatalf("the silence is %+v, expected one of %s from %s until %s", i.Silence, what, from, to)
	}
	s := i.Silence[0]
	if !s.From.Equal(from) || !s.To.Equal(to) || s.What != what || s.GPUSeconds != tideGPUs*int64(to.Sub(from)/time.Second) {
		t.Errorf("the silence is %+v, expected of %s from %s until %s", s, what, from, to)
	}
	if got := usage(i, meter.Unknown); got != s.GPUSeconds {
		t.Errorf("%d GPU-seconds are unknown, %d are silent", got, s.GPUSeconds)
	}
	credited := false
	for _, l := range i.Lines {
		credited = credited || l.Kind == meter.LineCredit && strings.Contains(l.Text, "because nobody looked") && strings.Contains(i.Explain(l.ID), "nobody looked at "+what)
	}
	if !credited {
		t.Errorf("no line credits the silence:\n%s", i.Text())
	}
}

var (
	noon    = time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)
	sixty   = noon.Add(60 * time.Hour)
	juneOne = time.Date(2026, 6, 1, 7, 0, 0, 0, time.UTC) // in Tidewater's zone
)

// A server that was down for sixty hours saw nothing of them, whether it was stopped or
// killed.
func TestADownServerSawNothing(t *testing.T) {
	for name, end := range map[string]func(p *run.Plane) error{
		"killed":  func(*run.Plane) error { return nil },
		"stopped": func(p *run.Plane) error { return p.RecordLooks(context.Background()) },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWatched(t)
			if err := end(w.plane); err != nil {
				t.Fatal(err)
			}
			w.pass(t, sixty)
			w.start(t)
			if err := w.plane.Tick(t.Context()); err != nil {
				t.Fatal(err)
			}
			w.watch(t, juneOne.Add(time.Hour))
			silent(t, w.may(t), noon, sixty, "the nodes, fabric ib")
		})
	}
}

// A restart that is quick enough for the next look to be in time is no silence.
func TestAQuickRestartIsNoSilence(t *testing.T) {
	w := newWatched(t)
	for range 5 {
		w.start(t)
		w.watch(t, w.clock.Now().Add(step))
	}
	w.watch(t, juneOne.Add(time.Hour))
	if i := w.may(t); len(i.Silence) != 0 || usage(i, meter.Unknown) != 0 || !i.LooksFrom.IsZero() {
		t.Errorf("the silence is %+v, from %s", i.Silence, i.LooksFrom)
	}
}

// A driver that does not answer for sixty hours makes what it is about unknown, while
// all others go on.
func TestAFrozenDriverSawNothing(t *testing.T) {
	for what, freeze := range map[string]func(f *frozen, is bool){
		"the nodes": func(f *frozen, is bool) { f.nodes = is },
		"fabric ib": func(f *frozen, is bool) { f.fabrics = is },
	} {
		t.Run(what, func(t *testing.T) {
			w := newWatched(t)
			freeze(&w.frozen, true)
			w.watch(t, sixty)
			freeze(&w.frozen, false)
			w.watch(t, juneOne.Add(time.Hour))
			i := w.may(t)
			if len(i.Silence) != 1 || i.Silence[0].What != what || !i.Silence[0].From.Equal(noon) || !i.Silence[0].To.Equal(sixty.Add(step)) {
				t.Errorf("the silence is %+v", i.Silence)
			}
		})
	}
}

// While the clock stands still, looks are of one instant; what it leaps over afterwards
// nobody saw.
func TestAClockThatStoodStillSawNothing(t *testing.T) {
	w := newWatched(t)
	for range 50 {
		if err := w.plane.Tick(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	w.pass(t, sixty)
	if err := w.plane.Tick(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.watch(t, juneOne.Add(time.Hour))
	silent(t, w.may(t), noon, sixty, "the nodes, fabric ib")
}

// A ledger that is served without any devices: no month comes out as up, and May waits
// until nothing more can be said of it.
func TestNoDevicesAreNeverUp(t *testing.T) {
	w := newWatched(t)
	w.over(t, run.Devices{})
	w.pass(t, juneOne)
	if err := w.plane.Tick(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := len(w.invoices(t)); n != 0 {
		t.Fatalf("%d invoices at the end of May, of which something may still be said", n)
	}
	for now := juneOne.Add(time.Hour); now.Before(time.Date(2026, 8, 2, 0, 0, 0, 0, time.UTC)); now = now.Add(24 * time.Hour) {
		w.pass(t, now)
		if err := w.plane.Tick(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	w.neverUp(t, 3)
	silent(t, w.may(t), noon, juneOne, "the nodes, fabric ib")
}

// neverUp holds each month after May to no second that counts as up.
func (w *watched) neverUp(t *testing.T, months int) {
	t.Helper()
	all := w.invoices(t)
	if len(all) != months {
		t.Fatalf("%d invoices", len(all))
	}
	for n, i := range all {
		promised := int64(0)
		for _, u := range i.Usage {
			promised += u.Promised
		}
		if up := usage(i, meter.Up); n > 0 && up > 0 || up == promised {
			t.Errorf("%s is up for %d of %d GPU-seconds", i.Number, up, promised)
		}
	}
	w.verified(t)
}

// The same with a ledger of a release that did not say when devices were looked at: the
// old rule holds until its last entry, and the invoice says so.
func TestAnOldLedgerIsSilentAfterItsEnd(t *testing.T) {
	w := newWatched(t)
	var other string
	w.plane.View(func(s *book.State) { other = s.Site.NodeID[s.Site.Nodes()-1] })
	w.submit(t, w.plane, book.Cordon{Node: other, By: "test", Reason: "the last that the old release wrote"})
	last := w.forgetLooks(t)
	w.pass(t, time.Date(2026, 8, 2, 0, 0, 0, 0, time.UTC))
	w.over(t, run.Devices{})
	if err := w.plane.Tick(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.neverUp(t, 3)
	may := w.may(t)
	if !may.LooksFrom.Equal(last) || !strings.Contains(may.Text(), "the ledger does not say when devices were looked at") {
		t.Errorf("silence counts from %s on, expected from %s:\n%s", may.LooksFrom, last, may.Text())
	}
	silent(t, may, last.Truncate(time.Second), juneOne, "the nodes, fabric ib")
	report, err := takenHome(t.Context(), w.plane, w.keys, w.sim.Site().Name, "tidewater")
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Join(report.NotProven, "\n")
	if !strings.Contains(text, "silence: until "+last.Format(time.RFC3339)) || len(report.Silence) != 1 || !report.Silence[0].Open {
		t.Errorf("the report says %+v and\n%s", report.Silence, text)
	}
}

// forgetLooks writes the ledger again as the release before would have: without looks.
// It returns the time of the last entry.
func (w *watched) forgetLooks(t *testing.T) (last time.Time) {
	t.Helper()
	log := memory.New()
	var entries []ledger.Entry
	var bodies []ledger.Body
	scopes, seen := map[string]uint64{}, map[string]bool{}
	for e, err := range w.log.Read(t.Context(), 1) {
		if err != nil {
			t.Fatal(err)
		}
		if e.Kind == meter.KindObserved {
			continue
		}
		scopes[e.Scope]++
		e.Seq, e.ScopeSeq = uint64(len(entries)+1), scopes[e.Scope]
		entries, last = append(entries, e), e.Time
		for _, d := range digestsIn(e.Body) {
			data, err := w.log.Body(t.Context(), d)
			if err == nil && !seen[d.String()] {
				seen[d.String()] = true
				bodies = append(bodies, ledger.Body{Digest: d, Data: data})
			}
		}
	}
	for part := range slices.Chunk(entries, 1000) {
		if err := log.Append(t.Context(), part[0].Seq-1, part, bodies); err != nil {
			t.Fatal(err)
		}
		bodies = nil
	}
	w.log = log
	return last
}

// A day of looks every minute is an entry of the site each five minutes, of a tenant each
// hour, and one interval.
func TestLooksAreCheap(t *testing.T) {
	w := newWatched(t)
	count := func() (site, tenant int) {
		for e, err := range w.log.Read(t.Context(), 1) {
			if err != nil {
				t.Fatal(err)
			}
			switch {
			case e.Kind == meter.KindObserved && e.Scope == book.SiteScope:
				site++
			case e.Kind == meter.KindObserved:
				tenant++
			}
		}
		return site, tenant
	}
	siteBefore, tenantBefore := count()
	for minute := range 24 * 60 {
		w.pass(t, noon.Add(time.Duration(minute+1)*time.Minute))
		if err := w.plane.Tick(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	site, tenant := count()
	if site-siteBefore != 288 || tenant-tenantBefore > 24 {
		t.Errorf("%d entries of the site and %d of the tenant in a day", site-siteBefore, tenant-tenantBefore)
	}
	w.plane.View(func(s *book.State) {
		for scope, seen := range s.Looks.Seen {
			if len(seen) != 1 {
				t.Errorf("%q was looked at in %d intervals", scope, len(seen))
			}
		}
		if len(s.Looks.Seen) != 1+len(s.Site.Fabrics) {
			t.Errorf("looked at: %v", fmt.Sprint(s.Looks.Seen))
		}
	})
}

var digest = regexp.MustCompile(`sha256:[0-9a-f]{64}`)

// digestsIn is the bodies that an entry names.
func digestsIn(body []byte) (out []claim.Digest) {
	for _, text := range digest.FindAllString(string(body), -1) {
		if d, err := claim.ParseDigest(text); err == nil {
			out = append(out, d)
		}
	}
	return out
}

// aheadNodes are nodes whose clock is ahead of the plane's at every other look, so that
// they give two looks the same time.
type aheadNodes struct{ node.Driver }

func (a aheadNodes) Observe(ctx context.Context, since uint64) (node.Observation, error) {
	o, err := a.Driver.Observe(ctx, since)
	if o.At.Unix()/int64(step/time.Second)%2 == 0 {
		o.At = o.At.Add(step)
	}
	return o, err
}

// TestAClockThatIsAheadHidesNoLook looks at nodes all the time, whose clock is ahead.
func TestAClockThatIsAheadHidesNoLook(t *testing.T) {
	w := &watched{world: imported(t)}
	w.over(t, run.Devices{Fabrics: w.sim.Fabrics(), Nodes: aheadNodes{w.sim.Nodes()}, Storage: w.sim.Storage()})
	w.sell(t, w.plane)
	w.watch(t, time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC))
	w.plane.View(func(s *book.State) {
		if seen := s.Looks.Seen[""]; len(seen) != 1 {
			t.Errorf("nodes that were looked at all the time have %d intervals: %v", len(seen), seen)
		}
	})
}

// A plane without drivers for what the site has is not ready: nothing of it is known.
func TestWithoutDriversNothingIsReady(t *testing.T) {
	w := newWatched(t)
	if err := w.plane.Ready(); err != nil {
		t.Fatalf("all is driven: %v", err)
	}
	for name, devices := range map[string]run.Devices{
		"no drivers":       {},
		"no nodes' driver": {Fabrics: w.sim.Fabrics()},
		"nodes alone":      {Nodes: w.sim.Nodes()},
	} {
		w.over(t, devices)
		if err := w.plane.Ready(); err == nil || !strings.Contains(err.Error(), "have no driver") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
