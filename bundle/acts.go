package bundle

import (
	"bytes"
	"cmp"

	"bulkhead/claim"
	"bulkhead/contract"
	"bulkhead/site"
)

// acted judges an act by which a party ends a contract early, or makes less of it: that
// the terms give it to that party, then, and that the version that follows is what the
// terms make of it. Whose it is, done says.
func (v *verifier) acted(b *contract.Acted) {
	c := v.contractOf(&b.Contract)
	if c == nil {
		return
	}
	act := b.Act
	if act == "" && v.at.kind == contract.KindNotice {
		act = contract.ActNotice
	}
	k := v.contracts[c.ID]
	if k == nil || k.closed || act == contract.ActNotice && k.noticed {
		v.fail(v.at, CheckAct, c.ID, "%s of a contract that is not in force, or was noticed before", act)
		return
	}
	if kind := kindOfAct(act); kind != v.at.kind {
		v.fail(v.at, CheckAct, c.ID, "an entry of this kind says %.40q", string(act))
	}
	if !b.Given.Equal(v.time) {
		v.fail(v.at, CheckAct, c.ID, "it is given at %s, and the entry is of %s: no act is dated by anything else than its entry", stamp(b.Given), stamp(v.time))
	}
	party := b.Signed.Party
	if party == "" {
		v.fail(v.at, CheckAct, c.ID, "%s, and the entry does not say for which party", act)
		party = contract.Owner
	}
	v.budget.spend(2*clauses(b.Contract)+4*pricing(k.current())+len(k.leases), "acts")
	out, err := k.current().Perform(contract.Asked{Act: act, Party: party, Given: b.Given, Tranche: b.Tranche, Missing: v.missing(k)})
	switch {
	case err != nil:
		v.fail(v.at, CheckAct, c.ID, "%s by the %s is not what the terms allow: %v", act, party, err)
	case !bytes.Equal(out.Next.Encode(), b.Contract):
		v.fail(v.at, CheckAct, c.ID, "version %d is not what version %d makes of %s by the %s at %s", c.Version, k.current().Version, act, party, stamp(b.Given))
	case !out.Next.End.Equal(b.Ends) || !c.End.Equal(b.Ends):
		v.fail(v.at, CheckAct, c.ID, "%s ends it at %s by its own clause, the entry says %s", act, stamp(out.Next.End), stamp(b.Ends))
	}
	v.done(deed{
		act: act, contract: c.ID, party: party, by: cmp.Or(b.Signed.By, b.By), preview: b.Preview, assent: b.Assent,
		shown: func() claim.Digest {
			if err != nil {
				return b.Preview // that it may not be is found above
			}
			return out.Preview.Digest()
		},
	})
	v.version(c)
	v.versionByAct(c, b, act, party)
	if act == contract.ActReduce {
		v.giveUp(k, b)
		return
	}
	k.noticed = true
	for _, l := range k.leases {
		if l.end.After(c.End) {
			l.end = c.End
		}
	}
}

func kindOfAct(a contract.Act) string {
	switch a {
	case contract.ActNotice:
		return contract.KindNotice
	case contract.ActReduce:
		return contract.KindReduced
	}
	return contract.KindTerminated
}

// missing is what is due of a contract and was never delivered, by the log.
func (v *verifier) missing(k *contractLog) []contract.Missing {
	var out []contract.Missing
	for _, l := range k.leases {
		if v.time.Before(l.Begin) || !l.returning.IsZero() {
			continue
		}
		if n := v.neverCame(l).Len(); n > 0 {
			out = append(out, contract.Missing{Tranche: l.Tranche, Slots: int64(n)})
		}
	}
	return out
}

// neverCame is the slots of a lease that were never delivered, and are owed.
func (v *verifier) neverCame(l *leaseLog) *site.Set {
	v.budget.spend(1+len(l.slots), "acts")
	out := site.NewSet(len(l.slots))
	for slot, ever := range l.ever {
		if n := site.Index(slot); !ever && !l.given.Has(n) {
			out.Add(n)
		}
	}
	return out
}

// giveUp takes slots off what a lease is owed: all that never came of the late tranche.
func (v *verifier) giveUp(k *contractLog, b *contract.Acted) {
	for _, l := range k.leases {
		if l.Tranche != b.Tranche {
			continue
		}
		missing := v.neverCame(l)
		if missing.String() != b.Slots {
			v.fail(v.at, CheckAct, string(l.Lease), "slots %.80q are given up; by the entries before, %.80q have not come", b.Slots, missing.String())
		}
		l.given.Union(missing)
	}
}

// checkNoEnding refuses a signed version that ends by an act: only an act makes one.
func (v *verifier) checkNoEnding(c *contract.Contract) {
	if c.Ending != nil {
		v.fail(v.at, CheckAct, c.ID, "the version that was signed says that it ends by %s of the %s, and no such act is in the log", c.Ending.Act, c.Ending.Party)
	}
}
