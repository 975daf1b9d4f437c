package main

import (
	"context"
	"errors"
	"sync"
	"time"

	"bulkhead/claim"
	"bulkhead/fabric"
	"bulkhead/run"
	"bulkhead/site"
	"bulkhead/wire"
)

// siteClock is the clock of a simulated site. Devices whose days pass in
// minutes need a control plane that lives in the same days.
type siteClock struct {
	mu       sync.Mutex
	control  wire.Control // nil: nobody tells the time yet
	now      time.Time
	asked    time.Time
	asking   chan struct{} // closed when the answer on its way is there; nil: none is
	slow     bool          // the last answer was not waited for
	answered time.Time     // when the last answer came
	began    time.Time     // since when nobody tells the time
}

// siteClockAge is how old an answer may be. Every decision asks for the time, and waits
// for siteClockWait at most, once, for devices that do not answer.
const (
	siteClockAge  = 50 * time.Millisecond
	siteClockWait = 100 * time.Millisecond
)

// follow takes the time of simulated devices from now on. It asks for it once: a site
// that can't say it is an error.
func (c *siteClock) follow(ctx context.Context, control wire.Control) (time.Time, error) {
	now, err := control.Now(ctx)
	if err != nil {
		return time.Time{}, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.control, c.asked, c.answered = control, time.Now(), time.Now()
	if now.After(c.now) {
		c.now = now.UTC()
	}
	return c.now, nil
}

// standAt makes the time stand still until there are devices that tell it.
func (c *siteClock) standAt(now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now, c.began = now.UTC(), time.Now()
}

// Silent is for how long nobody has told the time; 0: whoever was asked last did, or was
// asked within a second.
func (c *siteClock) Silent() time.Duration {
	c.Now() // it asks
	c.mu.Lock()
	defer c.mu.Unlock()
	since := c.answered
	switch {
	case c.control == nil:
		since = c.began
	case !c.slow && !c.asked.After(c.answered):
		return 0
	}
	if d := time.Since(since); d >= time.Second && !since.IsZero() {
		return d
	}
	return 0
}

// Now is the site's time. While the site does not answer, its time stands still, and
// nobody waits for it: the loop asks for the time while it holds the plane.
func (c *siteClock) Now() time.Time {
	c.mu.Lock()
	if time.Since(c.asked) < siteClockAge || c.control == nil {
		defer c.mu.Unlock()
		return c.now
	}
	if c.asking == nil {
		c.asking = make(chan struct{})
		go c.ask(c.control, c.asking)
	}
	asking, slow := c.asking, c.slow
	c.mu.Unlock()
	if !slow {
		select {
		case <-asking:
		case <-time.After(siteClockWait):
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.slow = c.asking == asking // it has not answered
	return c.now
}

// ask asks the site once.
func (c *siteClock) ask(control wire.Control, answered chan struct{}) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	now, err := control.Now(ctx)
	c.mu.Lock()
	defer c.mu.Unlock()
	if err == nil {
		c.slow = false
		if now.After(c.now) {
			c.now = now.UTC()
		}
	}
	if c.asked = time.Now(); err == nil {
		c.answered = c.asked
	}
	c.asking = nil
	close(answered)
}

// Source says whose time it is.
func (c *siteClock) Source() string { return run.SourceSimulated }

// inSiteTime dates what a fabric's driver says, by this machine's clock, in the
// days of a simulated site: as old as it is here.
func inSiteTime(d fabric.Driver, clock run.Clock) fabric.Driver {
	t := &translated{Driver: d, clock: clock}
	if p, is := d.(fabric.Postured); is {
		return &translatedPosture{t, p}
	}
	return t
}

type translated struct {
	fabric.Driver
	clock run.Clock

	mu     sync.Mutex
	origin claim.Origin // "": it has not said yet
}

// real refuses a fabric of hardware: nothing is read from it or written to it by a time
// that simulated devices give.
func (t *translated) real(ctx context.Context) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.origin == "" {
		can, err := t.Driver.Capabilities(ctx)
		if err != nil {
			return err
		}
		t.origin = can.Origin
	}
	if t.origin == claim.Hardware {
		return errors.New("this fabric is hardware, and the time is that of simulated devices: serve it without --simulated, and without a socket that brings a clock")
	}
	return nil
}

// Apply writes to no fabric of hardware.
func (t *translated) Apply(ctx context.Context, c fabric.Change, f fabric.Fence) (fabric.ApplyReceipt, error) {
	if err := t.real(ctx); err != nil {
		return fabric.ApplyReceipt{}, err
	}
	return t.Driver.Apply(ctx, c, f)
}

// Lockdown does not either.
func (t *translated) Lockdown(ctx context.Context, ports []site.Port, f fabric.Fence) error {
	if err := t.real(ctx); err != nil {
		return err
	}
	return t.Driver.Lockdown(ctx, ports, f)
}

// there is a time of this machine at the site. No reading is from the future.
func (t *translated) there(here time.Time) time.Time {
	return t.clock.Now().Add(-max(time.Since(here), 0))
}

func (t *translated) Observe(ctx context.Context, s fabric.Scope) (fabric.Observation, error) {
	if err := t.real(ctx); err != nil {
		return fabric.Observation{}, err
	}
	o, err := t.Driver.Observe(ctx, s)
	o.At = t.there(o.At)
	for i := range o.Devices {
		o.Devices[i].At = t.there(o.Devices[i].At)
	}
	return o, err
}

type translatedPosture struct {
	*translated
	guard fabric.Postured
}

func (t *translatedPosture) Posture(ctx context.Context) (fabric.Posture, error) {
	p, err := t.guard.Posture(ctx)
	p.At = t.there(p.At)
	if p.Zones != nil {
		p.Zones.At = t.there(p.Zones.At)
	}
	return p, err
}

// Mend implements fabric.Mender, where there is something to put back.
func (t *translatedPosture) Mend(ctx context.Context, f fabric.Fence) error {
	if m, can := t.guard.(fabric.Mender); can {
		return m.Mend(ctx, f)
	}
	return nil
}
