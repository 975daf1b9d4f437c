package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"bulkhead/wire"
)

type advanceCommand struct {
	By     time.Duration `arg:"" help:"How much time passes at the site, such as 36h."`
	Socket string        `required:"" type:"path" placeholder:"PATH" help:"The socket of bulkhead sim."`
	Speed  float64       `default:"7200" help:"Seconds that pass at the site in each second here, so that a control plane can follow."`
	format
}

// Help is the example.
func (advanceCommand) Help() string {
	return `The time of a site of bulkhead sim stands still by itself. This lets it pass, at a
pace at which a control plane follows, and says what time it is then. Whoever looks
at the devices is waited for, so that none of the time is a silence. If this
is stopped in between, the time has passed so far.

Example:

    bulkhead advance 36h --socket devices.sock`
}

// advanceStep is the most that passes between two looks of a control plane that follows:
// a site is looked at as often.
const advanceStep = 10 * time.Minute

// followed is how long somebody who looks at the devices is waited for after each step:
// not long who may have no look due yet, and long, once, who has fallen behind: as long as
// it takes on a busy machine where its process is still there. Two steps that nobody looked
// between are longer than a read-back counts for.
const (
	followed  = 250 * time.Millisecond
	outOfStep = 10 * time.Second
	hung      = 5 * time.Minute
)

// maxAdvance is the most that passes with one command.
const maxAdvance = 366 * 24 * time.Hour

// Run lets time pass.
func (c *advanceCommand) Run(ctx context.Context) error {
	if c.By <= 0 || c.By > maxAdvance {
		return usagef("%s: expected a time such as 36h, of at most %s", c.By, maxAdvance)
	}
	if !(c.Speed >= 0.001 && c.Speed <= 1e6) {
		return usagef("--speed %g: expected 0.001 to 1000000", c.Speed)
	}
	devices, err := wire.Dial(c.Socket)
	if err != nil {
		return fmt.Errorf("--socket %s: %w; start the devices first: bulkhead sim --socket %s", c.Socket, err, c.Socket)
	}
	defer devices.Close()
	if devices.Sim == nil {
		return fmt.Errorf("--socket %s: these devices are not simulated, and nobody moves their time: expected the socket of bulkhead sim", c.Socket)
	}
	now, err := devices.Sim.Now(ctx)
	if err != nil {
		return err
	}
	began, until := now, now.Add(c.By)
	step := time.Duration(min(c.Speed*float64(time.Second), float64(advanceStep))) // at most a second's
	beat := time.NewTicker(time.Duration(float64(step) / c.Speed))
	defer beat.Stop()
	asked, _, err := devices.Sim.Asked(ctx)
	looks := err == nil && now.Sub(asked) <= 2*advanceStep // somebody follows
	for err == nil && now.Before(until) {
		if now = now.Add(step); now.After(until) {
			now = until
		}
		if err = devices.Sim.Advance(ctx, now); err != nil {
			break
		}
		if looks {
			looks, err = c.follow(ctx, devices.Sim, now)
		}
		if err != nil || !now.Before(until) {
			break
		}
		select {
		case <-ctx.Done():
			err = ctx.Err()
		case <-beat.C:
		}
	}
	if err != nil {
		return err
	}
	return c.print(map[string]time.Time{"from": began.UTC(), "now": now.UTC()}, func(w io.Writer) {
		say(w, "it is %s at the site", now.UTC().Format(time.RFC3339))
	})
}

// follow waits until the devices have been looked at since the last step, so that a
// control plane on a busy machine misses none. It returns false when nobody looks.
func (c *advanceCommand) follow(ctx context.Context, devices wire.Control, now time.Time) (looks bool, err error) {
	for begun := time.Now(); ; time.Sleep(5 * time.Millisecond) {
		asked, there, err := devices.Asked(ctx)
		waited := time.Since(begun)
		switch {
		case err != nil || ctx.Err() != nil:
			return false, errors.Join(err, ctx.Err())
		case !asked.Before(now), waited > followed && now.Sub(asked) < advanceStep:
			return true, nil
		case waited > outOfStep && !there, waited > hung:
			say(remarks, "bulkhead: nobody has looked at the devices since %s: time passes without, and is a silence to a control plane that comes back", asked.UTC().Format(time.RFC3339))
			return false, nil
		}
	}
}
