package book_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"bulkhead/book"
	"bulkhead/claim"
	"bulkhead/contract"
	"bulkhead/lease"
	"bulkhead/meter"
)

// deeds is every act of a tenant's that its key signs, each where it can be done: the
// stage, the act, and what the entry of it holds.
var deeds = map[string]func(t *testing.T) (s *stage, tenant string, c book.Deed){
	"notice": func(t *testing.T) (*stage, string, book.Deed) {
		return on(t, atRunning), "tidewater", book.PerformAct{Contract: "tidewater", Act: contract.ActNotice, By: officer("tidewater")}
	},
	"terminate-early": func(t *testing.T) (*stage, string, book.Deed) {
		s := on(t, atRunning)
		s.terms("tidewater", func(c *contract.Contract) {
			c.Termination = append(c.Termination, contract.Right{When: contract.WhenEarly, Remedy: contract.RemedyTerminate, By: contract.Tenant, Fee: "0.5"})
		})
		return s, "tidewater", book.PerformAct{Contract: "tidewater", Act: contract.ActTerminateEarly, By: officer("tidewater")}
	},
	"terminate-late": func(t *testing.T) (*stage, string, book.Deed) {
		s := on(t, atContracts)
		s.now = s.Contracts["tidewater"].Current().Tranches[0].Delivery.AddDate(0, 0, 21)
		return s, "tidewater", book.PerformAct{Contract: "tidewater", Act: contract.ActTerminateLate, By: officer("tidewater")}
	},
	"reduce": func(t *testing.T) (*stage, string, book.Deed) {
		s := on(t, atPartly)
		l := s.partly()
		s.terms(l.Contract, func(c *contract.Contract) {
			c.Termination = []contract.Right{{When: contract.WhenLate, AfterDays: 3, Remedy: contract.RemedyReduce, By: contract.Tenant}}
		})
		s.later(4 * 24 * time.Hour)
		return s, l.Tenant, book.PerformAct{Contract: l.Contract, Act: contract.ActReduce, Tranche: l.Tranche, By: officer(lease.ID(l.Tenant))}
	},
	"dispute": func(t *testing.T) (*stage, string, book.Deed) {
		s := on(t, atInvoice)
		i := s.billed(t)
		return s, i.Tenant, disputeOf(i)
	},
	"answer": func(t *testing.T) (*stage, string, book.Deed) {
		s := on(t, atRunning)
		n := s.up("flagship/t1")
		s.do(t, fail(n, true))
		c := s.replacement(n)
		s.do(t, c)
		return s, "flagship", book.AcknowledgeReplacement{Lease: c.Lease, Slot: c.Slot, Actor: officer(c.Lease)}
	},
	"consent": func(t *testing.T) (*stage, string, book.Deed) {
		s, l := spread(t)
		s.do(t, s.plan(t, l, 1))
		return s, "tidewater", book.ConsentDefrag{Lease: l.ID, Proposal: s.Defrags[l.ID].Number, By: "officer"}
	},
}

func disputeOf(i *meter.Invoice) book.DisputeLine {
	return book.DisputeLine{Invoice: i, Line: "usage/w1", Reason: "node 3 was down", By: officer(lease.ID(i.Tenant))}
}

// shownOf is what a deed comes to, and the act that a key signs over it now.
func (s *stage) shownOf(t *testing.T, c book.Deed) (claim.Digest, contract.Assent) {
	t.Helper()
	shown, err := c.Show(s.State, s.now)
	must(t, err)
	digest := shown.Digest()
	return digest, contract.ActAssent(shown.Act, s.Site.Name, shown.Contract.Tenant, shown.Contract.ID, digest, s.now, s.now.Add(contract.AssentLasts))
}

