package evpn_test

import (
	"context"
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"bulkhead/fabric"
	"bulkhead/fabric/ethernet"
	"bulkhead/fabric/fabrictest"
	"bulkhead/site"
)

func TestConformance(t *testing.T) {
	fabrictest.Run(t, func(*testing.T) *fabrictest.Fixture {
		s := fabrictest.NewSite(2, 3, site.RoCE)
		d, leaves, _ := newDriver(s, 1)
		return &fabrictest.Fixture{Driver: d, Site: s, Fabric: 1,
			SetReachable: func(l site.Leaf, reachable bool) {
				leaves[l].mu.Lock()
				defer leaves[l].mu.Unlock()
				leaves[l].down = !reachable
			},
			SetFailing: func(p site.Port, failing bool) {
				l := leaves[s.LeafOf(p)]
				l.mu.Lock()
				defer l.mu.Unlock()
				l.failing[s.LeafPort(p)] = failing
			},
			Tamper: func(p site.Port, row fabric.Row) { leaves[s.LeafOf(p)].put(s.LeafPort(p), row) },
		}
	})
}

func observe(t *testing.T, d fabric.Driver, since uint64) fabric.Observation {
	t.Helper()
	o, err := d.Observe(t.Context(), fabric.Scope{Since: since})
	if err != nil {
		t.Fatal(err)
	}
	return o
}

// TestReadsWhatChanged: with a cursor only leaves are read of which their agent or
// the collector has news.
func TestReadsWhatChanged(t *testing.T) {
	s := fabrictest.NewSite(4, 4, site.RoCE)
	d, leaves, h := newDriver(s, 1)
	o := observe(t, d, 0)
	if len(o.Devices) != len(leaves) {
		t.Fatalf("%d devices, expected %d", len(o.Devices), len(leaves))
	}
	reads := func() (n int) {
		for _, l := range leaves {
			n += l.reads
		}
		return n
	}
	before := reads()
	o = observe(t, d, o.Cursor)
	if len(o.Devices) != 0 || reads() != before {
		t.Fatalf("nothing changed, and %d devices are listed, %d read", len(o.Devices), reads()-before)
	}
	leaves[3].put(2, fabric.Compile(site.RoCE, 5001))
	o = observe(t, d, o.Cursor)
	if len(o.Devices) != 1 || o.Devices[0].Leaf != 3 || reads() != before+1 {
		t.Fatalf("one leaf changed: %d devices, %d reads", len(o.Devices), reads()-before)
	}
	vtep := ethernet.VTEP(1, 2)
	h.put(vtep, ethernet.Route{Kind: 2, VNI: 5000, MAC: 1, Targets: []ethernet.Target{ethernet.TargetOf(5000)}, Originator: vtep})
	o = observe(t, d, o.Cursor)
	if len(o.Devices) != 1 || o.Devices[0].Leaf != 2 {
		t.Fatalf("one leaf's routes changed: %d devices", len(o.Devices))
	}
	readings, err := ethernet.Read(s, 2, o.Devices[0].Raw)
	if err != nil || readings[0].Faults != fabric.FaultForged {
		t.Fatalf("a MAC that is not behind the leaf: %+v, %v", readings, err)
	}
}

// TestAwaits: a change at a leaf, of a route, and a cursor that is not the newest
// end the waiting; nothing else does.
func TestAwaits(t *testing.T) {
	s := fabrictest.NewSite(2, 2, site.RoCE)
	d, leaves, h := newDriver(s, 1)
	for name, change := range map[string]func(){
		"nothing":           func() {},
		"a leaf":            func() { leaves[3].put(1, fabric.Compile(site.RoCE, 5003)) },
		"a route":           func() { h.put(ethernet.VTEP(1, 2)) },
		"a stranger's":      func() { h.put(netip.MustParseAddr("10.65.0.200")) },
		"an earlier cursor": nil,
	} {
		cursor := observe(t, d, 0).Cursor
		if change == nil {
			cursor--
		}
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		if change != nil {
			time.AfterFunc(10*time.Millisecond, change)
		}
		err := d.Await(ctx, cursor)
		cancel()
		if want := name != "nothing"; want != (err == nil) {
			t.Errorf("%s: await gave %v", name, err)
		}
	}
}

// TestASilentLeafIsNoReasonToLook: of a leaf that does not answer there may be news of its
// routes, and something to learn; neither ends the waiting again and again.
func TestASilentLeafIsNoReasonToLook(t *testing.T) {
	s := fabrictest.NewSite(2, 2, site.RoCE)
	d, leaves, h := newDriver(s, 1)
	d.Learning = time.Millisecond
	leaves[0].put(1, fabric.Compile(site.RoCE, 5001))
	leaves[1].put(1, fabric.Compile(site.RoCE, 5001))
	leaves[0].mu.Lock()
	leaves[0].deaf = map[netip.Addr]bool{ethernet.VTEP(1, 1): true}
	leaves[0].mu.Unlock()
	observe(t, d, 0)
	leaves[0].mu.Lock()
	leaves[0].down = true
	leaves[0].mu.Unlock()
	h.put(ethernet.VTEP(1, 0))
	time.Sleep(2 * d.Learning)
	cursor := observe(t, d, 0).Cursor
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if err := d.Await(ctx, cursor); err == nil {
		t.Error("a leaf that does not answer ends the waiting at once")
	}
}

