package dated

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"bulkhead/lease"
	"bulkhead/place"
	"bulkhead/place/solve"
	"bulkhead/site"
)

// Plan answers an ask and changes nothing. First the peak: at no instant may
// more be promised than there is. Then the shape: the whole ask at its final
// size, and every step inside it. Where the nodes that are free are too few only
// because bookings that have not begun lie in the way, those are placed again.
//
// An ask that can't be met gets a *[ShortError], with the earliest date instead.
// Cost: one search of place for the final size, one for each step, more when
// others are placed again.
func (c *Schedule) Plan(ask Ask) (*Plan, error) {
	if err := ask.check(); err != nil {
		return nil, err
	}
	for _, s := range ask.Steps {
		if _, used := c.bookings[s.ID]; used {
			return nil, fmt.Errorf("ask %s: there is a booking of this id", s.ID)
		}
	}
	c = c.For(ask.Owner)
	p, short, err := c.plan(ask)
	if err == nil && short != nil && ask.Partial && ask.Links != lease.Hermetic && !ask.domains() {
		if whole := short; true {
			if p, short, err = c.planPartial(ask); short != nil {
				short = whole // the reason is why it is not whole
			}
		}
	}
	if err != nil {
		return nil, err
	}
	if short != nil {
		if short.Earliest, short.Shape, err = c.instead(ask); err != nil {
			return nil, err
		}
		if err := c.lookElsewhere(short); err != nil {
			return nil, err
		}
		return nil, short
	}
	p.version = c.version
	return p, nil
}

// plan is Plan without what is offered instead of a refusal.
func (c *Schedule) plan(ask Ask) (*Plan, *ShortError, error) {
	if short, err := c.peak(ask); short != nil || err != nil {
		return nil, short, err
	}
	p, short, err := c.shape(ask)
	if err != nil || short == nil || ask.Links == lease.Hermetic || c.site.NVLinkRacks(ask.Kind) || ask.domains() {
		return p, short, err // nobody is moved to make room for links, or for racks
	}
	again, err := c.replan(ask)
	if err != nil || again != nil {
		return again, nil, err
	}
	return nil, short, nil
}

// peak checks that at no instant more would be promised than there is.
func (c *Schedule) peak(ask Ask) (*ShortError, error) {
	calendar := c.Calendar()
	total := 0
	var first *ShortError
	for i, s := range ask.Steps {
		total += s.Nodes
		until := ask.End
		if i+1 < len(ask.Steps) {
			if until = ask.Steps[i+1].Begin; !s.Begin.Before(until) {
				continue // the next step comes at once
			}
		}
		err := calendar.Fits(lease.Booking{ID: s.ID, Fabric: ask.Fabric, Kind: ask.Kind, Nodes: total, Begin: s.Begin, End: until})
		var short *lease.ShortfallError
		if err != nil && !errors.As(err, &short) {
			return nil, err
		}
		if short != nil && (first == nil || short.Short > first.Short()) {
			first = &ShortError{Step: s.ID, Fabric: ask.Fabric, Kind: ask.Kind, NodeGPUs: c.site.NodeGPUs(ask.Kind), Begin: s.Begin, End: ask.End, At: short.At, Want: total, Have: short.Have}
		}
	}
	return first, nil
}

// shape places the ask among what is free as the schedule is.
func (c *Schedule) shape(ask Ask) (*Plan, *ShortError, error) {
	open, short, err := c.counted(ask)
	if short != nil || err != nil {
		return nil, short, err
	}
	prefixes, unnested, err := c.nest(ask, open)
	if err != nil {
		// The number is there; whatever else the class of links asks for is not.
		first := ask.Steps[0]
		return nil, &ShortError{Step: first.ID, Fabric: ask.Fabric, Kind: ask.Kind, NodeGPUs: c.site.NodeGPUs(ask.Kind), Begin: first.Begin, End: ask.End, At: first.Begin,
			Want: ask.Nodes(), Have: 0, Why: err.Error()}, refused(err)
	}
	return assemble(c.site, ask, prefixes, unnested), nil, nil
}

