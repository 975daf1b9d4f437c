package bundle_test

import (
	"testing"
	"time"

	"bulkhead/bundle"
	"bulkhead/bundle/bundletest"
	"bulkhead/claim"
	"bulkhead/contract"
	"bulkhead/lease"
	"bulkhead/meter"
)

// noticed has the tenant give notice, signed as sign says over what it comes to.
func noticed(a *attempt, sign func(shown claim.Digest) *contract.SignedAssent) {
	ownKeys(a)
	giveNotice(a.Story, sign)
}

func giveNotice(s *bundletest.Story, sign func(shown claim.Digest) *contract.SignedAssent) {
	out, err := s.Contract.Perform(contract.Asked{Act: contract.ActNotice, Party: contract.Tenant, Given: s.Now})
	if err != nil {
		panic(err)
	}
	assent := sign(out.Preview.Digest())
	s.Act(contract.ActNotice, contract.Tenant)
	bundletest.Change(s.Log, contract.KindNotice, func(_ int, b *contract.Acted) { b.Assent = assent })
}

// by signs a notice with a key.
func by(s *bundletest.Story, key claim.SSHSigner) func(claim.Digest) *contract.SignedAssent {
	return func(shown claim.Digest) *contract.SignedAssent { return s.SignAct(contract.ActNotice, shown, key) }
}

func unsigned(claim.Digest) *contract.SignedAssent { return nil }

// keyed is a whole lease of a tenant whose key signs.
func keyed(o *bundletest.Owner) *bundletest.Story {
	return bundletest.WholeBy(o, bundletest.Terms{Registers: o.Officer, Signs: o.Officer})
}

// disputed adds a dispute signed by the tenant, as sign says, and settles it.
func disputed(s *bundletest.Story, before int, note string, sign func(shown claim.Digest) *contract.SignedAssent) {
	d, settled := s.Dispute("1.00")
	d.Assent = sign(d.Shown(s.Contract.ID, before).Digest())
	d.Preview = d.Shown(s.Contract.ID, before).Digest()
	s.Add(meter.KindDisputed, d)
	s.Wait(time.Second)
	settled.Note, settled.Preview = note, settled.Shown(s.Contract.ID).Digest()
	s.Add(meter.KindSettled, settled)
	s.Wait(time.Second)
}

func byDispute(s *bundletest.Story) func(claim.Digest) *contract.SignedAssent {
	return func(shown claim.Digest) *contract.SignedAssent {
		return s.SignAct(contract.ActDispute, shown, s.Owner.Officer)
	}
}

const firstNote, secondNote = bundletest.Tenant + "-credit-0001", bundletest.Tenant + "-credit-0002"

// accepted has the tenant answer another node for one that works.
func accepted(s *bundletest.Story, sign func(shown claim.Digest) *contract.SignedAssent) {
	s.SwapAnswered(s.Slots[0], false, meter.DownOwner, lease.CauseReplaced, &lease.Asked{Word: lease.WordConsent, By: "officer", Reason: "a noisy fan"}, func(p *lease.Proposed) lease.Acknowledged {
		shown := contract.AnswerSheet(s.Contract.ID, p).Digest()
		return lease.Acknowledged{By: "officer", Preview: shown, Assent: sign(shown).Encode()}
	})
}

// running is a lease that has just been handed over to a tenant whose key signs.
func running(o *bundletest.Owner) *bundletest.Story {
	return bundletest.RunningBy(o, bundletest.Terms{Registers: o.Officer, Signs: o.Officer})
}

