package dated

import (
	"cmp"
	"slices"
	"time"

	"bulkhead/place"
	"bulkhead/site"
)

// replan places an ask by placing again what has not begun. First one booking at
// a time, the smallest first: few moves are better than many. Then all of them,
// in the order in which they begin. That order always works where only numbers
// matter: when a booking's turn comes, everything placed before it has begun by
// its date, so a node that is free then is free for good, and the peak says that
// there are enough. nil: it does not help.
func (c *Schedule) replan(ask Ask) (*Plan, error) {
	units := c.movable(ask.class())
	slices.SortStableFunc(units, func(a, b *unit) int { return cmp.Compare(a.nodes().Len(), b.nodes().Len()) })
	for _, u := range units {
		if !u.overlaps(ask.Steps[0].Begin, ask.End) {
			continue
		}
		rest := c.without(u)
		p, short, err := rest.shape(ask)
		if err != nil {
			return nil, err
		}
		if short != nil {
			continue
		}
		rest.putPlan(p)
		moves := c.again(rest, u, ask.Worsen)
		if moves != nil {
			p.Moves = moves
			return p, nil
		}
	}
	return c.replanAll(ask, units)
}

func (c *Schedule) replanAll(ask Ask, units []*unit) (*Plan, error) {
	if len(units) == 0 {
		return nil, nil
	}
	rest := c.without(units...)
	slices.SortStableFunc(units, func(a, b *unit) int {
		return cmp.Or(a.begin().Compare(b.begin()), cmp.Compare(a.holdings[0].ID, b.holdings[0].ID))
	})
	var p *Plan
	var moves []Move
	placeAsk := func() (bool, error) {
		got, short, err := rest.shape(ask)
		if err != nil || short != nil {
			return false, err
		}
		p = got
		rest.putPlan(p)
		return true, nil
	}
	for _, u := range units {
		if p == nil && !ask.Steps[0].Begin.After(u.begin()) {
			if ok, err := placeAsk(); !ok {
				return nil, err
			}
		}
		moved := c.again(rest, u, ask.Worsen)
		if moved == nil {
			return nil, nil
		}
		moves = append(moves, moved...)
		for _, h := range rest.taken(u, moved) {
			rest.put(h, site.SetOf(h.Nodes...))
		}
	}
	if p == nil {
		if ok, err := placeAsk(); !ok {
			return nil, err
		}
	}
	p.Moves = slices.DeleteFunc(moves, func(m Move) bool { return slices.Equal(m.From, m.To) })
	return p, nil
}

// movable are the bookings of a class that have not begun, ramps as a whole.
func (c *Schedule) movable(class site.Class) []*unit {
	ramps := map[string]*unit{}
	pinned := map[string]bool{}
	var units []*unit
	for _, h := range c.Holdings() { // by id
		if h.class() != class || !h.End.After(c.now) {
			continue
		}
		if h.Ramp == "" {
			if !h.Pinned && h.Begin.After(c.now) {
				units = append(units, &unit{[]Holding{h}})
			}
			continue
		}
		if h.Pinned || !h.Begin.After(c.now) {
			pinned[h.Ramp] = true
		}
		u := ramps[h.Ramp]
		if u == nil {
			u = &unit{}
			ramps[h.Ramp] = u
			units = append(units, u)
		}
		u.holdings = append(u.holdings, h)
	}
	units = slices.DeleteFunc(units, func(u *unit) bool { return pinned[u.holdings[0].Ramp] })
	for _, u := range units {
		slices.SortStableFunc(u.holdings, func(a, b Holding) int { return a.Begin.Compare(b.Begin) })
	}
	return units
}

func (u *unit) overlaps(begin, end time.Time) bool {
	for i := range u.holdings {
		if u.holdings[i].overlaps(begin, end) {
			return true
		}
	}
	return false
}

