package run_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"bulkhead/run"
)

// jumped counts how often the clock of a seed's machine was set wrong for a while.
var jumped atomic.Int64

// wrongClock is a machine's clock that is set wrong for some looks. What it draws is
// drawn from a source of its own: a seed in which it does nothing is lived as without it.
type wrongClock struct {
	*jumpy
	random *rand.Rand
	left   int    // looks until it is set right again
	head   uint64 // the ledger's, when it was set wrong
	mark   run.ClockMark
}

func newWrongClock(seed uint64, c *run.VirtualClock) *wrongClock {
	w := &wrongClock{jumpy: newJumpy(c), random: rand.New(rand.NewPCG(seed, 2))}
	w.synced = true
	return w
}

// before lets the clock be set wrong, or right, before a look.
func (c *wrongClock) before(ctx context.Context, l *life) error {
	switch {
	case c.left > 1:
		c.left--
	case c.left == 1:
		c.left = 0
		c.jump(0)
		l.say("%s: the clock is right again", l.clock.Now().Format(time.DateTime))
	case c.random.IntN(40) == 0:
		by := []time.Duration{twoYears, 40 * 24 * time.Hour, 90 * time.Minute, 200 * 365 * 24 * time.Hour}[c.random.IntN(4)]
		c.left = 1 + c.random.IntN(4)
		c.jump(by)
		jumped.Add(1)
		var err error
		c.head, err = l.log.Head(ctx)
		l.say("%s: the clock is %s ahead", l.clock.Now().Format(time.DateTime), by)
		return err
	}
	return nil
}

// after says what a clock that is wrong has done.
func (c *wrongClock) after(ctx context.Context, l *life) error {
	if mark, usable := l.plane.ClockMark(); usable {
		c.mark = mark
	}
	if c.left == 0 {
		return nil
	}
	if status := l.plane.Clock(); status.Confirmed {
		return fmt.Errorf("the clock shows %s, it is %s, and that is taken for right", c.Now(), l.clock.Now())
	}
	for e, err := range l.log.Read(ctx, c.head+1) {
		if err != nil {
			return err
		}
		if e.Time.After(l.clock.Now()) {
			return fmt.Errorf("entry %d is of %s, it is %s", e.Seq, e.Time, l.clock.Now())
		}
		if slices.ContainsFunc(destroys, func(kind string) bool { return strings.HasPrefix(e.Kind, kind) }) {
			return fmt.Errorf("entry %d, %s, was written while the clock was wrong: %s", e.Seq, e.Kind, e.Body)
		}
	}
	return nil
}
