package main

import (
	"context"

	"bulkhead/fabric/ethernet/linux"
	"bulkhead/fabric/ethernet/management/gateway"
)

type leafCommand struct {
	Run     leafRun     `cmd:"" help:"Run the agent of this leaf, until interrupted."`
	Gateway leafGateway `cmd:"" help:"Run the agent of this gateway of a management network, until interrupted."`
	Reflect leafReflect `cmd:"" help:"Run the agent of this route reflector, until interrupted."`
}

type leafRun struct {
	File string `arg:"" type:"path" help:"What the agent is told of its leaf, as JSON: see package fabric/ethernet/linux."`
}

// Help is the example.
func (leafRun) Help() string {
	return `Runs on a switch that is Linux and FRR, as root: it writes the leaf's bridges, VXLAN
devices, filters and route targets as the control plane asks, and reads them back by
what iproute2, nft, lldpctl and FRR say. It listens on a unix socket for whoever
reaches it by the management network.

Example:

    bulkhead leaf run /etc/bulkhead/leaf.json`
}

// Run runs the agent.
func (c *leafRun) Run(ctx context.Context) error {
	conf, err := linux.ReadConfig(c.File)
	if err != nil {
		return err
	}
	return linux.Run(ctx, conf)
}

type leafReflect struct {
	File string `arg:"" type:"path" help:"What the agent is told of its reflector, as JSON: see package fabric/ethernet/linux."`
}

// Help is the example.
func (leafReflect) Help() string {
	return `Runs on a route reflector that is FRR: it writes, for each leaf, under which route
targets the leaf's routes are passed on to other leaves, as leases give them, and reads
back what bgpd passes on.

Example:

    bulkhead leaf reflect /etc/bulkhead/reflector.json`
}

// Run runs the agent.
func (c *leafReflect) Run(ctx context.Context) error {
	conf, err := linux.ReadReflectorConfig(c.File)
	if err != nil {
		return err
	}
	return linux.RunReflector(ctx, conf)
}

type leafGateway struct {
	File string `arg:"" type:"path" help:"Where the agent keeps its state and listens, as JSON: state, socket."`
}

// Help is the example.
func (leafGateway) Help() string {
	return `Runs on the Linux machine that joins managers, BMCs and the networks of tenants, as root:
it writes the nftables ruleset under which each BMC is a zone of its own, and reads back
what nft, ip and tc say.

Example:

    bulkhead leaf gateway /etc/bulkhead/gateway.json`
}

// Run runs the agent.
func (c *leafGateway) Run(ctx context.Context) error {
	conf, err := gateway.ReadAgentConfig(c.File)
	if err != nil {
		return err
	}
	return gateway.RunAgent(ctx, conf)
}