// counted is what is free for each step, from its date until the end, unless
// that is too little.
func (c *Schedule) counted(ask Ask) (open []*site.Set, short *ShortError, err error) {
	open = make([]*site.Set, len(ask.Steps))
	for i, s := range ask.Steps {
		if i > 0 && s.Begin.Equal(ask.Steps[i-1].Begin) && s.unbooked.Equal(ask.Steps[i-1].unbooked) {
			open[i] = open[i-1]
			continue
		}
		from := s.Begin
		if !s.unbooked.IsZero() {
			from = s.unbooked
		}
		if open[i] = c.FreeWith(s.Begin, from, ask.End); ask.Links == lease.Hermetic {
			open[i] = c.unbooked(s.Begin, from, ask.End)
		}
	}
	total := 0
	for i, s := range ask.Steps {
		total += s.Nodes
		have := c.count(open[i], ask.class())
		if have < total {
			why := fmt.Sprintf("enough are free at every instant, but only %s are free for all of the time, and moving what has not begun does not help", quantity(have, c.site.NodeGPUs(ask.Kind)))
			if c.site.NVLinkRacks(ask.Kind) && c.shut(s.Begin, ask.End) != nil {
				why = fmt.Sprintf("only %s are free for all of the time outside of NVLink domains that somebody else is in, and a domain is never shared", quantity(have, c.site.NodeGPUs(ask.Kind)))
			}
			return nil, &ShortError{Step: s.ID, Fabric: ask.Fabric, Kind: ask.Kind, NodeGPUs: c.site.NodeGPUs(ask.Kind), Begin: s.Begin, End: ask.End, At: s.Begin, Want: total, Have: have,
				Why: why}, nil
		}
	}
	return open, nil, nil
}

// refused passes on errors that are about the ask, not about what is free: no
// other date would help.
func refused(err error) error {
	if fits(err) {
		return nil
	}
	return err
}

// fits reports whether err says that another occupancy could meet the ask.
func fits(err error) bool {
	var few *place.NoFitError
	var none *place.NoSliceError
	var split *place.NoRacksError
	var segments *place.NoSegmentsError
	return errors.As(err, &few) || errors.As(err, &none) || errors.As(err, &split) || errors.As(err, &segments)
}

// count is how many free nodes are of a class.
func (c *Schedule) count(free *site.Set, class site.Class) int {
	among := c.classes[class]
	if among == nil {
		return 0
	}
	among = among.Clone()
	among.Intersect(free)
	return among.Len()
}

// nest places a ramp: the final size first, then each smaller prefix inside the
// next larger one. open[i] is what is free from step i's date until the end;
// each is a superset of the one before.
func (c *Schedule) nest(ask Ask, open []*site.Set) (prefixes []Prefix, unnested place.Cost, err error) {
	dates, sizes, at := cumulate(ask.Steps)
	last := len(dates) - 1
	query := place.Ask{Nodes: sizes[last], Fabric: ask.Fabric, Kind: ask.Kind, Links: ask.Links, WholeRacks: ask.WholeRacks, Segment: ask.Segment}
	final, err := c.solve(query, ask, open[at[last]])
	if err != nil {
		return nil, place.Cost{}, err
	}
	unnested = final.Certificate.Cost
	if ask.Links == lease.Hermetic {
		return []Prefix{{Begin: dates[last], Slice: final, Among: open[at[last]]}}, unnested, nil
	}
	among := open[at[last]]
	if !nestable(final, open, at, sizes) {
		// Of what comes late no more may be in it than the early steps leave
		// room for; which of it is again a question of shape.
		among = among.Clone()
		for i := last - 1; i >= 0; i-- {
			late := among.Clone()
			late.Subtract(open[at[i]])
			late.Intersect(c.classes[ask.class()])
			room := sizes[last] - sizes[i]
			if late.Len() <= room {
				continue
			}
			among.Subtract(late)
			query.Nodes = room
			best, err := solve.Among(c.site, late, query)
			if err != nil {
				return nil, unnested, err
			}
			for _, n := range best.Nodes {
				among.Add(n)
			}
		}
		query.Nodes = sizes[last]
		if final, err = solve.Near(c.site, among, query, ask.Beside); err != nil {
			return nil, unnested, err
		}
	}
	prefixes = make([]Prefix, len(dates))
	prefixes[last] = Prefix{Begin: dates[last], Slice: final, Among: among}
	within := site.SetOf(final.Nodes...)
	for i := last - 1; i >= 0; i-- {
		inside := within.Clone()
		inside.Intersect(open[at[i]])
		query.Nodes = sizes[i]
		// A larger prefix must leave room for the smaller ones' dates too: of
		// what is not free on those, no more than they leave.
		for j := range i {
			late := inside.Clone()
			late.Subtract(open[at[j]])
			if room := sizes[i] - sizes[j]; late.Len() > room {
				inside.Subtract(late)
				for _, n := range inRank(c.site, late)[:room] {
					inside.Add(n)
				}
			}
		}
		part, err := solve.Near(c.site, inside, query, ask.Beside)
		if err != nil {
			return nil, unnested, err
		}
		prefixes[i] = Prefix{Begin: dates[i], Slice: part, Among: inside}
		within = site.SetOf(part.Nodes...)
	}
	return prefixes, unnested, nil
}

