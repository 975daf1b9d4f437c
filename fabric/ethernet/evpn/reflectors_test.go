package evpn_test

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"bulkhead/fabric"
	"bulkhead/fabric/ethernet"
	"bulkhead/fabric/ethernet/evpn"
	"bulkhead/fabric/fabrictest"
	"bulkhead/site"
)

// reflector keeps orders in memory and says so.
type reflector struct {
	mu     sync.Mutex
	orders ethernet.Orders
	fence  fabric.Fence
	open   []string
	down   bool
	always map[netip.Addr][]ethernet.Target // passed on whatever is ordered
	most   int                              // targets of one port at a time
}

func (r *reflector) Allow(_ context.Context, orders ethernet.Orders, more bool, f fabric.Fence) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.down {
		return errDown
	}
	if err := f.Admit(r.fence); err != nil {
		return err
	}
	r.fence = f
	for leaf, ports := range orders {
		if r.orders[leaf] == nil {
			r.orders[leaf] = map[int][]uint32{}
		}
		for port, vnis := range ports {
			if more {
				vnis = append(slices.Clone(vnis), r.orders[leaf][port]...)
			}
			slices.Sort(vnis)
			r.orders[leaf][port] = slices.Compact(vnis)
			r.most = max(r.most, len(r.orders[leaf][port]))
		}
	}
	return nil
}

// Changes is what is passed on, as a number.
func (r *reflector) Changes(ctx context.Context) (uint64, error) {
	p, err := r.Passes(ctx)
	h := fnv.New64a()
	fmt.Fprintf(h, "%v", p)
	return h.Sum64(), err
}

func (r *reflector) Await(ctx context.Context, number uint64) error {
	for {
		if n, err := r.Changes(ctx); err != nil || n != number {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Millisecond):
		}
	}
}

func (r *reflector) Passes(context.Context) (ethernet.Passed, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.down {
		return ethernet.Passed{}, errDown
	}
	p := ethernet.Passed{Targets: map[netip.Addr][]ethernet.Target{}, Open: r.open}
	for leaf, ports := range r.orders {
		for _, vnis := range ports {
			for _, v := range vnis {
				p.Targets[leaf] = append(p.Targets[leaf], ethernet.TargetOf(v))
			}
		}
	}
	p.Ordered = map[netip.Addr][]ethernet.Target{}
	for leaf, targets := range p.Targets {
		p.Ordered[leaf] = slices.Clone(targets)
	}
	for leaf, targets := range r.always {
		p.Targets[leaf] = append(p.Targets[leaf], targets...)
	}
	for leaf := range p.Targets {
		slices.Sort(p.Targets[leaf])
		p.Targets[leaf] = slices.Compact(p.Targets[leaf])
	}
	return p, nil
}