// deedAttacks are on the tenant's acts under a contract, once it has a key.
var deedAttacks = []attack{
	begun("a notice by a token beside the tenant's key", bundle.CheckAssent, "not signed by a key of the tenant's", func(a *attempt) {
		noticed(a, unsigned)
	}, bundletest.Signed),
	begun("the same, and the policy names no key", bundle.CheckAssent, "not signed by a key of the tenant's", func(a *attempt) {
		giveNotice(a.Story, unsigned)
	}, bundletest.Signed),
	begun("a notice that the owner's key has signed for the tenant", bundle.CheckAssent, "is not registered as the tenant's", func(a *attempt) {
		noticed(a, by(a.Story, invented))
	}, bundletest.Signed),
	begun("a notice by a second key that the policy does not name", bundle.CheckAssent, "none of the tenant_keys", func(a *attempt) {
		a.RegisterKey(invented, a.Owner.Officer)
		noticed(a, by(a.Story, invented))
	}, bundletest.Signed),
	begun("a notice with the signature of a dispute", bundle.CheckAssent, "of another act", func(a *attempt) {
		noticed(a, func(shown claim.Digest) *contract.SignedAssent {
			return a.SignAct(contract.ActDispute, shown, a.Owner.Officer)
		})
	}, bundletest.Signed),
	begun("a notice with the signature under the contract", bundle.CheckAssent, "of another act", func(a *attempt) {
		noticed(a, func(claim.Digest) (first *contract.SignedAssent) {
			a.changeSigned(func(b *contract.Signed) { first = b.Assent })
			return first
		})
	}, bundletest.Signed),
	begun("a notice signed by who was shown another end", bundle.CheckAssent, "of another act", func(a *attempt) {
		noticed(a, func(claim.Digest) *contract.SignedAssent {
			out, err := a.Contract.Perform(contract.Asked{Act: contract.ActNotice, Party: contract.Tenant, Given: a.Now.AddDate(0, 0, -5)})
			if err != nil {
				panic(err)
			}
			return a.SignAct(contract.ActNotice, out.Preview.Digest(), a.Owner.Officer)
		})
	}, bundletest.Signed),
	begun("a notice signed the day before, and used when its time was over", bundle.CheckAssent, "it could be used until", func(a *attempt) {
		noticed(a, func(shown claim.Digest) *contract.SignedAssent {
			s := a.SignAct(contract.ActNotice, shown, a.Owner.Officer).Assent
			s.At, s.Expires = s.At.Add(-time.Hour), s.Expires.Add(-time.Hour)
			return bundletest.SignAssent(s, a.Owner.Officer)
		})
	}, bundletest.Signed),
	begun("a key that was registered for every act, and is said to be for contracts alone", bundle.CheckTenantKey, "signature", func(a *attempt) {
		bundletest.Change(a.Log, contract.KindKeyRegistered, func(_ int, b *contract.KeyRegistered) { b.Possession.Assent.Signs = "" })
		giveNotice(a.Story, unsigned)
	}, bundletest.Signed),
	begun("a dispute by a token beside the tenant's key", bundle.CheckAssent, "not signed by a key of the tenant's", func(a *attempt) {
		disputed(a.Story, 0, firstNote, unsigned)
	}, keyed),
	begun("the signature under one dispute used for the next of the same line", bundle.CheckAssent, "of another act", func(a *attempt) {
		var first *contract.SignedAssent
		disputed(a.Story, 0, firstNote, func(shown claim.Digest) *contract.SignedAssent {
			first = byDispute(a.Story)(shown)
			return first
		})
		disputed(a.Story, 1, secondNote, func(claim.Digest) *contract.SignedAssent { return first })
	}, keyed),
	begun("a dispute for another reason than was signed", bundle.CheckAssent, "of another act", func(a *attempt) {
		disputed(a.Story, 0, firstNote, byDispute(a.Story))
		bundletest.Change(a.Log, meter.KindDisputed, func(_ int, b *meter.Disputed) { b.Reason, b.Preview = "nothing", claim.Digest{} })
	}, keyed),
	begun("an answer to a dispute that comes to more than was shown", bundle.CheckAct, "what was shown before the act", func(a *attempt) {
		disputed(a.Story, 0, firstNote, byDispute(a.Story))
		bundletest.Change(a.Log, meter.KindSettled, func(_ int, b *meter.Settled) { b.Preview[0] ^= 1 })
	}, keyed),
	begun("a node that works replaced by a token beside the tenant's key", bundle.CheckAssent, "not signed by a key of the tenant's", func(a *attempt) {
		accepted(a.Story, unsigned)
	}, running),
	begun("an answer about a node with the signature of a notice", bundle.CheckAssent, "of another act", func(a *attempt) {
		accepted(a.Story, by(a.Story, a.Owner.Officer))
	}, running),
	begun("a deadline that the tenant's key is said to have signed", bundle.CheckAssent, "an answer that is", func(a *attempt) {
		a.SwapAnswered(a.Slots[0], false, meter.DownOwner, lease.CauseReplaced, &lease.Asked{Word: lease.WordOwner, By: "operator", Reason: "a noisy fan"}, func(p *lease.Proposed) lease.Acknowledged {
			return lease.Acknowledged{By: "deadline", Assent: a.SignAct(contract.ActAcknowledge, contract.AnswerSheet(a.Contract.ID, p).Digest(), a.Owner.Officer).Encode()}
		})
	}, running),
}

// TestActsAreTheTenantsOwn: signed acts are accepted, and the report lists each with the
// key; so are those by token of a tenant whose key was registered for contracts alone, as
// older logs have them, and the report says what that is worth.
func TestActsAreTheTenantsOwn(t *testing.T) {
	fingerprint := bundletest.KeyOf(owner.Officer).Fingerprint()
	yes := func(s *bundletest.Story) func(claim.Digest) *contract.SignedAssent {
		return func(shown claim.Digest) *contract.SignedAssent {
			return s.SignAct(contract.ActAcknowledge, shown, s.Owner.Officer)
		}
	}
	for _, c := range []struct {
		name, act, how string
		acts           int
		story          func() *bundletest.Story
	}{
		{"a notice", "notice", "a key that the policy names", 1, func() *bundletest.Story {
			s := bundletest.Signed(owner)
			giveNotice(s, by(s, owner.Officer))
			return s
		}},
		{"two disputes of a line", "dispute", "a key that the policy names", 4, func() *bundletest.Story {
			s := keyed(owner)
			disputed(s, 0, firstNote, byDispute(s))
			disputed(s, 1, secondNote, byDispute(s))
			return s
		}},
		{"an answer", "acknowledge", "a key that the policy names", 1, func() *bundletest.Story {
			s := running(owner)
			accepted(s, yes(s))
			return s
		}},
		{"a notice by token of an older log", "notice", "its token alone: the owner's word", 1, func() *bundletest.Story {
			s := bundletest.Signed(owner)
			bundletest.Change(s.Log, contract.KindKeyRegistered, func(_ int, b *contract.KeyRegistered) {
				old := b.Possession.Assent
				old.Signs = ""
				b.Possession = *bundletest.SignAssent(old, owner.Officer)
			})
			giveNotice(s, unsigned)
			return s
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := c.story()
			report, err := verify(bundle.WriteForged(s.Input(), nil), owner.OwnKeys(bundletest.Tenant), bundle.Options{})
			if err != nil {
				t.Fatalf("%v: %v", err, report)
			}
			if len(report.Acts) != c.acts || report.Acts[0].Act != c.act || report.Acts[0].How != c.how || (report.Acts[0].Key == fingerprint) != (c.how == "a key that the policy names") {
				t.Errorf("acts %+v", report.Acts)
			}
		})
	}
}
