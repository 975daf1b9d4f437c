package book_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"bulkhead/book"
	"bulkhead/contract"
	"bulkhead/lease"
	"bulkhead/meter"
	"bulkhead/node"
	"bulkhead/site"
)

// silence reports that a node does not answer, for how long, and what others tell ails
// it.
func silence(n site.Index, quiet time.Duration, class string) book.ReportHealth {
	return book.ReportHealth{Items: []book.HealthItem{{Node: n, Class: class, Failed: class != "", Quiet: quiet, Detail: "x"}}}
}

func heard(n site.Index) book.ReportHealth {
	return book.ReportHealth{Items: []book.HealthItem{{Node: n, Alive: true}}}
}

// due gives what Due lists of swaps and silence, and says what it was.
func (s *stage) due(t *testing.T) string {
	t.Helper()
	var said []string
	for _, c := range book.Due(s.State, s.now) {
		switch c.(type) {
		case book.DeclareDead, book.WithdrawReplacement, book.AcknowledgeReplacement:
			said = append(said, strings.TrimPrefix(fmt.Sprintf("%T", c), "book."))
			s.do(t, c)
		}
	}
	return strings.Join(said, " ")
}

// dies lets a node be silent until it counts as dead.
func (s *stage) dies(t *testing.T, n site.Index, class string) {
	t.Helper()
	s.do(t, silence(n, 0, class))
	s.later(s.Policy.SilenceGrace)
	if got := s.due(t); got != "DeclareDead" {
		t.Fatalf("after the grace: %s", got)
	}
}

// last is what a slot is billed as, from when on.
func (s *stage) last(n site.Index) meter.Event {
	events := s.LeaseOn(n).Events
	return events[len(events)-1]
}

// Whatever others tell of a silent node: it has the policy's grace, in which it is
// unknown from when it was last heard, and nothing is proposed for it. Then it is dead,
// and down, and its tenant is asked. When it is heard before the deadline, nothing
// moves, and the tenant is told.
func TestASilentNodeHasItsGrace(t *testing.T) {
	for _, class := range []string{"", "gpu-reset", "link-flap", "part-swap", "return-to-vendor", "unresponsive"} {
		t.Run(class, func(t *testing.T) {
			s := on(t, atRunning)
			n := s.up("flagship/t1")
			l, ref := s.LeaseOn(n), book.SlotRef{Lease: "flagship/t1", Slot: s.Nodes.Slot[n]}
			s.later(2 * time.Hour)
			if got := kinds(s.do(t, silence(n, time.Minute, class))); got != "site node.silent/1, tenant/flagship lease.slots/1" {
				t.Errorf("it falls silent as %s", got)
			}
			since := s.now.Add(-time.Minute)
			if e := s.last(n); e.State != meter.Unknown || !e.At.Equal(since) || e.Cause != "silent" {
				t.Errorf("it is billed by %+v", e)
			}
			s.later(time.Minute)
			c := s.replacement(n)
			if _, err := s.decide(t, c); err == nil || !strings.Contains(err.Error(), "counts as dead at") {
				t.Errorf("after two minutes: %v", err)
			}
			if got := s.due(t); got != "" || s.HealthOf(n) != book.Silent || s.NeedsAnother(n) {
				t.Errorf("after two minutes: %s, it is %s", got, s.HealthOf(n))
			}
			s.now = since.Add(s.Policy.SilenceGrace)
			if got := s.due(t); got != "DeclareDead" || s.HealthOf(n) != book.Dead || !s.NeedsAnother(n) {
				t.Errorf("after the grace: %s, it is %s", got, s.HealthOf(n))
			}
			if e := s.last(n); e.State != meter.DownOwner || !e.At.Equal(s.now) || !strings.HasPrefix(e.Cause, "failure: dead") {
				t.Errorf("it is billed by %+v", e)
			}
			if got := kinds(s.do(t, c)); got != "tenant/flagship replacement.proposed/1" {
				t.Errorf("a dead node is %s", got)
			}
			s.later(s.Policy.Acknowledge - time.Minute)
			if got := s.due(t); got != "" || l.Slots[ref.Slot] != n {
				t.Errorf("before its deadline: %s", got)
			}
			if got := kinds(s.do(t, heard(n))); got != "site node.health/1, tenant/flagship lease.slots/1" {
				t.Errorf("it is heard as %s", got)
			}
			if _, err := s.decide(t, book.AcknowledgeReplacement{Lease: l.ID, Slot: ref.Slot, Actor: officer(l.ID)}); err == nil || !strings.Contains(err.Error(), "is healthy") {
				t.Errorf("it is well, and a yes to its replacement: %v", err)
			}
			s.later(time.Minute)
			if got := s.due(t); got != "WithdrawReplacement" || len(s.Swaps) != 0 || l.Slots[ref.Slot] != n || s.Nodes.State[n] != node.Delivered {
				t.Errorf("at the deadline: %s, %d are open, the slot holds %d", got, len(s.Swaps), l.Slots[ref.Slot])
			}
			if e := s.last(n); e.State != meter.Up {
				t.Errorf("it is billed by %+v", e)
			}
			if got := s.due(t); got != "" || s.Nodes.Sick.Has(n) {
				t.Errorf("afterwards: %s", got)
			}
			if !s.Candidates().Has(c.Node) {
				t.Error("the other node is not free again")
			}
		})
	}
}

