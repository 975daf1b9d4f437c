package dated

import (
	"fmt"
	"slices"
	"time"
)

// planPartial turns an ask that falls short into a ramp: as much as there is on
// each date, the rest as capacity comes. It is planned as a ramp is, so that the
// final shape is the best that there will be and nothing moves on the way.
func (c *Schedule) planPartial(ask Ask) (*Plan, *ShortError, error) {
	steps, owner := c.arrivals(ask)
	if steps == nil {
		return nil, &ShortError{Step: ask.Steps[0].ID, Fabric: ask.Fabric, Kind: ask.Kind, NodeGPUs: c.site.NodeGPUs(ask.Kind), Begin: ask.Steps[0].Begin, End: ask.End,
			At: ask.Steps[0].Begin, Want: ask.Nodes()}, nil
	}
	ramp := ask
	ramp.Steps = steps
	if ramp.Ramp == "" {
		ramp.Ramp = ask.Steps[0].ID
	}
	p, short, err := c.shape(ramp)
	if err != nil || short != nil {
		return nil, short, err
	}
	p.Ask = ask
	p.Ask.Ramp = ramp.Ramp
	for i := range p.Parts {
		p.Parts[i].Step = owner[p.Parts[i].ID]
	}
	return p, nil, nil
}

// arrivals cuts the steps of an ask into what can come when. A node comes when
// it is free from then until the end; the earliest steps are filled first. nil:
// the whole of it never comes.
func (c *Schedule) arrivals(ask Ask) (steps []Step, owner map[string]string) {
	first := ask.Steps[0].Begin
	dates := c.dates(first, ask.End)
	owner = map[string]string{}
	parts := map[string]int{}
	delivered, owing := 0, 0
	left := make([]int, len(ask.Steps)) // of each step, what has not come
	for i, s := range ask.Steps {
		left[i] = s.Nodes
		dates = append(dates, s.Begin)
	}
	slices.SortFunc(dates, time.Time.Compare)
	dates = slices.CompactFunc(dates, time.Time.Equal)
	for _, at := range dates {
		owing = 0
		for i, s := range ask.Steps {
			if !s.Begin.After(at) {
				owing += left[i]
			}
		}
		if owing == 0 {
			continue
		}
		// What is there for good from this date on, less what came before: that
		// is a subset of it.
		there := c.count(c.Free(at, ask.End), ask.class()) - delivered
		if ask.Waiting {
			there = c.count(c.FreeWith(at, first, ask.End), ask.class()) - delivered
		}
		if there <= 0 {
			continue
		}
		if len(steps) >= MaxSteps-len(ask.Steps) && there < owing {
			continue // in few parts: wait until the rest comes together
		}
		for i, s := range ask.Steps {
			n := min(left[i], there)
			if s.Begin.After(at) || n == 0 {
				continue
			}
			id := s.ID
			if parts[s.ID]++; parts[s.ID] > 1 {
				id = fmt.Sprintf("%s.%d", s.ID, parts[s.ID])
			}
			owner[id] = s.ID
			step := Step{ID: id, Nodes: n, Begin: at}
			if ask.Waiting {
				step.unbooked = first
			}
			steps = append(steps, step)
			left[i] -= n
			there -= n
			delivered += n
		}
	}
	for _, n := range left {
		if n > 0 {
			return nil, nil
		}
	}
	return steps, owner
}

// dates are the instants in [from, until) at which capacity may come free: a
// hall comes into service, a booking ends. from is the first of them.
func (c *Schedule) dates(from, until time.Time) []time.Time {
	dates := []time.Time{from}
	add := func(t time.Time) {
		if t.After(from) && t.Before(until) {
			dates = append(dates, t.UTC())
		}
	}
	for i := range c.site.Halls {
		add(c.site.Halls[i].InService)
	}
	for _, h := range c.bookings {
		add(h.Booking.End)
	}
	slices.SortFunc(dates, time.Time.Compare)
	return slices.CompactFunc(dates, time.Time.Equal)
}