// solve places a step: among what is free, and if its links are to be its own, on
// the links that are.
func (c *Schedule) solve(query place.Ask, ask Ask, free *site.Set) (place.Slice, error) {
	if query.Links != lease.Hermetic {
		return solve.Near(c.site, free, query, ask.Beside)
	}
	s := ask.Steps[len(ask.Steps)-1]
	from := s.Begin
	if !s.unbooked.IsZero() {
		from = s.unbooked
	}
	return solve.OnNear(c.Occupancy(s.Begin, from, ask.End), query, ask.Beside)
}

func inRank(s *site.Site, set *site.Set) []site.Index {
	nodes := set.Slice()
	place.RankOrder(s, nodes)
	return nodes
}

// cumulate joins the steps of one date: the dates, how many nodes there are from
// each on, and the first step of each.
func cumulate(steps []Step) (dates []time.Time, sizes, at []int) {
	total := 0
	for i, s := range steps {
		total += s.Nodes
		if n := len(dates); n > 0 && dates[n-1].Equal(s.Begin) {
			sizes[n-1] = total
			continue
		}
		dates, sizes, at = append(dates, s.Begin), append(sizes, total), append(at, i)
	}
	return dates, sizes, at
}

// nestable reports whether a slice has enough nodes that are free from each
// step's date on.
func nestable(final place.Slice, open []*site.Set, at, sizes []int) bool {
	for i, size := range sizes {
		early := 0
		for _, n := range final.Nodes {
			if open[at[i]].Has(n) {
				early++
			}
		}
		if early < size {
			return false
		}
	}
	return true
}

// assemble gives each step its nodes: what its prefix adds to the one before.
// Of steps of one date the earlier in the list gets the lower ranks.
func assemble(s *site.Site, ask Ask, prefixes []Prefix, unnested place.Cost) *Plan {
	p := &Plan{Ask: ask, Prefixes: prefixes, Unnested: unnested}
	had := site.NewSet(s.Nodes())
	next := 0
	for _, prefix := range prefixes {
		var added []site.Index
		for _, n := range prefix.Slice.Nodes {
			if !had.Has(n) {
				had.Add(n)
				added = append(added, n)
			}
		}
		for len(added) > 0 {
			step := ask.Steps[next]
			next++
			p.Parts = append(p.Parts, Part{Step: step.ID, ID: step.ID, Begin: prefix.Begin, Nodes: slices.Clone(added[:step.Nodes])})
			added = added[step.Nodes:]
		}
	}
	return p
}

// Commit puts a plan in force. It refuses a plan that was made for another
// schedule than this one as it is, and whatever would overbook.
func (c *Schedule) Commit(p *Plan) error {
	if p.version != c.version {
		return errors.New("the schedule has changed since the plan was made: plan again")
	}
	next := c.Clone()
	for _, m := range p.Moves {
		h := next.bookings[m.ID]
		if h == nil || !slices.Equal(h.Nodes, m.From) {
			return fmt.Errorf("move of %s: it does not hold what the plan moves it from", m.ID)
		}
		delete(next.bookings, m.ID)
	}
	for _, m := range p.Moves {
		h := c.bookings[m.ID].Booking
		h.Nodes = m.To
		if err := next.Promise(h); err != nil {
			return err
		}
	}
	for _, part := range p.Parts {
		if err := next.Promise(p.booking(part)); err != nil {
			return err
		}
	}
	c.bookings = next.bookings
	c.changed()
	return nil
}

// booking is what a part becomes.
func (p *Plan) booking(part Part) Booking {
	ramp := ""
	if len(p.Parts) > 1 {
		ramp = p.Ask.Ramp
		if ramp == "" {
			ramp = p.Ask.Steps[0].ID
		}
	}
	return Booking{ID: part.ID, Owner: p.Ask.Owner, Ramp: ramp, Fabric: p.Ask.Fabric, Kind: p.Ask.Kind, Links: p.Ask.Links,
		Begin: part.Begin, End: p.Ask.End, Nodes: part.Nodes, Assigned: p.Final().Certificate.Links, Pinned: p.Ask.domains()}
}

// Promise is Book for what is new: it also refuses spares, what is out of order,
// and what is not in service when the booking begins.
func (c *Schedule) Promise(h Booking) error {
	for _, n := range h.Nodes {
		if int(n) < c.site.Nodes() && (!c.usable.Has(n) || c.site.InService(n).After(h.Begin)) {
			return fmt.Errorf("booking %s: node %s is a spare, out of order, or not in service on %s", h.ID, c.site.NodeID[n], day(h.Begin))
		}
	}
	return c.Book(h)
}
