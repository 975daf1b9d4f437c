package book_test

import (
	"strings"
	"testing"

	"bulkhead/book"
	"bulkhead/lease"
	"bulkhead/node"
	"bulkhead/place"
	"bulkhead/place/solve"
	"bulkhead/site"
)

// spread plays to where leases run, and replaces a node of one by a node of another
// SU: its lease is spread from then on.
func spread(t *testing.T) (*stage, *book.Lease) {
	t.Helper()
	s := on(t, atRunning)
	l, _ := s.LeaseByID("tidewater/w1")
	was := l.Slots[0]
	to, found := site.Index(0), false
	for n := range s.Candidates().All() {
		if s.Site.KindOf(n) == l.Kind && s.Site.ComputeFabric(n) == s.Site.ComputeFabric(was) && s.Site.SUOf(n) != s.Site.SUOf(was) && !s.Site.IsSpare(n) {
			to, found = n, true
		}
	}
	if !found {
		t.Fatal("no node in another SU")
	}
	s.do(t, fail(was, true))
	s.do(t, book.ProposeReplacement{Lease: l.ID, Slot: 0, Node: to, Reason: "drive"})
	s.do(t, book.AcknowledgeReplacement{Lease: l.ID, Slot: 0, Actor: officer(l.ID)})
	if l.Slots[0] != to {
		t.Fatal("it was not replaced")
	}
	// As if it had been handed over: the stage has no devices.
	s.Nodes.By[s.Nodes.State[to]].Remove(to)
	s.Nodes.State[to], s.Nodes.Owner[to], s.Nodes.Statement[to] = node.Delivered, s.Nodes.Lease[to], s.Nodes.Statement[l.Slots[1]]
	s.Nodes.By[node.Delivered].Add(to)
	return s, l
}

// plan is the best that one move does for a lease.
func (s *stage) plan(t *testing.T, l *book.Lease, most int) book.ProposeDefrag {
	t.Helper()
	points, err := solve.Frontier(s.Site, l.Slots, s.MoveTargets(l, s.now), most)
	must(t, err)
	if len(points) < 2 {
		t.Fatalf("nothing is better than %v", points)
	}
	best := points[len(points)-1]
	return book.ProposeDefrag{Lease: l.ID, Moves: best.Moves, After: best.Cost, Reason: "closer together", By: "operator"}
}

func TestDefragmentation(t *testing.T) {
	s, l := spread(t)
	c := s.plan(t, l, 1)
	slot, was, to := uint32(c.Moves[0].Slot), c.Moves[0].From, c.Moves[0].To
	move := book.ProposeReplacement{Lease: l.ID, Slot: slot, Node: to, Reason: "defragmentation, as agreed"}
	pinned := func(when string) {
		t.Helper()
		if _, err := s.decide(t, move); err == nil || !strings.Contains(err.Error(), "a healthy node is never moved") {
			t.Fatalf("%s: %v", when, err)
		}
		for _, due := range book.Due(s.State, s.now) {
			if p, ok := due.(book.ProposeReplacement); ok {
				t.Fatalf("%s: %+v is due", when, p)
			}
		}
	}
	pinned("before anything")
	if got := kinds(s.do(t, c)); got != "tenant/tidewater defrag.proposed/1" {
		t.Errorf("a proposal is %s", got)
	}
	p := s.Defrags[l.ID]
	if p.Before == p.After || p.Number != s.Scopes["tenant/tidewater"] || p.Agreed() {
		t.Errorf("proposal %+v", p)
	}
	pinned("proposed")
	if !s.Candidates().Has(to) {
		t.Error("a proposal keeps a node already")
	}
	if got := kinds(s.do(t, book.ConsentDefrag{Lease: l.ID, Proposal: p.Number, By: "officer"})); got != "tenant/tidewater defrag.consented/1" {
		t.Errorf("consent is %s", got)
	}
	pinned("consented")
	if got := kinds(s.do(t, book.AcceptDefrag{Lease: l.ID, Proposal: p.Number, By: "approver"})); got != "tenant/tidewater defrag.accepted/1" {
		t.Errorf("acceptance is %s", got)
	}
	if s.Candidates().Has(to) || s.Free(s.now, l.End).Has(to) {
		t.Error("the node is not kept for the move")
	}
	data, err := s.Snapshot()
	must(t, err)
	again, err := book.Restore(data, s.bodies)
	must(t, err)
	if hashOf(t, again) != hashOf(t, s.State) || !again.Defrags[l.ID].Agreed() {
		t.Error("a snapshot forgets it")
	}
	// Another slot may not take it, nor may this one go anywhere else.
	if _, err := s.decide(t, book.ProposeReplacement{Lease: l.ID, Slot: slot, Node: s.spare(), Reason: "x"}); err == nil && s.spare() != to {
		t.Error("the slot may go to another node")
	}
	due := book.Due(s.State, s.now)
	if len(due) == 0 {
		t.Fatal("nothing is due")
	}
	found := false
	for _, d := range due {
		if d == book.Command(move) {
			found = true
		}
	}
	if !found {
		t.Fatalf("due is %+v", due)
	}
	if got := kinds(s.do(t, move)); got != "tenant/tidewater replacement.proposed/1" {
		t.Errorf("a move is %s", got)
	}
	s.later(s.Policy.Acknowledge)
	for _, d := range book.Due(s.State, s.now) {
		if a, ok := d.(book.AcknowledgeReplacement); ok {
			s.do(t, a)
		}
	}
	if l.Slots[slot] != to || s.Nodes.State[was] != node.Reclaiming {
		t.Fatalf("slot %d holds %d; %d is %s", slot, l.Slots[slot], was, s.Nodes.State[was])
	}
	for _, d := range book.Due(s.State, s.now) {
		if e, ok := d.(book.EndDefrag); ok {
			if got := kinds(s.do(t, e)); got != "tenant/tidewater defrag.ended/1" || e.Reason != "done" {
				t.Errorf("the end is %s: %+v", got, e)
			}
		}
	}
	if len(s.Defrags) != 0 {
		t.Errorf("open: %+v", s.Defrags)
	}
	if c := place.CostOf(s.Site, l.Slots); c.String() != p.After {
		t.Errorf("it costs %s, %s was promised", c, p.After)
	}
}

