package run_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"bulkhead/book"
	"bulkhead/contract"
	"bulkhead/examples"
	"bulkhead/keystore"
	"bulkhead/lease"
	"bulkhead/ledger"
	"bulkhead/ledger/memory"
	"bulkhead/meter"
	"bulkhead/node"
	"bulkhead/run"
	"bulkhead/sim"
	"bulkhead/site"
)

// mute is a driver of nodes that can be made to answer nothing.
type mute struct {
	node.Driver
	away bool
}

func (m *mute) Observe(ctx context.Context, since uint64) (node.Observation, error) {
	if m.away {
		return node.Observation{}, errors.New("no answer")
	}
	return m.Driver.Observe(ctx, since)
}

// stable is a world of the tiny site, with edits, in which nothing fails by itself and
// the flagship's first tranche runs. The policy's grace is five minutes, and a tenant
// has half an hour.
func stable(t *testing.T, gpus string, edits ...string) (*world, *run.Plane, *mute, *book.Lease) {
	t.Helper()
	read := func(name string, edits ...string) []byte {
		data, err := examples.Files.ReadFile("tiny/" + name)
		if err != nil {
			t.Fatal(err)
		}
		return []byte(strings.NewReplacer(edits...).Replace(string(data)))
	}
	template, err := site.ParseTemplate("site.yaml", read("site.yaml", append(edits, "poll: 10m", "poll: 1m")...))
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 4, 29, 0, 0, 0, 0, time.UTC)
	w := &world{log: memory.New(), clock: run.NewVirtualClock(at)}
	if w.keys, err = keystore.InMemory(strings.NewReader(strings.Repeat("0123456789abcdef", 64)), at); err != nil {
		t.Fatal(err)
	}
	config := sim.DefaultConfig(1, at)
	config.FailureRate, config.DeadShare, config.LiarShare, config.SlowShare = 0, 0, 0, 0
	if w.sim, err = sim.FromTemplate(template, config); err != nil {
		t.Fatal(err)
	}
	nodes := &mute{Driver: w.sim.Nodes()}
	p, err := run.Open(t.Context(), run.Config{Log: w.log, Signers: w.keys, Clock: w.clock, Writer: "test", Audit: book.CheckInvariants,
		Devices: run.Devices{Fabrics: w.sim.Fabrics(), Nodes: nodes, Storage: w.sim.Storage()}})
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Import(t.Context(), template, nil); err != nil {
		t.Fatal(err)
	}
	c, err := contract.Parse("flagship.yaml", read("flagship.yaml", "    gpus: 64\n", "    gpus: "+gpus+"\n"))
	if err != nil {
		t.Fatal(err)
	}
	w.submit(t, p, book.RegisterTenant{Tenant: "flagship", Name: "Northstar"})
	if _, err := p.Quote(t.Context(), "q", c, 0); err != nil {
		t.Fatal(err)
	}
	w.submit(t, p, book.SignQuote{Quote: "q", By: "test", Signed: contract.ByTenant("test")})
	w.until(t, p, time.Date(2026, 5, 1, 8, 0, 0, 0, time.UTC))
	var l *book.Lease
	p.View(func(s *book.State) { l, _ = s.LeaseByID("flagship/t1") })
	if l == nil || l.Delivered != len(l.Slots) {
		t.Fatalf("not delivered: %+v", l)
	}
	w.minutes(t, p, 1)
	return w, p, nodes, l
}

func (w *world) inject(t *testing.T, f sim.Fault) {
	t.Helper()
	if err := w.sim.Inject(t.Context(), w.clock.Now(), f); err != nil {
		t.Fatal(err)
	}
}

// told lists what a tenant was told after an entry of its own, by kind.
func (w *world) after(t *testing.T, scope string, entry uint64) (out []ledger.Entry) {
	t.Helper()
	for e, err := range w.log.Read(context.Background(), 1) {
		if err != nil {
			t.Fatal(err)
		}
		if e.Scope == scope && e.ScopeSeq > entry {
			out = append(out, e)
		}
	}
	return out
}

func kindsOf(entries []ledger.Entry) string {
	var kinds []string
	for _, e := range entries {
		if e.Kind == meter.KindObserved {
			continue // that devices were looked at is told by the clock
		}
		kinds = append(kinds, strings.TrimSuffix(e.Kind, "/1"))
	}
	return strings.Join(kinds, " ")
}

