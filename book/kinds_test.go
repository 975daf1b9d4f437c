package book_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"bulkhead/book"
	"bulkhead/contract"
	"bulkhead/lease"
	"bulkhead/place"
	"bulkhead/place/dated"
	"bulkhead/site"
)

// either is a contract of one tranche that accepts kinds, at a price each.
func either(id string, nodes int, delivery, end time.Time, kinds ...string) *contract.Contract {
	return sold("tidewater", func(c *contract.Contract) {
		c.ID, c.Begin, c.Effective, c.End, c.FirmUntil = id, delivery, delivery, end, time.Time{}
		c.ZoneRules = nil
		c.FixZone()
		c.TakeOrPay, c.Prepaid, c.Storage = nil, nil, nil
		tr := &c.Tranches[0]
		tr.Kind, tr.Kinds, tr.Fabric, tr.GPUs, tr.Volumes = "", kinds, "roce", int64(nodes*site.GPUs), nil
		tr.Delivery, tr.End = delivery, end
		rate := c.Rates[0]
		rate.From, rate.To = delivery, end
		c.Rates = nil
		for i, kind := range kinds {
			rate.Kind, rate.Price = kind, contract.Decimal(fmt.Sprint(2+i))
			c.Rates = append(c.Rates, rate)
		}
		if len(kinds) == 1 {
			tr.Kind, tr.Kinds = kinds[0], nil
		}
	})
}

// worthOf is what a plan of one tranche is judged by, written anew.
func worthOf(s *site.Site, p *book.PlannedContract) [7]int {
	if p.Planned[0].Plan == nil {
		return [7]int{1}
	}
	late := 0
	for _, part := range p.Planned[0].Plan.Parts {
		if p.Planned[0].Plan.Late(part) {
			late += len(part.Nodes)
		}
	}
	c := place.CostOf(s, p.Planned[0].Plan.Final().Nodes)
	return [7]int{0, late, c.Halls, c.Pods, c.SUs, c.Racks, len(p.Planned[0].Plan.Moves)}
}

// TestNeverWorseThanEachKindAlone: over random sizes, dates, links and kinds, on a
// site that fills up, an ask that accepts several kinds gets what the best of
// them alone would, at an equal shape the first, and is refused only if all are.
func TestNeverWorseThanEachKindAlone(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 17))
	chosen, refusals, second, ties := map[string]int{}, 0, 0, 0
	for round := range 6 {
		s := on(t, atTenants)
		for i := range 12 {
			delivery := time.Date(2026, 5, 1+r.IntN(80), 0, 0, 0, 0, time.UTC)
			end := delivery.AddDate(0, 1+r.IntN(12), 0)
			kinds := []string{"H100", "H200"}
			if r.IntN(2) == 0 {
				kinds = []string{"H200", "H100"}
			}
			id := fmt.Sprintf("either-%d-%d", round, i)
			nodes := 1 + r.IntN(12)
			shape := func(kinds ...string) *contract.Contract {
				c := either(id, nodes, delivery, end, kinds...)
				c.Tranches[0].Split = i%3 == 0
				if i%4 == 1 {
					c.Tranches[0].Links = lease.Hermetic
				}
				return c
			}
			split := shape(kinds...)
			schedule, err := s.Schedule(s.now)
			must(t, err)
			got, err := s.PlanContract(schedule, split, true)
			must(t, err)
			best, first := [7]int{2}, ""
			for _, kind := range kinds {
				alone, err := s.PlanContract(schedule, shape(kind), true)
				must(t, err)
				w := worthOf(s.Site, alone)
				switch order := compareInts(w, best); {
				case order < 0:
					best, first = w, kind
				case order == 0 && w[0] == 0:
					ties++
				}
			}
			if w := worthOf(s.Site, got); w != best {
				t.Fatalf("%s: %v, and the best kind alone %v", id, w, best)
			}
			if best[0] == 1 {
				refusals++
				var each *book.KindsError
				if !errors.As(got.Refused, &each) || len(each.Kinds) != 2 || each.Kinds[0].Kind != kinds[0] || each.Kinds[1].Kind != kinds[1] {
					t.Fatalf("%s: refused without a reason for each kind: %v", id, got.Refused)
				}
				for _, one := range each.Kinds {
					if !strings.Contains(one.Why.Error(), one.Kind) {
						t.Errorf("%s: the reason for %s is about another kind: %v", id, one.Kind, one.Why)
					}
				}
				continue
			}
			if got.Refused != nil || got.Contract.Tranches[0].Kind != first || !split.SettledBy(got.Contract) || len(got.Contract.Rates) != 1 {
				t.Fatalf("%s: %s, expected %s (%v)", id, got.Contract.Tranches[0].Kind, first, got.Refused)
			}
			if first != kinds[0] {
				second++
			}
			chosen[first]++
			o := book.OfferQuote{Quote: id, Contract: got.Contract, Expires: s.now.Add(48 * time.Hour)}
			o.Slices, o.Moves = book.Proposals(got.Planned)
			s.do(t, o)
			s.do(t, book.SignQuote{Quote: id, By: "x", Signed: contract.ByTenant("x")})
			l, _ := s.LeaseByID(book.LeaseIDOf(id, "w1"))
			if l.Kind != first {
				t.Fatalf("%s: the lease is of %s", id, l.Kind)
			}
			for _, n := range l.Slots {
				if s.Site.KindOf(n) != first { // one domain, one kind
					t.Fatalf("%s: node %s is of %s", id, s.Site.NodeID[n], s.Site.KindOf(n))
				}
			}
		}
	}
	if chosen["H100"] < 5 || chosen["H200"] < 5 || refusals < 3 || second < 5 || ties < 3 {
		t.Errorf("too little was tried: %v, %d refused, %d in the second kind, %d ties", chosen, refusals, second, ties)
	}
}

