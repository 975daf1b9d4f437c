package main

import (
	"context"
	"fmt"
	"io"
	"strings"

	v1 "bulkhead/api/bulkheadv1"
	"bulkhead/api/bulkheadv1/bulkheadv1connect"
	"bulkhead/book"
)

type siteFound struct {
	client
	format
}

// Help is the example.
func (siteFound) Help() string {
	return `While a server runs with --observe it records which labels the fabrics carry that
this ledger did not give out: who is on the site already. Their nodes are neither
written to nor sold. PROVEN ports carry the label, enforced, and nobody else's.
Labels that the same ports carry are one population, and separate nobody; a full
member of the default partition reaches everybody. What guards each fabric's
management is looked at too.

Example:

    bulkhead site found`
}

// shownNodes is how many characters of a list of nodes a table shows.
const shownNodes = 60

// Run lists.
func (c *siteFound) Run(ctx context.Context) error {
	found, err := ask(ctx, &c.client, bulkheadv1connect.ControlPlaneClient.ListFound, &v1.ListFoundRequest{})
	if err != nil {
		return err
	}
	return c.print(found, func(w io.Writer) {
		defer c.beside(w, found)
		if len(found.Labels) == 0 {
			fmt.Fprintln(w, "no label of others was found, or nothing has been read back with --observe yet")
			return
		}
		row(w, "LABEL", "NODES", "PORTS", "PROVEN", "RED", "UNKNOWN", "AT")
		for _, l := range found.Labels {
			at := l.Nodes
			if len(at) > shownNodes {
				at = at[:strings.LastIndex(at[:shownNodes], ",")] + ",..."
			}
			row(w, l.Label, l.NodeCount, l.Ports, l.Proven, l.Red, l.Unknown, at)
		}
		for _, l := range found.Labels {
			for _, finding := range l.Findings {
				row(w, l.Label, finding)
			}
		}
	})
}

// beside says what the table of labels does not: which of them are one population, who
// reaches everybody, and whether what guards each fabric's management holds.
func (c *siteFound) beside(w io.Writer, found *v1.FoundLabels) {
	said := map[string]bool{}
	for _, l := range found.Labels {
		if len(l.Same) == 0 || said[l.Label] {
			continue
		}
		for _, other := range l.Same {
			said[other] = true
		}
		row(w, "note", fmt.Sprintf("%s and %s are carried by the same %d ports: one population under %d labels, which separate nobody",
			l.Label, strings.Join(l.Same, ", "), l.Ports, len(l.Same)+1))
	}
	for _, o := range found.Open {
		at := strings.Join(o.At, ", ")
		if more := o.Ports - int64(len(o.At)); more > 0 {
			at = fmt.Sprintf("%s and %d more", at, more)
		}
		row(w, "OPEN", fmt.Sprintf("%s, the default partition, has %d ports as full members, which reach every port of the fabric: %s", o.Label, o.Ports, at))
	}
	for _, p := range found.Postures {
		if p.Holds {
			row(w, "posture", p.Fabric+": what guards its management holds")
		}
		for _, failed := range p.Failed {
			row(w, "posture", p.Fabric+" FAILS: "+failed)
		}
	}
}

type siteTake struct {
	Label  string `arg:"" help:"A label as bulkhead site found lists it: FABRIC/KIND/VALUE."`
	Reason string `required:"" placeholder:"TEXT" help:"Why its nodes are taken: whoever is on them loses them."`
	approveFlag
	requestFlag
	client
	format
}

// Help is the example.
func (siteTake) Help() string {
	return `The nodes that carry the label are kept for none of their labels any more: they are
commissioned like every other node, and so cut off, wiped and attested. It takes an
approver. The label is given out again when read-back has shown it nowhere.

Example:

    bulkhead site take ib/pkey/0x0100 --reason "its tenant has left" --token-file data/approver.token`
}

// Run takes over.
func (c *siteTake) Run(ctx context.Context) error {
	if err := c.approve(ctx, &c.client, book.ActTakeOver, c.Label, c.Reason); err != nil {
		return err
	}
	d, err := ask(ctx, &c.client, bulkheadv1connect.ControlPlaneClient.TakeOver, &v1.TakeOverRequest{CommandId: c.id(), Label: c.Label, Reason: c.Reason})
	return c.done("take-over of the nodes with "+c.Label, d, err)
}
