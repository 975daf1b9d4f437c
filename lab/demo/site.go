package demo

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"bulkhead/lab/story"
	"bulkhead/sim"
	"bulkhead/site"
	"bulkhead/wire"
)

// Which says which site is simulated, and how much of it.
type Which struct {
	Size    string   // of the story, unless there is a File
	File    string   // a site file
	Without []string // fabrics that are left out
	Seed    int64
}

// ServeSite simulates the devices of a story's site on a socket until ctx ends.
// Its clock begins with the story and stands still until a client advances it.
func ServeSite(ctx context.Context, w Which, socket string) error {
	s, err := w.simulated(story.Begin)
	if err != nil {
		return err
	}
	return w.serve(ctx, s, socket)
}

// beat is how often the clock of a site in real time moves.
const beat = 100 * time.Millisecond

// ServeSiteRealtime simulates a site whose clock begins now and passes by
// itself, speed seconds for each second here.
func ServeSiteRealtime(ctx context.Context, w Which, socket string, speed float64) error {
	begin := time.Now()
	s, err := w.simulated(begin.UTC())
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
	err = w.serve(ctx, s, socket)
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

func (w Which) simulated(begin time.Time) (*sim.Sim, error) {
	t, err := w.template()
	if err != nil {
		return nil, err
	}
	s, err := sim.FromTemplate(t, sim.DefaultConfig(uint64(w.Seed), begin))
	if err != nil {
		return nil, fmt.Errorf("simulated site: %w", err)
	}
	return s, nil
}

func (w Which) template() (*site.Template, error) {
	if w.File == "" {
		cast, err := story.LoadCast(w.Size)
		return cast.Site, err
	}
	data, err := os.ReadFile(w.File)
	if err != nil {
		return nil, err
	}
	return site.ParseTemplate(w.File, data)
}

func (w Which) serve(ctx context.Context, s *sim.Sim, socket string) error {
	drivers := wire.Simulated(s)
	for _, id := range w.Without {
		if drivers.Fabrics[id] == nil {
			return fmt.Errorf("fabric %q: the site has none that could be left out", id)
		}
		delete(drivers.Fabrics, id)
	}
	listener, err := wire.Listen(socket)
	if err != nil {
		return err
	}
	done := make(chan error, 1)
	go func() { done <- wire.Serve(listener, drivers) }()
	select {
	case <-ctx.Done():
		return errors.Join(listener.Close(), <-done)
	case err := <-done:
		return err
	}
}
