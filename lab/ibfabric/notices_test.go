package ibfabric_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"bulkhead/fabric/infiniband/mad"
	"bulkhead/fabric/infiniband/opensm"
	"bulkhead/fabric/infiniband/smp"
	"bulkhead/fabric/infiniband/umad"
	"bulkhead/lab/await"
	"bulkhead/lab/ibnet"
)

// heard collects what a listener's transport gives it.
type heard struct {
	*umad.SimPort
	mu      sync.Mutex
	numbers []uint16
}

func (h *heard) Recv(p *mad.Packet) (bool, error) {
	lost, err := h.SimPort.Recv(p)
	if report, bad := mad.ParseReport(p); err == nil && !lost && bad == nil {
		h.mu.Lock()
		h.numbers = append(h.numbers, report.Notice.Number)
		h.mu.Unlock()
	}
	return lost, err
}

func (h *heard) has(number uint16) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Contains(h.numbers, number)
}

// listen subscribes at a host until the test ends.
func listen(t *testing.T, s *ibnet.Sim, at string) (*opensm.Listener, *heard) {
	t.Helper()
	c := client(t, s, at)
	port, err := umad.OpenSim(umad.SimOptions{Socket: s.Name, Host: at})
	if err != nil {
		t.Fatal(err)
	}
	h := &heard{SimPort: port}
	l := opensm.NewListener(h, opensm.ListenerOptions{
		Renew:   100 * time.Millisecond,
		Manager: func(ctx context.Context) (uint16, error) { return c.ManagerLID(ctx, smp.Keys{}) },
		Say:     func(subscribed bool, why error) { t.Logf("%s is subscribed: %t %v", at, subscribed, why) },
	})
	t.Cleanup(func() { _ = l.Close() })
	ctx, cancel := context.WithTimeout(t.Context(), await.Patience)
	defer cancel()
	if err := l.Wait(ctx, 0); err != nil || !l.Subscribed() {
		t.Fatalf("the subscription: %v, %t", err, l.Subscribed())
	}
	return l, h
}

// TestNoticesReachWhoSubscribes: what devices tell OpenSM reaches a host that has
// subscribed, through OpenSM. A limited member of the default partition hears
// switches; what an adapter says itself only a full member hears.
func TestNoticesReachWhoSubscribes(t *testing.T) {
	f, s := start(t, small)
	s.StartOpenSM(t, host(0), partitions()+fmt.Sprintf("Default=0x7fff : 0x%x=full ;\n", ibnet.HostPortGUID(7)), "-s", "2")
	allActive(t, f, small)
	await.Must(t, "the tenants' keys", func() bool { k, _ := f.Keys(host(6), 1); return slices.Contains(k, 0x8002) })
	await.Must(t, "host 7 to be a full member", func() bool { k, _ := f.Keys(host(7), 1); return slices.Contains(k, mad.DefaultPKey) })
	_, limited := listen(t, s, host(3))
	_, full := listen(t, s, host(7))

	// saquery reads what OpenSM took the subscriptions for.
	out, err := s.Tool(t, host(0), "saquery", "IIR")
	if err != nil || strings.Count(out, "InformInfoRecord dump") != 2 {
		t.Fatalf("saquery IIR: %v\n%s", err, out)
	}
	for _, r := range strings.Split(out, "InformInfoRecord dump:")[1:] {
		for name, want := range map[string]uint64{"lid_range_begin": mad.EveryLID, "lid_range_end": 0, "is_generic": 1, "subscribe": 1,
			"trap_type": mad.EveryTrap, "trap_num": mad.EveryTrap, "resp_time_val": 19, "node_type": mad.EveryProducer} {
			if got := number(t, r, name); got != want {
				t.Errorf("%s is 0x%x, saquery says 0x%x", name, want, got)
			}
		}
	}

	// A packet under another's key stops at the leaf of who sends it.
	if d := f.Probe(host(1), host(4), 0x8002, true); d.Where != "leaf in" {
		t.Fatalf("%+v", d)
	}
	await.Must(t, "trap 259 at both", func() bool { return limited.has(mad.TrapBadPKeySwitch) && full.has(mad.TrapBadPKeySwitch) })
	// Two limited members of the default partition: the receiver's adapter drops it.
	if d := f.Probe(host(1), host(4), 0x7fff, true); d.Where != "receiver" {
		t.Fatalf("%+v", d)
	}
	await.Must(t, "trap 257 at the full member", func() bool { return full.has(mad.TrapBadPKey) })
	if err := f.Pull(ibnet.LeafName(1), 3); err != nil { // host 6
		t.Fatal(err)
	}
	await.Must(t, "trap 128 at both", func() bool { return limited.has(mad.TrapLinkStateChange) && full.has(mad.TrapLinkStateChange) })
	// Traps come in the order in which they were sent, and 257 was sent before.
	if limited.has(mad.TrapBadPKey) {
		t.Error("a limited member heard what an adapter said of itself: then the driver's documentation is wrong")
	}
}

// TestSubscriptionSurvivesTheManager: a manager that starts again has forgotten its
// subscribers; the next renewal is taken, and notices come through again.
func TestSubscriptionSurvivesTheManager(t *testing.T) {
	f, s := start(t, small)
	first := s.StartOpenSM(t, host(0), partitions(), "-s", "2")
	allActive(t, f, small)
	l, h := listen(t, s, host(7))
	if err := first.Kill(); err != nil {
		t.Fatal(err)
	}
	await.Must(t, "the subscription to be lost", func() bool { return !l.Subscribed() })
	before := l.Count()
	s.StartOpenSM(t, host(0), partitions(), "-s", "2")
	await.Must(t, "the subscription to be back", l.Subscribed)
	if l.Count() <= before {
		t.Error("a subscription that begins anew is no reason to look")
	}
	await.Must(t, "trap 259", func() bool {
		f.Probe(host(1), host(4), 0x8002, true)
		return h.has(mad.TrapBadPKeySwitch)
	})
}
