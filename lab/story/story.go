// Package story tells the main job from beginning to end, as the demonstration and the
// tests do. A site grows, a lease of most of it is sold, placed, isolated, handed over,
// lived with for three months, metered, invoiced and proven. It drives the control plane
// that runs for real (package run), on devices that are simulated and say so, with a
// virtual clock.
//
// The demonstration tells it at full size; the tests tell it on 64 and 128
// nodes, and once more with the control plane killed at random points.
package story

import (
	"context"
	"fmt"
	"time"

	"bulkhead/book"
	"bulkhead/claim"
	"bulkhead/contract"
	"bulkhead/node"
	"bulkhead/run"
	"bulkhead/sim"
	"bulkhead/site"
)

// Parts is what the story is told with: the site and the contracts of one of the
// folders under examples/.
type Parts struct {
	Size      string
	Site      *site.Template
	Flagship  *contract.Contract
	Amendment *contract.Contract
	Tidewater *contract.Contract
	Research  *contract.Contract
}

// World is the devices' side of the story: time passes there, and things break.
// It is the simulator, in this process or in one of its own.
type World interface {
	Advance(ctx context.Context, to time.Time) error
	Inject(ctx context.Context, at time.Time, f sim.Fault) error
}

// Scene is one thing that people or fate do at a time. A scene may be played
// again after a crash: its command ids make that harmless.
type Scene struct {
	At   time.Time
	Name string
	Play func(ctx context.Context, t *Telling) error
}

// Telling is a story being told.
type Telling struct {
	Parts Parts
	Plane *run.Plane
	World World
	Clock *run.VirtualClock
	Begin time.Time
	End   time.Time
	Tell  func(now time.Time, line string) // a line for people

	// Officers is the keys with which tenants sign their own acts, by tenant; those that
	// have none act by a token alone.
	Officers map[string]claim.SSHSigner

	// Progress, if set, is told how far the story is.
	Progress func(now time.Time, what string)
	Scenes   []Scene

	// Done names the scenes that were played before, and Mark is told of each
	// that has been: with both, a telling that was killed goes on where it was.
	Done map[string]bool
	Mark func(scene string) error
}

// Dates of the story, UTC. They follow the contracts in examples/.
var (
	Begin = time.Date(2026, 4, 27, 0, 0, 0, 0, time.UTC)
	end   = time.Date(2026, 8, 2, 0, 0, 0, 0, time.UTC)
)

// New prepares a telling. The plane may be one that was restarted in the middle
// of it: scenes that were played are recognised by what the ledger holds.
func New(cast Parts, plane *run.Plane, world World, clock *run.VirtualClock, tell func(time.Time, string)) *Telling {
	t := &Telling{Parts: cast, Plane: plane, World: world, Clock: clock, Begin: Begin, End: end, Tell: tell}
	t.Scenes = scenes()
	return t
}

// Run tells the story until its end.
func (t *Telling) Run(ctx context.Context) error {
	next := 0
	for {
		now := t.Clock.Now()
		for next < len(t.Scenes) && !t.Scenes[next].At.After(now) {
			scene := t.Scenes[next]
			next++
			if t.Done[scene.Name] {
				continue
			}
			if err := scene.Play(ctx, t); err != nil {
				return fmt.Errorf("%s, %s: %w", now.Format(time.DateTime), scene.Name, err)
			}
			if t.Mark != nil {
				if err := t.Mark(scene.Name); err != nil {
					return err
				}
			}
		}
		if err := t.acknowledge(ctx); err != nil {
			return err
		}
		if err := t.Plane.Tick(ctx); err != nil {
			return fmt.Errorf("%s: %w", now.Format(time.DateTime), err)
		}
		t.progress(now)
		if !now.Before(t.End) {
			return nil
		}
		if err := t.step(ctx, now, next); err != nil {
			return err
		}
	}
}

// step lets time pass: to the next look at the devices, or to the next scene if
// that comes first.
func (t *Telling) step(ctx context.Context, now time.Time, next int) error {
	poll := 10 * time.Minute
	t.Plane.View(func(s *book.State) {
		if s.Site != nil {
			poll = s.Policy.Poll
		}
	})
	to := now.Add(poll)
	if next < len(t.Scenes) && t.Scenes[next].At.Before(to) {
		to = t.Scenes[next].At
	}
	if err := t.World.Advance(ctx, to); err != nil {
		return fmt.Errorf("the devices' time: %w", err)
	}
	t.Clock.Set(to)
	return nil
}

func (t *Telling) progress(now time.Time) {
	if t.Progress == nil {
		return
	}
	t.Plane.View(func(s *book.State) {
		if s.Site == nil {
			return
		}
		c := &s.Nodes
		t.Progress(now, fmt.Sprintf("%d nodes delivered, %d ready, %d in turnover, %d in repair or quarantine; %d entries", c.By[node.Delivered].Len(), c.By[node.Ready].Len(),
			c.By[node.Commissioning].Len()+c.By[node.Reclaiming].Len()+c.By[node.Severed].Len()+c.By[node.Sanitizing].Len()+c.By[node.Attesting].Len(),
			c.By[node.Repair].Len()+c.By[node.Quarantined].Len(), s.Seq))
	})
}