// What stays dead is swapped at its tenant's deadline, whatever its class.
func TestADeadNodeIsReplaced(t *testing.T) {
	for _, class := range []string{"", "gpu-reset", "return-to-vendor"} {
		s := on(t, atRunning)
		n := s.up("flagship/t1")
		l := s.LeaseOn(n)
		s.dies(t, n, class)
		c := s.replacement(n)
		s.do(t, c)
		s.later(s.Policy.Acknowledge)
		if got := s.due(t); got != "AcknowledgeReplacement" || l.Slots[c.Slot] != c.Node || s.Nodes.State[n] != node.Reclaiming {
			t.Errorf("%q at the deadline: %s, the slot holds %d", class, got, l.Slots[c.Slot])
		}
		if s.HealthOf(n) != book.Dead {
			t.Errorf("%q: it is %s once it has left", class, s.HealthOf(n))
		}
	}
}

// A node that broke while it was heard goes on being known as broken when it falls
// silent: it is down, and what was proposed stands.
func TestABrokenNodeThatFallsSilentIsNoRiddle(t *testing.T) {
	s := on(t, atRunning)
	n := s.up("flagship/t1")
	s.do(t, fail(n, true))
	s.do(t, s.replacement(n))
	if got := kinds(s.do(t, silence(n, 0, ""))); got != "site node.silent/1" {
		t.Errorf("it falls silent as %s", got)
	}
	if got := s.due(t); got != "" || len(s.Swaps) != 1 {
		t.Errorf("its replacement: %s", got)
	}
	// What others tell of it later is noted once.
	if got := kinds(s.do(t, silence(n, 0, "part-swap"))); got != "site node.silent/1" {
		t.Errorf("news of it: %s", got)
	}
	if _, err := s.decide(t, silence(n, time.Minute, "part-swap")); err == nil {
		t.Error("the same is noted again")
	}
}

