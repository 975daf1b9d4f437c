package run

import (
	"sync"
	"time"
)

// Clock gives the time. It is injected, so that a demonstration or a test can
// tell ninety days in a minute.
type Clock interface{ Now() time.Time }

// WallClock is the machine's own clock, in UTC.
type WallClock struct{}

// Now returns the machine's time.
func (WallClock) Now() time.Time { return time.Now().UTC() }

// VirtualClock is a clock that stands still until it is set.
type VirtualClock struct {
	mu  sync.Mutex
	now time.Time
}

// NewVirtualClock returns a clock that stands at start.
func NewVirtualClock(start time.Time) *VirtualClock { return &VirtualClock{now: start.UTC()} }

// Now returns the time that was set last.
func (c *VirtualClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// Set moves the clock. It never moves backwards.
func (c *VirtualClock) Set(now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now.After(c.now) {
		c.now = now.UTC()
	}
}
