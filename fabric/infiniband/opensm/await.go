package opensm

import (
	"context"
	"time"
)

// Alarm hears what devices tell their manager by themselves; a [Listener] is
// one. Nothing that it says is evidence: it makes the next look come sooner.
type Alarm interface {
	Count() uint64                               // how many notices so far
	Wait(ctx context.Context, than uint64) error // until there are more
}

// Looks that notices ask for take a bounded part of the time: a device that never
// rests, or a host that provokes it, must not keep the driver from its work.
const (
	leastRest  = time.Second
	restFactor = 4 // times as long as the look took
)

// Await implements fabric.Driver: a notice since the last look at all leaves began is
// a reason for another, and so is what that look could not tell yet. Without an Alarm
// nothing tells this driver of a change.
func (d *Driver) Await(ctx context.Context, since uint64) error {
	d.reading.Lock()
	notices, rest, again := d.notices, d.rest, d.again
	old := d.known == nil || since != d.cursor
	d.reading.Unlock()
	if d.Alarm == nil {
		old = false
	}
	if !old {
		if err := d.notice(ctx, notices, again); err != nil {
			return err
		}
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(time.Until(rest)):
		return nil
	}
}

// notice waits until there are more notices than so many, or for a time; zero: for none.
func (d *Driver) notice(ctx context.Context, than uint64, again time.Time) error {
	due := ctx
	if !again.IsZero() {
		var cancel context.CancelFunc
		due, cancel = context.WithDeadline(ctx, again)
		defer cancel()
	}
	var err error
	if d.Alarm == nil {
		<-due.Done()
		err = due.Err()
	} else {
		err = d.Alarm.Wait(due, than)
	}
	if err != nil && ctx.Err() == nil && due.Err() != nil {
		return nil // it is time
	}
	return err
}

// alarms is what was heard before a look begins; it is covered by it.
func (d *Driver) alarms() uint64 {
	if d.Alarm == nil {
		return 0
	}
	return d.Alarm.Count()
}
