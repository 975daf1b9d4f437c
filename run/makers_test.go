package run_test

import (
	"math/big"
	"strings"
	"testing"
	"time"

	"bulkhead/book"
	"bulkhead/lease"
	"bulkhead/meter"
	"bulkhead/prove"
	"bulkhead/sim"
	"bulkhead/site"
)

// TestATenantEarnsNothingAtItsOwnPort: a tenant that plugs something else in behind its
// port, or writes a rival's label into its own adapter, is locked down like any other, and
// is credited nothing. What the owner does at one port is credited as that port's share.
func TestATenantEarnsNothingAtItsOwnPort(t *testing.T) {
	w := imported(t)
	p := w.lease(t, w.sim.Storage(), 2)
	var l *book.Lease
	p.View(func(s *book.State) { l, _ = s.LeaseByID("tidewater/w1") })
	began := len(l.Events)
	cabled, labelled, owners := l.Slots[0], l.Slots[1], l.Slots[2]
	w.inject(t, sim.Fault{Kind: sim.Miscabled, Node: cabled, NIC: 3})
	w.inject(t, sim.Fault{Kind: sim.Misconfigured, Node: labelled, NIC: 2, Side: "nic", Label: 0x123})
	w.inject(t, sim.Fault{Kind: sim.Unenforced, Node: owners, NIC: 4})
	// The owner's leaf and what is plugged in behind it: once the leaf is mended it is no
	// more the owner's.
	w.inject(t, sim.Fault{Kind: sim.Unenforced, Node: l.Slots[3], NIC: 5})
	w.inject(t, sim.Fault{Kind: sim.Miscabled, Node: l.Slots[3], NIC: 5})
	w.live(t, p, 3)
	p.View(func(s *book.State) {
		now, _ := s.LeaseByID("tidewater/w1")
		if lock := s.Drifted[site.PortOf(now.Slots[3], 5)]; lock.Maker != prove.ByEither {
			t.Errorf("a port that stays red when the owner has mended its leaf: %+v", lock)
		}
	})
	w.inject(t, sim.Fault{Kind: sim.Cleared})
	w.live(t, p, 6)
	// The owner's leaf does not answer for hours: a port of each node behind it.
	p.View(func(s *book.State) {
		w.inject(t, sim.Fault{Kind: sim.LeafDown, Leaf: s.Site.LeafOf(site.PortOf(owners, 1)), For: 5 * time.Hour})
	})
	w.live(t, p, 9)
	p.View(func(s *book.State) { l, _ = s.LeaseByID("tidewater/w1") })
	want := map[string]lease.Ports{"0": {Either: 1}, "1": {Either: 1}, "2": {Owner: 1}}
	seen := map[string]lease.Ports{}
	var owed, eithers int64              // port-seconds
	last := map[site.Index]meter.Event{} // of each slot
	for _, e := range l.Events[began:] {
		set, err := site.ParseSet(e.Slots, len(l.Slots))
		if err != nil {
			t.Fatal(err)
		}
		for slot := range set.All() {
			if was := last[slot]; was.State == meter.IsolationUnproven {
				owed += int64(was.Ports.Owner) * (e.At.Unix() - was.At.Unix())
				eithers += int64(was.Ports.Either) * (e.At.Unix() - was.At.Unix())
			}
			last[slot] = e
			if name := string(rune('0' + slot)); e.State == meter.IsolationUnproven && seen[name] == (lease.Ports{}) {
				seen[name] = e.Ports
			}
		}
	}
	for slot, ports := range want {
		if seen[slot] != ports {
			t.Errorf("slot %s is billed for %+v, expected %+v: %+v", slot, seen[slot], ports, l.Events[began:])
		}
	}
	if owed < 3600 || eithers < 3*3600 {
		t.Fatalf("%d port-seconds by the owner, %d by either: nothing lasted: %+v", owed, eithers, l.Events[began:])
	}
	var in meter.Input
	p.View(func(s *book.State) {
		period, err := meter.Month("America/Los_Angeles", 2026, time.May)
		must(t, err)
		in = meter.Input{Versions: s.Contracts["tidewater"].Versions, Events: s.UsageEvents("tidewater"), Period: period, Number: "x"}
	})
	bill, err := meter.RateInput(in)
	must(t, err)
	// One GPU of the eight for each port, for as long as it was not proven, at 3.95 an hour.
	share := big.NewRat(-395, 100)
	share.Mul(share, big.NewRat(owed, 3600))
	credited := ""
	for _, line := range bill.Lines {
		if strings.HasPrefix(line.ID, "sla/isolation-proven") {
			credited += line.Amount
		}
	}
	if credited != share.FloatString(2) {
		t.Errorf("credited %s, expected %s: the owner's ports alone, each as a port\n%s", credited, share.FloatString(2), bill.Text())
	}
}
