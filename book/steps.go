package book

import (
	"fmt"
	"time"

	"bulkhead/contract"
	"bulkhead/lease"
	"bulkhead/site"
)

// InSteps refuses tranches of a contract, all kinds chosen, that its tenant can't be
// told to be free by the site's policy. What a tenant is answered depends on what it
// holds itself, on what there is for sale, and on what all others hold and what is
// out of service together, rounded up to whole steps: so whoever asks for every size,
// with whatever quotes of its own in between, learns how many steps those are, and no
// more. What can't be answered from numbers, for it hangs on which nodes and links
// others have, is the owner's to quote: that refusal follows from the contract alone.
//
// Whatever InSteps lets through can be placed without moving anybody.
// Cost: O(nodes) a tranche.
func (s *State) InSteps(c *contract.Contract) error {
	if s.Policy.Tenants.AnswerStep == 0 {
		return nil // answers are exact
	}
	added := s.AddedTranches(c)
	if err := s.countable(added); err != nil {
		return err
	}
	others := s.withoutTenant(c.Tenant)
	for i := range added {
		t := &added[i]
		class := s.forSale(t)
		step := s.stepNodes(class)
		taken := s.takenByOthers(others, c.Tenant, t, class).Len()
		room := class.Len() - (taken+step-1)/step*step
		want := t.Slots() + s.ownSlots(c.Tenant, t)
		for j := range added {
			u := &added[j]
			if earlier := u.Delivery.Before(t.Delivery) || u.Delivery.Equal(t.Delivery) && j < i; earlier && sameClass(t, u) && t.Delivery.Before(u.End) {
				want += u.Slots()
			}
		}
		if want > room {
			return Unavailable(t, step*t.GPUsANode())
		}
	}
	return nil
}

// AnswerTenant settles what a tenant asks for by itself, or refuses it: by what every
// tenant may ask for, and by InSteps. Where kinds are open and answers are in steps,
// the first one that the contract prefers and that is there is chosen: which slice
// would be the best would tell of others.
func (s *State) AnswerTenant(id string, c *contract.Contract, expires, now time.Time) (*contract.Contract, error) {
	settlements := []*contract.Contract{c}
	if c.Open() {
		var err error
		if settlements, err = c.Settlements(); err != nil {
			return nil, err
		}
	}
	var first error
	for _, one := range settlements {
		one = one.WithNodes(s.Site.NodeGPUs)
		err := (OfferQuote{Quote: id, Contract: one, Expires: expires, Offered: contract.Signature{Party: contract.Tenant}}).check(s, Env{Now: now})
		if err == nil && !s.keepsKinds(one) {
			err = refuse("tranches", "one of them has a lease of a kind that it does not accept: name that kind")
		}
		if err == nil {
			err = s.CheckTenantQuote(id, one, expires, now)
		}
		if err == nil {
			err = s.InSteps(one)
		}
		if err == nil && s.Policy.Tenants.AnswerStep == 0 {
			return c, nil // the best of what it accepts
		}
		if err == nil {
			return one, nil
		}
		if first == nil {
			first = err
		}
	}
	return nil, first
}

// Unavailable is the refusal of a tranche that says nothing of what others hold.
// step is in GPUs; 0: the owner has opened exact answers.
func Unavailable(t *contract.Tranche, step int) error {
	steps := ""
	if step > 0 {
		steps = fmt.Sprintf(" (tenants are answered in steps of %d GPUs)", step)
	}
	return refuse("tranche "+t.ID, "%d GPUs of %s are not available from %s to %s%s: ask for fewer, for other dates, or ask the owner for a quote",
		t.GPUs, t.KindText(), t.Delivery.UTC().Format(time.DateOnly), t.End.UTC().Format(time.DateOnly), steps)
}

func sameClass(a, b *contract.Tranche) bool { return a.Fabric == b.Fabric && a.Kind == b.Kind }

