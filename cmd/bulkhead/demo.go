package main

import (
	"context"
	"os"
	"runtime/debug"

	"bulkhead/lab/demo"
)

type demoCommand struct {
	Size string `default:"full" enum:"full,small,tiny" help:"full: 400,000 GPUs; small: 1,024; tiny: 512."`
	Seed int64  `default:"1" help:"What goes wrong, and when, follows from this."`
	Out  string `default:"demo" type:"path" help:"Folder for everything that it makes. An earlier demonstration's is emptied; any other must be empty."`
}

// Help is the example.
func (demoCommand) Help() string {
	return `Everything in it is simulated, and says so. What it leaves in the folder is told
at its end.

Example:

    bulkhead demo --size tiny --out /tmp/demo`
}

// Run tells the story.
func (c *demoCommand) Run(ctx context.Context) error {
	// Nearly everything that a demonstration allocates is short-lived evidence:
	// collecting it less often costs memory within the stated bound and saves a
	// fifth of the time.
	debug.SetGCPercent(300)
	debug.SetMemoryLimit(1500 << 20)
	stop, err := profile()
	if err != nil {
		return err
	}
	defer stop()
	return demo.Run(ctx, demo.Options{Size: c.Size, Seed: c.Seed, Out: c.Out, Writer: os.Stdout})
}
