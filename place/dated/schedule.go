// Package dated places asks over time: which nodes each lease holds, from when until when.
// It looks at leases that run, those that have not begun and the capacity that is only
// planned.
//
// A [Schedule] is a value with no clock: whoever owns it says what time it is
// ([Schedule.Advance]). [Schedule.Plan] answers an ask without changing
// anything, [Schedule.Commit] puts the answer in force, [Schedule.End] takes
// notice and return. At no instant is a node in two bookings, in one before it
// is in service, or in one while it is spare, retired or out of order;
// [Schedule.Check] verifies that without the planner.
//
// The peak is checked first, the shape second. Whole nodes over intervals of
// time are an interval graph: as long as what has not begun may be placed again,
// an ask of shared links fits exactly if at no instant more is promised than
// there is. See ../../docs/decisions for the limits of that.
//
// A ramp is planned at its final size first and each step is nested in it, so
// that no step moves a node. A shortfall becomes a ramp too, when the ask
// allows a partial delivery: what can come on the date, and the rest as
// capacity comes.
package dated

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"bulkhead/lease"
	"bulkhead/place"
	"bulkhead/site"
)

// Booking is nodes that somebody holds, or is promised, for [Begin, End). All
// are of one class.
type Booking struct {
	ID     string
	Owner  string // the project that it is for; "" is nobody's that is known
	Ramp   string // the same for the steps of one ramp; "" where there is no other step
	Fabric string
	Kind   string
	Links  lease.Links
	Begin  time.Time
	End    time.Time
	Nodes  []site.Index // in rank order
	Pinned bool         // not to be placed again, even before it begins

	// Assigned is the links of a hermetic slice; with them go all nodes of its whole
	// SUs. Such a booking is never placed again.
	Assigned *place.LinkSet
}

func (h *Booking) overlaps(begin, end time.Time) bool {
	return h.Begin.Before(end) && begin.Before(h.End)
}

func (h *Booking) class() site.Class { return site.Class{Fabric: h.Fabric, Kind: h.Kind} }

// booked is a booking with what is derived from it.
type booked struct {
	Booking
	nodes *site.Set // that others are kept out of: its own, and all of its whole SUs
	cut   *site.Set // that it keeps leases with shared links out of as well; nil: none
	rack  *site.Set // all nodes of the NVLink domains that it is in; nil: none
	cost  place.Cost
}

// Schedule is who holds what, when, over the nodes of a site. Reading it from
// several goroutines is safe as long as none changes it.
type Schedule struct {
	site     *site.Site
	now      time.Time
	version  uint64
	usable   *site.Set // no spares, not retired, not out of order
	broken   *site.Set // the rest of what could be sold
	promised *site.Set // of these, what somebody is about to have; nil: none
	phases   []phase   // usable nodes by the date from which they are in service
	classes  map[site.Class]*site.Set
	bookings map[string]*booked
	calendar *lease.Calendar // of node counts; nil: to be made anew
	owner    string          // the project that is placed, see For
	closings []closing
}

// New returns the schedule of a site on which nobody holds anything. broken are
// nodes that can't be promised to anybody, such as failed and cordoned ones; who
// holds one keeps it. Cost: O(nodes).
func New(s *site.Site, now time.Time, broken *site.Set) *Schedule {
	c := &Schedule{site: s, now: now, usable: site.NewSet(s.Nodes()), broken: broken.Clone(), bookings: map[string]*booked{}, classes: map[site.Class]*site.Set{}}
	for n := range site.Index(s.Nodes()) {
		if !s.IsSpare(n) && !s.IsRetired(n) {
			c.usable.Add(n)
		}
	}
	c.broken.Intersect(c.usable)
	c.usable.Subtract(c.broken)
	for _, row := range s.Supplies() {
		if c.classes[row.Class] == nil {
			c.classes[row.Class] = s.NodesOf(row.Fabric, row.Kind)
		}
	}
	for i := range s.Halls {
		at := s.Halls[i].InService
		if !slices.ContainsFunc(c.phases, func(p phase) bool { return p.from.Equal(at) }) {
			usable := s.InServiceAt(at)
			usable.Intersect(c.usable)
			c.phases = append(c.phases, phase{at, usable})
		}
	}
	slices.SortFunc(c.phases, func(a, b phase) int { return a.from.Compare(b.from) })
	return c
}

