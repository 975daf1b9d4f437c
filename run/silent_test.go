package run_test

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"bulkhead/book"
	"bulkhead/fabric"
	"bulkhead/lease"
	"bulkhead/node"
	"bulkhead/prove"
	"bulkhead/run"
	"bulkhead/sim"
	"bulkhead/site"
	"bulkhead/storage"
)

// gate lets calls of a driver through, or holds them until it is opened again. Those
// that it holds do not even mind their context, as a process that is stopped.
type gate struct {
	shut atomic.Pointer[chan struct{}]
	held atomic.Int64
}

func (g *gate) close() { c := make(chan struct{}); g.shut.Store(&c) }

func (g *gate) open() {
	if c := g.shut.Swap(nil); c != nil {
		close(*c)
	}
}

func (g *gate) pass() {
	if c := g.shut.Load(); c != nil {
		g.held.Add(1)
		<-*c
	}
}

// stopped is a fabric's driver whose process may be stopped: before it answers, or in
// the middle of a change.
type stopped struct {
	fabric.Driver
	asked, done gate
}

func (d *stopped) Capabilities(ctx context.Context) (fabric.Capabilities, error) {
	d.asked.pass()
	return d.Driver.Capabilities(ctx)
}

func (d *stopped) Observe(ctx context.Context, s fabric.Scope) (fabric.Observation, error) {
	d.asked.pass()
	return d.Driver.Observe(ctx, s)
}

func (d *stopped) Apply(ctx context.Context, c fabric.Change, f fabric.Fence) (fabric.ApplyReceipt, error) {
	r, err := d.Driver.Apply(ctx, c, f)
	d.done.pass()
	return r, err
}

func (d *stopped) Lockdown(ctx context.Context, ports []site.Port, f fabric.Fence) error {
	err := d.Driver.Lockdown(ctx, ports, f)
	d.done.pass()
	return err
}

type stoppedNodes struct {
	node.Driver
	asked, done gate
}

func (d *stoppedNodes) Observe(ctx context.Context, since uint64) (node.Observation, error) {
	d.asked.pass()
	return d.Driver.Observe(ctx, since)
}

func (d *stoppedNodes) Apply(ctx context.Context, steps []node.Step, f node.Fence) ([]node.StepReceipt, error) {
	r, err := d.Driver.Apply(ctx, steps, f)
	d.done.pass()
	return r, err
}

type stoppedStorage struct {
	storage.Driver
	asked gate
}

func (d *stoppedStorage) Capabilities(ctx context.Context) (storage.Capabilities, error) {
	d.asked.pass()
	return d.Driver.Capabilities(ctx)
}

func (d *stoppedStorage) Observe(ctx context.Context) (storage.Observation, error) {
	d.asked.pass()
	return d.Driver.Observe(ctx)
}

// patient is a site with leases whose drivers can be stopped, and a loop that does not
// wait for them.
type patient struct {
	*world
	plane   *run.Plane
	fabrics map[string]*stopped
	nodes   *stoppedNodes
	volumes *stoppedStorage
}

