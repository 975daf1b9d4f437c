package run

import (
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
		var l *book.Lease
		if l, err = state.Movable(id); err == nil {
			s = state.Site.Snapshot()
			slots, free = append([]site.Index(nil), l.Slots...), state.MoveTargets(l, now)
		}
	})
	if err != nil {
		return nil, err
	}
	return solve.Frontier(s, slots, free, most)
}
