package meter

import (
	"fmt"

	"bulkhead/lease"
)

// Cause numbers a cause.
func (c *Changes) Cause(cause string) CauseRef { return c.CauseAt(cause, lease.Ports{}) }

// Set adds one range of slots, first to last, both included. at is in Unix
// seconds. Errors name the entry.
func (c *Changes) Set(entry uint64, at int64, lease LeaseRef, first, last uint32, state SlotState, cause CauseRef) error {
	s, ok := state.code()
	switch {
	case !ok:
		return fmt.Errorf("entry %d: slot state %.40q: expected one of %v", entry, string(state), States())
	case first > last || last >= maxSlots:
		return fmt.Errorf("entry %d: slots %d-%d: expected a range below %d", entry, first, last, maxSlots)
	case at < 0 || at > maxTime:
		return fmt.Errorf("entry %d: at: %d is not a time that a slot can change, in Unix seconds", entry, at)
	case int(lease) >= len(c.leases) || int(cause) >= len(c.causes):
		return fmt.Errorf("entry %d: lease or cause was not numbered by Lease and Cause", entry)
	}
	c.push(change{entry: entry, at: at, first: first, last: last, lease: lease, cause: cause, state: s})
	return nil
}
