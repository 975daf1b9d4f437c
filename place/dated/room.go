package dated

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"bulkhead/lease"
	"bulkhead/place"
	"bulkhead/site"
)

// lookElsewhere notes, where the number is short, how many nodes of the kind can be
// promised on each other fabric that has it, from the step's date until the end: a slice
// stays on one fabric, so what is there helps only who asks there.
func (c *Schedule) lookElsewhere(short *ShortError) error {
	if short.Why != "" {
		return nil
	}
	for class := range c.classes {
		if class.Kind != short.Kind || class.Fabric == short.Fabric {
			continue
		}
		// More than any site has, so that the calendar says how many there are.
		err := c.Calendar().Fits(lease.Booking{ID: short.Step, Fabric: class.Fabric, Kind: class.Kind, Nodes: site.MaxNodes + 1, Begin: short.Begin, End: short.End})
		var most *lease.ShortfallError
		if !errors.As(err, &most) {
			return fmt.Errorf("what can be promised on fabric %s: %w", class.Fabric, err)
		}
		short.Elsewhere = append(short.Elsewhere, place.Stock{Class: class, Free: max(most.Have, 0)})
	}
	slices.SortFunc(short.Elsewhere, func(a, b place.Stock) int { return strings.Compare(a.Fabric, b.Fabric) })
	return nil
}

// elsewhere says it: what is short on one fabric may fit on another.
func (e *ShortError) elsewhere() string {
	var b strings.Builder
	for _, r := range e.Elsewhere {
		switch {
		case r.Free >= e.Want:
			fmt.Fprintf(&b, "; on fabric %s there is room for it: %s", r.Fabric, quantity(r.Free, e.NodeGPUs))
		case r.Free > 0:
			fmt.Fprintf(&b, "; on fabric %s there is room for %s, %s too few", r.Fabric, quantity(r.Free, e.NodeGPUs), quantity(e.Want-r.Free, e.NodeGPUs))
		default:
			fmt.Fprintf(&b, "; on fabric %s there is no room", r.Fabric)
		}
	}
	return b.String()
}
