package run

import (
	"fmt"

	"bulkhead/book"
	"bulkhead/lease"
	"bulkhead/place"
	"bulkhead/place/solve"
	"bulkhead/site"
)

// Frontier finds the best compromises between moves and quality for a running lease:
// the first point is the lease as it is. The search runs on a copy of the occupancy,
// outside the writer; book.ProposeDefrag checks whatever is made of it.
func (p *Plane) Frontier(id lease.ID, most int) ([]place.Point, error) {
	var (
		s     *site.Site
		slots []site.Index
		free  *site.Set
		err   error
	)
	now := p.config.Clock.Now()
	p.View(func(state *book.State) {
		l, ok := state.LeaseByID(id)
		switch {
		case !ok:
			err = &book.Refusal{Field: "lease", Reason: fmt.Sprintf("no lease %q", string(id))}
		case !l.Returning.IsZero():
			err = &book.Refusal{Field: "lease", Reason: fmt.Sprintf("%s is being returned: nothing of it moves any more", id)}
		case l.Delivered == 0:
			err = &book.Refusal{Field: "lease", Reason: fmt.Sprintf("%s has not begun: what has not begun is placed again without moving anything", id)}
		case l.Links == lease.Hermetic:
			err = &book.Refusal{Field: "lease", Reason: fmt.Sprintf("%s is hermetic: its nodes and its links were chosen together, so that none of them moves by itself", id)}
		default:
			s = state.Site.Snapshot()
			slots, free = append([]site.Index(nil), l.Slots...), state.MoveTargets(l, now)
		}
	})
	if err != nil {
		return nil, err
	}
	return solve.Frontier(s, slots, free, most)
}
