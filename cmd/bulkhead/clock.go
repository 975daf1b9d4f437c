package main

import (
	"context"
	"sync"
	"time"

	"bulkhead/wire"
)

// siteClock is the clock of a simulated site. Devices whose days pass in
// minutes need a control plane that lives in the same days.
type siteClock struct {
	control wire.Control

	mu    sync.Mutex
	now   time.Time
	asked time.Time
}

// siteClockAge is how old an answer may be. Every decision asks for the time.
const siteClockAge = 50 * time.Millisecond

// newSiteClock asks for the time once: a site that can't say it is an error.
func newSiteClock(ctx context.Context, control wire.Control) (*siteClock, error) {
	now, err := control.Now(ctx)
	if err != nil {
		return nil, err
	}
	return &siteClock{control: control, now: now.UTC(), asked: time.Now()}, nil
}

// Now is the site's time. While the site does not answer, its time stands still.
func (c *siteClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	if time.Since(c.asked) < siteClockAge {
		return c.now
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	if now, err := c.control.Now(ctx); err == nil && now.After(c.now) {
		c.now = now.UTC()
	}
	c.asked = time.Now()
	return c.now
}