// What a proposal was made for is looked at again when it is taken further.
func TestReplacementsFollowThePresent(t *testing.T) {
	for name, c := range map[string]struct {
		change func(t *testing.T, s *stage, was, to site.Index)
		says   string
	}{
		"its node recovers": {func(t *testing.T, s *stage, was, _ site.Index) { s.do(t, heard(was)) }, "is healthy"},
		"its node heals by itself": {func(t *testing.T, s *stage, was, _ site.Index) {
			s.do(t, book.ReportHealth{Items: []book.HealthItem{{Node: was, Class: "gpu-reset", Failed: true, Alive: true}}})
		}, "heals by itself"},
		"the other one fails":        {func(t *testing.T, s *stage, _, to site.Index) { s.do(t, fail(to, true)) }, "cordoned or not healthy"},
		"the other one falls silent": {func(t *testing.T, s *stage, _, to site.Index) { s.do(t, silence(to, 0, "")) }, "cordoned or not healthy"},
		"the other one is cordoned": {func(t *testing.T, s *stage, _, to site.Index) {
			s.do(t, book.Cordon{Node: s.id(to), Reason: "fan", By: "op"})
		}, "cordoned or not healthy"},
		"the other one goes to repair": {func(t *testing.T, s *stage, _, to site.Index) {
			s.do(t, book.SendToRepair{Nodes: []site.Index{to}, Reason: "fan"})
		}, "is repair, expected ready"},
	} {
		t.Run(name, func(t *testing.T) {
			s := on(t, atRunning)
			n := s.up("flagship/t1")
			l := s.LeaseOn(n)
			s.dies(t, n, "part-swap")
			p := s.replacement(n)
			s.do(t, p)
			c.change(t, s, n, p.Node)
			s.later(s.Policy.Acknowledge)
			for _, by := range []string{book.ByDeadline, "officer"} {
				if _, err := s.decide(t, answerOf(by, l.ID, p.Slot)); err == nil || !strings.Contains(err.Error(), c.says) {
					t.Errorf("it is made by %s: %v", by, err)
				}
			}
			d, err := s.decide(t, book.WithdrawReplacement{Lease: l.ID, Slot: p.Slot, By: book.ByLoop})
			must(t, err)
			var told lease.Withdrawn
			must(t, json.Unmarshal(d.Drafts[0].Body, &told))
			if d.Drafts[0].Scope != "tenant/flagship" || !strings.Contains(told.Reason, c.says) || told.Was != s.id(n) || told.Node != s.id(p.Node) || told.By != book.ByLoop {
				t.Errorf("its tenant is told %s: %+v", d.Drafts[0].Scope, told)
			}
			if got := s.due(t); !strings.HasSuffix(got, "WithdrawReplacement") || len(s.Swaps) != 0 || l.Slots[p.Slot] != n {
				t.Errorf("%s, %d are open", got, len(s.Swaps))
			}
		})
	}
	// The end of the lease.
	s := on(t, atRunning)
	n := s.up("flagship/t1")
	l := s.LeaseOn(n)
	s.do(t, fail(n, true))
	s.do(t, s.replacement(n))
	s.now = l.End
	s.do(t, book.ReturnLease{Lease: l.ID, Reason: "its time is over"})
	if got := s.due(t); got != "WithdrawReplacement" || len(s.Swaps) != 0 {
		t.Errorf("the lease is being returned: %s", got)
	}
}

// The brake and a pause hold what its tenant was not heard about; the tenant's own yes
// goes on.
func TestNothingIsSwappedWhileTheLoopIsHeld(t *testing.T) {
	for name, hold := range map[string]book.Command{
		"paused": book.PauseLoop{By: "op", Reason: "x"}, "paused there": book.PauseLoop{Hall: "hall-a", By: "op", Reason: "x"},
		"braked": book.EngageBrake{Cause: "x", Detail: "x", By: operator},
	} {
		s := on(t, atRunning)
		n := s.up("flagship/t1")
		l := s.LeaseOn(n)
		s.do(t, fail(n, true))
		c := s.replacement(n)
		s.do(t, c)
		s.do(t, hold)
		s.later(s.Policy.Acknowledge)
		if got := s.due(t); got != "" {
			t.Errorf("%s: %s", name, got)
		}
		if p := book.Next(s.State, seen{pending: site.NewSet(64)}, s.now); name != "paused" && !strings.Contains(fmt.Sprint(p.Deferred), "1 replacements are past their deadline") {
			t.Errorf("%s: the plan says %v", name, p.Deferred)
		}
		s.do(t, book.AcknowledgeReplacement{Lease: l.ID, Slot: c.Slot, Actor: officer(l.ID)})
	}
}

