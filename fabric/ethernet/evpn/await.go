package evpn

import (
	"context"
	"errors"
	"sync"
	"time"
)

// askAgain is after how long a device is asked again that did not answer.
const askAgain = 5 * time.Second

// Await implements fabric.Driver: agents say when a table of their leaf or the policy of
// their reflector changed, and the collector when a route did. Cost: a call a device that
// stays open.
func (d *Driver) Await(ctx context.Context, since uint64) error {
	d.reading.Lock()
	type waits struct {
		number uint64
		await  func(context.Context, uint64) error
	}
	var devices []waits
	old := d.known == nil || since != d.cursor
	var again time.Time // when some leaf is to be read again, whatever it says; zero: none is
	for l, state := range d.known {
		devices = append(devices, waits{state.device, d.Leaves[l].Await})
		old = old || state.stale
		if !state.again.IsZero() && (again.IsZero() || state.again.Before(again)) {
			again = state.again
		}
	}
	for at, p := range d.passed {
		devices = append(devices, waits{p.number, d.Reflectors[at].Await})
	}
	routes := d.routes
	d.reading.Unlock()
	if old {
		return ctx.Err()
	}
	ctx, changed := context.WithCancelCause(ctx)
	if !again.IsZero() {
		defer time.AfterFunc(time.Until(again), func() { changed(errChanged) }).Stop()
	}
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
	for _, device := range devices {
		wait.Go(func() {
			for ctx.Err() == nil {
				if device.await(ctx, device.number) == nil {
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