// TestATenantsActsNeedItsKey: from the first key on, each of the tenant's acts is done by a
// signature of a key that counts, over this act and what was shown of it, and by nothing else.
func TestATenantsActsNeedItsKey(t *testing.T) {
	signer, _ := ownKey(t, 11)
	stranger, _ := ownKey(t, 12)
	lost, _ := ownKey(t, 13)
	other := claim.DigestOf([]byte("another sheet"))
	refusals := []struct {
		name        string
		with        func(a *book.Assured, act contract.Assent)
		field, says string
	}{
		{"a token alone", func(a *book.Assured, _ contract.Assent) { a.Assent = nil }, "assent", "a token alone does not act"},
		{"a token alone, and nothing confirmed", func(a *book.Assured, _ contract.Assent) { *a = book.Assured{} }, "", ""},
		{"a signature, and nothing confirmed", func(a *book.Assured, _ contract.Assent) { a.Confirmed = claim.Digest{} }, "confirmed", ""},
		{"a signature beside what another sheet says", func(a *book.Assured, _ contract.Assent) { a.Confirmed = other }, "confirmed", "look at it again"},
		{"another act's bytes", signing(t, signer, func(a *contract.Assent) {
			was := a.Act
			if a.Act = string(contract.ActTerminateEarly); a.Act == was {
				a.Act = string(contract.ActTerminateLate)
			}
		}), "assent", "of another act"},
		{"a contract's bytes", signing(t, signer, func(a *contract.Assent) { a.Act, a.Version = contract.ActContract, 2 }), "assent", "of another act"},
		{"the bytes of another sheet", signing(t, signer, func(a *contract.Assent) { a.Shown = other }), "assent", "of another act"},
		{"bytes that name no sheet", signing(t, signer, func(a *contract.Assent) { a.Shown = claim.Digest{} }), "assent", "of another act"},
		{"another contract's", signing(t, signer, func(a *contract.Assent) { a.Contract = "another" }), "assent", "of another act"},
		{"another tenant's", signing(t, signer, func(a *contract.Assent) { a.Tenant = "another" }), "assent", "of another act"},
		{"another site's", signing(t, signer, func(a *contract.Assent) { a.Site = "another" }), "assent", "of another act"},
		{"one that has expired", signing(t, signer, func(a *contract.Assent) {
			a.At, a.Expires = a.At.Add(-contract.AssentLasts), a.Expires.Add(-contract.AssentLasts)
		}), "assent", "it could be used until"},
		{"one that is older than the key", signing(t, signer, func(a *contract.Assent) { a.At = a.At.AddDate(0, 0, -1) }), "assent", "after it signed at"},
		{"one of tomorrow", signing(t, signer, func(a *contract.Assent) { a.At, a.Expires = a.At.AddDate(0, 0, 1), a.Expires.AddDate(0, 0, 1) }), "assent", "which is after"},
		{"a stranger's key", signing(t, stranger, nil), "assent", "is not registered as the tenant's"},
		{"a stranger's signature under the name of the tenant's key", func(a *book.Assured, act contract.Assent) {
			own := a.Assent.Key
			signing(t, stranger, nil)(a, act)
			a.Assent.Key = own
		}, "assent", "signature"},
		{"a key that was revoked", signing(t, lost, nil), "assent", "was revoked"},
	}
	for name, make := range deeds {
		t.Run(name, func(t *testing.T) {
			s, tenant, c := make(t)
			digest, act := s.shownOf(t, c)
			early := book.Assured{Confirmed: digest, Assent: assentBy(t, act, signer)}
			if _, err := s.decide(t, book.With(c, early)); err == nil || !strings.Contains(err.Error(), "has registered no key") {
				t.Errorf("signed before there is a key: %v", err)
			}
			s.do(t, keyOf(t, s.Site.Name, tenant, s.now, signer, nil))
			s.do(t, keyOf(t, s.Site.Name, tenant, s.now, lost, signer))
			s.do(t, keyGone(t, s.Site.Name, tenant, s.now, lost, signer))
			s.later(contract.AssentLasts * 3 / 2)
			digest, act = s.shownOf(t, c)
			good := book.Assured{Confirmed: digest, Assent: assentBy(t, act, signer)}
			for _, r := range refusals {
				with := book.Assured{Confirmed: digest, Assent: assentBy(t, act, signer)}
				r.with(&with, act)
				_, err := s.decide(t, book.With(c, with))
				var refusal *book.Refusal
				if !errors.As(err, &refusal) || r.field != "" && refusal.Field != r.field || !strings.Contains(err.Error(), r.says) {
					t.Errorf("%s: %v, expected a refusal of %q with %q", r.name, err, r.field, r.says)
				}
			}
			drafts := s.do(t, book.With(c, good))
			for _, part := range []string{good.Assent.Key, act.Shown.String(), `"preview":"` + digest.String()} {
				if !strings.Contains(string(drafts[0].Body), part) {
					t.Errorf("the entry %s does not hold %s", drafts[0].Body, part)
				}
			}
			// What was signed for it once does it once.
			if d, err := s.decide(t, book.With(c, good)); err == nil {
				t.Errorf("the same signature does it again: %s", kinds(d.Drafts))
			}
		})
	}
}