func compareInts(a, b [7]int) int {
	for i := range a {
		if a[i] != b[i] {
			return a[i] - b[i]
		}
	}
	return 0
}

// TestOpenKindsAreNotSigned: the writer takes no contract whose kind is open, none
// whose placement is of another kind than it says, and keeps a lease's kind when
// the same file comes back larger.
func TestOpenKindsAreNotSigned(t *testing.T) {
	s := on(t, atTenants)
	delivery, end := time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC), time.Date(2027, 6, 1, 0, 0, 0, 0, time.UTC)
	asked := either("either", 4, delivery, end, "H100", "H200")
	plan := func(c *contract.Contract) (*book.PlannedContract, book.OfferQuote) {
		t.Helper()
		schedule, err := s.Schedule(s.now)
		must(t, err)
		p, err := s.PlanContract(schedule, c, true)
		must(t, err)
		if p.Refused != nil {
			t.Fatal(p.Refused)
		}
		o := book.OfferQuote{Quote: fmt.Sprint("q", c.Version), Contract: p.Contract, Expires: s.now.Add(48 * time.Hour)}
		o.Slices, o.Moves = book.Proposals(p.Planned)
		return p, o
	}
	p, o := plan(asked)
	open := o
	open.Contract = asked
	if _, err := s.decide(t, open); err == nil || !strings.Contains(err.Error(), "chosen") {
		t.Errorf("an open kind: %v", err)
	}
	other := o
	all, err := asked.Settlements()
	must(t, err)
	other.Contract = all[1]
	if p.Contract.Tranches[0].Kind != "H100" || all[1].Tranches[0].Kind != "H200" {
		t.Fatal("the test takes the kinds to be the other way round")
	}
	if _, err := s.decide(t, other); err == nil {
		t.Error("a placement on H100 is taken for a contract of H200")
	}
	s.do(t, o)
	s.do(t, book.SignQuote{Quote: "q1", By: "x", Signed: contract.ByTenant("x")})

	// Its next version names the same kinds, the other one first.
	next := either("either", 4, delivery, end, "H200", "H100")
	next.Version = 2
	second := next.Tranches[0]
	second.ID, second.Delivery = "w2", delivery.AddDate(0, 1, 0)
	next.Tranches = append(next.Tranches, second)
	for i := range next.Rates {
		next.Rates[i].Tranches = []string{"w1", "w2"}
	}
	p, o = plan(next)
	if p.Contract.Tranches[0].Kind != "H100" || p.Contract.Tranches[1].Kind != "H100" {
		t.Errorf("the lease is of H100, and its ramp is settled as %s and %s", p.Contract.Tranches[0].Kind, p.Contract.Tranches[1].Kind)
	}
	s.do(t, o)
	next.Tranches[0].Kinds, next.Tranches[1].Kinds = []string{"H200", "H300"}, []string{"H200", "H300"}
	next.Rates[1].Kind = "H300"
	schedule, err := s.Schedule(s.now)
	must(t, err)
	if _, err := s.PlanContract(schedule, next, true); err == nil || !strings.Contains(err.Error(), "has a lease of a kind that it does not accept") {
		t.Errorf("a lease of a kind that is no longer accepted: %v", err)
	}
}

// TestKindsGiveWayToEachOther: a tranche takes its second kind where the first
// would leave nothing for the tranche beside it.
func TestKindsGiveWayToEachOther(t *testing.T) {
	s := on(t, atTenants)
	delivery, end := time.Date(2026, 7, 1, 0, 0, 0, 0, time.UTC), time.Date(2027, 6, 1, 0, 0, 0, 0, time.UTC)
	c := either("either", 14, delivery, end, "H100", "H200")
	fixed := c.Tranches[0]
	fixed.ID, fixed.Kind, fixed.Kinds = "w2", "H100", nil
	fixed.End = end.AddDate(0, 0, -1) // no step of the other
	c.Tranches = append(c.Tranches, fixed)
	c.Rates[0].Tranches = []string{"w1", "w2"}
	schedule, err := s.Schedule(s.now)
	must(t, err)
	p, err := s.PlanContract(schedule, c, true)
	must(t, err)
	if p.Refused != nil || p.Contract.Tranches[0].Kind != "H200" {
		t.Fatalf("%s: %v", p.Contract.Tranches[0].Kind, p.Refused)
	}
	// Nothing gives way to what can't be had at all: it is that which is named.
	c.Tranches[1].GPUs = 15 * site.GPUs
	if p, err = s.PlanContract(schedule, c, true); err != nil || p.Refused == nil || !strings.HasPrefix(p.Refused.Error(), "tranche w2: 15 nodes") {
		t.Errorf("%v, %v", p.Refused, err)
	}
	var short *dated.ShortError
	if !errors.As(p.Refused, &short) {
		t.Error("the shortfall is not part of the refusal")
	}

	// Where each kind leaves something short, the reason of each says what.
	o, _ := s.overTime(t, "all", either("all", 28, delivery, end, "H200"), true)
	s.do(t, o)
	c.Tranches[0].GPUs, c.Tranches[1].GPUs = 4*site.GPUs, 14*site.GPUs
	schedule, err = s.Schedule(s.now)
	must(t, err)
	p, err = s.PlanContract(schedule, c, true)
	must(t, err)
	for _, want := range []string{"tranche w1: no kind", "as H100: then tranche w2 is short: 14 nodes (112 GPUs) of H100", "as H200: 4 nodes (32 GPUs) of H200"} {
		if p.Refused == nil || !strings.Contains(p.Refused.Error(), want) {
			t.Errorf("no %q in: %v", want, p.Refused)
		}
	}
}
