package book_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"bulkhead/book"
	"bulkhead/contract"
	"bulkhead/node"
	"bulkhead/site"
)

// atPartly is when some of a lease was delivered and some was not.
func atPartly(s *book.State) bool {
	for _, l := range s.Leases {
		if l.Delivered > 0 && l.Delivered < len(l.Slots) && s.Nodes.State[l.Slots[0]] != 0 {
			return true
		}
	}
	return false
}

// partly is a lease of which some has come.
func (s *stage) partly() (l *book.Lease) {
	for _, one := range s.Leases {
		if one.Delivered > 0 && one.Delivered < len(one.Slots) {
			l = one
		}
	}
	return l
}

// TestReduce keeps what has come of a late tranche: at a fee that is lower by what has not,
// and the rest is neither owed nor delivered any more.
func TestReduce(t *testing.T) {
	s := on(t, atPartly)
	l := s.partly()
	s.terms(l.Contract, func(c *contract.Contract) {
		c.Termination = []contract.Right{{When: contract.WhenLate, AfterDays: 3, Remedy: contract.RemedyReduce, By: contract.Tenant, Clause: "8.2"}}
	})
	by := officer(l.ID)
	by.Tenant = l.Tenant
	c := book.PerformAct{Contract: l.Contract, Act: contract.ActReduce, Tranche: l.Tranche, By: by}
	if _, err := c.Preview(s.State, s.now); err == nil || !strings.Contains(err.Error(), "the right arises on") {
		t.Errorf("too early: %v", err)
	}
	s.later(4 * 24 * time.Hour)
	owner := c
	owner.By = finance
	if _, err := owner.Preview(s.State, s.now); err == nil || !strings.Contains(err.Error(), "tenant only") {
		t.Errorf("by the owner: %v", err)
	}
	was := s.Contracts[l.Contract].Current()
	out, err := c.Preview(s.State, s.now)
	must(t, err)
	c.Confirmed = out.Preview.Digest()
	drafts := s.do(t, c)
	var acted contract.Acted
	must(t, json.Unmarshal(drafts[0].Body, &acted))
	missing := len(l.Slots) - l.Delivered
	given, err := site.ParseSet(acted.Slots, len(l.Slots))
	must(t, err)
	is := s.Contracts[l.Contract].Current()
	if given.Len() != missing || l.Owed() != l.Delivered || is.TrancheByID(l.Tranche).GPUs != int64(l.Delivered*is.TrancheByID(l.Tranche).GPUsANode()) {
		t.Errorf("%s are given up of %d missing; %d owed, %d GPUs", acted.Slots, missing, l.Owed(), is.TrancheByID(l.Tranche).GPUs)
	}
	lower := false
	for i := range is.Rates {
		lower = lower || is.Rates[i].Price.Rat().Cmp(was.Rates[i].Price.Rat()) < 0
	}
	if monthly := was.Rates[0].Basis == contract.PerMonth; lower != monthly {
		t.Errorf("rates %+v were %+v", is.Rates, was.Rates)
	}
	for slot := range given.All() {
		n := l.Slots[slot]
		if s.Nodes.State[n] == node.Ready {
			if _, err := s.decide(t, book.Reserve{Nodes: []site.Index{n}}); err == nil || !strings.Contains(err.Error(), "given up") {
				t.Errorf("a slot that was given up is reserved: %v", err)
			}
		}
		if _, err := s.decide(t, book.ProposeReplacement{Lease: l.ID, Slot: uint32(slot), Node: s.first(node.Ready), Reason: "x", By: "op"}); err == nil || !strings.Contains(err.Error(), "given up") {
			t.Errorf("a slot that was given up is replaced: %v", err)
		}
	}
	for _, due := range book.Due(s.State, s.now) {
		switch due := due.(type) {
		case book.NoteLate:
			if due.Lease == l.ID {
				t.Error("it is late still")
			}
		case book.Reserve:
			for _, n := range due.Nodes {
				if s.LeaseOn(n) == l && given.Has(site.Index(s.Nodes.Slot[n])) {
					t.Errorf("%d would be reserved", n)
				}
			}
		}
	}
	if _, err := c.Preview(s.State, s.now); err == nil || !strings.Contains(err.Error(), "is late") {
		t.Errorf("again: %v", err)
	}

}

// TestTerminateLate: what has not come for long enough may be left.
func TestTerminateLate(t *testing.T) {
	s := on(t, atContracts)
	c := book.PerformAct{Contract: "tidewater", Act: contract.ActTerminateLate, By: officer("tidewater")}
	k := s.Contracts["tidewater"].Current()
	s.now = k.Tranches[0].Delivery.AddDate(0, 0, 20)
	if _, err := c.Preview(s.State, s.now); err == nil || !strings.Contains(err.Error(), "the right arises on 2026-05-22") {
		t.Errorf("a day early: %v", err)
	}
	s.later(24 * time.Hour)
	c.By = finance
	if _, err := c.Preview(s.State, s.now); err == nil || !strings.Contains(err.Error(), "tenant only") {
		t.Errorf("by the owner: %v", err)
	}
	if got := kinds(s.act(t, contract.ActTerminateLate, "tidewater", officer("tidewater"))); got != "tenant/tidewater contract.terminated/1" {
		t.Errorf("it is %s", got)
	}
	is := s.Contracts["tidewater"].Current()
	if l, _ := s.LeaseByID("tidewater/w1"); !l.End.Equal(is.End) || is.End.Sub(s.now) > 24*time.Hour || is.Ending.Act != contract.ActTerminateLate || is.Ending.Refund == "" || is.Ending.Fee != "" {
		t.Errorf("ends %s, %+v", is.End, is.Ending)
	}
}
