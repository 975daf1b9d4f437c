package main

import (
	"context"
	"runtime/debug"

	"bulkhead/lab/demo"
)

type simCommand struct {
	Size   string `default:"small" enum:"full,small,tiny" help:"Which example site."`
	Seed   int64  `default:"1" help:"What goes wrong, and when, follows from this."`
	Socket string `required:"" type:"path" help:"Unix socket on which the drivers are served."`
}

// Run serves simulated devices until it is interrupted.
func (c *simCommand) Run(ctx context.Context) error {
	debug.SetGCPercent(300)
	return demo.ServeSite(ctx, c.Size, c.Seed, c.Socket)
}