// Reflectors are told of a label before the port has it and until it has it no more;
// what they pass on beyond that breaks the posture, what they stop is a fault of the
// port, and one that can't be asked is not taken for good.
func TestReflectorsFollowRows(t *testing.T) {
	s := fabrictest.NewSite(1, 2, site.RoCE)
	d, leaves, h := newDriver(s, 1)
	at, other := ethernet.Reflector(1, 1), ethernet.Reflector(1, 2)
	one, two := &reflector{orders: ethernet.Orders{}}, &reflector{orders: ethernet.Orders{}}
	d.Reflectors = map[netip.Addr]evpn.Reflector{at: one, other: two}
	port, _ := s.PortAt(0, 1)
	vtep := ethernet.VTEP(1, 0)
	h.put(vtep, ethernet.Route{Kind: 3, VNI: 5000, Targets: []ethernet.Target{ethernet.TargetOf(5000)}, Originator: vtep})
	apply := func(value uint32, term uint64) error {
		r, err := d.Apply(t.Context(), fabric.NewChange("compute", []fabric.PortRow{{Port: port, Row: fabric.Compile(site.RoCE, value)}}), fabric.Fence{Term: term})
		if err == nil && len(r.Failed) > 0 {
			err = errors.New(r.Failed[0].Error)
		}
		return err
	}
	faults := func() fabric.Faults {
		t.Helper()
		for _, dev := range observe(t, d, 0).Devices {
			if dev.Leaf == 0 {
				readings, err := ethernet.Read(s, 0, dev.Raw)
				if err != nil {
					t.Fatal(err)
				}
				return readings[0].Faults
			}
		}
		t.Fatal("the leaf is not listed")
		return 0
	}
	failed := func(want string) {
		t.Helper()
		observe(t, d, 0)
		p, err := d.Posture(t.Context())
		if said := strings.Join(p.Failed(), "; "); err != nil || (said == "") != (want == "") || !strings.Contains(said, want) {
			t.Fatalf("posture %v (%v), expected %q", p.Failed(), err, want)
		}
	}
	if err := apply(5001, 2); err != nil {
		t.Fatal(err)
	}
	h.put(vtep)
	h.put(vtep, ethernet.Route{Kind: 3, VNI: 5000, Targets: []ethernet.Target{ethernet.TargetOf(5000)}, Originator: vtep})
	if err := apply(5000, 2); err != nil || one.most != 2 || !slices.Equal(one.orders[vtep][1], []uint32{5000}) {
		t.Fatalf("%v; a port that changes has %d labels, afterwards %v", err, one.most, one.orders[vtep][1])
	}
	if f := faults(); f != 0 {
		t.Fatalf("faults %05b", f)
	}
	failed("")
	// One stops the label's routes: the port's fault, until it is written again.
	delete(two.orders, vtep)
	if f := faults(); f != fabric.FaultPolicy {
		t.Fatalf("a reflector stops its routes: faults %05b", f)
	}
	if err := apply(5000, 2); err != nil || faults() != 0 {
		t.Fatalf("written again: %v, faults %05b", err, faults())
	}
	// A leaf that fails keeps what it may still carry.
	leaves[0].failing[1] = true
	if err := apply(5002, 2); err == nil || !slices.Equal(one.orders[vtep][1], []uint32{5000, 5002}) {
		t.Fatalf("a port that fails: %v, %v", err, one.orders[vtep][1])
	}
	failed("") // a change that is not at its end keeps nobody else waiting
	leaves[0].failing[1] = false
	if err := apply(5000, 2); err != nil || faults() != 0 {
		t.Fatal(err)
	}
	failed("")
	one.open = []string{"route map to-leaves is gone"}
	failed("to-leaves is gone")
	one.open, one.always = nil, map[netip.Addr][]ethernet.Target{netip.MustParseAddr("10.65.0.200"): {ethernet.TargetOf(5000)}}
	failed("10.65.255.1 passes on 65000:5000 of 10.65.0.200, which nobody ordered")
	one.always, one.down = nil, true
	failed("can't be read")
	if err := apply(5000, 2); err != nil || faults() != 0 {
		t.Fatalf("one reflector is away: %v", err)
	}
	one.down, two.fence = false, fabric.Fence{Term: 9}
	if err := apply(5000, 2); !errors.Is(err, fabric.ErrFenced) {
		t.Fatalf("an older writer: %v", err)
	}
}

// Who waits hears that a reflector changed, by whomever, and hears nothing of one that did
// not; after a look it waits again.
func TestReflectorsWakeWhoWaits(t *testing.T) {
	s := fabrictest.NewSite(1, 2, site.RoCE)
	d, _, _ := newDriver(s, 1)
	one := &reflector{orders: ethernet.Orders{}}
	d.Reflectors = map[netip.Addr]evpn.Reflector{ethernet.Reflector(1, 1): one}
	set := func(change func()) {
		one.mu.Lock()
		defer one.mu.Unlock()
		change()
	}
	waits := func(when string, woken bool) {
		t.Helper()
		cursor := observe(t, d, 0).Cursor
		patience := time.Minute
		if !woken {
			patience = 100 * time.Millisecond
		}
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		change := time.AfterFunc(10*time.Millisecond, func() {
			if woken {
				set(func() { one.open = append(one.open, "a map is gone") })
			}
		})
		defer change.Stop()
		if err := d.Await(ctx, cursor); (err == nil) != woken {
			t.Errorf("%s: %v", when, err)
		}
	}
	observe(t, d, 0)
	waits("nothing changed", false)
	waits("it changed", true)
	waits("looked at", false)
	p, err := d.Posture(t.Context())
	if err != nil || !strings.Contains(fmt.Sprint(p.Failed()), "a map is gone") {
		t.Errorf("woken and looked: %v, %v", p.Failed(), err)
	}
}
