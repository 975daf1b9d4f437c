package book_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"bulkhead/book"
	"bulkhead/contract"
	"bulkhead/lease"
	"bulkhead/place"
	"bulkhead/place/check"
	"bulkhead/site"
)

// domains says of a kind of the golden site that its racks are NVLink domains.
// They have 4 nodes and 3, where one is a spare.
func (s *stage) domains(kind string) {
	for i := range s.Site.Kinds {
		s.Site.Kinds[i].NVLinkRacks = s.Site.Kinds[i].ID == kind
	}
}

func (s *stage) settled(t *testing.T, c *contract.Contract) (*book.PlannedContract, book.OfferQuote) {
	t.Helper()
	schedule, err := s.Schedule(s.now)
	must(t, err)
	p, err := s.PlanContract(schedule, c, true)
	must(t, err)
	o := book.OfferQuote{Quote: "q-" + c.ID, Contract: p.Contract, Expires: s.now.Add(48 * time.Hour)}
	if p.Refused == nil {
		o.Slices, o.Moves = book.Proposals(p.Planned)
	}
	return p, o
}

// TestWholeRacksAreLeased: a tranche of a kind whose racks are NVLink domains has
// whole racks, unless it lets them be split; the writer takes nothing else.
func TestWholeRacksAreLeased(t *testing.T) {
	s := on(t, atTenants)
	s.domains("H200")
	july, end := time.Date(2026, 7, 1, 0, 0, 0, 0, time.UTC), time.Date(2027, 6, 1, 0, 0, 0, 0, time.UTC)
	ask := func(id string, nodes int, split bool) *contract.Contract {
		c := either(id, nodes, july, end, "H200")
		c.Tranches[0].SplitRacks = split
		return c
	}
	p, _ := s.settled(t, ask("odd", 5, false))
	if p.Refused == nil || !strings.Contains(p.Refused.Error(), "4 or 6 nodes would do. Such a rack is one NVLink domain") {
		t.Errorf("5 nodes: %v", p.Refused)
	}
	_, loose := s.settled(t, ask("odd", 5, true))
	strict := loose
	strict.Contract = ask("odd", 5, false)
	if _, err := s.decide(t, strict); err == nil || !strings.Contains(err.Error(), "whole racks false, expected true") {
		t.Errorf("split racks in a tranche that has whole ones: %v", err)
	}
	// Its certificate is about whole racks, and what the tranche gets is not.
	_, seven := s.settled(t, ask("odd", 7, false))
	strict.Slices = []book.TrancheSlice{seven.Slices[0]}
	strict.Slices[0].Nodes = seven.Slices[0].Slice.Nodes[:5]
	if _, err := s.decide(t, strict); err == nil || !strings.Contains(err.Error(), "is split") {
		t.Errorf("a part of whole racks: %v", err)
	}
	hermetic := ask("alone", 7, false)
	hermetic.Tranches[0].Links = lease.Hermetic
	schedule, err := s.Schedule(s.now)
	must(t, err)
	if _, err := s.PlanContract(schedule, hermetic, true); err == nil || !strings.Contains(err.Error(), "not offered") {
		t.Errorf("hermetic: %v", err)
	}
	// Where another kind is accepted, that one is taken.
	hermetic = either("alone", 7, july, end, "H300", "H200", "H100")
	hermetic.Tranches[0].Links = lease.Hermetic
	if p, err := s.PlanContract(schedule, hermetic, true); err != nil || p.Refused != nil || p.Contract.Tranches[0].Kind != "H100" {
		t.Errorf("hermetic, of H100 too: %v", err)
	}
	hermetic.Tranches[0].GPUs = 15 * site.GPUs
	if p, err := s.PlanContract(schedule, hermetic, true); err != nil || p.Refused == nil {
		t.Errorf("more than there is: %v", err)
	} else {
		var refusal *book.Refusal
		if errors.As(p.Refused, &refusal) {
			t.Error("what holds figures is taken for a refusal that a tenant may read")
		}
		for _, want := range []string{"as H300: 15 nodes", "as H200: tranche w1: whole racks with hermetic", "as H100: 15 nodes"} {
			if !strings.Contains(p.Refused.Error(), want) {
				t.Errorf("no %q in: %v", want, p.Refused)
			}
		}
	}
	// Split racks are promised where they may be; what follows is whole beside them.
	s.do(t, loose)
	holders := map[int]string{}
	for _, c := range []*contract.Contract{ask("one", 7, false), ask("two", 4, false), ask("three", 3, false)} {
		p, o := s.settled(t, c)
		if p.Refused != nil {
			t.Fatal(c.ID, p.Refused)
		}
		s.do(t, o)
		s.do(t, book.SignQuote{Quote: o.Quote, By: "x", Signed: contract.ByTenant("x")})
		l, _ := s.LeaseByID(book.LeaseIDOf(c.ID, "w1"))
		must(t, check.Racks(s.Site, l.Slots))
		for _, n := range l.Slots {
			if other := holders[s.Site.RackOf(n)]; other != "" && other != c.ID {
				t.Errorf("rack %s is of %s and %s", s.Site.RackID(s.Site.RackOf(n)), other, c.ID)
			}
			holders[s.Site.RackOf(n)] = c.ID
		}
	}
	if schedule, err = s.Schedule(s.now); err != nil {
		t.Fatal(err)
	}
	if h, held := schedule.ByID("one/w1"); !held || !h.Pinned {
		t.Error("whole racks that have not begun may be placed again one node at a time")
	}
}

