package evpn

import (
	"context"
	"errors"
	"maps"
	"sync"
	"time"

	"bulkhead/site"
)

// askAgain is after how long a leaf is asked again that did not answer.
const askAgain = 5 * time.Second

// Await implements fabric.Driver: agents say when a table of their leaf changed, and
// the collector when a route did. Cost: a call a leaf that stays open.
func (d *Driver) Await(ctx context.Context, since uint64) error {
	d.reading.Lock()
	numbers := make(map[site.Leaf]uint64, len(d.known))
	old := d.known == nil || since != d.cursor
	for l, state := range d.known {
		numbers[l] = state.device
		old = old || state.stale
	}
	routes := d.routes
	d.reading.Unlock()
	if old {
		return ctx.Err()
	}
	ctx, changed := context.WithCancelCause(ctx)
	var wait sync.WaitGroup
	defer wait.Wait()
	defer changed(nil)
	wait.Go(func() {
		for {
			if vteps, _, all := d.Routes.Changed(routes); all || len(vteps) > 0 {
				changed(errChanged)
				return
			}
			select {
			case <-ctx.Done():
				return
			case <-d.Routes.Signal():
			}
		}
	})
	for l, number := range maps.All(numbers) {
		wait.Go(func() {
			for ctx.Err() == nil {
				if d.Leaves[l].Await(ctx, number) == nil {
					changed(errChanged)
					return
				}
				select {
				case <-ctx.Done():
				case <-time.After(askAgain):
				}
			}
		})
	}
	<-ctx.Done()
	if errors.Is(context.Cause(ctx), errChanged) {
		return nil
	}
	return ctx.Err()
}

var errChanged = errors.New("something changed")