// What was taken back by hand stays so until something new is said of the node, or
// somebody proposes again.
func TestWithdrawnByHand(t *testing.T) {
	propose := func() (*stage, site.Index, book.ProposeReplacement, book.WithdrawReplacement) {
		s := on(t, atRunning)
		n := s.up("flagship/t1")
		s.do(t, fail(n, true))
		c := s.replacement(n)
		s.do(t, c)
		return s, n, c, book.WithdrawReplacement{Lease: c.Lease, Slot: c.Slot, Node: s.id(c.Node), Reason: "its drives are wanted first", By: "op"}
	}
	s, n, c, w := propose()
	for says, change := range map[string]func(w *book.WithdrawReplacement){
		"say why":                    func(w *book.WithdrawReplacement) { w.Reason = "" },
		"look at it again":           func(w *book.WithdrawReplacement) { w.Node = "x" },
		"no replacement is proposed": func(w *book.WithdrawReplacement) { w.Slot++ },
		`no lease "nope/t1"`:         func(w *book.WithdrawReplacement) { w.Lease = "nope/t1" },
	} {
		wrong := w
		change(&wrong)
		if _, err := s.decide(t, wrong); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("expected %q, got %v", says, err)
		}
	}
	if _, err := s.decide(t, book.WithdrawReplacement{Lease: c.Lease, Slot: c.Slot, By: book.ByLoop}); err == nil {
		t.Error("the loop withdraws what stands")
	}
	if got := kinds(s.do(t, w)); got != "tenant/flagship replacement.withdrawn/1" {
		t.Errorf("it is withdrawn as %s", got)
	}
	if got := s.StaysOf(c.Lease); len(got) != 1 || got[0] != c.Slot {
		t.Errorf("slots %v stay", got)
	}
	if _, err := s.decide(t, c); err == nil || !strings.Contains(err.Error(), "op took its replacement back") {
		t.Errorf("the loop proposes again: %v", err)
	}
	c.By = "op"
	s.do(t, c)
	if len(s.Stays) != 0 || s.Swaps[book.SlotRef{Lease: c.Lease, Slot: c.Slot}].By != "op" {
		t.Errorf("proposed by hand: %+v", s.Stays)
	}
	// News of the node.
	s, n, c, w = propose()
	s.do(t, w)
	s.do(t, silence(n, 0, ""))
	s.do(t, c)
	// The end of the lease.
	s, _, _, w = propose()
	s.do(t, w)
	must(t, s.apply("tenant/flagship", lease.KindReturned, lease.Returned{Lease: w.Lease}))
	if len(s.Stays) != 0 {
		t.Error("slots of a lease that is over stay")
	}
}

// People may have a node replaced that would heal by itself, and take it back when it has.
func TestByHandAlsoWhatHeals(t *testing.T) {
	s := on(t, atRunning)
	n := s.up("flagship/t1")
	s.do(t, book.ReportHealth{Items: []book.HealthItem{{Node: n, Class: "gpu-reset", Failed: true, Alive: true}}})
	c := s.replacement(n)
	if _, err := s.decide(t, c); err == nil || !strings.Contains(err.Error(), "heals by itself") {
		t.Errorf("the loop proposes it: %v", err)
	}
	c.By = "op"
	s.do(t, c)
	if got := s.due(t); got != "" {
		t.Errorf("it is %s", got)
	}
	s.do(t, heard(n))
	if got := s.due(t); got != "WithdrawReplacement" {
		t.Errorf("it has healed: %s", got)
	}
}

// A move that both parties agreed to is withdrawn with its agreement.
func TestAMoveEndsWithItsAgreement(t *testing.T) {
	s, l := spread(t)
	s.do(t, s.plan(t, l, 1))
	p := s.Defrags[l.ID]
	s.do(t, book.ConsentDefrag{Lease: l.ID, Proposal: p.Number, By: "officer"})
	s.do(t, book.AcceptDefrag{Lease: l.ID, Proposal: p.Number, By: "approver"})
	propose := func() (found bool) {
		for _, c := range book.Due(s.State, s.now) {
			if _, ok := c.(book.ProposeReplacement); ok {
				s.do(t, c)
				found = true
			}
		}
		return found
	}
	if !propose() {
		t.Fatal("nothing moves")
	}
	if got := s.due(t); got != "" {
		t.Fatalf("an agreed move is %s", got)
	}
	s.do(t, book.EndDefrag{Lease: l.ID, Proposal: p.Number, Reason: "not now", By: "officer"})
	s.later(s.Policy.Acknowledge)
	if got := s.due(t); got != "WithdrawReplacement" || l.Slots[p.Slots[0]] != p.Was[0] {
		t.Errorf("a move that is not agreed any more: %s", got)
	}
	// Taken back by hand, it is not asked about again, and its proposal ends.
	s.do(t, s.plan(t, l, 1))
	p = s.Defrags[l.ID]
	s.do(t, book.ConsentDefrag{Lease: l.ID, Proposal: p.Number, By: "officer"})
	s.do(t, book.AcceptDefrag{Lease: l.ID, Proposal: p.Number, By: "approver"})
	propose()
	s.do(t, book.WithdrawReplacement{Lease: l.ID, Slot: p.Slots[0], Reason: "not now", By: "op"})
	if propose() {
		t.Error("it is asked about again")
	}
	for _, c := range book.Due(s.State, s.now) {
		if e, ok := c.(book.EndDefrag); ok && strings.Contains(e.Reason, "taken back by hand") {
			return
		}
	}
	t.Error("its proposal does not end")
}

