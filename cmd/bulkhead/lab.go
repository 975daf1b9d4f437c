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
	Eth labEth `cmd:"" name:"eth" help:"A RoCE fabric of Linux and FRR in network namespaces: a demonstration of two rivals on it, or the fabric alone, up until it is taken down."`
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
	Show labEthShow `cmd:"" default:"withargs" help:"Two rivals with the same addresses, proven apart and attacked."`
	Up   labEthUp   `cmd:"" help:"Bring a fabric up, to work on it with drivers and a control plane of one's own."`
	Down labEthDown `cmd:"" help:"Take a fabric down that is up, or remove what is left of one that was killed."`
	List labEthList `cmd:"" help:"List the fabrics of this machine."`
	Keep labEthKeep `cmd:"" hidden:"" help:"What up starts. It runs until the fabric is taken down."`
}

type labEthShow struct {
	All bool `help:"Mount the whole corpus of attacks, which takes minutes, and not just three."`
}

// Help is the example.
func (labEthShow) Help() string {
	return `Takes about a minute and needs root, and Debian's frr, nftables, iproute2 and lldpd.
Nothing stays behind; what a lab left that was killed is removed by the next.

Example:

    bulkhead lab eth show`
}

// Run shows the lab. This program is also the leaves' agent.
func (c labEthShow) Run(ctx context.Context) error {
	leaf, reflector, err := agents()
	if err != nil {
		return err
	}
	return ethlab.Show(ctx, os.Stdout, c.All, leaf, reflector)
}

// agents prepare this program as the agent of a leaf, and of a route reflector.
func agents() (leaf, reflector func(config string) *exec.Cmd, err error) {
	own, err := os.Executable()
	return func(config string) *exec.Cmd { return exec.Command(own, "leaf", "run", config) },
		func(config string) *exec.Cmd { return exec.Command(own, "leaf", "reflect", config) }, err
}
