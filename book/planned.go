package book

import (
	"fmt"

	"bulkhead/contract"
	"bulkhead/place/dated"
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
func PlanTranches(schedule *dated.Schedule, c *contract.Contract, tranches []contract.Tranche, worsen bool) ([]Planned, error) {
	var out []Planned
	for _, ramp := range Ramps(tranches) {
		first := ramp[0]
		ask := dated.Ask{Fabric: first.Fabric, Kind: first.Kind, Links: first.Links, End: first.End, Partial: true, Worsen: worsen}
		for _, t := range ramp {
			ask.Steps = append(ask.Steps, dated.Step{ID: string(leaseID(c.ID, t.ID)), Nodes: t.Slots(), Begin: t.Delivery})
			ask.Partial = ask.Partial && t.Split
		}
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
			if err := schedule.Commit(plan); err != nil {
				return nil, fmt.Errorf("tranche %s: %w", first.ID, err)
			}
		}
		out = append(out, p)
	}
	return out, nil
}