// TestRampsOfWholeRacks: each step of a ramp adds whole racks.
func TestRampsOfWholeRacks(t *testing.T) {
	s := on(t, atTenants)
	s.domains("H200")
	july, end := time.Date(2026, 7, 1, 0, 0, 0, 0, time.UTC), time.Date(2027, 6, 1, 0, 0, 0, 0, time.UTC)
	c := either("ramp", 4, july, end, "H200")
	second := c.Tranches[0]
	second.ID, second.GPUs, second.Delivery = "w2", 6*site.GPUs, july.AddDate(0, 1, 0)
	c.Tranches = append(c.Tranches, second)
	c.Rates[0].Tranches = []string{"w1", "w2"}
	p, o := s.settled(t, c)
	if p.Refused != nil || len(p.Planned) != 1 {
		t.Fatalf("%d plans, %v", len(p.Planned), p.Refused)
	}
	s.do(t, o)
	s.do(t, book.SignQuote{Quote: o.Quote, By: "x", Signed: contract.ByTenant("x")})
	for id, nodes := range map[lease.ID]int{"ramp/w1": 4, "ramp/w2": 6} {
		l, _ := s.LeaseByID(id)
		if must(t, check.Racks(s.Site, l.Slots)); len(l.Slots) != nodes {
			t.Errorf("%s has %d nodes", id, len(l.Slots))
		}
	}
}

// TestReplacementStaysInItsDomain: a failed node of a rack that is one NVLink
// domain is replaced in that rack or not at all, and the tenant is told.
func TestReplacementStaysInItsDomain(t *testing.T) {
	s := on(t, atRunning)
	n := s.up("flagship/t1")
	l := s.LeaseOn(n)
	s.fold(t, drafts(s, fail(n, true))...)
	c := s.replacement(n)
	for to := range s.Candidates().All() {
		if s.Site.KindOf(to) == l.Kind && s.Site.ComputeFabric(to) == s.Site.ComputeFabric(n) && s.Site.RackOf(to) != s.Site.RackOf(n) {
			c.Node = to
		}
	}
	if s.Site.RackOf(c.Node) == s.Site.RackOf(n) {
		t.Fatal("no candidate in another rack")
	}
	if _, err := s.decide(t, c); err != nil {
		t.Fatalf("without domains: %v", err)
	}
	s.domains(l.Kind)
	if _, err := s.decide(t, c); err == nil || !strings.Contains(err.Error(), "is one NVLink domain") {
		t.Errorf("a node of another rack: %v", err)
	}
	if f := s.FailureOf(l, n); f.Within != place.SameRack {
		t.Errorf("a replacement is looked for in the %s", f.Within)
	}
	if _, err := s.decide(t, book.ProposeDefrag{Lease: l.ID}); err == nil || !strings.Contains(err.Error(), "whole racks") {
		t.Errorf("moves of single nodes: %v", err)
	}
	s.Contracts["flagship"].Current().TrancheByID("t1").SplitRacks = true
	if _, err := s.decide(t, c); err == nil || !strings.Contains(err.Error(), "a domain is never shared") {
		t.Errorf("a lease whose racks may be split, into another project's domain: %v", err)
	}
	for to := range s.CandidatesFor(l).All() {
		if c.Node = to; s.Site.RackOf(to) != s.Site.RackOf(n) && s.Site.KindOf(to) == l.Kind && s.Site.ComputeFabric(to) == s.Site.ComputeFabric(n) {
			if _, err := s.decide(t, c); err != nil {
				t.Errorf("a lease whose racks may be split: %v", err)
			}
			break
		}
	}
}