func TestDefragmentationRefuses(t *testing.T) {
	give := func(name, says string, make func(t *testing.T, s *stage, l *book.Lease) book.Command) {
		t.Run(name, func(t *testing.T) {
			s, l := spread(t)
			c := make(t, s, l)
			_, err := s.decide(t, c)
			if err == nil || !strings.Contains(err.Error(), says) {
				t.Fatalf("%v, expected %q", err, says)
			}
		})
	}
	proposed := func(t *testing.T, s *stage, l *book.Lease) *book.Defrag {
		s.do(t, s.plan(t, l, 1))
		return s.Defrags[l.ID]
	}
	give("no lease", "no lease", func(t *testing.T, s *stage, l *book.Lease) book.Command { return book.ProposeDefrag{Lease: "x"} })
	give("a lease that has not begun", "has not begun", func(t *testing.T, s *stage, l *book.Lease) book.Command {
		return book.ProposeDefrag{Lease: "flagship/t2a"}
	})
	give("no moves", "expected 1 to", func(t *testing.T, s *stage, l *book.Lease) book.Command { return book.ProposeDefrag{Lease: l.ID} })
	give("a lie about the cost", "plan again", func(t *testing.T, s *stage, l *book.Lease) book.Command {
		c := s.plan(t, l, 1)
		c.After.Racks--
		return c
	})
	give("the wrong node", "does not hold that node", func(t *testing.T, s *stage, l *book.Lease) book.Command {
		c := s.plan(t, l, 1)
		c.Moves[0].From++
		return c
	})
	give("a slot twice", "ascending slots", func(t *testing.T, s *stage, l *book.Lease) book.Command {
		c := s.plan(t, l, 1)
		c.Moves = append(c.Moves, c.Moves[0])
		return c
	})
	give("no such slot", "ascending slots", func(t *testing.T, s *stage, l *book.Lease) book.Command {
		c := s.plan(t, l, 1)
		c.Moves[0].Slot = len(l.Slots)
		return c
	})
	give("no such node", "is none", func(t *testing.T, s *stage, l *book.Lease) book.Command {
		c := s.plan(t, l, 1)
		c.Moves[0].To = site.Index(s.Site.Nodes())
		return c
	})
	give("a spare", "is a spare", func(t *testing.T, s *stage, l *book.Lease) book.Command {
		c := s.plan(t, l, 1)
		for n := range s.Site.Spares().All() {
			c.Moves[0].To = n
		}
		return c
	})
	give("a rival's node", "expected ready", func(t *testing.T, s *stage, l *book.Lease) book.Command {
		c := s.plan(t, l, 1)
		other, _ := s.LeaseByID("flagship/t1")
		c.Moves[0].To = other.Slots[1]
		return c
	})
	give("no better", "and fewer", func(t *testing.T, s *stage, l *book.Lease) book.Command {
		c := s.plan(t, l, 1)
		c.Moves[0].Slot, c.Moves[0].From = 1, l.Slots[1]
		after := append([]site.Index(nil), l.Slots...)
		after[1] = c.Moves[0].To
		c.After = place.CostOf(s.Site, after)
		return c
	})
	give("two at a time", "withdraw it first", func(t *testing.T, s *stage, l *book.Lease) book.Command {
		c := s.plan(t, l, 1)
		s.do(t, c)
		return c
	})
	give("consent to none", "no move of nodes is proposed", func(t *testing.T, s *stage, l *book.Lease) book.Command { return book.ConsentDefrag{Lease: l.ID} })
	give("consent to another", "look at it again", func(t *testing.T, s *stage, l *book.Lease) book.Command {
		return book.ConsentDefrag{Lease: l.ID, Proposal: proposed(t, s, l).Number + 1}
	})
	give("accepted without consent", "has not consented", func(t *testing.T, s *stage, l *book.Lease) book.Command {
		return book.AcceptDefrag{Lease: l.ID, Proposal: proposed(t, s, l).Number, By: "approver"}
	})
	give("accepted by who proposed", "a second person accepts", func(t *testing.T, s *stage, l *book.Lease) book.Command {
		p := proposed(t, s, l)
		s.do(t, book.ConsentDefrag{Lease: l.ID, Proposal: p.Number, By: "officer"})
		return book.AcceptDefrag{Lease: l.ID, Proposal: p.Number, By: "operator"}
	})
	give("a node that went meanwhile", "cordoned or not healthy", func(t *testing.T, s *stage, l *book.Lease) book.Command {
		p := proposed(t, s, l)
		s.do(t, book.ConsentDefrag{Lease: l.ID, Proposal: p.Number, By: "officer"})
		s.do(t, book.Cordon{Node: s.id(p.Nodes[0]), Reason: "x"})
		return book.AcceptDefrag{Lease: l.ID, Proposal: p.Number, By: "approver"}
	})
	give("a hermetic lease", "is hermetic", func(t *testing.T, s *stage, l *book.Lease) book.Command {
		c := s.plan(t, l, 1)
		l.Links = lease.Hermetic
		return c
	})
}