// Promised says which of the nodes that can't be promised are somebody's all the
// same, such as replacements under way: an SU with one of them is not whole.
func (c *Schedule) Promised(nodes *site.Set) {
	c.promised = nodes.Clone()
	c.version++
}

// phase is what is in service from a date on, with all that was before.
type phase struct {
	from   time.Time
	usable *site.Set
}

// inService is what may be promised from an instant on, held or not. The set is
// the caller's.
func (c *Schedule) inService(at time.Time) *site.Set {
	for i := len(c.phases) - 1; i >= 0; i-- {
		if !c.phases[i].from.After(at) {
			return c.phases[i].usable.Clone()
		}
	}
	return site.NewSet(c.site.Nodes())
}

// Clone returns a copy that can be changed by itself. Cost: O(bookings).
func (c *Schedule) Clone() *Schedule {
	d := *c
	d.bookings = make(map[string]*booked, len(c.bookings))
	for id, h := range c.bookings {
		d.bookings[id] = h // never changed in place
	}
	d.calendar = nil
	return &d
}

// Site is what the schedule is of.
func (c *Schedule) Site() *site.Site { return c.site }

// Now is the time of the schedule.
func (c *Schedule) Now() time.Time { return c.now }

// Advance sets the time: what begins no later than now runs, and is pinned.
func (c *Schedule) Advance(now time.Time) {
	c.now = now
	c.version++
}

// Bookings lists the bookings by id.
func (c *Schedule) Bookings() []Booking {
	out := make([]Booking, 0, len(c.bookings))
	for _, h := range c.bookings {
		out = append(out, h.Booking)
	}
	slices.SortFunc(out, func(a, b Booking) int { return cmp.Compare(a.ID, b.ID) })
	return out
}

// ByID finds a booking.
func (c *Schedule) ByID(id string) (Booking, bool) {
	h, ok := c.bookings[id]
	if !ok {
		return Booking{}, false
	}
	return h.Booking, true
}

// Book puts a booking in force that was agreed elsewhere: on nodes of its class
// that nobody holds at the time. It may hold spares and broken nodes, and nodes
// before they are in service, because history is what it is; only a node in two
// bookings at once is refused. A booking of the same id is replaced.
func (c *Schedule) Book(h Booking) error {
	if err := c.sound(h); err != nil {
		return err
	}
	nodes, cut := c.territory(h), c.cutOff(h)
	for _, other := range c.bookings {
		if other.ID != h.ID && other.overlaps(h.Begin, h.End) && other.nodes.Intersects(nodes) {
			return fmt.Errorf("booking %s: it shares nodes with %s, which holds them from %s until %s", h.ID, other.ID, stamp(other.Begin), stamp(other.End))
		}
		if other.ID != h.ID && other.overlaps(h.Begin, h.End) && (h.Assigned == nil && other.cut != nil && other.cut.Intersects(nodes) || other.Assigned == nil && cut != nil && cut.Intersects(other.nodes)) {
			return fmt.Errorf("booking %s: one of it and %s has shared links, and the other the last uplink of its leaf", h.ID, other.ID)
		}
	}
	c.put(h)
	return nil
}

// cutOff is the nodes that a booking keeps shared links from; nil: none.
func (c *Schedule) cutOff(h Booking) *site.Set {
	if h.Assigned == nil {
		return nil
	}
	cut, err := place.CutOff(c.site, h.Assigned)
	if err != nil {
		panic("dated: a booking of links that the site does not have: " + err.Error()) // sound has looked
	}
	if cut.Empty() {
		return nil
	}
	return cut
}

// territory is the nodes that a booking keeps others out of.
func (c *Schedule) territory(h Booking) *site.Set {
	nodes, err := place.Territory(c.site, h.Nodes, h.Assigned)
	if err != nil {
		panic("dated: a booking of an unknown SU: " + err.Error()) // sound has looked
	}
	return nodes
}

