package book_test

import (
	"encoding/json"
	"strings"
	"testing"

	"bulkhead/book"
	"bulkhead/lease"
	"bulkhead/meter"
	"bulkhead/node"
)

// TestOnWhoseWord: a node that works is replaced on somebody's word, which the log says,
// and is billed by it; it is no failed node.
func TestOnWhoseWord(t *testing.T) {
	for name, c := range map[string]struct {
		requested bool
		answer    func(s *stage, p book.ProposeReplacement) book.AcknowledgeReplacement
		word, by  string
		state     meter.SlotState
	}{
		"the tenant's request": {true, func(_ *stage, p book.ProposeReplacement) book.AcknowledgeReplacement {
			return book.AcknowledgeReplacement{Lease: p.Lease, Slot: p.Slot, Actor: officer(p.Lease)}
		}, lease.WordRequest, "officer", meter.DownTenant},
		"the tenant's consent": {false, func(_ *stage, p book.ProposeReplacement) book.AcknowledgeReplacement {
			return book.AcknowledgeReplacement{Lease: p.Lease, Slot: p.Slot, Actor: officer(p.Lease)}
		}, lease.WordConsent, "officer", meter.DownOwner},
		"the owner's reason": {false, func(s *stage, p book.ProposeReplacement) book.AcknowledgeReplacement {
			s.later(s.Policy.Acknowledge)
			return book.AcknowledgeReplacement{Lease: p.Lease, Slot: p.Slot, By: book.ByDeadline}
		}, lease.WordOwner, "op", meter.DownOwner},
	} {
		t.Run(name, func(t *testing.T) {
			s := on(t, atRunning)
			n := s.up("flagship/t1")
			s.do(t, book.Cordon{Node: s.id(n), Reason: "noise", By: "op"})
			p := s.replacement(n)
			p.By, p.Requested, p.Reason = "op", c.requested, "a noisy fan"
			s.do(t, p)
			var swapped lease.Swapped
			var slots lease.Slots
			for _, d := range s.do(t, c.answer(s, p)) {
				switch d.Kind {
				case lease.KindSwapped:
					must(t, json.Unmarshal(d.Body, &swapped))
				case lease.KindSlots:
					must(t, json.Unmarshal(d.Body, &slots))
				}
			}
			if a := swapped.Asked; a == nil || a.Word != c.word || a.By != c.by || a.Reason != "a noisy fan" || strings.Contains(swapped.Reason, "failed") {
				t.Errorf("swapped by %+v, %+v", swapped, swapped.Asked)
			}
			if slots.State != string(c.state) {
				t.Errorf("billed as %s (%s), expected %s", slots.State, slots.Cause, c.state)
			}
		})
	}
	s := on(t, atRunning)
	n := s.up("flagship/t1")
	s.do(t, book.Cordon{Node: s.id(n), Reason: "noise", By: "op"})
	p := s.replacement(n)
	p.By, p.Requested = "op", true
	s.do(t, p)
	s.later(10 * s.Policy.Acknowledge)
	if _, err := s.decide(t, book.AcknowledgeReplacement{Lease: p.Lease, Slot: p.Slot, By: book.ByDeadline}); err == nil || !strings.Contains(err.Error(), "by no deadline") {
		t.Errorf("a deadline answers for the tenant's request: %v", err)
	}
	for _, due := range book.Due(s.State, s.now) {
		if a, ok := due.(book.AcknowledgeReplacement); ok {
			t.Errorf("the loop would answer %+v", a)
		}
	}
	if _, err := s.decide(t, book.AcknowledgeReplacement{Lease: p.Lease, Slot: p.Slot, Actor: finance}); err == nil || !strings.Contains(err.Error(), "tenant only") {
		t.Errorf("the owner answers for the tenant: %v", err)
	}
	// A failed node needs no request.
	s = on(t, atRunning)
	n = s.up("flagship/t1")
	s.do(t, fail(n, true))
	p = s.replacement(n)
	p.By, p.Requested = "op", true
	if _, err := s.decide(t, p); err == nil || !strings.Contains(err.Error(), "does not work") {
		t.Errorf("a request for a failed node: %v", err)
	}
	if s.Nodes.State[n] != node.Delivered {
		t.Error("it has moved")
	}
}
