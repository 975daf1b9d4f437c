package run

import (
	"sync"
	"time"
)

// Clock gives the time. It is injected, so that a demonstration or a test can
// tell ninety days in a minute.
type Clock interface{ Now() time.Time }

// Counting is a clock that can be set, beside a count that nobody can set. What the
// clock shows is held against the count (see reckoning). A clock without one, such as
// that of simulated devices, is its own measure.
type Counting interface {
	Clock
	Count() Count
	// Synchronised says whether the machine is told the time by others, as far as it
	// knows. That is shown, and is no proof.
	Synchronised() bool
}

// Count is what a clock shows and how far the count has come, at one instant.
type Count struct {
	Shown time.Time
	Since time.Duration // since the machine was started
	Boot  string        // names that start: counts of one start can be compared; "": this process alone counts
}

// The sources of a time.
const (
	SourceMachine   = "machine"   // the clock of the machine that the control plane runs on
	SourceSimulated = "simulated" // that of simulated devices
	SourceVirtual   = "virtual"   // it is set by whoever made it
)

// sourced is a clock that says what it is.
type sourced interface{ Source() string }

// follower is a clock that others tell: it stands still while they say nothing.
type follower interface{ Silent() time.Duration }

// WallClock is the machine's own clock, in UTC.
type WallClock struct{}

// Now returns the machine's time.
func (WallClock) Now() time.Time { return time.Now().UTC() }

// Count returns the machine's time beside its count since it was started.
func (WallClock) Count() Count {
	since, boot := counted()
	return Count{Shown: time.Now().UTC(), Since: since, Boot: boot}
}

// Synchronised returns what the kernel says of its clock.
func (WallClock) Synchronised() bool { return synchronised() }

// Source implements sourced.
func (WallClock) Source() string { return SourceMachine }

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

// Source implements sourced.
func (c *VirtualClock) Source() string { return SourceVirtual }

// Set moves the clock. It never moves backwards.
func (c *VirtualClock) Set(now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now.After(c.now) {
		c.now = now.UTC()
	}
}
