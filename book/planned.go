package book

import (
	"fmt"
	"strings"
	"time"

	"bulkhead/contract"
	"bulkhead/lease"
	"bulkhead/place/dated"
	"bulkhead/site"
)

// Planned is how the tranches of a contract that are steps of one ramp would be
// placed, or why they can't be.
type Planned struct {
	Tranches []contract.Tranche // by delivery date; one that is no ramp is alone
	Plan     *dated.Plan        // nil: Refused says why
	Refused  *dated.ShortError
}

// PlanTranches plans tranches of a contract on a schedule, which it changes:
// each ramp at its final size first, then its steps inside it. A tranche that
// may be delivered in parts (split) is, where it falls short. worsen says whether
// bookings that have not begun may get a worse shape to make room. A shortfall is
// part of the answer; an error is about what was asked.
// Cost: as dated.Schedule.Plan, for each ramp.
//
// What comes late waits for halls that are only planned, not for what others
// give back: that is a tranche of its own, with its own date.
func PlanTranches(schedule *dated.Schedule, c *contract.Contract, tranches []contract.Tranche, worsen bool) ([]Planned, error) {
	var out []Planned
	beside := othersOf(schedule, c)
	for _, ramp := range Ramps(tranches) {
		first := ramp[0]
		ask := dated.Ask{Owner: projectOf(c.Tenant, c.Project), Fabric: first.Fabric, Kind: first.Kind, Links: first.Links, End: first.End, Partial: true, Waiting: true, Worsen: worsen, Beside: beside}
		if ask.WholeRacks = wholeRacks(schedule.Site(), first.Kind, &first); ask.WholeRacks && first.Links == lease.Hermetic {
			return nil, hermeticRacks(first.ID)
		}
		ask.Segment = first.SegmentNodes()
		if err := checkSegments(schedule.Site(), &first); err != nil {
			return nil, err
		}
		for _, t := range ramp {
			ask.Steps = append(ask.Steps, dated.Step{ID: string(leaseID(c.ID, t.ID)), Nodes: t.Slots(), Begin: t.Delivery})
			ask.Partial = ask.Partial && t.Split
		}
		ask.Partial = ask.Partial && !ask.WholeRacks && ask.Segment == 0
		if len(ramp) > 1 {
			ask.Ramp = string(leaseID(c.ID, first.ID))
		}
		p := Planned{Tranches: ramp}
		plan, err := schedule.Plan(ask)
		switch short, isShort := err.(*dated.ShortError); {
		case isShort:
			p.Refused = short
		case err != nil:
			return nil, fmt.Errorf("tranche %s: %w", first.ID, err)
		default:
			p.Plan = plan
			for _, part := range plan.Parts {
				for _, n := range part.Nodes {
					beside.Add(n)
				}
			}
			if err := schedule.Commit(plan); err != nil {
				return nil, fmt.Errorf("tranche %s: %w", first.ID, err)
			}
		}
		out = append(out, p)
	}
	return out, nil
}

// othersOf is the nodes that a contract's tranches have in a schedule. The set is the
// caller's.
func othersOf(schedule *dated.Schedule, c *contract.Contract) *site.Set {
	nodes := site.NewSet(schedule.Site().Nodes())
	for _, h := range schedule.Bookings() {
		if strings.HasPrefix(h.ID, string(leaseID(c.ID, ""))) && h.End.After(schedule.Now()) {
			for _, n := range h.Nodes {
				nodes.Add(n)
			}
		}
	}
	return nodes
}

// Proposals are what plans come to as parts of a quote, and the moves that they
// need. Every plan must have been met.
func Proposals(planned []Planned) (slices []TrancheSlice, moves []Rebook) {
	for _, p := range planned {
		for _, t := range p.Tranches {
			one := TrancheSlice{Tranche: t.ID}
			var last time.Time
			for _, part := range p.Plan.Parts {
				if strings.HasSuffix(part.Step, "/"+t.ID) {
					one.Nodes = append(one.Nodes, part.Nodes...)
					last = part.Begin
				}
			}
			for _, prefix := range p.Plan.Prefixes {
				if prefix.Begin.Equal(last) {
					one.Slice, one.Among = prefix.Slice, prefix.Among
				}
			}
			slices = append(slices, one)
		}
		for _, m := range p.Plan.Moves {
			moves = append(moves, Rebook{Lease: lease.ID(m.ID), Nodes: m.To, Slice: m.Slice, Among: m.Among})
		}
	}
	return slices, moves
}
