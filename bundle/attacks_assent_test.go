package bundle_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"time"

	"bulkhead/bundle"
	"bulkhead/bundle/bundletest"
	"bulkhead/claim"
	"bulkhead/contract"
)

// invented is a key that the owner has made and says is the tenant's.
var invented = bundletest.Stranger(7)

// tenfold is everything forged at ten times the price: contract, quote, invoices.
func tenfold(terms bundletest.Terms) func(o *bundletest.Owner) *bundletest.Story {
	terms.Price = "39.50"
	return func(o *bundletest.Owner) *bundletest.Story { return bundletest.WholeBy(o, terms) }
}

func ownKeys(a *attempt) { a.policy = a.Owner.OwnKeys(bundletest.Tenant) }

// dear is an amendment to ten times the price.
func dear(c *contract.Contract) {
	c.Rates[0].Price, c.SLA = "39.5", nil
}

// changeSigned changes the entry that puts the first version in force.
func (a *attempt) changeSigned(change func(b *contract.Signed)) {
	bundletest.Change(a.Log, contract.KindSigned, func(i int, b *contract.Signed) {
		if i == 0 {
			change(b)
		}
	})
}

// resignAs signs what another act would be with the tenant's real key, as an owner
// who was given that signature for something else.
func (a *attempt) resignAs(change func(s *contract.Assent)) {
	ownKeys(a)
	a.changeSigned(func(b *contract.Signed) {
		act := b.Assent.Assent
		change(&act)
		b.Assent = bundletest.SignAssent(act, a.Owner.Officer)
	})
}

// assentStories are the logs that attacks on the tenant's own acts begin with, by the
// attack's name.
var assentStories = map[string]func(o *bundletest.Owner) *bundletest.Story{}

// begun is an attack with the log that it begins with.
func begun(name string, check bundle.Check, says string, forge func(a *attempt), story func(o *bundletest.Owner) *bundletest.Story) attack {
	assentStories[name] = story
	return attack{name, check, says, forge}
}

