package run

import (
	"fmt"
	"sync"
	"time"
)

// keeper is the clock of a plane: it passes on what its clock shows as long as that is
// taken for right, and goes on counting from there while it is not. Entries are dated
// by it, so a clock that jumps dates none, and nothing becomes due by it.
type keeper struct {
	clock    Clock
	counting Counting // nil: the clock is its own measure

	mu    sync.Mutex
	r     reckoning
	since time.Time // the clock is in doubt since, by the site's time; zero: it is not
}

// newKeeper holds a clock against a ledger's last entry.
func newKeeper(c Clock, head time.Time, mark ClockMark, away time.Duration) *keeper {
	k := &keeper{clock: c}
	if counting, is := c.(Counting); is {
		k.counting = counting
		k.r = reckonFrom(head, counting.Count(), mark, away)
	}
	return k
}

// told is what a clock says, and what is made of it.
type told struct {
	now, shown time.Time
	off        time.Duration
	right      bool
	since      time.Time
	old        bool // the last entry is all that it could be held against
}

func (k *keeper) look() told {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.counting == nil {
		now := k.clock.Now()
		return told{now: now, shown: now, right: true}
	}
	c := k.counting.Count()
	t := told{shown: c.Shown, old: k.r.old}
	t.now, t.off, t.right = k.r.believe(c.Shown, c.Since, k.counting.Synchronised)
	switch {
	case t.right:
		k.since = time.Time{}
	case k.since.IsZero():
		k.since = t.now
	}
	t.since = k.since
	return t
}

// Now is the site's time.
func (k *keeper) Now() time.Time { return k.look().now }

// after is the site's time where the ledger's last entry is of head: it does not go back.
func (k *keeper) after(head time.Time) (time.Time, error) {
	now := k.Now()
	if now.Before(head) {
		if head.Sub(now) > maxBackwards {
			return time.Time{}, fmt.Errorf("%w (%s: %s; last entry, and the site's time: %s, which is %s ahead)", ErrClock, k.named(), stamp(now), stamp(head), span(head.Sub(now)))
		}
		now = head
	}
	return now, nil
}

// doubt says why what the clock shows is not taken for right, or "".
func (k *keeper) doubt() string { return k.look().doubt() }

func (t told) doubt() string {
	by := "the machine's own count"
	if t.old {
		by = "the ledger's last entry and what this server has counted since it began"
	}
	switch {
	case t.right:
		return ""
	case t.off > 0:
		return fmt.Sprintf("the machine's clock shows %s, %s ahead of %s: the site's time is %s, and goes on by that count", stamp(t.shown), span(t.off), by, stamp(t.now))
	}
	return fmt.Sprintf("the machine's clock shows %s, %s behind %s: the site's time is %s", stamp(t.shown), span(-t.off), by, stamp(t.now))
}

// confirm takes what the clock shows for right from now on. What it returns takes that
// back.
func (k *keeper) confirm() (undo func()) {
	k.mu.Lock()
	defer k.mu.Unlock()
	before, since := k.r, k.since
	c := k.counting.Count()
	k.r, k.since = reckon(c.Shown, c.Since), time.Time{}
	return func() {
		k.mu.Lock()
		defer k.mu.Unlock()
		k.r, k.since = before, since
	}
}

// mark is where the reckoning stands, if it can be compared with a later one.
func (k *keeper) mark() (m ClockMark, usable bool) {
	if k.counting == nil {
		return m, false
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	c := k.counting.Count()
	return ClockMark{Boot: c.Boot, Since: k.r.at, Time: k.r.anchor}, c.Boot != "" && !k.r.old
}

func (k *keeper) source() string {
	if s, is := k.clock.(sourced); is {
		return s.Source()
	}
	return SourceVirtual
}

// named is the clock as messages call it.
func (k *keeper) named() string {
	switch k.source() {
	case SourceMachine:
		return "the machine's clock"
	case SourceSimulated:
		return "the clock of the simulated devices"
	}
	return "the clock that was set by hand"
}

// stamp is a time as messages show it.
func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// span is how long something is, in what a person reads: no one needs the nanoseconds
// of two years.
func span(d time.Duration) string {
	const day = 24 * time.Hour
	switch {
	case d >= 2*day:
		return fmt.Sprintf("%d days", (d+day/2)/day)
	case d >= 2*time.Hour:
		return d.Round(time.Minute).String()
	}
	return d.Round(time.Second).String()
}
