package dated

import (
	"time"

	"bulkhead/place"
	"bulkhead/site"
)

// closing is nodes that are a project's for a time without a booking of their own.
type closing struct {
	owner      string
	rack       *site.Set
	begin, end time.Time
}

// For returns the schedule as a project finds it: the NVLink domains in which somebody
// else has a node are shut to it, at any instant at which that is so. The schedule
// itself is that of a project that nobody knows, to whom every domain is shut that
// anybody is in. The copy shares everything else, and holds nothing.
func (c *Schedule) For(owner string) *Schedule {
	d := *c
	d.owner = owner
	return &d
}

// Close keeps other projects out of the NVLink domains that nodes are in from begin
// until end, as for a replacement under way.
func (c *Schedule) Close(owner string, nodes *site.Set, begin, end time.Time) {
	if rack := place.Domains(c.site, nodes); !rack.Empty() {
		c.closings = append(c.closings[:len(c.closings):len(c.closings)], closing{owner, rack, begin, end})
		c.version++
	}
}

func (c *Schedule) rack(nodes []site.Index) *site.Set {
	if rack := place.Domains(c.site, site.SetOf(nodes...)); !rack.Empty() {
		return rack
	}
	return nil
}

// shut is the nodes of the domains that others have nodes in at some instant of
// [begin, end); nil: none.
func (c *Schedule) shut(begin, end time.Time) (shut *site.Set) {
	add := func(owner string, rack *site.Set) {
		if rack == nil || owner != "" && owner == c.owner {
			return
		}
		if shut == nil {
			shut = site.NewSet(c.site.Nodes())
		}
		shut.Union(rack)
	}
	for _, h := range c.bookings {
		if h.overlaps(begin, end) {
			add(h.Owner, h.rack)
		}
	}
	for _, x := range c.closings {
		if x.begin.Before(end) && begin.Before(x.end) {
			add(x.owner, x.rack)
		}
	}
	return shut
}