func (c *Schedule) put(h Booking) {
	nodes := c.territory(h)
	h.Nodes = slices.Clone(h.Nodes)
	place.RankOrder(c.site, h.Nodes)
	c.bookings[h.ID] = &booked{Booking: h, nodes: nodes, cut: c.cutOff(h), rack: c.rack(h.Nodes), cost: place.CostOf(c.site, h.Nodes)}
	c.changed()
}

func (c *Schedule) changed() {
	c.version++
	c.calendar = nil
}

// sound says what can't be of a booking by itself.
func (c *Schedule) sound(h Booking) error {
	switch {
	case h.ID == "":
		return fmt.Errorf("booking: expected an id")
	case !h.Links.Valid():
		return fmt.Errorf("booking %s: links %.20q, expected shared or hermetic", h.ID, string(h.Links))
	case !h.Begin.Before(h.End):
		return fmt.Errorf("booking %s: ends at %s, expected after its begin %s", h.ID, stamp(h.End), stamp(h.Begin))
	case len(h.Nodes) == 0:
		return fmt.Errorf("booking %s: no nodes, expected at least one", h.ID)
	case h.Assigned != nil && h.Links != lease.Hermetic:
		return fmt.Errorf("booking %s: it holds links, which only hermetic ones do", h.ID)
	}
	if _, err := place.Territory(c.site, h.Nodes, h.Assigned); err != nil {
		return fmt.Errorf("booking %s: %w", h.ID, err)
	}
	if _, err := place.CutOff(c.site, h.Assigned); err != nil {
		return fmt.Errorf("booking %s: %w", h.ID, err)
	}
	seen := site.NewSet(c.site.Nodes())
	for _, n := range h.Nodes {
		if int(n) >= c.site.Nodes() {
			return fmt.Errorf("booking %s: node %d, expected below %d", h.ID, n, c.site.Nodes())
		}
		if seen.Has(n) {
			return fmt.Errorf("booking %s: node %s is there twice", h.ID, c.site.NodeID[n])
		}
		seen.Add(n)
		if class := c.classOf(n); class != h.class() {
			return fmt.Errorf("booking %s: node %s is %s, expected %s", h.ID, c.site.NodeID[n], class, h.class())
		}
	}
	return nil
}

func (c *Schedule) classOf(n site.Index) site.Class {
	return site.Class{Fabric: c.site.Fabrics[c.site.ComputeFabric(n)].ID, Kind: c.site.KindOf(n)}
}

// End ends a booking at an instant, by notice or because it was returned. One
// that ends before it begins is dropped. It reports whether there was one that
// would have ended later.
func (c *Schedule) End(id string, at time.Time) bool {
	h, ok := c.bookings[id]
	if !ok || !at.Before(h.Booking.End) {
		return false
	}
	if !h.Begin.Before(at) {
		delete(c.bookings, id)
	} else {
		next := *h
		next.Booking.End = at
		c.bookings[id] = &next
	}
	c.changed()
	return true
}

// Drop takes a booking out, as if it had never been, and reports whether there
// was one.
func (c *Schedule) Drop(id string) bool {
	if _, ok := c.bookings[id]; !ok {
		return false
	}
	delete(c.bookings, id)
	c.changed()
	return true
}

// Free returns the nodes that may be promised with shared links for all of
// [begin, end): in service by then, neither spare nor out of order, held by nobody
// at any instant of it, nor cut off from common links. The set is the caller's. Cost: O(nodes + bookings).
func (c *Schedule) Free(begin, end time.Time) *site.Set {
	return c.FreeWith(begin, begin, end)
}

// FreeWith is Free for nodes that are in service by another time than begin:
// later, for what may come late.
func (c *Schedule) FreeWith(inService, begin, end time.Time) *site.Set {
	free := c.unbooked(inService, begin, end)
	for _, h := range c.bookings {
		if h.cut != nil && h.overlaps(begin, end) {
			free.Subtract(h.cut)
		}
	}
	return free
}