// A silence is billed from when the node was last heard, as the contract says of what is
// unknown, also one that is over when it is first told of; and it never reaches back
// behind what was said of the slot.
func TestSilenceIsBilledFromWhenItWasHeard(t *testing.T) {
	s := on(t, atRunning)
	n := s.up("flagship/t1")
	l := s.LeaseOn(n)
	begin := s.last(n).At
	s.later(3 * time.Hour)
	s.do(t, silence(n, 1000*time.Hour, ""))
	if e := s.last(n); e.State != meter.Unknown || e.At.Before(begin) {
		t.Errorf("it was delivered at %s and is billed by %+v", begin, e)
	}
	s.do(t, heard(n))
	s.later(3 * time.Hour)
	again := s.now
	got := s.do(t, book.ReportHealth{Items: []book.HealthItem{{Node: n, Quiet: time.Hour}, {Node: n, Alive: true}}})
	if kinds(got) != "site node.silent/1, site node.health/1, tenant/flagship lease.slots/1, tenant/flagship lease.slots/1" {
		t.Errorf("a silence that is over is %s", kinds(got))
	}
	last := l.Events[len(l.Events)-2:]
	if last[0].State != meter.Unknown || !last[0].At.Equal(again.Add(-time.Hour)) || last[1].State != meter.Up || !last[1].At.Equal(again) {
		t.Errorf("it is billed by %+v", last)
	}
	// By the meter: the hour counts as the contract's rule says, and not as up.
	s.later(time.Hour)
	var unknown time.Duration
	zone, err := time.LoadLocation(s.Contracts["flagship"].Current().TimeZone)
	must(t, err)
	month, next := contract.MonthOf(zone, again)
	intervals, err := meter.Intervals(s.Contracts["flagship"].Versions, l.Events, meter.Period{From: month, To: next})
	must(t, err)
	for i := range intervals {
		if i.Slot == s.Nodes.Slot[n] && i.State == meter.Unknown && !i.From.Before(again.Add(-time.Hour)) && !i.To.After(again) {
			unknown += i.To.Sub(i.From)
		}
	}
	if unknown != time.Hour {
		t.Errorf("%s are unknown, expected an hour", unknown)
	}
	// Nobody can write it otherwise.
	for name, b := range map[string]lease.Slots{
		"before it was delivered": {Since: begin.Add(-time.Minute)}, "in the future": {Since: s.now.Add(time.Second)},
	} {
		b.Lease, b.Tranche, b.Slots, b.State = l.ID, l.Tranche, fmt.Sprint(s.Nodes.Slot[n]), string(meter.Unknown)
		if s.apply("tenant/flagship", lease.KindSlots, b) == nil {
			t.Errorf("%s: it was folded", name)
		}
	}
}