// signing signs an act with a key after a change.
func signing(t *testing.T, with ssh.Signer, change func(a *contract.Assent)) func(*book.Assured, contract.Assent) {
	return func(a *book.Assured, act contract.Assent) {
		if change != nil {
			change(&act)
		}
		a.Assent = assentBy(t, act, with)
	}
}

// TestASignatureIsUsedOnce: what a key has signed for a line that was answered since does
// not dispute it again, though everything that the tenant says is the same.
func TestASignatureIsUsedOnce(t *testing.T) {
	s := on(t, atInvoice)
	signer, _ := ownKey(t, 11)
	i := s.billed(t)
	c := disputeOf(i)
	s.do(t, keyOf(t, s.Site.Name, i.Tenant, s.now, signer, nil))
	digest, act := s.shownOf(t, c)
	used := book.Assured{Assent: assentBy(t, act, signer), Confirmed: digest}
	s.do(t, book.With(c, used))
	s.do(t, book.SettleDispute{Invoice: i, Line: c.Line, Reason: "it was up", By: finance})
	if _, err := s.decide(t, book.With(c, used)); err == nil || !strings.Contains(err.Error(), "look at it again") {
		t.Errorf("the same again: %v", err)
	}
	used.Confirmed, _ = s.shownOf(t, c)
	if _, err := s.decide(t, book.With(c, used)); err == nil || !strings.Contains(err.Error(), "of another act") {
		t.Errorf("the old signature beside what is shown now: %v", err)
	}
}

// TestTheTenantsKeySignsNoActOfTheOwners: the owner's notice and its answer to a dispute
// are nobody else's, and a signature of the tenant's beside them is refused.
func TestTheTenantsKeySignsNoActOfTheOwners(t *testing.T) {
	signer, _ := ownKey(t, 11)
	s := on(t, atInvoice)
	i := s.billed(t)
	s.do(t, disputeOf(i))
	s.do(t, keyOf(t, s.Site.Name, i.Tenant, s.now, signer, nil))
	c := book.SettleDispute{Invoice: i, Line: "usage/w1", Reason: "it was up", By: finance}
	digest, act := s.shownOf(t, c)
	if _, err := s.decide(t, book.With(c, book.Assured{Confirmed: digest, Assent: assentBy(t, act, signer)})); err == nil || !strings.Contains(err.Error(), "no key of the tenant's signs it") {
		t.Errorf("an answer that the tenant has signed: %v", err)
	}
	if _, err := s.decide(t, book.With(c, book.Assured{Confirmed: claim.DigestOf([]byte("another sheet"))})); err == nil || !strings.Contains(err.Error(), "look at it again") {
		t.Errorf("an answer that would come to something else: %v", err)
	}
	s.do(t, book.With(c, book.Assured{Confirmed: digest})) // the tenant's key doesn't bind the owner
}
