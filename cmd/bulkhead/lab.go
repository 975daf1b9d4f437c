package main

import (
	"context"
	"os"
	"os/exec"

	"bulkhead/lab/ethlab"
	"bulkhead/lab/iblab"
)

type labCommand struct {
	IB  labIB  `cmd:"" name:"ib" help:"Two rivals on an emulated InfiniBand fabric under a real OpenSM, proven apart and attacked."`
	Eth labEth `cmd:"" name:"eth" help:"Two rivals with the same addresses on a RoCE fabric of Linux and FRR in network namespaces, proven apart and attacked."`
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

type labEth struct {
	All bool `help:"Mount the whole corpus of attacks, which takes minutes, and not just three."`
}

// Help is the example.
func (labEth) Help() string {
	return `Takes about a minute and needs root, and Debian's frr, nftables, iproute2 and lldpd.
Nothing stays behind; what a lab left that was killed is removed by the next.

Example:

    bulkhead lab eth`
}

// Run shows the lab. This program is also the leaves' agent.
func (c labEth) Run(ctx context.Context) error {
	own, err := os.Executable()
	if err != nil {
		return err
	}
	return ethlab.Show(ctx, os.Stdout, c.All, func(config string) *exec.Cmd { return exec.Command(own, "leaf", "run", config) })
}
