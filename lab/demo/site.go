package demo

import (
	"context"
	"errors"
	"fmt"
	"time"

	"bulkhead/lab/story"
	"bulkhead/sim"
	"bulkhead/wire"
)

// ServeSite simulates the devices of a story's site on a socket until ctx ends.
// Its clock begins with the story and stands still until a client advances it.
func ServeSite(ctx context.Context, size string, seed int64, socket string) error {
	s, err := simulated(size, seed, story.Begin)
	if err != nil {
		return err
	}
	return serveSite(ctx, s, socket)
}

// beat is how often the clock of a site in real time moves.
const beat = 100 * time.Millisecond

// ServeSiteRealtime simulates a site whose clock begins now and passes by
// itself, speed seconds for each second here.
func ServeSiteRealtime(ctx context.Context, size string, seed int64, socket string, speed float64) error {
	begin := time.Now()
	s, err := simulated(size, seed, begin.UTC())
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	moved := make(chan error, 1)
	go func() {
		err := pass(ctx, s, begin, speed)
		if err != nil {
			stop(err)
		}
		moved <- err
	}()
	err = serveSite(ctx, s, socket)
	stop(nil)
	return errors.Join(err, <-moved)
}

// pass moves a site's clock until ctx ends.
func pass(ctx context.Context, s *sim.Sim, begin time.Time, speed float64) error {
	ticker := time.NewTicker(beat)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
		passed := time.Duration(float64(time.Since(begin)) * speed)
		if err := s.Advance(ctx, begin.UTC().Add(passed)); err != nil && ctx.Err() == nil {
			return fmt.Errorf("simulated clock: %w", err)
		}
	}
}

func simulated(size string, seed int64, begin time.Time) (*sim.Sim, error) {
	cast, err := story.LoadCast(size)
	if err != nil {
		return nil, err
	}
	s, err := sim.FromTemplate(cast.Site, sim.DefaultConfig(uint64(seed), begin))
	if err != nil {
		return nil, fmt.Errorf("simulated site: %w", err)
	}
	return s, nil
}

func serveSite(ctx context.Context, s *sim.Sim, socket string) error {
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