// without is the schedule without some bookings.
func (c *Schedule) without(units ...*unit) *Schedule {
	d := c.Clone()
	for _, u := range units {
		for _, h := range u.holdings {
			delete(d.holdings, h.ID)
		}
	}
	d.changed()
	return d
}

func (c *Schedule) putPlan(p *Plan) {
	for _, part := range p.Parts {
		h := p.holding(part)
		c.put(h, site.SetOf(h.Nodes...))
	}
}

// again places a unit that was taken out of c into rest: where it was if that is
// still free, else anew. nil: it does not fit, or only worse than it was.
func (c *Schedule) again(rest *Schedule, u *unit, worsen bool) []Move {
	stays := true
	for _, h := range u.holdings {
		free := rest.Free(h.Begin, h.End)
		if !free.Contains(site.SetOf(h.Nodes...)) {
			stays = false
		}
	}
	if stays {
		moves := make([]Move, 0, len(u.holdings))
		for _, h := range u.holdings {
			cost := c.holdings[h.ID].cost
			moves = append(moves, Move{ID: h.ID, From: h.Nodes, To: h.Nodes, Was: cost, Is: cost})
		}
		return moves
	}
	moves, was, is := c.anew(rest, u)
	if moves == nil || !worsen && was.Less(is) {
		return nil
	}
	return moves
}

// anew places a unit as a ramp is, and says what its final size cost and costs.
func (c *Schedule) anew(rest *Schedule, u *unit) (moves []Move, was, is place.Cost) {
	first := u.holdings[0]
	ask := Ask{Ramp: first.Ramp, Fabric: first.Fabric, Kind: first.Kind, Links: first.Links, End: first.End}
	var all []site.Index
	for _, h := range u.holdings {
		if !h.End.Equal(first.End) {
			return nil, was, is // one step was ended by itself: it is no ramp any more
		}
		ask.Steps = append(ask.Steps, Step{ID: h.ID, Nodes: len(h.Nodes), Begin: h.Begin})
		all = append(all, h.Nodes...)
	}
	p, short, err := rest.shape(ask)
	if err != nil || short != nil {
		return nil, was, is
	}
	for _, part := range p.Parts {
		m := Move{ID: part.ID, From: c.holdings[part.ID].Nodes, To: part.Nodes, Was: c.holdings[part.ID].cost, Is: place.CostOf(c.site, part.Nodes)}
		for _, prefix := range p.Prefixes {
			if prefix.Begin.Equal(part.Begin) {
				m.Slice = prefix.Slice
			}
		}
		moves = append(moves, m)
	}
	return moves, place.CostOf(c.site, all), p.Final().Certificate.Cost
}

// taken are a unit's holdings on the nodes that moves give them.
func (c *Schedule) taken(u *unit, moves []Move) []Holding {
	out := slices.Clone(u.holdings)
	for i := range out {
		for _, m := range moves {
			if m.ID == out[i].ID {
				out[i].Nodes = m.To
			}
		}
	}
	return out
}

// Improve places bookings that have not begun again wherever that gives them a
// strictly better shape, in the order in which they begin, and returns what
// moved. What runs stays. Call it when capacity came free: a lease that was
// returned early, a hall that is earlier than planned.
// Cost: one search of place a booking and step.
func (c *Schedule) Improve() []Move {
	var units []*unit
	seen := map[site.Class]bool{}
	for _, h := range c.Holdings() {
		if !seen[h.class()] {
			seen[h.class()] = true
			units = append(units, c.movable(h.class())...)
		}
	}
	slices.SortStableFunc(units, func(a, b *unit) int {
		return cmp.Or(a.begin().Compare(b.begin()), cmp.Compare(a.holdings[0].ID, b.holdings[0].ID))
	})
	var all []Move
	for _, u := range units {
		rest := c.without(u)
		moves, was, is := c.anew(rest, u)
		if moves == nil || !is.Less(was) {
			continue
		}
		for _, h := range rest.taken(u, moves) {
			c.put(h, site.SetOf(h.Nodes...))
		}
		all = append(all, moves...)
	}
	return all
}
