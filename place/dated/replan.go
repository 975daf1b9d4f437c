package dated

import (
	"cmp"
	"slices"
	"time"

	"bulkhead/lease"
	"bulkhead/place"
	"bulkhead/place/solve"
	"bulkhead/site"
)

// replan places an ask by placing again what has not begun. First one booking at
// a time, the smallest first: few moves are better than many. Then all of them,
// ramps as a whole. Last all of them step by step, in the order in which they
// begin. That always works where only numbers matter: when a step's turn comes,
// everything placed before it has begun by its date, so a node that is free then
// is free for good, and the peak says that there are enough. nil: it does not
// help, because something is pinned, or would have to be in a worse shape.
func (c *Schedule) replan(ask Ask) (*Plan, error) {
	p, err := c.makeRoom(ask, false)
	if p == nil && err == nil && ask.Worsen {
		p, err = c.makeRoom(ask, true)
	}
	return p, err
}

func (c *Schedule) makeRoom(ask Ask, worsen bool) (*Plan, error) {
	units := c.movable(ask.class())
	// What would be free if nothing were booked that has not begun bounds what
	// moving any of it can give; the size of one bounds what moving that gives.
	if worsen {
		units = append(units, c.tails(ask.class())...)
	}
	missing := ask.Nodes() - c.count(c.Free(ask.Steps[len(ask.Steps)-1].Begin, ask.End), ask.class())
	most := c.without(units...)
	if _, short, err := most.counted(ask); short != nil || err != nil {
		return nil, err
	}
	slices.SortStableFunc(units, func(a, b *unit) int { return cmp.Compare(a.size(), b.size()) })
	tries := 0
	for _, u := range units {
		if u.size() < missing || !u.overlaps(ask.Steps[0].Begin, ask.End) {
			continue
		}
		if tries++; tries > oneByOne {
			break
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
		moves := c.again(rest, u, worsen)
		if moves != nil {
			p.Moves = moves
			return p, nil
		}
	}
	if p, err := c.replanAll(ask, units, worsen); p != nil || err != nil {
		return p, err
	}
	return c.stepwise(ask, units, worsen)
}

// oneByOne is how many bookings are tried by themselves before all are placed
// again.
const oneByOne = 16

func (c *Schedule) replanAll(ask Ask, units []*unit, worsen bool) (*Plan, error) {
	if len(units) == 0 {
		return nil, nil
	}
	rest := c.without(units...)
	slices.SortStableFunc(units, func(a, b *unit) int {
		return cmp.Or(a.begin().Compare(b.begin()), cmp.Compare(a.bookings[0].ID, b.bookings[0].ID))
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
		moved := c.again(rest, u, worsen)
		if moved == nil {
			return nil, nil
		}
		moves = append(moves, moved...)
		for _, h := range rest.taken(u, moved) {
			rest.put(h)
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

// stepwise places everything that has not begun, and the ask, step by step. A
// ramp is not the best of its final size then; it is what there is room for.
func (c *Schedule) stepwise(ask Ask, units []*unit, worsen bool) (*Plan, error) {
	rest := c.without(units...)
	var all []Booking
	for _, u := range units {
		all = append(all, u.bookings...)
	}
	asked := map[string]bool{}
	for _, s := range ask.Steps {
		asked[s.ID] = true
		all = append(all, Booking{ID: s.ID, Fabric: ask.Fabric, Kind: ask.Kind, Links: ask.Links, Begin: s.Begin, End: ask.End, Nodes: make([]site.Index, s.Nodes)})
	}
	// Of those that begin at one time what is booked comes first: it stays where it is,
	// and whether there is room for the ask does not hang on its name.
	last := func(h Booking) int {
		if asked[h.ID] {
			return 1
		}
		return 0
	}
	slices.SortStableFunc(all, func(a, b Booking) int {
		return cmp.Or(a.Begin.Compare(b.Begin), cmp.Compare(last(a), last(b)), cmp.Compare(a.ID, b.ID))
	})
	placed := map[string][]site.Index{}
	var moves []Move
	for _, h := range all {
		free := rest.Free(h.Begin, h.End)
		if !asked[h.ID] && free.Contains(site.SetOf(h.Nodes...)) {
			rest.put(h)
			continue
		}
		var near *site.Set
		if asked[h.ID] {
			near = ask.Beside
		}
		slice, err := solve.Near(c.site, free, place.Ask{Nodes: len(h.Nodes), Fabric: h.Fabric, Kind: h.Kind, Links: h.Links}, near)
		if err != nil {
			return nil, refused(err)
		}
		if !asked[h.ID] {
			m := Move{ID: h.ID, From: h.Nodes, To: slice.Nodes, Was: c.bookings[h.ID].cost, Is: slice.Certificate.Cost, Slice: slice, Among: free}
			if !worsen && m.Was.Less(m.Is) {
				return nil, nil
			}
			moves = append(moves, m)
		}
		placed[h.ID] = slice.Nodes
		h.Nodes = slice.Nodes
		rest.put(h)
	}
	p := &Plan{Ask: ask, Moves: moves, Stepwise: true}
	union := site.NewSet(c.site.Nodes())
	for i, s := range ask.Steps {
		for _, n := range placed[s.ID] {
			union.Add(n)
		}
		p.Parts = append(p.Parts, Part{Step: s.ID, ID: s.ID, Begin: s.Begin, Nodes: placed[s.ID]})
		if i+1 < len(ask.Steps) && ask.Steps[i+1].Begin.Equal(s.Begin) {
			continue
		}
		slice, err := solve.Near(c.site, union, place.Ask{Nodes: union.Len(), Fabric: ask.Fabric, Kind: ask.Kind, Links: ask.Links}, ask.Beside)
		if err != nil {
			return nil, refused(err)
		}
		p.Prefixes = append(p.Prefixes, Prefix{Begin: s.Begin, Slice: slice, Among: union.Clone()})
	}
	// What the last date alone would have given, beside the bookings as they are now.
	union.Union(rest.Free(ask.Steps[len(ask.Steps)-1].Begin, ask.End))
	best, err := solve.Among(c.site, union, place.Ask{Nodes: ask.Nodes(), Fabric: ask.Fabric, Kind: ask.Kind, Links: ask.Links})
	if err != nil {
		return nil, refused(err)
	}
	p.Unnested = best.Certificate.Cost
	return p, nil
}

// tails are the steps that have not begun of ramps that have. No node of them
// moves when they are placed again, but they leave what they were nested in. A ramp of
// which the steps that had begun have ended does not run: movable has what is left of it.
func (c *Schedule) tails(class site.Class) []*unit {
	runs := map[string]bool{}
	for _, h := range c.bookings {
		if h.Ramp != "" && h.End.After(c.now) && (h.Pinned || !h.Begin.After(c.now)) {
			runs[h.Ramp] = true
		}
	}
	var units []*unit
	for _, h := range c.Bookings() {
		if h.class() == class && runs[h.Ramp] && !h.Pinned && h.Begin.After(c.now) {
			units = append(units, &unit{[]Booking{h}})
		}
	}
	return units
}

// unit is bookings that are placed together: one, or the steps of a ramp.
type unit struct {
	bookings []Booking // by begin
}

func (u *unit) begin() time.Time { return u.bookings[0].Begin }

func (u *unit) size() int {
	nodes := 0
	for _, h := range u.bookings {
		nodes += len(h.Nodes)
	}
	return nodes
}

// movable are the bookings of a class that have not begun, ramps as a whole.
func (c *Schedule) movable(class site.Class) []*unit {
	ramps := map[string]*unit{}
	pinned := map[string]bool{}
	var units []*unit
	for _, h := range c.Bookings() { // by id
		if h.class() != class || !h.End.After(c.now) || h.Links == lease.Hermetic {
			continue
		}
		if h.Ramp == "" {
			if !h.Pinned && h.Begin.After(c.now) {
				units = append(units, &unit{[]Booking{h}})
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
		u.bookings = append(u.bookings, h)
	}
	units = slices.DeleteFunc(units, func(u *unit) bool { return pinned[u.bookings[0].Ramp] })
	for _, u := range units {
		slices.SortStableFunc(u.bookings, func(a, b Booking) int { return a.Begin.Compare(b.Begin) })
	}
	return units
}

func (u *unit) overlaps(begin, end time.Time) bool {
	for i := range u.bookings {
		if u.bookings[i].overlaps(begin, end) {
			return true
		}
	}
	return false
}

// without is the schedule without some bookings.
func (c *Schedule) without(units ...*unit) *Schedule {
	d := c.Clone()
	for _, u := range units {
		for _, h := range u.bookings {
			delete(d.bookings, h.ID)
		}
	}
	d.changed()
	return d
}

func (c *Schedule) putPlan(p *Plan) {
	for _, part := range p.Parts {
		h := p.booking(part)
		c.put(h)
	}
}

// again places a unit that was taken out of c into rest: where it was if that is
// still free, else anew. nil: it does not fit, or only worse than it was.
func (c *Schedule) again(rest *Schedule, u *unit, worsen bool) []Move {
	stays := true
	for _, h := range u.bookings {
		free := rest.Free(h.Begin, h.End)
		if !free.Contains(site.SetOf(h.Nodes...)) {
			stays = false
		}
	}
	if stays {
		moves := make([]Move, 0, len(u.bookings))
		for _, h := range u.bookings {
			cost := c.bookings[h.ID].cost
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
	first := u.bookings[0]
	ask := Ask{Ramp: first.Ramp, Fabric: first.Fabric, Kind: first.Kind, Links: first.Links, End: first.End}
	var all []site.Index
	for _, h := range u.bookings {
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
		m := Move{ID: part.ID, From: c.bookings[part.ID].Nodes, To: part.Nodes, Was: c.bookings[part.ID].cost, Is: place.CostOf(c.site, part.Nodes)}
		for _, prefix := range p.Prefixes {
			if prefix.Begin.Equal(part.Begin) {
				m.Slice, m.Among = prefix.Slice, prefix.Among
			}
		}
		moves = append(moves, m)
	}
	return moves, place.CostOf(c.site, all), p.Final().Certificate.Cost
}

// taken are a unit's bookings on the nodes that moves give them.
func (c *Schedule) taken(u *unit, moves []Move) []Booking {
	out := slices.Clone(u.bookings)
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
	for _, h := range c.Bookings() {
		if !seen[h.class()] {
			seen[h.class()] = true
			units = append(units, c.movable(h.class())...)
		}
	}
	slices.SortStableFunc(units, func(a, b *unit) int {
		return cmp.Or(a.begin().Compare(b.begin()), cmp.Compare(a.bookings[0].ID, b.bookings[0].ID))
	})
	var all []Move
	for _, u := range units {
		rest := c.without(u)
		moves, was, is := c.anew(rest, u)
		if moves == nil || !is.Less(was) {
			continue
		}
		for _, h := range rest.taken(u, moves) {
			c.put(h)
		}
		all = append(all, moves...)
	}
	return all
}
