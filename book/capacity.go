package book

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"bulkhead/claim"
	"bulkhead/contract"
	"bulkhead/fabric"
	"bulkhead/lease"
	"bulkhead/node"
	"bulkhead/place"
	"bulkhead/site"
)

// Free is the set of nodes that a lease may hold from begin to end: not spares,
// in service by then, not cordoned, not in trouble, held by no lease and no
// open quote at any instant of it, nor in an SU that a hermetic one has whole or
// cuts off from common links.
// Cost: O(nodes); the set is the caller's.
func (s *State) Free(begin, end time.Time) *site.Set {
	return s.free(begin, begin, end)
}

// free is Free for nodes that are in service by another time than begin: later,
// for what may come late.
func (s *State) free(inService, begin, end time.Time) *site.Set {
	return s.occupancy(inService, begin, end).Free()
}

// Occupancy is what a lease from begin to end would be placed on: which nodes are
// held by a lease or an open quote at some instant of it, which are not in
// service by then or in trouble, and which links hermetic slices hold. What is
// free of it for shared links are the nodes that Free gives.
// Cost: O(nodes) and O(links of hermetic slices); the occupancy is the caller's.
func (s *State) Occupancy(begin, end time.Time) *place.Occupancy {
	return s.occupancy(begin, begin, end)
}

func (s *State) occupancy(inService, begin, end time.Time) *place.Occupancy {
	o := place.NewOccupancy(s.Site)
	taken, out := site.NewSet(s.Site.Nodes()), site.NewSet(s.Site.Nodes())
	for i := range s.Nodes.State {
		n := site.Index(i)
		if s.takenWithin(n, begin, end) {
			taken.Add(n)
		}
		if !s.usable(n) || s.Site.InService(n).After(inService) {
			out.Add(n)
		}
	}
	o.Take(taken)
	o.Out(out)
	keep := func(nodes []site.Index, links json.RawMessage) {
		set, err := place.DecodeLinks(links)
		if err == nil {
			err = o.Keep(nodes, set)
		}
		if err != nil {
			// Apply refuses what can't be kept, so that nothing is sold twice.
			panic("book: links that were bound can't be kept: " + err.Error())
		}
	}
	for _, l := range s.Leases {
		if l.Returned.IsZero() && l.Begin.Before(end) && begin.Before(l.End) {
			keep(l.Slots, l.Assigned)
		}
	}
	for _, q := range s.Quotes {
		for _, part := range q.Parts {
			if part.Begin.Before(end) && begin.Before(part.End) {
				nodes, err := site.ParseOrder(part.Nodes, s.Site.Nodes())
				if err != nil {
					continue // Apply has parsed it once: it parses
				}
				keep(nodes, part.Assigned)
			}
		}
	}
	return o
}

// assignedLinks reads the links of a lease: nil for shared ones.
func assignedLinks(l *Lease) *place.LinkSet {
	set, err := place.DecodeLinks(l.Assigned)
	if err != nil {
		panic("book: links that were bound can't be read: " + err.Error()) // Apply has read them
	}
	return set
}

// usable says whether a node could serve somebody, now or after the turnover
// that it is in.
func (s *State) usable(n site.Index) bool {
	if s.Nodes.Cordoned[n] || s.Kept.Has(n) {
		return false
	}
	switch s.Nodes.State[n] {
	case node.Quarantined, node.Repair, node.Retired:
		return false
	}
	return s.HealthOf(n) <= Degraded
}

func (s *State) takenWithin(n site.Index, begin, end time.Time) bool {
	overlaps := func(i int32) bool {
		l := s.Leases[i]
		return l.Returned.IsZero() && l.Begin.Before(end) && begin.Before(l.End)
	}
	if i := s.Nodes.Lease[n]; i != NoLease && (overlaps(i) || s.Nodes.State[n] == node.Reserved && begin.Before(s.Leases[i].End)) {
		return true // what is being made ready for a lease is its own already
	}
	if _, promised := s.promisedTo(n); promised {
		return true
	}
	if _, kept := s.keptForMove(n); kept {
		return true
	}
	for _, h := range s.Nodes.Booked[n] {
		if overlaps(h.Lease) {
			return true
		}
	}
	return false
}

