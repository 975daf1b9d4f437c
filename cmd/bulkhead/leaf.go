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
	File string `arg:"" type:"path" help:"What the agent is told of its leaf, as JSON: see below."`
}

// Help is the example.
func (leafRun) Help() string {
	return `Runs on a switch that is Linux and FRR, as root: it writes the leaf's bridges, VXLAN
devices, filters and route targets as the control plane asks, and reads them back by
what iproute2, nft, lldpctl and FRR say. It listens on a unix socket for whoever
reaches it by the management network.

Example:

    bulkhead leaf run /etc/bulkhead/leaf.json

with a file such as

    {"leaf": "a1-su01-leaf0", "vtep": "10.201.0.1",
     "accept": [{"From": "10.201.0.1", "To": "10.201.0.64"}],
     "reflectors": ["10.201.255.1", "10.201.255.2"],
     "uplinks": ["swp49", "swp50"], "management": ["eth0"],
     "ports": [{"number": 1, "interface": "swp1", "mac": "0000020000000001"}],
     "state": "/var/lib/bulkhead/leaf", "socket": "/run/bulkhead/leaf.sock"}

leaf is its id in the inventory, vtep its own address, accept those of all leaves of its
fabric, reflectors whom it may speak BGP with, management the interfaces that the filter
leaves alone, ports its edge ports with what the inventory has behind each (a MAC as 16 hex digits). state
is a folder that survives a restart. Where FRR runs in a path space: "path_space". Where
lldpd's socket is not the usual one: "lldp". With "policy": true bgpd's EVPN address family
is the agent's, and the route map and the extended community list one-target, by which the
leaf takes MACs and flooding under just one target of AS 65000: what of them is not so is
said by plan show, and put back.`
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
	File string `arg:"" type:"path" help:"What the agent is told of its reflector, as JSON: see below."`
}

// Help is the example.
func (leafReflect) Help() string {
	return `Runs on a route reflector that is FRR: it writes, for each leaf, under which route
targets the leaf's routes are passed on to other leaves, as leases give them, and reads
back what bgpd passes on.

Example:

    bulkhead leaf reflect /etc/bulkhead/reflector.json

with a file such as

    {"address": "10.201.255.1", "leaves": ["10.201.0.1", "10.201.0.2"],
     "collectors": ["10.202.255.1"],
     "state": "/var/lib/bulkhead/reflector", "socket": "/run/bulkhead/reflector.sock"}

address is the reflector's own, leaves are those of its fabric, collectors who else may
listen to it. state is a folder that survives a restart. Where FRR runs in a path space:
"path_space".`
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
	File string `arg:"" type:"path" help:"Where the agent keeps its state and listens, as JSON: see below."`
}

// Help is the example.
func (leafGateway) Help() string {
	return `Runs on the Linux machine that joins managers, BMCs and the networks of tenants, as root:
it writes the nftables ruleset under which each BMC is a zone of its own, and reads back
what nft, ip and tc say.

Example:

    bulkhead leaf gateway /etc/bulkhead/gateway.json

with a file such as

    {"state": "/var/lib/bulkhead/gateway", "socket": "/run/bulkhead/gateway.sock"}

state is a folder that survives a restart. What is behind each of its interfaces is told
by the driver (management, in its file).`
}

// Run runs the agent.
func (c *leafGateway) Run(ctx context.Context) error {
	conf, err := gateway.ReadAgentConfig(c.File)
	if err != nil {
		return err
	}
	return gateway.RunAgent(ctx, conf)
}