// A silent node is given to nobody: it is neither reserved, handed over nor taken for a
// spare. One without a lease is not sent to repair for it: it may only be unplugged from
// its management network.
func TestASilentNodeIsGivenToNobody(t *testing.T) {
	s := on(t, atHandOver)
	c := s.delivery(t, "tidewater/w1")
	s.do(t, silence(c.Nodes[0], 0, ""))
	if _, err := s.decide(t, c); err == nil || !strings.Contains(err.Error(), "cordoned or not healthy") {
		t.Errorf("it is handed over: %v", err)
	}
	s = on(t, atRunning)
	n := s.spare()
	s.dies(t, n, "")
	if s.Candidates().Has(n) || s.Free(s.now, s.now.AddDate(0, 1, 0)).Has(n) {
		t.Error("a dead node is free")
	}
	for _, c := range book.Due(s.State, s.now) {
		if r, ok := c.(book.SendToRepair); ok {
			t.Errorf("it is sent to repair: %+v", r)
		}
	}
}

// More nodes that fall silent at once than the brake allows to be severed have something
// in common: none of them is dead by it, until fewer are silent.
func TestSilenceInCommonIsNoDeath(t *testing.T) {
	s := on(t, atRunning)
	s.Policy.Brake.Nodes = 3
	l, _ := s.LeaseByID("flagship/t1")
	for _, n := range l.Slots[:4] {
		s.do(t, silence(n, 0, "return-to-vendor"))
	}
	s.later(time.Hour)
	if got := s.due(t); got != "" {
		t.Errorf("four are silent: %s", got)
	}
	if p := book.Next(s.State, seen{pending: site.NewSet(64)}, s.now); !strings.Contains(fmt.Sprint(p.Deferred), "4 nodes are silent at once") {
		t.Errorf("the plan says %v", p.Deferred)
	}
	s.do(t, heard(l.Slots[2]))
	if got := s.due(t); got != "DeclareDead" || s.HealthOf(l.Slots[0]) != book.Dead {
		t.Errorf("three are silent: %s", got)
	}
}

// Old ledgers have silence as a failure that is no answer: such a node is dead at once,
// as it was.
func TestOldSilenceIsDeath(t *testing.T) {
	s := on(t, atRunning)
	n := s.up("flagship/t1")
	must(t, s.apply(book.SiteScope, node.KindHealth, node.HealthNoted{Node: s.id(n), Index: uint32(n), Class: "gpu-reset", Failed: true}))
	if s.HealthOf(n) != book.Dead || s.Nodes.Class[n] != "gpu-reset" || !s.NeedsAnother(n) || s.Nodes.Sick.Has(n) {
		t.Errorf("it is %s", s.HealthOf(n))
	}
	must(t, s.apply(book.SiteScope, node.KindHealth, node.HealthNoted{Node: s.id(n), Index: uint32(n), Alive: true}))
	if s.HealthOf(n) != book.Healthy {
		t.Errorf("it is %s", s.HealthOf(n))
	}
}

func TestSilenceFolds(t *testing.T) {
	s := on(t, atRunning)
	n := uint32(s.up("flagship/t1"))
	for name, apply := range map[string]func(s *stage) error{
		"silent in the future": func(s *stage) error {
			return s.apply(book.SiteScope, node.KindSilent, node.Silent{Index: n, Since: s.now.Add(time.Second)})
		},
		"silent since ever": func(s *stage) error { return s.apply(book.SiteScope, node.KindSilent, node.Silent{Index: n}) },
		"silence of no node": func(s *stage) error {
			return s.apply(book.SiteScope, node.KindSilent, node.Silent{Index: 1 << 20, Since: s.now})
		},
		"death without silence": func(s *stage) error { return s.apply(book.SiteScope, node.KindDead, node.Dead{Index: n, Since: s.now}) },
		"silent since another time": func(s *stage) error {
			s.do(t, silence(site.Index(n), 0, ""))
			s.later(time.Minute)
			return s.apply(book.SiteScope, node.KindSilent, node.Silent{Index: n, Since: s.now})
		},
		"dead twice": func(s *stage) error {
			s.dies(t, site.Index(n), "")
			return s.apply(book.SiteScope, node.KindDead, node.Dead{Index: n, Since: s.Nodes.Silence[site.Index(n)].Since})
		},
		"withdrawn and not proposed": func(s *stage) error {
			return s.apply("tenant/flagship", lease.KindWithdrawn, lease.Withdrawn{Lease: "flagship/t1"})
		},
	} {
		if apply(on(t, atRunning)) == nil {
			t.Errorf("%s: it was folded", name)
		}
	}
}

