// Package await is how labs wait: for what must come to hold, and for no time. What
// they wait for is done by programs of others, on a machine that may have much else
// to do; so no outcome follows from how long that takes. A wait ends when it holds
// what it waits for, and what bounds it is there for what never comes: the deadline
// of its context, and Patience where that has none or a later one.
package await

import (
	"context"
	"fmt"
	"time"
)

// Patience bounds a wait that would never end. It is longer than anything takes on a
// machine that does anything at all: a wait that it ends has found a fault.
const Patience = 10 * time.Minute

// pause is between two times that something is asked for: who asks takes a fifth of a
// core at most, and leaves the rest to what it waits for.
func pause(asking time.Duration) time.Duration {
	return min(max(4*asking, 2*time.Millisecond), 200*time.Millisecond)
}

// Until asks until something holds. The error says what was waited for and, in the
// words of who was asked last, what was there instead.
func Until(ctx context.Context, what string, holds func() (instead string, ok bool)) error {
	ctx, cancel := context.WithTimeout(ctx, Patience)
	defer cancel()
	began := time.Now()
	for {
		asked := time.Now()
		instead, ok := holds()
		if ok {
			return nil
		}
		select {
		case <-ctx.Done():
			if instead != "" {
				instead = ": " + instead
			}
			return fmt.Errorf("waited %s for %s%s: %w", time.Since(began).Round(time.Second), what, instead, ctx.Err())
		case <-time.After(pause(time.Since(asked))):
		}
	}
}

// True is Until for what has nothing to say meanwhile.
func True(ctx context.Context, what string, holds func() bool) error {
	return Until(ctx, what, func() (string, bool) { return "", holds() })
}

// Must is True in a test, which ends where it never holds.
func Must(t interface {
	Context() context.Context
	Helper()
	Fatal(...any)
}, what string, holds func() bool) {
	t.Helper()
	ctx := t.Context()
	if bounded, ok := t.(Test); ok {
		ctx = Context(bounded)
	}
	if err := True(ctx, what, holds); err != nil {
		t.Fatal(err)
	}
}

// Test is what a context of a test needs of it: *testing.T is one.
type Test interface {
	Context() context.Context
	Deadline() (time.Time, bool)
	Cleanup(func())
}

// Context is a test's own, which ends before the whole test program is killed: in time
// for waits to say what they wait for, and for labs to be taken down.
func Context(t Test) context.Context {
	end, bounded := t.Deadline()
	if !bounded {
		return t.Context()
	}
	left := time.Until(end)
	ctx, cancel := context.WithDeadline(t.Context(), end.Add(-min(left/4, time.Minute)))
	t.Cleanup(cancel)
	return ctx
}