// TestDeafCollector: without the collector's word a leaf that carries VNIs can't be
// judged, and one that carries none can as long as some reflector is heard. Where every
// reflector says that it announces nothing, it is known to be cut off.
func TestDeafCollector(t *testing.T) {
	s := fabrictest.NewSite(1, 2, site.RoCE)
	d, leaves, h := newDriver(s, 1)
	leaves[0].put(1, fabric.Compile(site.RoCE, 5000))
	judge := func(l site.Leaf) error {
		for _, dev := range observe(t, d, 0).Devices {
			if dev.Leaf == l {
				_, err := ethernet.Read(s, l, dev.Raw)
				return err
			}
		}
		return errors.New("not listed")
	}
	h.put(ethernet.VTEP(1, 0))
	h.put(ethernet.VTEP(1, 1))
	if judge(0) == nil {
		t.Error("a leaf with a VNI announces nothing, and counts as read")
	}
	h.mu.Lock()
	h.all = true
	h.mu.Unlock()
	for _, dev := range observe(t, d, 0).Devices {
		if dev.Leaf != 0 {
			continue
		}
		if r, err := ethernet.Read(s, 0, dev.Raw); err != nil || r[0].Faults != fabric.FaultUnannounced {
			t.Errorf("no reflector hears of a leaf's VNI: %v, %v, expected that it is unannounced", r, err)
		}
	}
	h.mu.Lock()
	h.all = false
	h.mu.Unlock()
	if err := judge(1); err != nil {
		t.Errorf("a leaf that has nothing to announce: %v", err)
	}
	o := observe(t, d, 0)
	h.mu.Lock()
	h.complete = false
	h.mu.Unlock()
	if o = observe(t, d, o.Cursor); len(o.Devices) != len(leaves)-1 {
		t.Errorf("the collector is deaf, and %d of %d leaves are listed", len(o.Devices), len(leaves)-1)
	}
	if judge(1) == nil {
		t.Error("nobody is heard, and a leaf counts as read")
	}
	p, err := d.Posture(t.Context())
	if err != nil || len(p.Failed()) != 1 || !strings.Contains(p.Failed()[0], "session") {
		t.Errorf("posture of a deaf collector: %v, %v", p.Failed(), err)
	}
}

// TestStrangerInTheRoutes: a next hop that is no leaf breaks the posture until it is
// gone.
func TestStrangerInTheRoutes(t *testing.T) {
	s := fabrictest.NewSite(1, 2, site.RoCE)
	d, _, h := newDriver(s, 1)
	rogue := netip.MustParseAddr("10.65.0.200")
	h.put(rogue, ethernet.Route{Kind: 3, VNI: 5000, Targets: []ethernet.Target{ethernet.TargetOf(5000)}, Originator: rogue})
	observe(t, d, 0)
	p, err := d.Posture(t.Context())
	if err != nil || len(p.Failed()) != 1 || !strings.Contains(p.Failed()[0], "10.65.0.200 announces 1") {
		t.Fatalf("posture with a stranger: %v, %v", p.Failed(), err)
	}
	h.put(rogue)
	observe(t, d, 0)
	if p, err = d.Posture(t.Context()); err != nil || len(p.Failed()) != 0 {
		t.Fatalf("posture after the stranger left: %v, %v", p.Failed(), err)
	}
}

// TestNewWriterIsShownToAll: an older writer is refused at leaves that the newer one
// has not written yet, also by another driver.
func TestNewWriterIsShownToAll(t *testing.T) {
	s := fabrictest.NewSite(2, 2, site.RoCE)
	d, leaves, _ := newDriver(s, 1)
	port := func(l site.Leaf) site.Port { p, _ := s.PortAt(l, 1); return p }
	change := func(l site.Leaf) fabric.Change {
		return fabric.NewChange("compute", []fabric.PortRow{{Port: port(l), Row: fabric.Compile(site.RoCE, 5000)}})
	}
	old := newOver(d) // it has written, so it asks only the leaves that it writes
	if _, err := old.Apply(t.Context(), change(0), fabric.Fence{Term: 1, Generation: 1}); err != nil {
		t.Fatal(err)
	}
	leaves[4].down = true
	if _, err := d.Apply(t.Context(), change(0), fabric.Fence{Term: 2, Generation: 1}); err != nil {
		t.Fatal(err)
	}
	refuses := func(l site.Leaf) {
		t.Helper()
		if _, err := old.Apply(context.Background(), change(l), fabric.Fence{Term: 1, Generation: 900}); !errors.Is(err, fabric.ErrFenced) {
			t.Errorf("leaf %d took an older writer's change: %v", l, err)
		}
	}
	for _, l := range []site.Leaf{0, 1, 3} {
		refuses(l)
	}
	// One that was out of reach then is shown it as soon as it answers.
	observe(t, d, 0)
	leaves[4].down = false
	observe(t, d, 0)
	refuses(4)
	// Who only looks shows nobody anything.
	observe(t, newOver(d), 0)
	if f := leaves[4].fence; f != (fabric.Fence{Term: 2, Generation: 1}) {
		t.Errorf("leaf 4 has seen %s", f)
	}
}