// Many moves go one after the other, never more at a time than the brake leaves
// room for, and in the end the lease is where it was promised to be.
func TestDefragmentationOfManySlots(t *testing.T) {
	s, l := spread(t)
	s.Policy.Brake.Nodes = 4 // a quarter of it is one
	c := s.plan(t, l, 4)
	if len(c.Moves) < 3 {
		t.Fatalf("only %d moves", len(c.Moves))
	}
	s.do(t, c)
	p := s.Defrags[l.ID]
	s.do(t, book.ConsentDefrag{Lease: l.ID, Proposal: p.Number, By: "officer"})
	s.do(t, book.AcceptDefrag{Lease: l.ID, Proposal: p.Number, By: "approver"})
	for round := 0; len(s.Defrags) > 0; round++ {
		if round > 40 {
			t.Fatalf("it does not end: %+v", s.Defrags[l.ID])
		}
		if len(s.Swaps) > 1 {
			t.Fatalf("%d at a time", len(s.Swaps))
		}
		s.later(s.Policy.Acknowledge)
		// What was severed and cleaned meanwhile, as if there were devices.
		for n := range s.Nodes.By[node.Reclaiming].Clone().All() {
			s.Nodes.By[node.Reclaiming].Remove(n)
			s.Nodes.State[n] = node.Severed
			s.Nodes.By[node.Severed].Add(n)
		}
		for _, d := range book.Due(s.State, s.now) {
			switch d.(type) {
			case book.AcknowledgeReplacement, book.ProposeReplacement, book.EndDefrag:
				s.do(t, d)
			}
		}
	}
	if got := place.CostOf(s.Site, l.Slots); got.String() != p.After {
		t.Errorf("it costs %s, %s was promised", got, p.After)
	}
}

