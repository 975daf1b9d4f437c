package book_test

import (
	"strings"
	"testing"

	"bulkhead/book"
	"bulkhead/lease"
	"bulkhead/ledger"
	"bulkhead/node"
	"bulkhead/site"
)

// fail reports a node as down.
func fail(n site.Index, alive bool) book.ReportHealth {
	return book.ReportHealth{Items: []book.HealthItem{{Node: n, Class: "drive", Failed: true, Alive: alive, Detail: "x"}}}
}

// replacement proposes the nearest node that fits for a slot.
func (s *stage) replacement(n site.Index) book.ProposeReplacement {
	c, fits := s.anotherFor(n)
	if !fits {
		panic("no candidate")
	}
	return c
}

// anotherFor is replacement where it may be that nothing fits.
func (s *stage) anotherFor(n site.Index) (c book.ProposeReplacement, fits bool) {
	l := s.LeaseOn(n)
	for to := range s.Candidates().All() {
		if s.Site.KindOf(to) == l.Kind && s.Site.Fabrics[s.Site.FabricOf(site.PortOf(to, 0))].ID == l.Fabric {
			return book.ProposeReplacement{Lease: l.ID, Slot: s.Nodes.Slot[n], Node: to, Reason: "drive"}, true
		}
	}
	return c, false
}

// swapOut lets a node fail, and its tenant agree to another.
func (s *stage) swapOut(t *testing.T, n site.Index) {
	t.Helper()
	s.do(t, fail(n, true))
	c := s.replacement(n)
	s.do(t, c)
	s.do(t, book.AcknowledgeReplacement{Lease: c.Lease, Slot: c.Slot, Actor: officer(c.Lease)})
}

func TestReplacementRefuses(t *testing.T) {
	failed := func(spoil func(s *stage, n site.Index, c *book.ProposeReplacement)) func(s *stage) book.Command {
		return func(s *stage) book.Command {
			n := s.up("flagship/t1")
			s.fold(t, drafts(s, fail(n, true))...)
			c := s.replacement(n)
			spoil(s, n, &c)
			return c
		}
	}
	refuseAll(t, []refused{
		{"no such lease", atRunning, func(*stage) book.Command { return book.ProposeReplacement{Lease: "x"} }, "slot", "no slot 0 of lease"},
		{"no such slot", atRunning, func(*stage) book.Command { return book.ProposeReplacement{Lease: "flagship/t1", Slot: 8} }, "slot", "no slot 8"},
		{"a healthy node", atRunning, func(s *stage) book.Command { return s.replacement(s.up("flagship/t1")) }, "node", "a healthy node is never moved"},
		{"by a node that is not ready", atRunning, failed(func(s *stage, n site.Index, c *book.ProposeReplacement) { c.Node = n }), "node", "expected ready"},
		{"by a node of a lease to come", atRunning, failed(func(s *stage, n site.Index, c *book.ProposeReplacement) {
			for other := range s.Nodes.By[node.Ready].All() {
				if s.LeaseOn(other) != nil {
					c.Node = other
				}
			}
		}), "node", "promised to a lease"},
		{"by a node that is cordoned", atRunning, failed(func(s *stage, n site.Index, c *book.ProposeReplacement) {
			s.fold(t, drafts(s, book.Cordon{Node: s.id(c.Node)})...)
		}), "node", "cordoned or not healthy"},
		{"by a node that is degraded", atRunning, failed(func(s *stage, n site.Index, c *book.ProposeReplacement) { s.Nodes.Health[c.Node] = book.Degraded }), "node", "cordoned or not healthy"},
		{"by a node of another fabric", atRunning, failed(func(s *stage, n site.Index, c *book.ProposeReplacement) {
			for other := range s.Candidates().All() {
				if s.Site.FabricOf(site.PortOf(other, 0)) != s.Site.FabricOf(site.PortOf(n, 0)) {
					c.Node = other
				}
			}
		}), "node", "the slot needs H100 in roce"},
		{"by a node that another slot was promised", atRunning, failed(func(s *stage, n site.Index, c *book.ProposeReplacement) {
			s.fold(t, drafts(s, *c)...)
			l, _ := s.LeaseByID("flagship/t1")
			for _, other := range l.Slots {
				if other != n {
					s.fold(t, drafts(s, fail(other, true))...)
					c.Slot = s.Nodes.Slot[other]
					return
				}
			}
		}), "node", "is promised to slot"},
		{"proposed twice", atRunning, failed(func(s *stage, n site.Index, c *book.ProposeReplacement) { s.fold(t, drafts(s, *c)...) }), "", ""},
		{"acknowledged and not proposed", atRunning, func(*stage) book.Command { return book.AcknowledgeReplacement{Lease: "flagship/t1"} }, "slot", "no replacement is proposed"},
		{"another node acknowledged", atSwap, func(s *stage) book.Command {
			for ref := range s.Swaps {
				return book.AcknowledgeReplacement{Lease: ref.Lease, Slot: ref.Slot, Node: "x"}
			}
			return nil
		}, "node", "look at it again"},
		{"a deadline called early", atRunning, func(s *stage) book.Command {
			n := s.up("flagship/t1")
			s.fold(t, drafts(s, fail(n, true))...)
			c := s.replacement(n)
			s.fold(t, drafts(s, c)...)
			s.later(s.Policy.Acknowledge - 1)
			return book.AcknowledgeReplacement{Lease: c.Lease, Slot: c.Slot, By: book.ByDeadline}
		}, "slot", "the tenant has until"},
	})
}