func newPatient(t *testing.T) *patient {
	w := imported(t)
	p := &patient{world: w, fabrics: map[string]*stopped{}, nodes: &stoppedNodes{Driver: w.sim.Nodes()}, volumes: &stoppedStorage{Driver: w.sim.Storage()}}
	fabrics := map[string]fabric.Driver{}
	for id, d := range w.sim.Fabrics() {
		p.fabrics[id] = &stopped{Driver: d}
		fabrics[id] = p.fabrics[id]
	}
	var err error
	p.plane, err = run.Open(t.Context(), run.Config{
		Log: w.log, Signers: w.keys, Clock: w.clock, Writer: "test", Audit: book.CheckInvariants, Patience: 50 * time.Millisecond,
		Devices: run.Devices{Fabrics: fabrics, Nodes: p.nodes, Storage: p.volumes},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.openAll)
	w.sell(t, p.plane)
	return p
}

func (p *patient) openAll() {
	for _, d := range p.fabrics {
		d.asked.open()
		d.done.open()
	}
	p.nodes.asked.open()
	p.nodes.done.open()
	p.volumes.asked.open()
}

// settle hears and ticks until all that was asked has been answered.
func (p *patient) settle(t *testing.T) {
	t.Helper()
	for range 10_000 {
		changed, err := p.plane.Hear(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		waiting := false
		for _, d := range p.plane.Drivers() {
			waiting = waiting || d.Waiting != ""
		}
		if !waiting && !changed {
			return
		}
		time.Sleep(time.Millisecond)
	}
	t.Fatalf("drivers still do not answer: %+v", p.plane.Drivers())
}

// run lives until a time, hour by hour, and lets every answer arrive.
func (p *patient) run(t *testing.T, to time.Time) {
	t.Helper()
	for p.clock.Now().Before(to) {
		now := p.clock.Now().Add(time.Hour)
		if err := p.sim.Advance(t.Context(), now); err != nil {
			t.Fatal(err)
		}
		p.clock.Set(now)
		if err := p.plane.Tick(t.Context()); err != nil {
			t.Fatal(err)
		}
		p.settle(t)
	}
}

// TestAStoppedDriverHoldsUpNothingElse: with any driver stopped, before it answers or in
// the middle of a change, readers read, commands are carried out, the loop ticks, and what
// happens in another fabric is found and locked down. When it goes on, so does all else.
func TestAStoppedDriverHoldsUpNothingElse(t *testing.T) {
	first := func(p *patient) *stopped {
		var id string
		p.plane.View(func(s *book.State) {
			up := s.Nodes.By[node.Delivered].Slice()
			id = s.Site.Fabrics[s.Site.FabricOf(site.PortOf(up[0], 0))].ID
		})
		return p.fabrics[id]
	}
	for name, of := range map[string]func(p *patient) *gate{
		"a fabric before it answers":         func(p *patient) *gate { return &first(p).asked },
		"a fabric in the middle of a change": func(p *patient) *gate { return &first(p).done },
		"the nodes before they answer":       func(p *patient) *gate { return &p.nodes.asked },
		"the nodes in the middle of a step":  func(p *patient) *gate { return &p.nodes.done },
		"the storage":                        func(p *patient) *gate { return &p.volumes.asked },
	} {
		t.Run(name, func(t *testing.T) {
			p := newPatient(t)
			p.run(t, time.Date(2026, 5, 2, 12, 0, 0, 0, time.UTC))
			before := delivered(p.plane)
			if before == 0 {
				t.Fatal("nothing was delivered")
			}
			g := of(p)
			g.close()
			// Work for every driver: a node of the lease fails, so that it is replaced.
			var failed, other site.Index
			p.plane.View(func(s *book.State) {
				up := s.Nodes.By[node.Delivered].Slice()
				failed, other = up[0], up[1]
			})
			p.submit(t, p.plane, book.ReportHealth{Items: []book.HealthItem{{Node: failed, Class: sim.ReturnToVendor, Failed: true}}})
			for _, nic := range []int{0, p.lastNIC(other)} { // a leak in the fabric of the first, and in another
				if err := p.sim.Inject(t.Context(), p.clock.Now(), sim.Fault{Kind: sim.Misconfigured, Node: other, NIC: nic, Label: 77}); err != nil {
					t.Fatal(err)
				}
			}
			for range 3 {
				now := p.clock.Now().Add(time.Hour)
				if err := p.sim.Advance(t.Context(), now); err != nil {
					t.Fatal(err)
				}
				p.clock.Set(now)
				if err := p.plane.Tick(t.Context()); err != nil {
					t.Fatal(err)
				}
				p.hearOthers(t)
			}
			if g.held.Load() == 0 {
				t.Fatal("nothing was asked of the driver that is stopped")
			}
			r, err := p.plane.Submit(t.Context(), "", book.Cordon{Node: p.sim.Site().NodeID[other], Reason: "test", By: "test"})
			if err != nil {
				t.Fatal(err)
			}
			if p.plane.Position() < r.Entry {
				t.Errorf("readers see entry %d, the command wrote %d", p.plane.Position(), r.Entry)
			}
			unknowns(p.plane)
			p.plane.Plan(t.Context())
			if err := p.plane.Wait(t.Context(), r.Entry); err != nil {
				t.Fatal(err)
			}
			drifted := false
			for e, err := range p.log.Read(t.Context(), 1) {
				if err != nil {
					t.Fatal(err)
				}
				drifted = drifted || e.Kind == fabric.KindLocked
			}
			if !drifted {
				t.Error("a leak in another fabric was not locked down")
			}
			waiting := 0
			for _, d := range p.plane.Drivers() {
				if d.Waiting != "" {
					waiting++
				}
			}
			if waiting != 1 {
				t.Errorf("expected one driver that is waited for: %+v", p.plane.Drivers())
			}
			g.open()
			p.settle(t)
			p.run(t, p.clock.Now().Add(12*time.Hour))
			if after := delivered(p.plane); after != before {
				t.Errorf("%d slots are up, %d were before", after, before)
			}
			p.plane.View(func(s *book.State) {
				if s.Control.Brake != nil || len(s.Drifted) > 0 || len(s.Unread) > 0 {
					t.Errorf("brake %+v, locked %v, unread %v", s.Control.Brake, s.Drifted, s.Unread)
				}
			})
		})
	}
}

// hearOthers hears until only those are waited for that are stopped.
func (p *patient) hearOthers(t *testing.T) {
	t.Helper()
	quiet := 0
	for range 10_000 {
		changed, err := p.plane.Hear(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		waiting := 0
		for _, d := range p.plane.Drivers() {
			if d.Waiting != "" {
				waiting++
			}
		}
		if quiet++; changed || waiting > 1 {
			quiet = 0
		}
		if quiet > 20 {
			return
		}
		time.Sleep(time.Millisecond)
	}
	t.Fatalf("more than one driver does not answer: %+v", p.plane.Drivers())
}

// lastNIC is a NIC of a node in another fabric than that of its first.
func (p *patient) lastNIC(n site.Index) int {
	nics := p.sim.Site().NICsOf(n)
	return nics[len(nics)-1]
}

// TestSilenceIsToldOf: a plane whose driver is silent says so.
func TestSilenceIsToldOf(t *testing.T) {
	p := newPatient(t)
	p.run(t, p.clock.Now().Add(2*time.Hour))
	if err := p.plane.Ready(); err != nil {
		t.Fatalf("all answer: %v", err)
	}
	for _, d := range p.fabrics {
		d.asked.close()
		break
	}
	if err := p.plane.Tick(t.Context()); err != nil {
		t.Fatal(err)
	}
	p.submit(t, p.plane, book.RegisterTenant{Tenant: "late", Name: "Late"})
	held := strings.Join(p.plane.Plan(t.Context()).Deferred, "\n")
	if len(p.plane.Drivers()) < 2 {
		t.Errorf("drivers %+v, held %s", p.plane.Drivers(), held)
	}
}

// TestALookOnItsWayIsNoSilence: while a look is asked for and not answered, what was read
// longer ago than it counts for is proven no more, and is called silent only when the look
// itself was asked for as long ago. An answer that comes before leaves no trace of it.
func TestALookOnItsWayIsNoSilence(t *testing.T) {
	p := newPatient(t)
	p.run(t, time.Date(2026, 5, 2, 12, 0, 0, 0, time.UTC))
	var leased lease.ID
	p.plane.View(func(s *book.State) { leased = s.LeaseOn(s.Nodes.By[node.Delivered].Slice()[0]).ID })
	pass := func(by time.Duration) {
		t.Helper()
		now := p.clock.Now().Add(by)
		if err := p.sim.Advance(t.Context(), now); err != nil {
			t.Fatal(err)
		}
		p.clock.Set(now)
		if err := p.plane.Tick(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	isolation := func() prove.Verdict {
		now, _ := p.plane.Isolation(leased)
		return now.Verdict
	}
	before := p.kinds(t)
	for _, d := range p.fabrics {
		d.asked.close()
	}
	pass(10 * time.Minute) // asked, and not answered
	pass(10 * time.Minute) // what was read before counts no more
	if got := isolation(); got != prove.Unknown {
		t.Errorf("nothing was read for 20 minutes, and isolation is %s", got)
	}
	if n := p.kinds(t)[fabric.KindUnread] - before[fabric.KindUnread]; n != 0 {
		t.Errorf("the look is on its way, and %d leaves are called silent", n)
	}
	p.openAll()
	p.settle(t)
	pass(time.Minute)
	p.settle(t)
	if got := isolation(); got != prove.Proven {
		t.Errorf("the answer has come, and isolation is %s", got)
	}
	if n := p.kinds(t)[fabric.KindUnread] - before[fabric.KindUnread]; n != 0 {
		t.Errorf("the answer has come, and %d leaves were called silent", n)
	}

	for _, d := range p.fabrics {
		d.asked.close()
	}
	pass(10 * time.Minute)
	pass(20 * time.Minute)
	if n := p.kinds(t)[fabric.KindUnread] - before[fabric.KindUnread]; n == 0 {
		t.Error("a look has not been answered for longer than the window, and nothing is called silent")
	}
}
