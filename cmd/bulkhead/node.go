package main

import (
	"context"
	"fmt"
	"io"
	"strings"

	v1 "bulkhead/api/bulkheadv1"
	"bulkhead/api/bulkheadv1/bulkheadv1connect"
	"bulkhead/contract"
)

type nodeCommand struct {
	List    nodeList    `cmd:"" help:"List nodes."`
	Show    nodeShow    `cmd:"" help:"Show one node."`
	Cordon  nodeCordon  `cmd:"" help:"Keep a node from being given to anybody, or lift that."`
	Replace nodeReplace `cmd:"" help:"Propose another node for a slot, accept a proposed one, or withdraw the proposal."`
	Repair  nodeRepair  `cmd:"" help:"Send nodes to repair."`
}

type nodeList struct {
	State string `placeholder:"STATE" help:"Only nodes in this state, such as ready, delivered, quarantined."`
	Lease string `placeholder:"ID" help:"Only nodes of this lease."`
	Hall  string `placeholder:"ID" help:"Only nodes of this hall."`
	Limit int    `default:"100" help:"At most so many; 0: all."`
	client
	format
}

// Help is the example.
func (nodeList) Help() string {
	return `Example:

    bulkhead node list --state ready --hall hall-a`
}

type nodeShow struct {
	Node string `arg:"" help:"Id of the node, such as a1-su01-n01."`
	client
	format
}

// Help is the example.
func (nodeShow) Help() string {
	return `Example:

    bulkhead node show a1-su01-n01`
}

type nodeCordon struct {
	Node   string `arg:"" help:"Id of the node."`
	Reason string `placeholder:"TEXT" help:"Why. Needed unless --lift."`
	Lift   bool   `help:"End the cordon."`
	requestFlag
	client
	format
}

// Help is the example.
func (nodeCordon) Help() string {
	return `Examples:

    bulkhead node cordon a1-su01-n01 --reason "fan noise"
    bulkhead node cordon a1-su01-n01 --lift`
}

type nodeReplace struct {
	Lease    string `arg:"" help:"Id of the lease."`
	Slot     uint32 `arg:"" help:"Number of the slot, from 0."`
	Node     string `placeholder:"ID" help:"The node to propose. Default: the nearest that is clean."`
	Reason   string `placeholder:"TEXT" help:"Why. Needed unless --accept. The tenant reads it."`
	Asked    bool   `name:"tenant-asked" help:"The tenant has asked to have a node replaced that works: only its own --accept makes it, and the slot is billed as the tenant's meanwhile."`
	Accept   bool   `help:"The tenant's yes to the replacement that was proposed."`
	Withdraw bool   `help:"Take the proposal back: the slot keeps its node, and the loop proposes no other until something new is said of it."`
	actFlags
}

// Help is the example.
func (nodeReplace) Help() string {
	return `The loop proposes a replacement when a leased node is broken, or has been silent for
longer than the policy's silence-grace; the slot keeps its number and its rank. The
node is replaced when the tenant accepts or its time to answer has passed, and only if
that is still called for then: the proposal is withdrawn when the node is well again, or
the other node is not free any more. A healthy node is replaced only when it has been cordoned.

Examples:

    bulkhead node replace first/t1 3 --accept --yes
    bulkhead node replace first/t1 3 --withdraw --reason "its drives are wanted first"`
}

type nodeRepair struct {
	Nodes  []string `arg:"" help:"Ids of nodes."`
	Reason string   `required:"" placeholder:"TEXT" help:"Why."`
	requestFlag
	client
	format
}

// Help is the example.
func (nodeRepair) Help() string {
	return `A leased node is cut off from its tenant first. What comes back is wiped and
attested anew.

Example:

    bulkhead node repair a1-su01-n01 --reason "GPU 3 off the bus"`
}

// Run lists.
func (c *nodeList) Run(ctx context.Context) error {
	if c.Limit < 0 {
		return usagef("--limit %d: expected 0 or more", c.Limit)
	}
	all, more := &v1.Nodes{}, false
	err := pages(func(p *v1.Page) (string, bool, error) {
		a, err := ask(ctx, &c.client, bulkheadv1connect.ControlPlaneClient.ListNodes, &v1.ListNodesRequest{Page: p, State: c.State, Lease: c.Lease})
		if err != nil {
			return "", false, err
		}
		for _, n := range a.Nodes {
			if c.Hall != "" && n.Hall != c.Hall {
				continue
			}
			if c.Limit > 0 && len(all.Nodes) == c.Limit {
				more = true
				return "", false, nil
			}
			all.Nodes = append(all.Nodes, n)
		}
		return a.NextPageToken, true, nil
	})
	if err != nil {
		return err
	}
	if more {
		say(remarks, "bulkhead: there are more than %d; --limit 0 lists all", c.Limit)
	}
	return c.print(all, func(w io.Writer) {
		row(w, "NODE", "KIND", "HALL", "STATE", "HEALTH", "CORDON", "LEASE", "SLOT", "LABEL OF", "AS WANTED")
		for _, n := range all.Nodes {
			slot := "-"
			if n.Lease != "" {
				slot = fmt.Sprint(n.Slot)
			}
			row(w, n.Id, n.Kind, n.Hall, n.State, n.Health, yes(n.Cordoned), n.Lease, slot, n.DesiredLabel, yes(n.ObservedAsDesired))
		}
	})
}

