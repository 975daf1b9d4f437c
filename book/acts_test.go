package book_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"bulkhead/book"
	"bulkhead/claim"
	"bulkhead/contract"
	"bulkhead/lease"
)

// officer acts for the tenant of a lease, in the tests' contracts.
func officer(id lease.ID) book.Actor {
	tenant, _, _ := strings.Cut(string(id), "/")
	return book.Actor{Subject: "officer", Role: contract.RoleAdministrator, Tenant: tenant}
}

var finance = book.Actor{Subject: "finance on duty", Role: contract.RoleFinance}

// confirmed is an act with the digest of what it comes to now.
func (s *stage) confirmed(t *testing.T, act contract.Act, id string, by book.Actor) book.PerformAct {
	t.Helper()
	c := book.PerformAct{Contract: id, Act: act, By: by}
	out, err := c.Preview(s.State, s.now)
	if err != nil {
		t.Fatalf("%s of %s can't be previewed: %v", act, id, err)
	}
	c.Confirmed = out.Preview.Digest()
	return c
}

// act does an act as its preview shows it.
func (s *stage) act(t *testing.T, act contract.Act, id string, by book.Actor) []book.Draft {
	t.Helper()
	return s.do(t, s.confirmed(t, act, id, by))
}

// terms gives the contract in force other terms, as if they had been signed so.
func (s *stage) terms(id string, change func(c *contract.Contract)) {
	versions := s.Contracts[id].Versions
	for i := range versions {
		versions[i] = versions[i].Clone()
		change(versions[i])
	}
}

// TestEveryActAgainstEveryParty walks the table of acts: under terms that name one party,
// the other is refused each of them by the book, whatever the API would say, and so is
// the right party in a wrong role, and another tenant.
func TestEveryActAgainstEveryParty(t *testing.T) {
	actors := map[string]book.Actor{contract.Owner: finance, contract.Tenant: officer("tidewater")}
	for _, rule := range contract.Acts() {
		if rule.Act == contract.ActAmend || rule.Act == contract.ActDispute || rule.Act == contract.ActSettle || rule.Act == contract.ActAcknowledge || rule.Act == contract.ActConsent {
			continue // of one party under every contract, or of both: tested where they are
		}
		for _, named := range []string{contract.Owner, contract.Tenant, "either"} {
			for party, by := range actors {
				s := on(t, atRunning)
				s.terms("tidewater", func(c *contract.Contract) {
					for i := range c.Termination {
						c.Termination[i].By = named
					}
					c.Termination = append(c.Termination,
						contract.Right{When: contract.WhenEarly, Remedy: contract.RemedyTerminate, By: named, Fee: "0.5"},
						contract.Right{When: contract.WhenLate, Remedy: contract.RemedyReduce, By: named})
				})
				c := book.PerformAct{Contract: "tidewater", Act: rule.Act, By: by}
				out, err := c.Preview(s.State, s.now)
				may := named == party || named == "either"
				late := rule.Act == contract.ActTerminateLate || rule.Act == contract.ActReduce // nothing is
				if refusal := new(book.Refusal); err != nil && !errors.As(err, &refusal) {
					t.Errorf("%s by the %s: the one who asks is not told %v", rule.Act, party, err)
				}
				switch {
				case !may && (err == nil || !strings.Contains(err.Error(), "only")):
					t.Errorf("%s, which the terms give to the %s, by the %s: %v", rule.Act, named, party, err)
				case may && !late && err != nil:
					t.Errorf("%s, which the terms give to the %s, by the %s is refused: %v", rule.Act, named, party, err)
				case may && late && (err == nil || !strings.Contains(err.Error(), "is late")):
					t.Errorf("%s, and nothing is late: %v", rule.Act, err)
				}
				// The command itself, with whatever was confirmed.
				c.Confirmed = claim.DigestOf([]byte("whatever"))
				if _, err := s.decide(t, c); err == nil {
					t.Errorf("%s by the %s is done on another confirmation", rule.Act, party)
				}
				for _, wrong := range []book.Actor{
					{Subject: "x", Role: "operator"}, {Subject: "x", Role: "viewer", Tenant: "tidewater"}, {Subject: "x"}, officer("flagship"), book.Loop,
				} {
					c.By = wrong
					if out != nil {
						c.Confirmed = out.Preview.Digest()
					}
					if _, err := s.decide(t, c); err == nil {
						t.Errorf("%s by %+v is done", rule.Act, wrong)
					}
				}
			}
		}
	}
}

// TestTheOwnerCannotGiveTheTenantsNotice: terms by which only the tenant may end it.
func TestTheOwnerCannotGiveTheTenantsNotice(t *testing.T) {
	s := on(t, atRunning)
	s.terms("tidewater", func(c *contract.Contract) {
		for i := range c.Termination {
			c.Termination[i].By = contract.Tenant
		}
	})
	c := book.PerformAct{Contract: "tidewater", Act: contract.ActNotice, By: finance}
	if _, err := s.decide(t, c); err == nil || !strings.Contains(err.Error(), "gives this right to the tenant only") {
		t.Fatalf("the owner's notice: %v", err)
	}
	// A contract with a notice that names nobody is the tenant's to end.
	s.terms("tidewater", func(c *contract.Contract) { c.Termination = nil })
	if _, err := s.decide(t, c); err == nil || !strings.Contains(err.Error(), "tenant only") {
		t.Fatalf("the owner's notice, where nobody is named: %v", err)
	}
	if got := kinds(s.act(t, contract.ActNotice, "tidewater", officer("tidewater"))); got != "tenant/tidewater contract.notice/1" {
		t.Errorf("the tenant's notice is %s", got)
	}
}

// TestWhatIsConfirmedIsDone: nothing is done unconfirmed, nor when it would come to
// something else than what was shown.
func TestWhatIsConfirmedIsDone(t *testing.T) {
	s := on(t, atRunning)
	c := book.PerformAct{Contract: "tidewater", Act: contract.ActNotice, By: officer("tidewater")}
	if _, err := s.decide(t, c); err == nil || !strings.Contains(err.Error(), "can't be taken back") {
		t.Errorf("unconfirmed: %v", err)
	}
	shown := s.confirmed(t, contract.ActNotice, "tidewater", officer("tidewater"))
	s.later(time.Second) // the same day: it comes to the same
	if _, err := s.decide(t, shown); err != nil {
		t.Errorf("a second later: %v", err)
	}
	s.later(24 * time.Hour)
	if _, err := s.decide(t, shown); err == nil || !strings.Contains(err.Error(), "look at it again") {
		t.Errorf("a day later, when it ends a day later: %v", err)
	}
	s.act(t, contract.ActNotice, "tidewater", officer("tidewater"))
	if k := s.Contracts["tidewater"]; k.Current().Ending == nil || k.Current().Ending.Refund == "" || k.Current().Ending.Party != contract.Tenant {
		t.Errorf("what is left of the prepayment: %+v", k.Current().Ending)
	}
}

// answerOf is the loop's answer to a proposal at its deadline, or a person's.
func answerOf(by string, id lease.ID, slot uint32) book.AcknowledgeReplacement {
	if by == book.ByDeadline {
		return book.AcknowledgeReplacement{Lease: id, Slot: slot, By: by}
	}
	return book.AcknowledgeReplacement{Lease: id, Slot: slot, Actor: officer(id)}
}