func TestReplacement(t *testing.T) {
	s := on(t, atRunning)
	n := s.up("flagship/t1")
	l := s.LeaseOn(n)
	if got := kinds(s.do(t, fail(n, true))); got != "site node.health/1, tenant/flagship lease.slots/1" {
		t.Errorf("a failure is %s", got)
	}
	c := s.replacement(n)
	if got := kinds(s.do(t, c)); got != "tenant/flagship replacement.proposed/1" {
		t.Errorf("a proposal is %s", got)
	}
	if s.Candidates().Has(c.Node) || !s.Swaps[book.SlotRef{Lease: l.ID, Slot: c.Slot}].Deadline.Equal(s.now.Add(s.Policy.Acknowledge)) {
		t.Error("the node is not kept for it")
	}
	got := kinds(s.do(t, book.AcknowledgeReplacement{Lease: l.ID, Slot: c.Slot, Node: s.id(c.Node), Actor: officer(l.ID)}))
	if want := "tenant/flagship replacement.acknowledged/1, tenant/flagship replacement.swapped/1, site node.moved/1, tenant/flagship node.moved/1"; got != want {
		t.Errorf("an acknowledgement is %s, expected %s", got, want)
	}
	if l.Slots[c.Slot] != c.Node || s.LeaseOn(c.Node) != l || s.LeaseOn(n) != nil || s.Nodes.State[n] != node.Reclaiming || s.Leases[s.Nodes.Owner[n]] != l || len(s.Swaps) != 0 {
		t.Errorf("slot %d holds %d; %d is %s", c.Slot, l.Slots[c.Slot], n, s.Nodes.State[n])
	}
}

// A node that works and leaves all the same is billed as down until the next is there.
func TestReplacementUnasked(t *testing.T) {
	s := on(t, atRunning)
	n := s.up("flagship/t1")
	s.do(t, book.Cordon{Node: s.id(n), Reason: "noise", By: "op"})
	c := s.replacement(n)
	s.do(t, c)
	s.later(s.Policy.Acknowledge)
	if got := kinds(s.do(t, book.AcknowledgeReplacement{Lease: c.Lease, Slot: c.Slot, By: book.ByDeadline})); !strings.Contains(got, "acknowledged/1, tenant/flagship lease.slots/1, tenant/flagship replacement.swapped/1") {
		t.Errorf("a node that works and leaves: %s", got)
	}
	// Before delivery nobody is asked either.
	s = on(t, atReserved)
	n = s.first(node.Reserved)
	s.do(t, fail(n, true))
	s.do(t, s.replacement(n))
	if len(s.Swaps) != 0 || s.Nodes.State[n] != node.Reserved || s.LeaseOn(n) != nil {
		t.Error("a node that was not delivered is not swapped at once")
	}
	// It goes to repair: nobody holds it.
	s.do(t, book.SendToRepair{Nodes: []site.Index{n}, Reason: "drive"})
}

