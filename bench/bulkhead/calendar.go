package bulkhead

import (
	"errors"
	"fmt"
	"time"

	"bulkhead/bench/sites"
	"bulkhead/lease"
	"bulkhead/place/dated"
	"bulkhead/site"
)

// Calendar is a schedule of dated leases.
type Calendar struct {
	schedule *dated.Schedule
	epoch    time.Time
	links    lease.Links
}

// NewCalendar returns an empty schedule. The site's halls come into service on
// the given days.
func NewCalendar(t *sites.Tree, hallDays []int) (*Calendar, error) {
	b, err := New(t)
	if err != nil {
		return nil, err
	}
	c := &Calendar{epoch: time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC), links: lease.Shared}
	for h, hall := range b.Site.Halls {
		if err := b.Site.SetHallInService(hall.ID, c.epoch.AddDate(0, 0, hallDays[h])); err != nil {
			return nil, err
		}
	}
	c.schedule = dated.New(b.Site, c.epoch, site.NewSet(b.Site.Nodes()))
	return c, nil
}

func (c *Calendar) on(day int) time.Time { return c.epoch.AddDate(0, 0, day) }

// Advance sets the day.
func (c *Calendar) Advance(day int) { c.schedule.Advance(c.on(day)) }

// Book promises an ask on its dates, or says that it can't be.
func (c *Calendar) Book(b sites.Booking) (bool, error) {
	ask := dated.Ask{Fabric: Fabric, Kind: Kind, Links: c.links, End: c.on(b.End)}
	for i, s := range b.Steps {
		id := b.ID
		if len(b.Steps) > 1 {
			ask.Ramp = b.ID
			id = fmt.Sprintf("%s.%d", b.ID, i)
		}
		ask.Steps = append(ask.Steps, dated.Step{ID: id, Nodes: s.Nodes, Begin: c.on(s.Day)})
	}
	plan, err := c.schedule.Plan(ask)
	var short *dated.ShortError
	if errors.As(err, &short) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return true, c.schedule.Commit(plan)
}

// End takes a lease back, and places again what has not begun where that is better.
func (c *Calendar) End(b sites.Booking, day int) error {
	for i := range b.Steps {
		id := b.ID
		if len(b.Steps) > 1 {
			id = fmt.Sprintf("%s.%d", b.ID, i)
		}
		if !c.schedule.End(id, c.on(day)) {
			return fmt.Errorf("calendar: %s does not hold anything after day %d", id, day)
		}
	}
	c.schedule.Improve()
	return nil
}

// Nodes returns what a step of a lease holds or is promised now.
func (c *Calendar) Nodes(b sites.Booking, step int) []int32 {
	id := b.ID
	if len(b.Steps) > 1 {
		id = fmt.Sprintf("%s.%d", b.ID, step)
	}
	h, _ := c.schedule.ByID(id)
	nodes := make([]int32, len(h.Nodes))
	for i, n := range h.Nodes {
		nodes[i] = int32(n)
	}
	return nodes
}
