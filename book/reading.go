package book

import (
	"maps"
	"slices"

	"bulkhead/lease"
	"bulkhead/site"
)

// Reading returns a copy of what planning reads, to be read while the state
// itself goes on: the site, tenants, contracts, quotes, leases with their
// events, and who holds which node in what health. What only the loop reads is
// left out: labels, volumes, locks, the control plane's own affairs. A command
// can't be decided on it. Cost: 0.3 ms at 50,000 nodes.
func (s *State) Reading() *State {
	c := &State{
		Seq: s.Seq, Time: s.Time, Term: s.Term, Policy: s.Policy,
		Tenants: maps.Clone(s.Tenants), Contracts: make(map[string]*Contract, len(s.Contracts)), Quotes: maps.Clone(s.Quotes),
		leaseByID: maps.Clone(s.leaseByID), Swaps: make(map[SlotRef]*Swap, len(s.Swaps)), Touched: site.NewSet(0),
	}
	if s.Site != nil {
		c.Site = s.Site.Snapshot()
	}
	c.Kept, c.Defrags = s.Kept.Clone(), make(map[lease.ID]*Defrag, len(s.Defrags))
	for id, proposal := range s.Defrags {
		one := *proposal
		c.Defrags[id] = &one
	}
	for id, k := range s.Contracts {
		one := *k
		one.Versions = slices.Clone(k.Versions) // versions never change
		c.Contracts[id] = &one
	}
	for ref, swap := range s.Swaps {
		one := *swap
		c.Swaps[ref] = &one
	}
	for _, l := range s.Leases {
		one := *l
		one.Slots, one.Up = slices.Clone(l.Slots), slices.Clone(l.Up)
		one.billed = nil
		one.Events = l.Events[:len(l.Events):len(l.Events)] // they are only added to
		c.Leases = append(c.Leases, &one)
	}
	n := &s.Nodes
	c.Nodes = Nodes{
		State: slices.Clone(n.State), Lease: slices.Clone(n.Lease), Slot: slices.Clone(n.Slot), Owner: slices.Clone(n.Owner),
		Health: slices.Clone(n.Health), Class: slices.Clone(n.Class), Cordoned: slices.Clone(n.Cordoned),
		Silence: maps.Clone(n.Silence), Sick: n.Sick.Clone(), Corded: n.Corded.Clone(), Booked: make(map[site.Index][]Queued, len(n.Booked)),
	}
	for i, holds := range n.Booked {
		c.Nodes.Booked[i] = slices.Clone(holds)
	}
	for i := range n.By {
		c.Nodes.By[i] = n.By[i].Clone()
	}
	return c
}

// OutOfOrder is the nodes that can't serve anybody as they are: cordoned, sick,
// or failed. The set is the caller's.
func (s *State) OutOfOrder() *site.Set {
	out := site.NewSet(len(s.Nodes.State))
	for i := range s.Nodes.State {
		if n := site.Index(i); !s.usable(n) || s.Nodes.Sick.Has(n) {
			out.Add(n)
		}
	}
	return out
}

// LeasesOfContract lists the leases of a contract in the order in which they
// were bound.
func (s *State) LeasesOfContract(contractID string) []*Lease {
	var out []*Lease
	for _, l := range s.Leases {
		if l.Contract == contractID {
			out = append(out, l)
		}
	}
	return out
}

// LeaseIDOf is the id that the lease of a tranche has, or would have.
func LeaseIDOf(contractID, tranche string) lease.ID { return leaseID(contractID, tranche) }