func TestSwapsFold(t *testing.T) {
	s := on(t, atRunning)
	l, _ := s.LeaseByID("flagship/t1")
	id := s.id(l.Slots[0])
	for name, apply := range map[string]func(s *stage) error{
		"proposed for a node that is none": func(s *stage) error {
			return s.apply("tenant/flagship", lease.KindProposed, lease.Proposed{Lease: l.ID, Was: "x", Node: id})
		},
		"proposed by a node that is none": func(s *stage) error {
			return s.apply("tenant/flagship", lease.KindProposed, lease.Proposed{Lease: l.ID, Was: id, Node: "x"})
		},
		"proposed for no slot": func(s *stage) error {
			return s.apply("tenant/flagship", lease.KindProposed, lease.Proposed{Lease: l.ID, Slot: 99, Was: id, Node: id})
		},
		"acknowledged and not proposed": func(s *stage) error {
			return s.apply("tenant/flagship", lease.KindAcknowledged, lease.Acknowledged{Lease: l.ID})
		},
		"swapped for no slot": func(s *stage) error {
			return s.apply("tenant/flagship", lease.KindSwapped, lease.Swapped{Lease: l.ID, Slot: 99})
		},
		"swapped from another node": func(s *stage) error {
			return s.apply("tenant/flagship", lease.KindSwapped, lease.Swapped{Lease: l.ID, WasIndex: uint32(l.Slots[1]), Index: 5})
		},
	} {
		if apply(on(t, atRunning)) == nil {
			t.Errorf("%s: it was folded", name)
		}
	}
}

func TestHealth(t *testing.T) {
	repair := func(pick func(s *stage) site.Index) func(s *stage) book.Command {
		return func(s *stage) book.Command { return book.SendToRepair{Nodes: []site.Index{pick(s)}} }
	}
	refuseAll(t, []refused{
		{"nothing reported", atRunning, func(*stage) book.Command { return book.ReportHealth{} }, "", ""},
		{"what was known", atRunning, func(s *stage) book.Command {
			return book.ReportHealth{Items: []book.HealthItem{{Node: s.up("flagship/t1"), Alive: true}}}
		}, "", ""},
		{"a cordon of no node", atRunning, func(*stage) book.Command { return book.Cordon{Node: "x"} }, "node", "no node of this id"},
		{"a cordon before there is a site", atNothing, func(*stage) book.Command { return book.Cordon{Node: "x"} }, "node", "no site"},
		{"a cordon lifted that was none", atRunning, func(s *stage) book.Command { return book.Cordon{Node: s.id(0), Lift: true} }, "", ""},
		{"a running node sent to repair", atRunning, repair(func(s *stage) site.Index { return s.up("flagship/t1") }), "node", "can't go to repair"},
		{"a dirty node sent to repair", atReturning, repair(func(s *stage) site.Index { return s.first(node.Reclaiming) }), "node", "can't go to repair"},
		{"a reserved node sent to repair", atReserved, repair(func(s *stage) site.Index { return s.first(node.Reserved) }), "node", "replace it first"},
		{"nothing sent to repair", atRunning, func(*stage) book.Command { return book.SendToRepair{} }, "", ""},
		{"repaired and never sent", atRunning, func(s *stage) book.Command { return book.Repaired{Nodes: []site.Index{s.spare()}} }, "node", "expected repair"},
		{"nothing repaired", atRunning, func(*stage) book.Command { return book.Repaired{} }, "", ""},
	})
	s := on(t, atRunning)
	n := s.up("flagship/t1")
	l := s.LeaseOn(n)
	for _, c := range []struct {
		item   book.HealthItem
		health book.Health
		billed string
		sick   bool
	}{
		{book.HealthItem{Class: "link-flap", Failed: true, Alive: true}, book.Degraded, "degraded", false},
		{book.HealthItem{Class: "gpu-reset", Failed: true, Alive: true}, book.Failed, "down-owner", false},
		{book.HealthItem{Class: "drive", Failed: true, Alive: true}, book.Failed, "down-owner", true},
		{book.HealthItem{Class: "gpu-reset", Failed: true, Alive: true}, book.Failed, "down-owner", false}, // another class is news
		{book.HealthItem{Class: "nobody knows", Failed: true, Alive: true}, book.Failed, "down-owner", true},
		{book.HealthItem{Alive: true}, book.Healthy, "up", false},
	} {
		c.item.Node = n
		events := len(l.Events)
		was := l.Events[events-1].State
		s.do(t, book.ReportHealth{Items: []book.HealthItem{c.item}})
		if s.Nodes.Health[n] != c.health || s.Nodes.Sick.Has(n) != c.sick || s.Nodes.Class[n] != c.item.Class {
			t.Errorf("%+v: %s, sick %t", c.item, s.Nodes.Health[n], s.Nodes.Sick.Has(n))
		}
		if e := l.Events[len(l.Events)-1]; string(e.State) != c.billed || (len(l.Events) > events) != (string(was) != c.billed) {
			t.Errorf("%+v: billed as %s by %d entries", c.item, e.State, len(l.Events)-events)
		}
	}
	// A report and its end in one command come to what the last says.
	d, err := s.decide(t, book.ReportHealth{Items: []book.HealthItem{{Node: n, Class: "drive", Failed: true, Alive: true}, {Node: n, Alive: true}}})
	must(t, err)
	if kinds(d.Drafts) != "site node.health/1, site node.health/1" {
		t.Errorf("both at once are %s", kinds(d.Drafts))
	}
}

