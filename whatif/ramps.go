package whatif

import (
	"maps"
	"slices"
	"time"

	"bulkhead/book"
	"bulkhead/contract"
	"bulkhead/lease"
	"bulkhead/place"
	"bulkhead/place/solve"
	"bulkhead/site"
)

// Ramps says what the ramps of an open quote are from each of their dates on, and
// what their final size would be if only its own date mattered, with everything
// else where it is. What is quoted in parts is a ramp too.
// Cost: a schedule, and a solve.Among for each ramp.
func Ramps(s *book.State, now time.Time, q *book.Quote) ([]SoldRamp, error) {
	parts := map[string]contract.QuotedPart{}
	for _, p := range q.Parts {
		parts[p.Tranche] = p
	}
	quoted := slices.DeleteFunc(slices.Clone(q.Contract.Tranches), func(t contract.Tranche) bool { _, ok := parts[t.ID]; return !ok })
	var out []SoldRamp
	for _, group := range book.Ramps(quoted) {
		ramp := SoldRamp{NodeGPUs: group[0].GPUsANode()}
		come := map[time.Time][]site.Index{}
		for _, t := range group {
			ramp.Tranches = append(ramp.Tranches, t.ID)
			nodes, err := site.ParseOrder(parts[t.ID].Nodes, s.Site.Nodes())
			if err != nil {
				return nil, err
			}
			for _, n := range nodes {
				at := later(parts[t.ID].Begin, s.Site.InService(n)).UTC()
				come[at] = append(come[at], n)
			}
		}
		if len(come) < 2 {
			continue
		}
		ramp.Dates = slices.SortedFunc(maps.Keys(come), time.Time.Compare)
		var all []site.Index
		for _, at := range ramp.Dates {
			all = append(all, come[at]...)
			ramp.Nodes = append(ramp.Nodes, len(all))
			ramp.Shapes = append(ramp.Shapes, place.CostOf(s.Site, all))
		}
		schedule, err := s.Schedule(now)
		if err != nil {
			return nil, err
		}
		for _, id := range ramp.Tranches {
			schedule.Drop(book.QuotedID(q.Key(), id))
		}
		last := ramp.Dates[len(ramp.Dates)-1]
		best, err := solve.Among(s.Site, schedule.Free(last, group[0].End), place.Ask{Nodes: len(all), Fabric: group[0].Fabric, Kind: group[0].Kind, Links: lease.Shared, WholeRacks: s.Site.NVLinkRacks(group[0].Kind) && !group[0].SplitRacks && group[0].SegmentGPUs == 0, Segment: group[0].SegmentNodes()})
		if err != nil {
			return nil, err
		}
		ramp.Unnested = best.Certificate.Cost
		out = append(out, ramp)
	}
	return out, nil
}