func scopeSize(p *run.Plane, scope string) (n uint64) {
	p.View(func(s *book.State) { n = s.Scopes[scope] })
	return n
}

// A node that is silent for two minutes stays where it is, whatever ails it; for longer
// than the grace, it is proposed for, and stays when it comes back before the deadline.
// What does not come back is swapped then.
func TestASilentNodeComesBack(t *testing.T) {
	w, p, _, l := stable(t, "64")
	slots := slices.Clone(l.Slots)
	scope := book.TenantScope("flagship")
	for _, c := range []struct {
		silent  time.Duration
		passed  int // minutes
		tells   string
		swapped bool
	}{
		{2 * time.Minute, 10, "lease.slots lease.slots", false},
		{4*time.Minute + 30*time.Second, 10, "lease.slots lease.slots", false},
		{20 * time.Minute, 60, "lease.slots lease.slots replacement.proposed lease.slots replacement.withdrawn", false},
		{34 * time.Minute, 60, "lease.slots lease.slots replacement.proposed lease.slots replacement.withdrawn", false},
		{14 * 24 * time.Hour, 40, "lease.slots lease.slots replacement.proposed replacement.acknowledged replacement.swapped node.moved node.moved", true},
	} {
		was := scopeSize(p, scope)
		w.inject(t, sim.Fault{Kind: sim.Silent, Node: slots[3], For: c.silent})
		w.minutes(t, p, c.passed)
		if got := kindsOf(w.after(t, scope, was)); !strings.HasPrefix(got, c.tells) || !c.swapped && got != c.tells {
			t.Errorf("silent for %s: its tenant is told %s, expected %s", c.silent, got, c.tells)
		}
		if (l.Slots[3] != slots[3]) != c.swapped {
			t.Errorf("silent for %s: the slot holds %d, it held %d", c.silent, l.Slots[3], slots[3])
		}
	}
	for slot, n := range l.Slots {
		if slot != 3 && n != slots[slot] {
			t.Errorf("slot %d holds %d, it held %d", slot, n, slots[slot])
		}
	}
}

// While the driver of nodes answers nothing, nobody knows: no silence becomes death, and
// no deadline swaps a node that may be well again.
func TestNothingIsSwappedUnseen(t *testing.T) {
	w, p, nodes, l := stable(t, "64")
	slots := slices.Clone(l.Slots)
	w.inject(t, sim.Fault{Kind: sim.Silent, Node: slots[0], For: 3 * time.Minute})
	w.inject(t, sim.Fault{Kind: sim.Silent, Node: slots[1], For: 20 * time.Minute})
	w.minutes(t, p, 2)
	nodes.away = true
	w.minutes(t, p, 8)
	p.View(func(s *book.State) {
		for _, n := range slots[:2] {
			if s.HealthOf(n) != book.Silent {
				t.Errorf("%s is %s, and nobody can say", s.Site.NodeID[n], s.HealthOf(n))
			}
		}
	})
	nodes.away = false
	w.minutes(t, p, 1)
	p.View(func(s *book.State) {
		if s.HealthOf(slots[0]) != book.Healthy || s.HealthOf(slots[1]) != book.Dead || len(s.Swaps) != 1 {
			t.Errorf("they are %s and %s, %d swaps", s.HealthOf(slots[0]), s.HealthOf(slots[1]), len(s.Swaps))
		}
	})
	nodes.away = true
	w.minutes(t, p, 60)
	p.View(func(s *book.State) {
		if !slices.Equal(l.Slots, slots) || len(s.Swaps) != 1 {
			t.Errorf("%d swaps are open, the slots hold %v, they held %v", len(s.Swaps), l.Slots, slots)
		}
	})
	if held := fmt.Sprint(p.Plan(t.Context()).Deferred); !strings.Contains(held, "1 proposed replacements are not made at their deadline") {
		t.Errorf("the plan says %s", held)
	}
	nodes.away = false
	w.minutes(t, p, 1)
	p.View(func(s *book.State) {
		if !slices.Equal(l.Slots, slots) || len(s.Swaps) != 0 {
			t.Errorf("%d swaps are open", len(s.Swaps))
		}
	})
}

