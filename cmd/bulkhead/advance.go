package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"bulkhead/wire"
)

type advanceCommand struct {
	By     time.Duration `arg:"" help:"How much time passes at the site, such as 36h."`
	Socket string        `required:"" type:"path" help:"The socket of bulkhead sim."`
	Speed  float64       `default:"7200" help:"Seconds that pass at the site in each second here, so that a control plane can follow."`
	format
}

// Help is the example.
func (advanceCommand) Help() string {
	return `The time of a site of bulkhead sim stands still by itself. This lets it pass, at a
pace at which a control plane follows, and says what time it is then. Stopped in
between, it has passed so far.

Example:

    bulkhead advance 36h --socket devices.sock`
}

// advanceBeat is how often time moves while it passes.
const advanceBeat = 100 * time.Millisecond

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
		return fmt.Errorf("--socket %s: these devices are no simulation: their time is everybody's", c.Socket)
	}
	now, err := devices.Sim.Now(ctx)
	if err != nil {
		return err
	}
	began, until, beat := now, now.Add(c.By), time.NewTicker(advanceBeat)
	defer beat.Stop()
	step := time.Duration(c.Speed * float64(advanceBeat))
	for now.Before(until) {
		if now = now.Add(step); now.After(until) {
			now = until
		}
		if err := devices.Sim.Advance(ctx, now); err != nil {
			return err
		}
		if !now.Before(until) {
			break
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-beat.C:
		}
	}
	return c.print(map[string]time.Time{"from": began.UTC(), "now": now.UTC()}, func(w io.Writer) {
		say(w, "it is %s at the site", now.UTC().Format(time.RFC3339))
	})
}
