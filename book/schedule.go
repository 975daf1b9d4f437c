package book

import (
	"fmt"
	"slices"
	"time"

	"bulkhead/contract"
	"bulkhead/lease"
	"bulkhead/node"
	"bulkhead/place"
	"bulkhead/place/dated"
	"bulkhead/site"
)

// Schedule is who holds what, when, as a value of its own that can be planned
// on: leases and open quotes over a snapshot of the site. What runs, what is
// about to begin and what is only quoted is pinned. Nodes that are cordoned,
// sick or promised as a replacement can't be promised.
// Cost: O(nodes + slots), about 3 ms at 50,000 nodes.
func (s *State) Schedule(now time.Time) (*dated.Schedule, error) {
	if s.Site == nil {
		return nil, refuse("site", "no site has been imported: there is nothing to plan on yet")
	}
	return s.ScheduleOn(s.Site.Snapshot(), now)
}

// ScheduleOn is Schedule over a snapshot of the site whose dates are others.
func (s *State) ScheduleOn(snapshot *site.Site, now time.Time) (*dated.Schedule, error) {
	broken := site.NewSet(s.Site.Nodes())
	for i := range s.Nodes.State {
		if n := site.Index(i); !s.usable(n) {
			broken.Add(n)
		}
	}
	swapped, promised := map[lease.ID]bool{}, site.NewSet(s.Site.Nodes())
	for ref, swap := range s.Swaps {
		promised.Add(swap.Node)
		swapped[ref.Lease] = true
	}
	for _, p := range s.Defrags {
		for _, n := range p.Nodes {
			if _, kept := s.keptForMove(n); kept {
				promised.Add(n)
			}
		}
	}
	broken.Union(promised)
	c := dated.New(snapshot, now, broken)
	c.Promised(promised)
	s.closePromised(c)
	for _, l := range s.Leases {
		if !l.Returned.IsZero() || len(l.Slots) == 0 || !l.Begin.Before(l.End) {
			continue
		}
		h := dated.Booking{ID: string(l.ID), Owner: projectOf(l.Tenant, l.Project), Ramp: s.rampOf(l.Contract, l.Tranche), Fabric: l.Fabric, Kind: l.Kind, Links: l.Links, Begin: l.Begin, End: l.End, Nodes: l.Slots, Assigned: assignedLinks(l),
			Pinned: l.Links == lease.Hermetic || s.Site.NVLinkRacks(l.Kind) || l.Delivered > 0 || !l.Returning.IsZero() || swapped[l.ID] || !now.Before(l.Begin.Add(-Lead))}
		err := c.Book(h)
		if ready := s.madeReady(l); err == nil && len(ready) > 0 && now.Before(l.Begin) {
			h.ID, h.Ramp, h.Begin, h.End, h.Nodes, h.Pinned = h.ID+" (being made ready)", "", now, l.Begin, ready, true
			h.Links, h.Assigned = lease.Shared, nil // its links are its own from its begin on
			err = c.Book(h)
		}
		if err != nil {
			return nil, fmt.Errorf("the leases of the ledger contradict each other, please report it: %w", err)
		}
	}
	for _, key := range s.QuoteKeys() {
		for _, p := range s.Quotes[key].Parts {
			if p.Sitting {
				if nodes, err := site.ParseOrder(p.Nodes, s.Site.Nodes()); err == nil {
					c.Close(projectOf(s.Quotes[key].Tenant, s.Quotes[key].Contract.Project), site.SetOf(nodes...), p.Begin, p.End)
				}
				continue // nobody else can be promised what is kept as it was found
			}
			h := dated.Booking{ID: QuotedID(key, p.Tranche), Owner: projectOf(s.Quotes[key].Tenant, s.Quotes[key].Contract.Project), Fabric: p.Fabric, Kind: p.Kind, Links: lease.Shared, Begin: p.Begin, End: p.End, Pinned: true}
			var err error
			if h.Assigned, err = place.DecodeLinks(p.Assigned); err == nil {
				h.Nodes, err = site.ParseOrder(p.Nodes, s.Site.Nodes())
			}
			if h.Assigned != nil {
				h.Links = lease.Hermetic
			}
			if err == nil {
				err = c.Book(h)
			}
			if err != nil {
				return nil, fmt.Errorf("quote %s: %w", key, err)
			}
		}
	}
	return c, nil
}

// madeReady is the nodes of a lease that are reserved for it: its own before it
// begins.
func (s *State) madeReady(l *Lease) []site.Index {
	var nodes []site.Index
	for _, n := range l.Slots {
		if s.LeaseOn(n) == l && s.Nodes.State[n] == node.Reserved {
			nodes = append(nodes, n)
		}
	}
	return nodes
}

// QuotedID is the id of what an open quote holds, in a schedule.
func QuotedID(quote QuoteKey, tranche string) string {
	return "quote " + quote.String() + "/" + tranche
}

// Ramps groups tranches that are steps of one ramp: of one class, with the same
// links, until the same end. A hermetic tranche is planned by itself: links that
// nobody shares are assigned to a lease, not to a ramp. Each group is by delivery date, and the groups are
// in the order of their first tranche.
func Ramps(tranches []contract.Tranche) [][]contract.Tranche {
	type key struct {
		fabric, kind string
		links        lease.Links
		splitRacks   bool
		segment      int64
		end          int64
	}
	at := map[key]int{}
	var ramps [][]contract.Tranche
	for _, t := range tranches {
		k := key{t.Fabric, t.Kind, t.Links, t.SplitRacks, t.SegmentGPUs, t.End.Unix()}
		i, known := at[k]
		if !known || t.Links == lease.Hermetic {
			i = len(ramps)
			at[k] = i
			ramps = append(ramps, nil)
		}
		ramps[i] = append(ramps[i], t)
	}
	for _, ramp := range ramps {
		sortByDelivery(ramp)
	}
	return ramps
}

// Apart groups hermetic tranches that would be steps of one ramp if their links
// were shared: each is a slice by itself, and no link joins them.
func Apart(tranches []contract.Tranche) [][]contract.Tranche {
	var hermetic []contract.Tranche
	for _, t := range tranches {
		if t.Links == lease.Hermetic {
			t.Links = lease.Shared // to see what they would be
			hermetic = append(hermetic, t)
		}
	}
	groups := slices.DeleteFunc(Ramps(hermetic), func(g []contract.Tranche) bool { return len(g) < 2 })
	for _, g := range groups {
		for i := range g {
			g[i].Links = lease.Hermetic
		}
	}
	return groups
}

// rampOf names the ramp that a tranche is a step of, "" where it is none: the
// lease of the ramp's first tranche.
func (s *State) rampOf(contractID, tranche string) string {
	k, ok := s.Contracts[contractID]
	if !ok {
		return ""
	}
	for _, ramp := range Ramps(k.Current().Tranches) {
		if len(ramp) < 2 {
			continue
		}
		for _, t := range ramp {
			if t.ID == tranche {
				return string(leaseID(contractID, ramp[0].ID))
			}
		}
	}
	return ""
}
