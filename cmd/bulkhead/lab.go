package main

import (
	"context"
	"os"

	"bulkhead/lab/iblab"
)

type labCommand struct {
	IB labIB `cmd:"" name:"ib" help:"Two rivals on an emulated InfiniBand fabric under a real OpenSM, proven apart and attacked."`
}

type labIB struct{}

// Help is the example.
func (labIB) Help() string {
	return `Takes about ten seconds and needs Debian's opensm and ibsim-utils; root is not
needed. Nothing stays behind; what a lab left that was killed is removed by the next.

Example:

    bulkhead lab ib`
}

// Run shows the lab.
func (labIB) Run(ctx context.Context) error { return iblab.Show(ctx, os.Stdout) }