// countable refuses tranches of which a number of free nodes does not say whether they
// can be had.
func (s *State) countable(added []contract.Tranche) error {
	for i := range added {
		t := &added[i]
		field := "tranche " + t.ID
		const ask = ": ask the owner for a quote"
		switch {
		case linksOf(t) == lease.Hermetic:
			return refuse(field+".links", "which links are free tells of other tenants, so a tenant is not told by itself%s", ask)
		case t.Fabric == "":
			return refuse(field+".fabric", "expected the fabric's name: a tenant is answered for one fabric at a time")
		case t.SegmentGPUs > 0:
			return refuse(field+".segment_gpus", "in which racks a segment fits tells of other tenants, so a tenant is not told by itself%s", ask)
		case wholeRacks(s.Site, t.Kind, t) && !s.evenRacks(t):
			return refuse(field, "racks of %s are of several sizes, and which are free tells of other tenants, so a tenant is not told by itself%s", t.Kind, ask)
		}
		for j := range added[:i] {
			u := &added[j]
			if sameClass(t, u) && t.Delivery.Before(u.End) && u.Delivery.Before(t.End) && (!t.End.Equal(u.End) || t.SplitRacks != u.SplitRacks) {
				return refuse(field, "it is of the kind and the time of tranche %s and is no step of a ramp with it: give both one end, or ask for one contract after the other", u.ID)
			}
		}
	}
	return nil
}

// forSale is what there is of a tranche's kind by its date, whoever has it.
func (s *State) forSale(t *contract.Tranche) *site.Set {
	set := s.Site.NodesOf(t.Fabric, t.Kind)
	for n := range set.Clone().All() {
		if s.Site.IsSpare(n) || s.Site.IsRetired(n) || s.Site.InService(n).After(t.Delivery) {
			set.Remove(n)
		}
	}
	return set
}

// stepNodes is the step in nodes: as many of the largest SUs among these as the policy
// says. It is at least 1.
func (s *State) stepNodes(class *site.Set) int {
	largest, last, count := 1, -1, 0
	for n := range class.All() {
		if su := s.Site.SUOf(n); su != last {
			last, count = su, 0
		}
		count++
		largest = max(largest, count)
	}
	return largest * max(s.Policy.Tenants.AnswerStep, 1)
}

// evenRacks says whether all racks of a tranche's kind have as many nodes for sale, of
// which the tranche is whole racks.
func (s *State) evenRacks(t *contract.Tranche) bool {
	racks := map[int]int{}
	for n := range s.forSale(t).All() {
		racks[s.Site.RackOf(n)]++
	}
	size := 0
	for _, nodes := range racks {
		if size == 0 {
			size = nodes
		}
		if nodes != size {
			return false
		}
	}
	return size == 0 || t.Slots()%size == 0
}

// withoutTenant is the state as it would be if a tenant had nothing, to be read.
func (s *State) withoutTenant(tenant string) *State {
	out := *s
	out.Quotes = map[QuoteKey]*Quote{}
	for key, q := range s.Quotes {
		if key.Tenant != tenant {
			out.Quotes[key] = q
		}
	}
	out.Leases = make([]*Lease, len(s.Leases))
	for i, l := range s.Leases {
		if out.Leases[i] = l; l.Tenant == tenant {
			gone := *l
			gone.Returned, gone.End = s.Time, gone.Begin
			out.Leases[i] = &gone
		}
	}
	return &out
}

// takenByOthers is the nodes of a class that somebody else holds at some instant of a
// tranche's time, or that are out of service and not the tenant's own trouble.
func (s *State) takenByOthers(others *State, tenant string, t *contract.Tranche, class *site.Set) *site.Set {
	taken := class.Clone()
	taken.Subtract(others.free(t.Delivery, t.Delivery, t.End))
	for n := range taken.Clone().All() {
		own := s.LeaseOn(n)
		if own != nil && own.Tenant == tenant && own.Overlaps(t.Delivery, t.End) && !others.takenWithin(n, t.Delivery, t.End) {
			taken.Remove(n) // it is the tenant's, and out of service: it is counted once
		}
	}
	if wholeRacks(s.Site, t.Kind, t) {
		spoilt := map[int]bool{}
		for n := range taken.All() {
			spoilt[s.Site.RackOf(n)] = true
		}
		for n := range class.All() {
			if spoilt[s.Site.RackOf(n)] {
				taken.Add(n)
			}
		}
	}
	return taken
}

// ownSlots is how many nodes of a tranche's class the tenant itself holds at some
// instant of its time, by leases and open quotes.
func (s *State) ownSlots(tenant string, t *contract.Tranche) (slots int) {
	for _, l := range s.Leases {
		if l.Tenant == tenant && l.Returned.IsZero() && l.Fabric == t.Fabric && l.Kind == t.Kind && l.Overlaps(t.Delivery, t.End) {
			slots += len(l.Slots)
		}
	}
	for key, q := range s.Quotes {
		for _, p := range q.Parts {
			if key.Tenant == tenant && p.Fabric == t.Fabric && p.Kind == t.Kind && p.Begin.Before(t.End) && t.Delivery.Before(p.End) {
				slots += p.Slots
			}
		}
	}
	return slots
}