// Whatever devices say in whatever order, and whenever people answer: after every entry
// the invariants hold, the slot of a silent node is billed as unknown or worse, no slot
// changes whose node is well, and a snapshot knows all of it.
func TestSilenceProperties(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		s := on(t, atRunning)
		l, _ := s.LeaseByID("flagship/t1")
		give := func(c book.Command) {
			before := append([]site.Index(nil), l.Slots...)
			well := map[site.Index]bool{}
			for _, n := range before {
				well[n] = s.HealthOf(n) == book.Healthy && s.Nodes.State[n] == node.Delivered
			}
			if d, err := book.Decide(s.State, c, book.Env{Now: s.now}); err == nil {
				s.fold(t, d.Drafts...)
			}
			for slot, n := range before {
				if l.Slots[slot] != n && well[n] {
					r.Fatalf("%+v moves %d, which is well", c, n)
				}
			}
		}
		for range rapid.IntRange(1, 40).Draw(r, "steps") {
			slot := uint32(rapid.IntRange(0, len(l.Slots)-1).Draw(r, "slot"))
			n := l.Slots[slot]
			if rapid.IntRange(0, 9).Draw(r, "a spare") == 0 {
				n = s.spare()
			}
			switch rapid.IntRange(0, 8).Draw(r, "what") {
			case 0, 1:
				class := rapid.SampledFrom([]string{"", "gpu-reset", "link-flap", "drive"}).Draw(r, "class")
				give(book.ReportHealth{Items: []book.HealthItem{{Node: n, Class: class, Failed: class != "", Alive: rapid.Bool().Draw(r, "alive"),
					Quiet: time.Duration(rapid.IntRange(0, 600).Draw(r, "quiet")) * time.Second}}})
			case 2:
				give(heard(n))
			case 3:
				s.later(time.Duration(rapid.IntRange(1, 2400).Draw(r, "later")) * time.Second)
			case 4:
				if s.LeaseOn(l.Slots[slot]) == l && s.NeedsAnother(l.Slots[slot]) {
					c, fits := s.anotherFor(l.Slots[slot])
					if !fits {
						continue
					}
					c.By = rapid.SampledFrom([]string{"", "op"}).Draw(r, "by")
					give(c)
				}
			case 5:
				give(book.AcknowledgeReplacement{Lease: l.ID, Slot: slot, Actor: officer(l.ID)})
			case 6:
				give(book.WithdrawReplacement{Lease: l.ID, Slot: slot, Reason: "x", By: "op"})
			default:
				for _, c := range book.Due(s.State, s.now) {
					switch c.(type) {
					case book.DeclareDead, book.WithdrawReplacement, book.AcknowledgeReplacement:
						give(c)
					}
				}
			}
			for slot, n := range l.Slots {
				if !s.SlotUp(l, slot) {
					continue
				}
				billed := meter.Undelivered
				for _, e := range l.Events {
					if in, err := site.ParseSet(e.Slots, len(l.Slots)); err == nil && in.Has(site.Index(slot)) {
						billed = e.State
					}
				}
				if h := s.HealthOf(n); h == book.Dead && billed != meter.DownOwner || h == book.Silent && (billed == meter.Up || billed == meter.Degraded) || h == book.Healthy && billed != meter.Up {
					r.Fatalf("slot %d: its node is %s, and it is billed as %s", slot, h, billed)
				}
			}
		}
		snapshot, err := s.Snapshot()
		must(t, err)
		restored, err := book.Restore(snapshot, s.bodies)
		must(t, err)
		if hashOf(t, restored) != hashOf(t, s.State) {
			r.Fatal("a snapshot gives another state")
		}
		// It goes on alike: what follows from when slots were billed is there again.
		n := l.Slots[0]
		a, errA := book.Decide(s.State, silence(n, time.Hour, "x"), book.Env{Now: s.now})
		b, errB := book.Decide(restored, silence(n, time.Hour, "x"), book.Env{Now: s.now})
		if fmt.Sprint(a, errA) != fmt.Sprint(b, errB) {
			r.Fatalf("after a snapshot a silence is %v %v, and not %v %v", b, errB, a, errA)
		}
	})
}
