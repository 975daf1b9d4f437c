package dated

import (
	"errors"
	"fmt"
	"time"

	"bulkhead/lease"
	"bulkhead/place"
	"bulkhead/place/solve"
	"bulkhead/site"
)

// Query asks from when sizes of a class can be had.
type Query struct {
	Fabric string
	Kind   string
	Links  lease.Links
	Whole  bool  // whole racks
	Sizes  []int // nodes
	From   time.Time
	Length time.Duration // of the lease, where Until is zero
	Until  time.Time     // a fixed end
}

// Dated is from when a size can be had, and in which shape.
type Dated struct {
	Nodes int
	Begin time.Time // zero: not from what is planned
	End   time.Time
	Shape place.Cost
	Ideal place.Cost   // of the same size on the empty site
	Where []site.Index // the nodes, in rank order
	Moves []Move       // bookings that would have to be placed again for that date

	// Better is the first later date with fewer halls, or as many and fewer pods,
	// and so on; zero: none among the next dates at which capacity comes free.
	Better      time.Time
	BetterShape place.Cost

	// Why says what stands in the way before Begin, or at all; nil: nothing does.
	Why *ShortError
}

// MaxSizes is how many sizes one query may ask for.
const MaxSizes = 64

// Earliest says for each size the earliest date, and the shape that it would
// have. It changes nothing. Bookings that have not begun may be placed again for
// it, none in a worse shape than it has.
// Cost: for each size, one search of place a date at which capacity comes free.
func (c *Schedule) Earliest(q Query) ([]Dated, error) {
	if len(q.Sizes) == 0 || len(q.Sizes) > MaxSizes {
		return nil, fmt.Errorf("sizes: %d, expected 1 to %d", len(q.Sizes), MaxSizes)
	}
	if q.Until.IsZero() && q.Length <= 0 {
		return nil, errors.New("term: expected a length or an end")
	}
	empty := New(c.site, c.now, nil)
	out := make([]Dated, 0, len(q.Sizes))
	for _, size := range q.Sizes {
		d := Dated{Nodes: size}
		ideal, err := solve.Among(c.site, empty.usable, place.Ask{Nodes: size, Fabric: q.Fabric, Kind: q.Kind, Links: q.Links, WholeRacks: q.Whole})
		switch {
		case err == nil:
			d.Ideal = ideal.Certificate.Cost
		case !fits(err):
			return nil, err
		}
		if err := c.earliest(q, &d); err != nil {
			return nil, err
		}
		out = append(out, d)
	}
	return out, nil
}

// laterLooks is how many dates after the earliest are looked at for a better
// shape: a hall that comes into service changes what there is, most leases that
// end do not.
const laterLooks = 24

func (c *Schedule) earliest(q Query, d *Dated) error {
	looks := 0
	horizon := q.Until
	if horizon.IsZero() {
		horizon = farFuture
	}
	for _, at := range c.dates(q.From, horizon) {
		ask := Ask{Fabric: q.Fabric, Kind: q.Kind, Links: q.Links, WholeRacks: q.Whole, End: q.Until, Steps: []Step{{ID: "ask", Nodes: d.Nodes, Begin: at}}}
		if ask.End.IsZero() {
			ask.End = at.Add(q.Length)
		}
		if err := ask.check(); err != nil {
			return err
		}
		if !d.Begin.IsZero() {
			if looks++; d.Shape == d.Ideal || looks > laterLooks {
				return nil
			}
			p, short, err := c.shape(ask)
			if err != nil {
				return err
			}
			if short == nil && p.Final().Certificate.Cost.Less(d.Shape) {
				d.Better, d.BetterShape = at, p.Final().Certificate.Cost
				return nil
			}
			continue
		}
		p, short, err := c.plan(ask)
		if err != nil {
			return err
		}
		if short != nil {
			if d.Why == nil {
				d.Why = short
				if err := c.lookElsewhere(short); err != nil {
					return err
				}
			}
			continue
		}
		d.Begin, d.End, d.Shape, d.Moves, d.Where = at, ask.End, p.Final().Certificate.Cost, p.Moves, p.Final().Nodes
	}
	return nil
}

var farFuture = time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)

// instead is from when all of an ask can be had: its steps moved together by the
// same time, and its end fixed. Zero: not from what is planned.
func (c *Schedule) instead(ask Ask) (time.Time, place.Cost, error) {
	length := ask.End.Sub(ask.Steps[0].Begin)
	for _, at := range c.dates(ask.Steps[0].Begin, farFuture)[1:] {
		later := ask
		later.Partial = false
		later.End = at.Add(length)
		later.Steps = nil
		for _, s := range ask.Steps {
			s.Begin = at.Add(s.Begin.Sub(ask.Steps[0].Begin))
			later.Steps = append(later.Steps, s)
		}
		p, short, err := c.plan(later)
		if err != nil {
			return time.Time{}, place.Cost{}, err
		}
		if short == nil {
			return at, p.Final().Certificate.Cost, nil
		}
	}
	return time.Time{}, place.Cost{}, nil
}
