package book

import (
	"time"

	"bulkhead/contract"
)

// CheckTenantQuote refuses a quote that a tenant asks for by itself, all kinds chosen,
// beyond what the site's policy gives every tenant. What it says is about the tenant's
// own quotes and the policy, and of nobody else. now is when it would be offered.
func (s *State) CheckTenantQuote(id string, c *contract.Contract, expires, now time.Time) error {
	limits := &s.Policy.Tenants
	if limits.Quotes == 0 {
		return refuse("quote", "on this site the owner quotes: ask it")
	}
	switch held := expires.Sub(now); {
	case held > limits.Valid:
		return refuse("valid_seconds", "%s is longer than the %s for which a tenant's own quote holds capacity at most: ask for less, or ask the owner for a quote", held, limits.Valid)
	case held < limits.Least:
		return refuse("valid_seconds", "%s is shorter than the %s that a tenant's own quote is valid for at least", held, limits.Least)
	}
	open, held := 0, map[[2]string]int{}
	for key, q := range s.Quotes {
		if key.Tenant != c.Tenant || key.ID == id || q.Offered.Party != contract.Tenant {
			continue
		}
		open++
		for _, p := range q.Parts {
			held[[2]string{p.Fabric, p.Kind}] += p.Slots
		}
	}
	if open >= limits.Quotes {
		return refuse("quote", "%d quotes of yours are open, which is all that a tenant may have: sign one, withdraw one (bulkhead quote withdraw ID), or give the id of the one that this replaces", open)
	}
	added := s.AddedTranches(c)
	for i := range added {
		t := &added[i]
		class := [2]string{t.Fabric, t.Kind}
		most := s.shareOf(t.Fabric, t.Kind)
		if held[class] += t.Slots(); held[class] > most {
			gpus := t.GPUsANode()
			return refuse("tranche "+t.ID, "with it your own open quotes would hold %d GPUs of %s in fabric %s, and a tenant's may hold %d at most (%d %% of what is for sale): ask for fewer, withdraw one (bulkhead quote withdraw ID), or ask the owner for a quote",
				held[class]*gpus, t.Kind, t.Fabric, most*gpus, limits.Share)
		}
	}
	return nil
}

// shareOf is how many nodes of a class the own open quotes of one tenant may hold: the
// policy's share of what is for sale, whoever has it, and at least one. Without a
// fabric it is of all of them together.
func (s *State) shareOf(fabric, kind string) int {
	sale := 0
	for i := range s.Site.Fabrics {
		if id := s.Site.Fabrics[i].ID; fabric == "" || id == fabric {
			for n := range s.Site.NodesOf(id, kind).All() {
				if !s.Site.IsSpare(n) {
					sale++
				}
			}
		}
	}
	return max(sale*s.Policy.Tenants.Share/100, 1)
}
