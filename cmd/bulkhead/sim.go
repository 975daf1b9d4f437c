package main

import (
	"context"
	"runtime/debug"
	"time"

	"bulkhead/lab/demo"
)

type simCommand struct {
	Size     string    `default:"small" enum:"full,small,tiny" help:"Which example site: full, small or tiny."`
	Site     string    `placeholder:"FILE" help:"A site file instead of an example."`
	Without  []string  `placeholder:"FABRIC" help:"Leave a fabric out: another process drives it."`
	Seed     int64     `default:"1" help:"What goes wrong, and when, follows from this."`
	Occupied int       `default:"0" placeholder:"NODES" help:"So many of its first nodes carry labels already, as if somebody else had leased them: for bulkhead serve --observe."`
	Socket   string    `required:"" type:"path" placeholder:"PATH" help:"Unix socket on which the drivers are served."`
	State    string    `type:"path" placeholder:"FILE" help:"Keep in this file what the devices hold, and go on from it if it is there: they are what they were when they are started again."`
	From     time.Time `placeholder:"TIME" help:"Begin at this time at the earliest, such as 2026-04-29T00:00:00Z: for a ledger that is as far, when there is no file for --state."`
	Realtime bool      `help:"Begin now, and let time pass by itself. Without it time stands still until bulkhead advance, or another client, moves it."`
	Speed    float64   `default:"1" help:"With --realtime: seconds that pass at the site in each second here."`
}

// Help is the example.
func (simCommand) Help() string {
	return `The devices know nothing of a control plane: stop one and start another, and
what was written to them is still there. They hold it in memory: stopped themselves
they are as from the factory, unless they are given a file with --state. It is
written once a second at most and at the end; after a kill a ledger may be a
moment ahead of it, and --from with the time of its last entry makes up for that.
What is lost shows in the read-back, and the control plane writes it again; a node
that has lost its wipe or its power is turned over once more.

Example:

    bulkhead sim --size tiny --socket /tmp/devices.sock --state /tmp/devices.state
    bulkhead sim --size tiny --socket /tmp/devices.sock --realtime --speed 600
    bulkhead sim --size tiny --socket /tmp/devices.sock --from 2026-04-29T00:00:00Z
    bulkhead sim --site site.yaml --without ib --socket /tmp/nodes.sock --realtime`
}

// Run serves simulated devices until it is interrupted.
func (c *simCommand) Run(ctx context.Context) error {
	stop, err := profile()
	if err != nil {
		return err
	}
	defer stop()
	if !c.From.IsZero() && (c.From.Year() < 2000 || c.From.Year() > 2200) {
		return usagef("--from %s: expected a time between the years 2000 and 2200", c.From.Format(time.RFC3339))
	}
	if !c.Realtime {
		if c.Speed != 1 {
			return usagef("--speed %g: only with --realtime; without it time stands still", c.Speed)
		}
		debug.SetGCPercent(300)
		return demo.ServeSite(ctx, c.which(), c.Socket)
	}
	if !(c.Speed >= 0.001 && c.Speed <= 10_000) {
		return usagef("--speed %g: expected 0.001 to 10000", c.Speed)
	}
	return demo.ServeSiteRealtime(ctx, c.which(), c.Socket, c.Speed)
}

func (c *simCommand) which() demo.Which {
	return demo.Which{Size: c.Size, File: c.Site, Without: c.Without, Seed: c.Seed, Occupied: c.Occupied, State: c.State, From: c.From.UTC()}
}