// assentAttacks are on the tenant's own acts.
var assentAttacks = []attack{
	begun("everything at ten times the price, and nobody has signed", bundle.CheckAssent, "the tenant has not agreed", func(a *attempt) {
		a.changeSigned(func(b *contract.Signed) { b.Signatures = b.Signatures[:1] })
	}, tenfold(bundletest.Terms{})),
	begun("everything at ten times the price, by a token that the owner made", bundle.CheckAssent, "not signed by a key of the tenant's", ownKeys, tenfold(bundletest.Terms{})),
	begun("the same beside the tenant's registered key", bundle.CheckAssent, "not signed by a key of the tenant's", func(a *attempt) {}, tenfold(bundletest.Terms{Registers: owner.Officer})),
	begun("everything at ten times the price, by a key that the owner made", bundle.CheckAssent, "none of the tenant_keys", ownKeys, tenfold(bundletest.Terms{Registers: invented, Signs: invented})),
	begun("the signature under the honest contract on one of ten times the price", bundle.CheckAssent, "of another act", func(a *attempt) {
		ownKeys(a)
		a.changeSigned(func(b *contract.Signed) {
			c := a.Contract.Clone()
			c.Rates[0].Price = "3.95"
			b.Assent = bundletest.SignAssent(c.Assent(a.Owner.Site, "q1", b.Assent.Assent.At, b.Assent.Assent.Expires), a.Owner.Officer)
		})
	}, tenfold(bundletest.Terms{Registers: owner.Officer, Signs: owner.Officer})),
	begun("a signature over a different contract of the same text but another document, claimed for it", bundle.CheckAssent, "signature", func(a *attempt) {
		ownKeys(a)
		a.changeSigned(func(b *contract.Signed) {
			c := a.Contract.Clone()
			c.Rates[0].Price = "3.95"
			old := bundletest.SignAssent(c.Assent(a.Owner.Site, "q1", b.Assent.Assent.At, b.Assent.Assent.Expires), a.Owner.Officer)
			b.Assent.Signature = old.Signature // under the forged act's own words
		})
	}, tenfold(bundletest.Terms{Registers: owner.Officer, Signs: owner.Officer})),

	begun("a second version at ten times the price, with a signature that finance made up", bundle.CheckAssent, "not signed by a key of the tenant's", func(a *attempt) {
		a.Amend(nil, dear, func(b *contract.Signed) {
			b.Signatures = []contract.Signature{{Party: contract.Owner, By: "finance, finance"}, {Party: contract.Tenant, By: "finance, finance in its name"}}
		})
	}, bundletest.Signed),
	begun("a second version that the owner's key has signed for the tenant", bundle.CheckAssent, "is not registered as the tenant's", func(a *attempt) {
		a.Amend(invented, dear, nil)
	}, bundletest.Signed),
	begun("a second version with the signature under the first", bundle.CheckAssent, "of another act", func(a *attempt) {
		var first *contract.SignedAssent
		a.changeSigned(func(b *contract.Signed) { first = b.Assent })
		a.Amend(nil, dear, func(b *contract.Signed) {
			again := *first
			again.Assent.Expires = first.Assent.Expires
			b.Assent = &again
		})
	}, bundletest.Signed),
	begun("a version by notice that changes the price", bundle.CheckAct, "is not what version 1 makes of notice", func(a *attempt) {
		next, err := a.Contract.Notice(a.Now)
		if err != nil {
			panic(err)
		}
		dear(next)
		a.Add(contract.KindNotice, contract.Acted{
			Contract: next.Encode(), Act: contract.ActNotice, Given: a.Now, Ends: next.End, By: "finance", Clause: "notice: 30 days",
			Signed: contract.Signature{Party: contract.Tenant, By: "officer"},
		})
	}, bundletest.Signed),

	begun("a signature for another site", bundle.CheckAssent, "of another act", func(a *attempt) {
		a.resignAs(func(s *contract.Assent) { s.Site = "othersite" })
	}, bundletest.Signed),
	begun("a signature of another tenant", bundle.CheckAssent, "of another act", func(a *attempt) {
		a.resignAs(func(s *contract.Assent) { s.Tenant = "rival" })
	}, bundletest.Signed),
	begun("a signature under another contract", bundle.CheckAssent, "of another act", func(a *attempt) {
		a.resignAs(func(s *contract.Assent) { s.Contract = "acme-2" })
	}, bundletest.Signed),
	begun("a signature under another quote", bundle.CheckAssent, "of another act", func(a *attempt) {
		a.resignAs(func(s *contract.Assent) { s.Quote = "q0" })
	}, bundletest.Signed),
	begun("a signature under something else than a contract", bundle.CheckAssent, "of another act", func(a *attempt) {
		a.resignAs(func(s *contract.Assent) { s.Act = contract.ActRegisterKey })
	}, bundletest.Signed),
	begun("a signature that could not be used any more", bundle.CheckAssent, "it could be used until", func(a *attempt) {
		a.resignAs(func(s *contract.Assent) { s.At, s.Expires = s.At.Add(-time.Minute), s.At })
	}, bundletest.Signed),
	begun("a signature that may be used after its quote", bundle.CheckAssent, "and quote q1 ended at", func(a *attempt) {
		a.resignAs(func(s *contract.Assent) { s.Expires = s.Expires.AddDate(1, 0, 0) })
	}, bundletest.Signed),
	begun("a signature of the future", bundle.CheckAssent, "which is after", func(a *attempt) {
		a.resignAs(func(s *contract.Assent) { s.At = s.At.Add(time.Minute) })
	}, bundletest.Signed),
	begun("a signature made in another namespace", bundle.CheckAssent, "namespace", func(a *attempt) {
		ownKeys(a)
		a.changeSigned(func(b *contract.Signed) {
			text, err := claim.SignSSH(a.Owner.Officer, "file", b.Assent.Assent.Encode())
			if err != nil {
				panic(err)
			}
			b.Assent.Signature = text
		})
	}, bundletest.Signed),

	begun("a signature by a key that was revoked", bundle.CheckAssent, "was revoked at", func(a *attempt) {
		second := bundletest.Stranger(9)
		a.RegisterKey(second, a.Owner.Officer)
		a.RevokeKey(a.Owner.Officer, second)
		a.Wait(time.Minute)
		a.Amend(a.Owner.Officer, dear, nil)
	}, bundletest.Signed),
	begun("a signature by a key that the policy says is revoked", bundle.CheckAssent, "the policy says is revoked", func(a *attempt) {
		ownKeys(a)
		a.policy.TenantKeys[0].Revoked = true
	}, bundletest.Signed),
	begun("a signature from before the key was registered", bundle.CheckAssent, "after it signed at", func(a *attempt) {
		a.resignAs(func(s *contract.Assent) { s.At = s.At.Add(-2 * time.Hour) })
	}, bundletest.Signed),
	begun("a key that is registered after it has signed", bundle.CheckAssent, "is not registered as the tenant's", func(a *attempt) {
		ownKeys(a)
		for i := range a.Entries {
			if a.Entries[i].Kind == contract.KindKeyRegistered {
				e := a.Entries[i]
				e.Time = a.Now
				a.Entries = append(slices.Delete(a.Entries, i, i+1), e)
				a.Reseal()
				return
			}
		}
	}, bundletest.Signed),

	begun("a second key without the word of the first", bundle.CheckTenantKey, "not signed by a key of the tenant's", func(a *attempt) {
		a.RegisterKey(invented, nil)
	}, bundletest.Signed),
	begun("a second key by its own word", bundle.CheckTenantKey, "is not registered as the tenant's", func(a *attempt) {
		a.RegisterKey(invented, invented)
	}, bundletest.Signed),
	begun("a key revoked by nobody who may", bundle.CheckTenantKey, "the last one", func(a *attempt) {
		a.RevokeKey(a.Owner.Officer, invented)
	}, bundletest.Signed),
	begun("a key of another tenant", bundle.CheckTenantKey, "of tenant \"rival\"", func(a *attempt) {
		bundletest.Change(a.Log, contract.KindKeyRegistered, func(_ int, b *contract.KeyRegistered) { b.Tenant = "rival" })
	}, bundletest.Signed),

	begun("an amendment that rules from before it was signed", bundle.CheckEffective, "nothing is effective before it is signed", func(a *attempt) {
		a.Until(a.Contract.Begin.AddDate(0, 0, 50)) // 20 June
		a.Amend(a.Owner.Officer, func(c *contract.Contract) { dear(c); c.Effective = c.Begin }, nil)
	}, bundletest.Signed),
	begun("a contract that the tenant never pinned", bundle.CheckPinned, "none of the contracts that the policy pins", func(a *attempt) {
		a.policy.Contracts = []string{a.Contract.Digest().String()}
		a.Amend(a.Owner.Officer, dear, nil)
	}, bundletest.Signed),
}

