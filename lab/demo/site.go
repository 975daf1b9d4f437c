package demo

import (
	"context"
	"errors"
	"fmt"

	"bulkhead/lab/story"
	"bulkhead/sim"
	"bulkhead/wire"
)

// ServeSite simulates the devices of a story's site on a socket until ctx ends.
func ServeSite(ctx context.Context, size string, seed int64, socket string) error {
	cast, err := story.LoadCast(size)
	if err != nil {
		return err
	}
	s, err := sim.FromTemplate(cast.Site, sim.DefaultConfig(uint64(seed), story.Begin))
	if err != nil {
		return fmt.Errorf("simulated site: %w", err)
	}
	listener, err := wire.Listen(socket)
	if err != nil {
		return err
	}
	done := make(chan error, 1)
	go func() { done <- wire.Serve(listener, wire.Simulated(s)) }()
	select {
	case <-ctx.Done():
		return errors.Join(listener.Close(), <-done)
	case err := <-done:
		return err
	}
}
