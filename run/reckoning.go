package run

import (
	"fmt"
	"time"

	"bulkhead/claim"
)

// MaxJump is how far a clock may be from where the count says that it should be. It
// is for the whole life of a reckoning: many small jumps are one large one.
const MaxJump = time.Hour

// DefaultDowntime is how long a control plane may have been away, on a machine that
// was started anew since, before a person is asked what time it is.
const DefaultDowntime = 24 * time.Hour

// begun is when this process began, for machines that count nothing else.
var begun = time.Now()

// reckoning holds what a clock shows against a count that nobody can set. It is a
// value: what it says follows from what it is given.
type reckoning struct {
	anchor time.Time     // a time that was taken for right
	at     time.Duration // the count at that time
	// old says that the anchor is the time of the last entry, which another process
	// wrote: that much is certain, and nothing counted since then but this process.
	old bool
	// away is how much longer than that nobody need be asked about, if the machine is
	// told the time by others. Only where old is.
	away time.Duration

	last   time.Time // the newest that the clock showed and that was taken for right
	lastAt time.Duration
}

// reckon begins a reckoning at a time that is taken for right.
func reckon(at time.Time, count time.Duration) reckoning {
	return reckoning{anchor: at, at: count, last: at, lastAt: count}
}

// reckonFrom begins a reckoning where a ledger's last entry is of head and the clock
// shows count. A ledger without entries has no time that could be wrong. Mark is what
// the control plane before kept of its own reckoning: on a machine that has not been
// started anew, it counts on. Away is how long it may have been away otherwise.
func reckonFrom(head time.Time, count Count, mark ClockMark, away time.Duration) reckoning {
	if head.IsZero() {
		return reckon(count.Shown, count.Since)
	}
	if mark.Boot != "" && mark.Boot == count.Boot && count.Since >= mark.Since {
		expected := mark.Time.Add(count.Since - mark.Since)
		if expected.Before(head) {
			expected = head
		}
		return reckon(expected, count.Since)
	}
	r := reckon(head, count.Since)
	r.old, r.away = true, away
	return r
}

// believe judges what the clock shows. It returns the time that is certain to have
// come, which is what the clock shows where that is taken for right, and how far it is
// ahead of the count otherwise (behind: negative). Synchronised is asked only where it
// matters.
func (r *reckoning) believe(shown time.Time, count time.Duration, synchronised func() bool) (now time.Time, off time.Duration, right bool) {
	off = shown.Sub(r.anchor.Add(count - r.at))
	right = off <= MaxJump && off >= -MaxJump
	if r.old && !right && off > 0 && off <= r.away {
		right = synchronised()
	}
	if right {
		if r.old { // from now on this process counts
			*r = reckon(shown, count)
		}
		r.last, r.lastAt = shown, count
		return shown, off, true
	}
	now = r.last.Add(count - r.lastAt)
	if shown.Before(now) {
		now = shown // never later than the clock itself
	}
	return now, off, false
}

// ClockMark is where a reckoning stands, to be kept beside the ledger: a control plane
// that begins again on a machine that was not started anew knows how long it was away.
type ClockMark struct {
	Boot  string        `json:"boot"`
	Since time.Duration `json:"since_ns"` // the machine's count
	Time  time.Time     `json:"time"`     // at that count
}

// ParseClockMark reads a mark as encoding/json writes it.
func ParseClockMark(data []byte) (ClockMark, error) {
	var m ClockMark
	if err := claim.Exact(data, 4<<10, &m); err != nil {
		return ClockMark{}, fmt.Errorf("clock mark: %w", err)
	}
	if m.Boot == "" || m.Since < 0 || m.Time.IsZero() {
		return ClockMark{}, fmt.Errorf("clock mark: expected boot, since_ns of at least 0 and time, got %q, %d and %s", m.Boot, m.Since, m.Time.Format(time.RFC3339))
	}
	return m, nil
}