// TestWhatConsentIsWorth verifies honest logs: signed by a key that the policy names,
// by one that only the log names, by a token. All are accepted, and each report says
// what the tenant's consent is worth; it lists each version with who signed it, how.
func TestWhatConsentIsWorth(t *testing.T) {
	word := "the tenant's consent is the owner's word"
	fingerprint := bundletest.KeyOf(owner.Officer).Fingerprint()
	keyed := bundletest.Terms{Registers: owner.Officer, Signs: owner.Officer}
	for _, c := range []struct {
		name   string
		terms  bundletest.Terms
		policy *bundle.Policy
		word   bool // of the owner
		how    string
	}{
		{"a key in the policy", keyed, owner.OwnKeys(bundletest.Tenant), false, "a key that the policy names, " + fingerprint},
		{"a key in the log", keyed, owner.Policy(bundletest.Tenant), true, "a key that the log says is the tenant's, " + fingerprint},
		{"a token", bundletest.Terms{}, owner.Policy(bundletest.Tenant), true, "its token alone"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := bundletest.WholeBy(owner, c.terms)
			c.policy.Contracts = []string{s.Contract.Digest().String()}
			report, err := verify(bundle.WriteForged(s.Input(), nil), c.policy, bundle.Options{})
			if err != nil {
				t.Fatal(err)
			}
			var text bytes.Buffer
			if err := report.WriteText(&text); err != nil {
				t.Fatal(err)
			}
			if got := strings.Contains(strings.Join(report.NotProven, "\n"), word); got != c.word {
				t.Errorf("the owner's word is said: %t, expected %t: %v", got, c.word, report.NotProven)
			}
			for _, want := range []string{"acme-1, version 1, effective from 2026-05-01T07:00:00Z, " + s.Contract.Digest().String(), "shown by " + c.how, "tenant: officer, administrator"} {
				if !strings.Contains(text.String(), want) {
					t.Errorf("the report lacks %q:\n%s", want, text.String())
				}
			}
			if len(report.Contracts) != 1 || report.Contracts[0].Entry == 0 {
				t.Errorf("contracts %+v", report.Contracts)
			}
		})
	}
}

