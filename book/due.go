package book

import (
	"fmt"
	"time"

	"bulkhead/node"
	"bulkhead/site"
)

// Lead is how long before its lease begins a ready node is reserved: long
// enough to apply, read back and prove its labels before the date.
const Lead = 48 * time.Hour

// Due lists the commands whose time has come, in an order that the same state
// and time always give.
// Cost: O(nodes in motion + leases + quotes + replacements).
func Due(s *State, now time.Time) []Command {
	if s.Site == nil || s.Control.Adopted || s.Control.Recovering || s.Control.Doubt != nil {
		return nil
	}
	var due []Command
	for _, key := range s.QuoteKeys() {
		if !now.Before(s.Quotes[key].Expires) {
			due = append(due, LapseQuote{Tenant: key.Tenant, Quote: key.ID})
		}
	}
	due = s.dueCommissioning(due, now)
	due = s.dueReservations(due, now)
	due = s.dueDead(due, now)
	due = s.dueRepairs(due)
	if severed := s.healthyIn(node.Severed); len(severed) > 0 {
		due = append(due, Sanitize{Nodes: severed})
	}
	due = s.dueMoves(due, now)
	due = s.dueSwaps(due, now)
	for _, l := range s.Leases {
		switch {
		case !l.Returned.IsZero():
		case !l.Returning.IsZero():
			due = append(due, FinishReturn{Lease: l.ID})
		case !now.Before(l.End):
			due = append(due, ReturnLease{Lease: l.ID, Reason: "its time is over"})
		case now.Sub(l.Begin) >= s.Policy.Turnover.Deliver && l.Delivered < l.Owed() && !l.LateNoted:
			expected := s.expected(l)
			due = append(due, NoteLate{Lease: l.ID, Expected: expected, Reason: s.lateReason(l)})
		}
	}
	return due
}

func (s *State) dueCommissioning(due []Command, now time.Time) []Command {
	var nodes []site.Index
	if !s.commissionable(now) {
		return due
	}
	room := map[int]int{}
	for n := range s.Nodes.By[node.Discovered].All() {
		if s.Site.InService(n).After(now) || s.Nodes.Cordoned[n] || s.HealthOf(n) > Degraded || s.Kept.Has(n) {
			continue
		}
		hall := s.Site.HallOf(n)
		if _, ok := room[hall]; !ok {
			room[hall] = s.turnoverRoom(hall)
		}
		if room[hall] == 0 {
			continue
		}
		room[hall]--
		nodes = append(nodes, n)
	}
	if len(nodes) > 0 {
		due = append(due, Commission{Nodes: nodes})
	}
	return due
}

// commissionable says whether any node of a hall in service is still only
// discovered: most of the time none is, and tens of thousands wait elsewhere.
func (s *State) commissionable(now time.Time) bool {
	for h, waiting := range s.Nodes.Waiting {
		if waiting > 0 && !s.Site.Halls[h].InService.After(now) {
			return true
		}
	}
	return false
}

// TurnoverLimit is how many nodes of a hall may be in turnover at once.
const TurnoverLimit = 8192

// turnoverRoom is how many more nodes of a hall may be in turnover at once: a
// hall is a failure domain, and its power and network serve the rest of it.
func (s *State) turnoverRoom(hall int) int {
	busy := 0
	for _, st := range []node.State{node.Commissioning, node.Sanitizing, node.Attesting} {
		for n := range s.Nodes.By[st].All() {
			if s.Site.HallOf(n) == hall {
				busy++
			}
		}
	}
	return max(TurnoverLimit-busy, 0)
}

func (s *State) dueReservations(due []Command, now time.Time) []Command {
	var nodes []site.Index
	for n := range s.Nodes.By[node.Ready].All() {
		l := s.LeaseOn(n)
		if l != nil && l.Returning.IsZero() && !now.Before(l.Begin.Add(-Lead)) && s.usable(n) && s.HealthOf(n) == Healthy && !s.givenUpNode(n) {
			nodes = append(nodes, n)
		}
	}
	if len(nodes) > 0 {
		due = append(due, Reserve{Nodes: nodes})
	}
	return due
}

// dueRepairs sends sick nodes to repair as soon as nobody holds them and
// nothing of a tenant is reachable on them.
func (s *State) dueRepairs(due []Command) []Command {
	var nodes []site.Index
	for n := range s.Nodes.Sick.All() {
		switch s.Nodes.State[n] {
		case node.Ready, node.Severed:
			nodes = append(nodes, n)
		case node.Reserved:
			if s.LeaseOn(n) == nil {
				nodes = append(nodes, n)
			}
		}
	}
	if len(nodes) > 0 {
		due = append(due, SendToRepair{Nodes: nodes, Reason: "hardware failure"})
	}
	return due
}

func (s *State) healthyIn(st node.State) []site.Index {
	var nodes []site.Index
	for n := range s.Nodes.By[st].All() {
		if !s.Nodes.Sick.Has(n) && s.HealthOf(n) < Dead {
			nodes = append(nodes, n)
		}
	}
	return nodes
}

func (s *State) expected(l *Lease) time.Time {
	expected := l.Begin
	for slot, n := range l.Slots {
		if !l.Up[slot] && !l.GaveUp(slot) && s.Site.InService(n).After(expected) {
			expected = s.Site.InService(n)
		}
	}
	return expected
}

func (s *State) lateReason(l *Lease) string {
	missing, outOfService := 0, 0
	for slot, n := range l.Slots {
		if l.Up[slot] || l.GaveUp(slot) {
			continue
		}
		missing++
		if s.Site.InService(n).After(l.Begin) {
			outOfService++
		}
	}
	return fmt.Sprintf("%d slots are missing; %d of them are in halls not in service yet", missing, outOfService)
}