// Either party takes a proposal back; a node that it needs and that is gone ends it.
func TestDefragmentationEnds(t *testing.T) {
	s, l := spread(t)
	s.do(t, s.plan(t, l, 1))
	p := s.Defrags[l.ID]
	s.do(t, book.ConsentDefrag{Lease: l.ID, Proposal: p.Number, By: "officer"})
	if got := kinds(s.do(t, book.EndDefrag{Lease: l.ID, Proposal: p.Number, Reason: "not now", By: "officer"})); got != "tenant/tidewater defrag.ended/1" || len(s.Defrags) != 0 {
		t.Errorf("withdrawn: %s", got)
	}
	s.do(t, s.plan(t, l, 1))
	p = s.Defrags[l.ID]
	s.do(t, book.ConsentDefrag{Lease: l.ID, Proposal: p.Number, By: "officer"})
	s.do(t, book.AcceptDefrag{Lease: l.ID, Proposal: p.Number, By: "approver"})
	s.do(t, fail(p.Nodes[0], false))
	ended := false
	for _, d := range book.Due(s.State, s.now) {
		if e, ok := d.(book.EndDefrag); ok {
			ended = true
			if !strings.Contains(e.Reason, "is not free any more") {
				t.Errorf("it ends with %q", e.Reason)
			}
			s.do(t, e)
		}
	}
	if !ended || len(s.Defrags) != 0 {
		t.Error("it goes on without its node")
	}
}

// Slots that nothing fits are told of once, and no more when they are served.
func TestUnserved(t *testing.T) {
	s := on(t, atRunning)
	n := s.up("flagship/t1")
	l, slot := s.LeaseOn(n), s.Nodes.Slot[n]
	ref := book.SlotRef{Lease: l.ID, Slot: slot}
	if _, err := s.decide(t, book.NoteUnserved{Slots: []book.SlotRef{ref}}); err == nil || !strings.Contains(err.Error(), "is healthy") {
		t.Fatal(err)
	}
	s.do(t, fail(n, true))
	if got := kinds(s.do(t, book.NoteUnserved{Slots: []book.SlotRef{ref}})); got != "tenant/flagship replacement.none/1" {
		t.Errorf("it is told as %s", got)
	}
	if slots, since := s.UnservedOf(l.ID); len(slots) != 1 || slots[0] != slot || !since.Equal(s.now) {
		t.Errorf("slots %v since %s", slots, since)
	}
	refuseAgain := func() {
		t.Helper()
		if d, err := s.decide(t, book.NoteUnserved{Slots: []book.SlotRef{ref}}); err == nil {
			t.Errorf("it is told again: %+v", d)
		}
	}
	refuseAgain()
	c := s.replacement(n)
	s.do(t, c)
	s.do(t, book.AcknowledgeReplacement{Lease: l.ID, Slot: slot, Actor: officer(l.ID)})
	if slots, _ := s.UnservedOf(l.ID); len(slots) != 0 {
		t.Errorf("still unserved: %v", slots)
	}
	// One that heals has its node again.
	n = s.up("flagship/t1")
	s.do(t, fail(n, true))
	s.do(t, book.NoteUnserved{Slots: []book.SlotRef{{Lease: l.ID, Slot: s.Nodes.Slot[n]}}})
	s.do(t, book.ReportHealth{Items: []book.HealthItem{{Node: n, Class: "drive", Alive: true}}})
	if slots, _ := s.UnservedOf(l.ID); len(slots) != 0 {
		t.Errorf("still unserved: %v", slots)
	}
}

// A hermetic lease that has no link above its leaves finds replacements under them
// alone. For those that have whole SUs see TestHermeticReplacement.
func TestReplacementKeepsToItsLinks(t *testing.T) {
	s := on(t, atRunning)
	one, _ := s.LeaseByID("tidewater/w1") // in one SU
	one.Links, one.Assigned = lease.Hermetic, (&place.LinkSet{}).Encode()
	failed := one.Slots[0]
	s.fold(t, drafts(s, fail(failed, true))...)
	near := place.ReplaceFailures(s.Site, s.Candidates(), []place.Failure{s.FailureOf(one, failed)}, s.LinksOf())[0]
	if near == place.NoNode || s.Site.SUOf(near) != s.Site.SUOf(failed) {
		t.Fatalf("node %d is chosen for %d", near, failed)
	}
	refused := 0
	for n := range s.Candidates().All() {
		if s.Site.ComputeFabric(n) == s.Site.ComputeFabric(failed) && s.Site.SUOf(n) != s.Site.SUOf(failed) {
			refused++
			if _, err := s.decide(t, book.ProposeReplacement{Lease: one.ID, Slot: 0, Node: n, Reason: "x"}); err == nil || !strings.Contains(err.Error(), "its lease has no links beyond") {
				t.Errorf("node %d: %v", n, err)
			}
		}
	}
	if refused == 0 {
		t.Error("there was nothing to refuse")
	}
	s.do(t, book.ProposeReplacement{Lease: one.ID, Slot: 0, Node: near, Reason: "x"})
}