// TestAnAmendmentIsSigned has an honest second version, a second key and a revoked
// one: all of it is accepted.
func TestAnAmendmentIsSigned(t *testing.T) {
	s := bundletest.Signed(owner)
	second := bundletest.Stranger(9)
	s.RegisterKey(second, owner.Officer)
	s.Amend(owner.Officer, dear, nil)
	s.RevokeKey(owner.Officer, owner.Officer)
	policy := owner.OwnKeys(bundletest.Tenant)
	report, err := verify(bundle.WriteForged(s.Input(), nil), policy, bundle.Options{})
	if err != nil || len(report.Contracts) != 2 {
		t.Fatalf("%v: %+v", err, report)
	}
}

// TestATenantsOwnOffer is a quote that the tenant offers and signs first; another
// signature than the one that it gave there is refused.
func TestATenantsOwnOffer(t *testing.T) {
	for _, other := range []bool{false, true} {
		s := bundletest.Signed(owner)
		bundletest.Change(s.Log, contract.KindQuoted, func(_ int, b *contract.Quoted) { b.Offered = bundletest.Agreed()[1] })
		var own contract.Assented
		at := 0
		bundletest.Change(s.Log, contract.KindSigned, func(_ int, b *contract.Signed) {
			own = contract.Assented{Quote: b.Quote, By: "officer", Assent: *b.Assent}
			if other {
				act := b.Assent.Assent
				act.Expires = act.Expires.Add(-time.Second)
				own.Assent = *bundletest.SignAssent(act, owner.Officer)
			}
		})
		for i := range s.Entries {
			if s.Entries[i].Kind == contract.KindSigned {
				at = i
			}
		}
		now := s.Now
		s.Now = s.Entries[at].Time
		s.Add(contract.KindAssented, own)
		s.Now = now
		e := s.Entries[len(s.Entries)-1]
		s.Entries = slices.Insert(slices.Clone(s.Entries[:len(s.Entries)-1]), at, e)
		s.Reseal()
		_, err := verify(bundle.WriteForged(s.Input(), nil), owner.OwnKeys(bundletest.Tenant), bundle.Options{})
		if (err != nil) != other {
			t.Errorf("another signature: %t, got %v", other, err)
		}
	}
}

// TestWhoSignedIsShownPlain: names in a log move no cursor and forge no line.
func TestWhoSignedIsShownPlain(t *testing.T) {
	s := bundletest.Signed(owner)
	bundletest.Change(s.Log, contract.KindSigned, func(_ int, b *contract.Signed) {
		b.Signatures[1].By = "officer\x1b[2J\nProven as the policy asks"
		b.Assent.Key = "SHA256:\x1b[2J\n"
	})
	report, err := verify(bundle.WriteForged(s.Input(), nil), owner.OwnKeys(bundletest.Tenant), bundle.Options{})
	if report == nil || err == nil {
		t.Fatal(err)
	}
	var text bytes.Buffer
	if err := report.WriteText(&text); err != nil {
		t.Fatal(err)
	}
	if strings.ContainsRune(text.String(), 0x1b) || strings.Contains(text.String(), "\nProven as the policy asks") {
		t.Errorf("shown raw:\n%q", text.String())
	}
}