// A node that is to take a slot and fails is let go, and another is proposed at once.
func TestAReplacementIsReplaced(t *testing.T) {
	w, p, _, l := stable(t, "64")
	ref := book.SlotRef{Lease: l.ID, Slot: 5}
	first := l.Slots[5]
	w.inject(t, sim.Fault{Kind: sim.Silent, Node: first})
	w.minutes(t, p, 7)
	var proposed site.Index
	p.View(func(s *book.State) { proposed = s.Swaps[ref].Node })
	w.inject(t, sim.Fault{Kind: sim.Silent, Node: proposed})
	w.minutes(t, p, 1)
	p.View(func(s *book.State) {
		if swap := s.Swaps[ref]; swap == nil || swap.Node == proposed || l.Slots[5] != first {
			t.Errorf("proposed is %+v, the slot holds %d", swap, l.Slots[5])
		}
	})
}

// Two of 500 nodes fail together: two slots change, nothing else. No other slot has
// another node, another rank or another line in what the tenant is given, while the two
// are empty and afterwards, and nothing is said of any other slot.
func TestTwoOfFiveHundredFail(t *testing.T) {
	var pods []string
	for i := range 9 {
		pods = append(pods, fmt.Sprintf("      - {id: a%d, fabric: roce, kind: H100, nodes: 64, sus: 8}", i+1))
	}
	w, p, _, l := stable(t, "4000", "      - {id: a1, fabric: roce, kind: H100, nodes: 16, sus: 2}", strings.Join(pods, "\n"),
		"{gpus: 512, nodes: 64, sus: 8, pods: 5,", "{gpus: 4992, nodes: 624, sus: 78, pods: 13,")
	slots := slices.Clone(l.Slots)
	if len(slots) != 500 {
		t.Fatalf("%d slots", len(slots))
	}
	files := func() (h lease.HandOver) {
		p.View(func(s *book.State) {
			var err error
			if h, err = s.HandOver(l); err != nil {
				t.Error(err)
			}
		})
		return h
	}
	before, told := files(), scopeSize(p, book.TenantScope("flagship"))
	gone := []int{123, 321}
	for _, slot := range gone {
		w.inject(t, sim.Fault{Kind: sim.Dead, Node: slots[slot]})
	}
	check := func(when string, absent int) {
		t.Helper()
		h := files()
		if len(h.Hosts) != 500-absent || len(h.Absent) != absent {
			t.Errorf("%s: %d hosts, %d absent", when, len(h.Hosts), len(h.Absent))
		}
		for _, host := range h.Hosts {
			if !slices.Contains(gone, host.Slot) && host != before.Hosts[host.Slot] {
				t.Errorf("%s: %+v was %+v", when, host, before.Hosts[host.Slot])
			}
		}
		for _, name := range []string{"hosts.txt", "hosts.json"} {
			was, is := strings.Split(before.Files[name], "\n"), strings.Split(h.Files[name], "\n")
			for i := range was {
				if len(is) != len(was) || is[i] != was[i] && !slices.Contains(gone, i) {
					t.Fatalf("%s: %s has %d lines, it had %d; line %d is %q, it was %q", when, name, len(is), len(was), i, is[min(i, len(is)-1)], was[i])
				}
			}
		}
	}
	w.minutes(t, p, 10)
	check("while they are asked about", 0)
	w.submit(t, p, book.PauseLoop{By: "op", Reason: "nothing is labelled meanwhile"})
	for _, slot := range gone {
		w.submit(t, p, book.AcknowledgeReplacement{Lease: l.ID, Slot: uint32(slot), Actor: officer(l.ID)})
	}
	w.minutes(t, p, 5)
	check("while they are being replaced", 2)
	w.submit(t, p, book.ResumeLoop{By: "op", Reason: "test"})
	w.minutes(t, p, 10)
	check("when they are back", 0)
	for slot, n := range l.Slots {
		if (n != slots[slot]) != slices.Contains(gone, slot) {
			t.Errorf("slot %d holds %d, it held %d", slot, n, slots[slot])
		}
	}
	for _, e := range w.after(t, book.TenantScope("flagship"), told) {
		if e.Kind != lease.KindSlots {
			continue
		}
		if text := string(e.Body); !strings.Contains(text, `"slots":"123"`) && !strings.Contains(text, `"slots":"321"`) && !strings.Contains(text, `"slots":"123,321"`) {
			t.Errorf("it is told %s", text)
		}
	}
}