// unbooked is FreeWith for hermetic slices, which need no common links.
func (c *Schedule) unbooked(inService, begin, end time.Time) *site.Set {
	free := c.inService(inService)
	for _, h := range c.bookings {
		if h.overlaps(begin, end) {
			free.Subtract(h.nodes)
		}
	}
	if shut := c.shut(begin, end); shut != nil {
		free.Subtract(shut)
	}
	return free
}

// Occupancy is what is free for nodes in service by one time, from another until a
// third: the nodes that nobody holds, and the links that nobody holds at any
// instant of it. Cost: O(nodes + bookings).
func (c *Schedule) Occupancy(inService, begin, end time.Time) *place.Occupancy {
	o := place.NewOccupancy(c.site)
	usable, out := c.inService(inService), site.NewSet(c.site.Nodes())
	for n := range site.Index(c.site.Nodes()) {
		if !usable.Has(n) {
			out.Add(n)
		}
	}
	o.Out(out)
	if c.promised != nil {
		o.Take(c.promised)
	}
	if shut := c.shut(begin, end); shut != nil {
		o.Take(shut)
	}
	for _, h := range c.bookings {
		if h.overlaps(begin, end) {
			if err := o.Keep(h.Nodes, h.Assigned); err != nil {
				panic("dated: a booking that can't be kept: " + err.Error()) // sound has looked
			}
		}
	}
	return o
}

// Calendar counts what there is and what is promised, at every instant. A node
// that is out of order counts for as long as somebody holds it.
func (c *Schedule) Calendar() *lease.Calendar {
	if c.calendar != nil {
		return c.calendar
	}
	var supply []lease.Supply
	type row struct {
		class site.Class
		from  time.Time
	}
	at := map[row]int{}
	count := func(n site.Index, from time.Time, nodes int) {
		k := row{c.classOf(n), from}
		i, ok := at[k]
		if !ok {
			i = len(supply)
			at[k] = i
			supply = append(supply, lease.Supply{Fabric: k.class.Fabric, Kind: k.class.Kind, From: from})
		}
		supply[i].Nodes += nodes
	}
	for n := range c.usable.All() {
		count(n, c.site.InService(n), 1)
	}
	bookings := make([]lease.Booking, 0, len(c.bookings))
	for _, h := range c.bookings {
		bookings = append(bookings, lease.Booking{ID: h.ID, Fabric: h.Fabric, Kind: h.Kind, Nodes: len(h.Nodes), Begin: h.Begin, End: h.Booking.End})
		for _, n := range h.Nodes {
			switch from := c.site.InService(n); {
			case !c.usable.Has(n): // it is there for its holder only
				count(n, h.Begin, 1)
				count(n, h.Booking.End, -1)
			case from.After(h.Begin): // it counts as promised before it is there
				count(n, h.Begin, 1)
				count(n, earlier(from, h.Booking.End), -1)
			}
		}
	}
	c.calendar = lease.NewCalendar(supply, bookings)
	return c.calendar
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// Check verifies the whole schedule, slowly and without the planner: at no
// instant is a node in two bookings. For bookings that Plan made it follows that
// the site is never overbooked. Cost: O(bookings² × nodes / 64).
func (c *Schedule) Check() error {
	all := c.Bookings()
	for i, a := range all {
		if err := c.sound(a); err != nil {
			return err
		}
		for _, b := range all[:i] {
			if a.overlaps(b.Begin, b.End) && c.bookings[a.ID].nodes.Intersects(c.bookings[b.ID].nodes) {
				return fmt.Errorf("bookings %s and %s share a node for a time", a.ID, b.ID)
			}
			if rack := c.bookings[a.ID].rack; a.overlaps(b.Begin, b.End) && a.Owner != b.Owner && rack != nil && rack.Intersects(c.bookings[b.ID].nodes) {
				return fmt.Errorf("bookings %s and %s of two projects share an NVLink domain for a time", a.ID, b.ID)
			}
		}
	}
	for _, s := range c.Calendar().Segments() {
		if s.Booked > s.Supply {
			return fmt.Errorf("from %s on %d nodes of %s on fabric %s are promised, and there are %d", stamp(s.From), s.Booked, s.Kind, s.Fabric, s.Supply)
		}
	}
	return nil
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }
