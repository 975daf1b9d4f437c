package run

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"

	"bulkhead/book"
)

// Driver is how one driver answers, as far as the loop knows.
type Driver struct {
	Name     string        // "fabric ib-1", "nodes", "node steps", "storage"
	Answered time.Time     // when it answered last without an error, by the plane's clock; zero: never
	Age      time.Duration // how long ago that was, or for how long it is asked, by the machine's clock
	Failed   string        // why it did not the last time; "": it did
	Waiting  string        // what it was asked and has not answered; "": nothing
	Since    time.Duration // for how long that is waited for, by the machine's clock
}

// Drivers says how each driver that was ever asked answers, in the order of their names.
// It waits for nothing.
func (p *Plane) Drivers() []Driver {
	a := p.asking
	a.mu.Lock()
	defer a.mu.Unlock()
	out := make([]Driver, 0, len(a.lanes))
	for _, l := range a.lanes {
		d := Driver{Name: l.name, Answered: l.answered, Age: time.Since(l.age), Failed: l.failed}
		for _, q := range a.open {
			if slices.Contains(q.lanes, l) && !q.ready && d.Waiting == "" {
				d.Waiting, d.Since = q.what, time.Since(q.begun)
			}
		}
		if d.Waiting != "" || d.Failed != "" || !d.Answered.IsZero() { // else it was never asked
			out = append(out, d)
		}
	}
	slices.SortFunc(out, func(x, y Driver) int { return cmp.Compare(x.Name, y.Name) })
	return out
}

// Failing reports whether a driver failed to answer what it was asked last.
func (p *Plane) Failing() bool {
	return slices.ContainsFunc(p.Drivers(), func(d Driver) bool { return d.Failed != "" })
}

// Ready says why this plane is not fit to be relied on: it writes nothing any more, its
// time is in doubt, a fabric or the nodes have no driver, or a driver that is asked at
// every look has not answered for longer than two looks and a deadline. It names no
// device: whoever asks may have shown nothing.
func (p *Plane) Ready() error {
	if p.Broken() != nil {
		return errNoWriter
	}
	if p.ReadOnly() != nil {
		return ErrReadOnly
	}
	poll, undriven := time.Minute, 0
	devices := p.devices()
	p.View(func(s *book.State) {
		if s.Site == nil {
			return
		}
		poll = s.Policy.Poll
		if devices.Nodes == nil {
			undriven++
		}
		for _, f := range s.Site.Fabrics {
			if devices.Fabrics[f.ID] == nil {
				undriven++
			}
		}
	})
	if p.w.clock.doubt() != "" {
		return errDoubt
	}
	if undriven > 0 {
		return fmt.Errorf("%d of the site's fabrics and nodes have no driver: they are unknown", undriven)
	}
	bound := 2*poll + deadline
	silent, asked := 0, 0
	for _, d := range p.Drivers() {
		if d.Name == laneSteps {
			continue // it is asked only when there is something to do
		}
		asked++
		every := bound
		if d.Name == laneStorage {
			every += volumesEvery
		}
		failing := d.Failed != "" && (d.Age > deadline || d.Answered.IsZero())
		if d.Age > every || d.Waiting != "" && d.Since > deadline || failing {
			silent++
		}
	}
	if silent > 0 {
		return fmt.Errorf("%d of %d drivers do not answer: what they drive is unknown, or will be", silent, asked)
	}
	return nil
}

var errDoubt = errors.New("the time is in doubt: what ends, wipes, destroys, hands over or bills waits")

var errNoWriter = errors.New("nothing is written any more")