// Run shows.
func (c *nodeShow) Run(ctx context.Context) error {
	n, err := ask(ctx, &c.client, bulkheadv1connect.ControlPlaneClient.GetNode, &v1.NodeRef{Node: c.Node})
	if err != nil {
		return err
	}
	return c.print(n, func(w io.Writer) {
		row(w, "node", n.Id)
		row(w, "serial", n.Serial)
		row(w, "kind", n.Kind)
		row(w, "place", n.Su+" in "+n.Hall)
		row(w, "state", n.State+" since "+n.Since)
		row(w, "health", strings.TrimSpace(n.Health+" "+n.FailureClass))
		switch n.Health {
		case "silent":
			row(w, "silent", "since "+n.SilentSince+"; it counts as dead at "+n.DeadAt)
		case "dead":
			row(w, "silent", "since "+n.SilentSince)
		}
		row(w, "cordoned", yes(n.Cordoned))
		if n.Lease != "" {
			row(w, "lease", fmt.Sprintf("%s, slot %d", n.Lease, n.Slot))
		}
		row(w, "desired label", "of "+orDash(n.DesiredLabel))
		row(w, "reads back so", yes(n.ObservedAsDesired))
		row(w, "moves", n.Generation)
		row(w, "turnovers", n.Turnover)
		row(w, "last turnover statement", n.Statement)
	})
}

// Run cordons.
func (c *nodeCordon) Run(ctx context.Context) error {
	if c.Reason == "" && !c.Lift {
		return usagef("--reason: say why %s must not be given to anybody", c.Node)
	}
	d, err := ask(ctx, &c.client, bulkheadv1connect.ControlPlaneClient.CordonNode,
		&v1.CordonNodeRequest{CommandId: c.id(), Node: c.Node, Lift: c.Lift, Reason: c.Reason})
	if c.Lift {
		return c.done("cordon of "+c.Node+" lifted", d, err)
	}
	return c.done("node "+c.Node+" cordoned", d, err)
}

// Run proposes or accepts.
func (c *nodeReplace) Run(ctx context.Context) error {
	what := fmt.Sprintf("slot %d of %s", c.Slot, c.Lease)
	if c.Withdraw {
		switch {
		case c.DryRun || c.Preview != "" || c.Key != "":
			return usagef("--dry-run, --preview, --key: only with --accept")
		case c.Accept:
			return usagef("--accept and --withdraw: give one of them, not both")
		case c.Reason == "":
			return usagef("--reason: say why the replacement in %s is withdrawn: its tenant reads it", what)
		}
		d, err := ask(ctx, &c.client, bulkheadv1connect.ControlPlaneClient.WithdrawReplacement,
			&v1.WithdrawReplacementRequest{CommandId: c.id(), Lease: c.Lease, Slot: c.Slot, Node: c.Node, Reason: c.Reason})
		return c.done("replacement in "+what+" withdrawn", d, err)
	}
	if c.Accept {
		if c.Node != "" || c.Reason != "" {
			return usagef("--accept takes what was proposed: leave out --node and --reason")
		}
		request := &v1.AcknowledgeRequest{CommandId: c.id(), Lease: c.Lease, Slot: c.Slot}
		return c.shown(ctx, &v1.ActRequest{Act: string(contract.ActAcknowledge), Acknowledge: request}, "replacement in "+what+" accepted", c.Lease, func(with *v1.Assured) (*v1.Done, error) {
			request.Assured = with
			return ask(ctx, &c.client, bulkheadv1connect.ControlPlaneClient.AcknowledgeReplacement, request)
		}, noteLine{"slot", fmt.Sprintf("%d of %s", c.Slot, c.Lease)})
	}
	if c.DryRun || c.Preview != "" || c.Key != "" {
		return usagef("--dry-run, --preview, --key: only with --accept")
	}
	if c.Reason == "" {
		return usagef("--reason: say why the node in %s should be replaced, or --accept or --withdraw what was proposed", what)
	}
	d, err := ask(ctx, &c.client, bulkheadv1connect.ControlPlaneClient.ReplaceNode,
		&v1.ReplaceNodeRequest{CommandId: c.id(), Lease: c.Lease, Slot: c.Slot, Node: c.Node, Reason: c.Reason, TenantAsked: c.Asked})
	return c.done("replacement in "+what+" proposed", d, err)
}

// Run sends to repair, one node after the other: what is done stays done when a
// later one is refused.
func (c *nodeRepair) Run(ctx context.Context) error {
	for i, node := range c.Nodes {
		id := c.id()
		if i > 0 && c.RequestID != "" {
			id = fmt.Sprintf("%s/%d", c.RequestID, i)
		}
		d, err := ask(ctx, &c.client, bulkheadv1connect.ControlPlaneClient.RepairNode, &v1.RepairNodeRequest{CommandId: id, Node: node, Reason: c.Reason})
		if err := c.done("node "+node+" to repair", d, err); err != nil {
			return err
		}
	}
	return nil
}
