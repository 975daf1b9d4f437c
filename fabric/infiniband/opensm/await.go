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
// a reason for another. Without an Alarm nothing tells this driver of a change.
func (d *Driver) Await(ctx context.Context, since uint64) error {
	if d.Alarm == nil {
		<-ctx.Done()
		return ctx.Err()
	}
	d.reading.Lock()
	notices, rest := d.notices, d.rest
	old := d.known == nil || since != d.cursor
	d.reading.Unlock()
	if !old {
		if err := d.Alarm.Wait(ctx, notices); err != nil {
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

// alarms is what was heard before a look begins; it is covered by it.
func (d *Driver) alarms() uint64 {
	if d.Alarm == nil {
		return 0
	}
	return d.Alarm.Count()
}
