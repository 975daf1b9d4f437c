package main

import (
	"context"
	"runtime/debug"

	"bulkhead/lab/demo"
)

type simCommand struct {
	Size     string   `default:"small" enum:"full,small,tiny" help:"Which example site: full, small or tiny."`
	Site     string   `placeholder:"FILE" help:"A site file instead of an example."`
	Without  []string `placeholder:"FABRIC" help:"Leave a fabric out: another process drives it."`
	Seed     int64    `default:"1" help:"What goes wrong, and when, follows from this."`
	Occupied int      `default:"0" placeholder:"NODES" help:"So many of its first nodes carry labels already, as if somebody else had leased them: for bulkhead serve --observe."`
	Socket   string   `required:"" type:"path" help:"Unix socket on which the drivers are served."`
	Realtime bool     `help:"Begin now, and let time pass by itself. Without it time stands still until a client advances it."`
	Speed    float64  `default:"1" help:"With --realtime: seconds that pass at the site in each second here."`
}

// Help is the example.
func (simCommand) Help() string {
	return `The devices know nothing of a control plane: stop one and start another, and
what was written to them is still there.

Example:

    bulkhead sim --size tiny --socket /tmp/devices.sock --realtime --speed 600
    bulkhead sim --site site.yaml --without ib --socket /tmp/nodes.sock --realtime`
}

// Run serves simulated devices until it is interrupted.
func (c *simCommand) Run(ctx context.Context) error {
	stop, err := profile()
	if err != nil {
		return err
	}
	defer stop()
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
	return demo.Which{Size: c.Size, File: c.Site, Without: c.Without, Seed: c.Seed, Occupied: c.Occupied}
}