// promisedTo says whether a replacement under way has promised a node.
func (s *State) promisedTo(n site.Index) (SlotRef, bool) {
	for ref, swap := range s.Swaps {
		if swap.Node == n {
			return ref, true
		}
	}
	return SlotRef{}, false
}

// Calendar is what the site has and what has been promised of it, over time.
func (s *State) Calendar() *lease.Calendar {
	var supply []lease.Supply
	kept := s.keptForSale()
	for _, row := range s.Site.Supplies() {
		supply = append(supply, lease.Supply{Fabric: row.Fabric, Kind: row.Kind, Nodes: row.Sellable() - kept[keptClass{row.Hall, row.Fabric, row.Kind}], From: row.InService})
	}
	var bookings []lease.Booking
	for _, l := range s.Leases {
		if l.Returned.IsZero() {
			bookings = append(bookings, s.bookings(lease.Booking{ID: string(l.ID), Fabric: l.Fabric, Kind: l.Kind, Begin: l.Begin, End: l.End}, l.Slots)...)
		}
	}
	for _, q := range s.Quotes {
		for _, p := range q.Parts {
			if p.Sitting {
				continue // they are kept as they were found, so they are no supply either
			}
			nodes, err := site.ParseOrder(p.Nodes, s.Site.Nodes())
			if err != nil {
				continue // Apply has parsed it once: it parses
			}
			bookings = append(bookings, s.bookings(lease.Booking{ID: QuotedID(q.Key(), p.Tranche), Fabric: p.Fabric, Kind: p.Kind, Begin: p.Begin, End: p.End}, nodes)...)
		}
	}
	slices.SortFunc(bookings, func(a, b lease.Booking) int { return strings.Compare(a.ID, b.ID) })
	return lease.NewCalendar(supply, bookings)
}

type keptClass struct{ hall, fabric, kind string }

// keptForSale counts the nodes that the site would have for sale if they were not
// kept as they were found.
func (s *State) keptForSale() map[keptClass]int {
	count := map[keptClass]int{}
	for n := range s.Kept.All() {
		if !s.Site.IsSpare(n) && !s.Site.IsRetired(n) {
			count[keptClass{s.Site.Halls[s.Site.HallOf(n)].ID, s.fabricOf(n), s.Site.KindOf(n)}]++
		}
	}
	return count
}

// bookings are what nodes take of the calendar: from their begin, or from when
// their hall is in service. What is late takes nothing of what is there.
func (s *State) bookings(b lease.Booking, nodes []site.Index) []lease.Booking {
	late := map[time.Time]int{}
	for _, n := range nodes {
		if from := s.Site.InService(n); from.After(b.Begin) {
			late[from]++
		}
	}
	b.Nodes = len(nodes)
	var list []lease.Booking
	for _, from := range slices.SortedFunc(maps.Keys(late), time.Time.Compare) {
		one := b
		one.ID, one.Nodes, one.Begin = fmt.Sprintf("%s from %s", b.ID, from.Format(time.DateOnly)), late[from], from
		list = append(list, one)
		b.Nodes -= late[from]
	}
	return append(list, b)
}

// CheckCalendar refuses tranches that the site can't hold at some instant. The
// refusal names the instant, the kind, the fabric and the shortfall.
func (s *State) CheckCalendar(c *contract.Contract, tranches []contract.Tranche) error {
	calendar := s.Calendar()
	for _, t := range tranches {
		begin, end := Window(c, t)
		booking := lease.Booking{ID: string(leaseID(c.ID, t.ID)), Fabric: t.Fabric, Kind: t.Kind, Nodes: t.Slots(), Begin: begin, End: end}
		if err := calendar.Fits(booking); err != nil {
			return fmt.Errorf("tranche %s: %w", t.ID, err)
		}
		calendar.Add(booking)
	}
	return nil
}

// fabricOf is the id of the compute fabric of a node.
func (s *State) fabricOf(n site.Index) string {
	return s.Site.Fabrics[s.Site.FabricOf(site.PortOf(n, 0))].ID
}

// ProjectOwner is who owns the labels of a project: its leases share them.
func ProjectOwner(tenant, project string) fabric.Owner {
	return fabric.Owner("project/" + tenant + "/" + project)
}

func digestOf(data []byte) claim.Digest { return claim.DigestOf(data) }
