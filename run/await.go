package run

import (
	"context"
	"errors"
	"maps"
	"sync"
)

// Await returns nil as soon as a fabric's driver says that its devices may have
// changed since they were looked at last, and the context's error when that ended
// before, or ErrNotLooked at once. Who calls Tick then sees a change before the next look is due. A driver
// that fails to wait is not waited for.
func (p *Plane) Await(ctx context.Context) error {
	p.seen.mu.RLock()
	cursors := maps.Clone(p.seen.cursors)
	p.seen.mu.RUnlock()
	ctx, cancel := context.WithCancel(ctx)
	changed := make(chan struct{}, 1)
	var wait sync.WaitGroup
	defer wait.Wait()
	defer cancel()
	asked := 0
	for id, driver := range p.devices().Fabrics {
		if cursors[id] == 0 {
			continue
		}
		asked++
		wait.Go(func() {
			if driver.Await(ctx, cursors[id]) == nil {
				p.seen.note(func() { p.seen.woken[id] = true })
				select {
				case changed <- struct{}{}:
				default:
				}
			}
		})
	}
	if asked == 0 {
		return ErrNotLooked
	}
	select {
	case <-changed:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// ErrNotLooked is returned by Await as long as no fabric was looked at.
var ErrNotLooked = errors.New("no fabric was looked at yet")