func TestRepair(t *testing.T) {
	s := on(t, atRunning)
	n := s.spare()
	s.do(t, book.SendToRepair{Nodes: []site.Index{n}, Reason: "fan"})
	if s.Free(s.now, s.now.AddDate(0, 1, 0)).Has(n) || s.Candidates().Has(n) {
		t.Error("a node in repair is free")
	}
	s.do(t, book.Repaired{Nodes: []site.Index{n}})
	if s.Nodes.State[n] != node.Sanitizing {
		t.Error("a repaired node is not wiped")
	}
}

// An entry is folded once, in its place, by a release that knows its kind.
func TestApplyRefuses(t *testing.T) {
	for name, change := range map[string]func(e *ledger.Entry){
		"a gap":                  func(e *ledger.Entry) { e.Seq++ },
		"an entry again":         func(e *ledger.Entry) { e.Seq-- },
		"a gap in its scope":     func(e *ledger.Entry) { e.ScopeSeq++ },
		"its scope's last again": func(e *ledger.Entry) { e.ScopeSeq-- },
		"a kind of a newer time": func(e *ledger.Entry) { e.Kind = "writer.began/2" },
		"a field of another":     func(e *ledger.Entry) { e.Body = []byte(`{"term":9,"writer":"w","hidden":1}`) },
		"no body":                func(e *ledger.Entry) { e.Body = nil },
		"a body of another kind": func(e *ledger.Entry) { e.Body = []byte(`[]`) },
	} {
		s := on(t, atRunning)
		e := entry(s, book.SiteScope, book.KindWriter, []byte(`{"term":9,"writer":"w"}`))
		change(&e)
		if book.Apply(s.State, &e, s.bodies) == nil {
			t.Errorf("%s: it was folded", name)
		}
	}
	s := on(t, atRunning)
	e := entry(s, book.SiteScope, book.KindWriter, []byte(`{"term":9,"writer":"w"}`))
	e.Command = "c"
	must(t, book.Apply(s.State, &e, s.bodies))
	if s.Term != 9 || s.Commands["c"] != e.Seq {
		t.Errorf("term %d, command %d", s.Term, s.Commands["c"])
	}
}
