package main

import (
	"context"
	"fmt"
	"io"
	"time"

	v1 "bulkhead/api/bulkheadv1"
	"bulkhead/api/bulkheadv1/bulkheadv1connect"
	"bulkhead/book"
)

type siteAdopt struct {
	File     string        `arg:"" help:"Contract file, YAML: its tranches are the nodes that carry the labels."`
	Label    []string      `required:"" placeholder:"LABEL" help:"A label as bulkhead site found lists it: FABRIC/KIND/VALUE. All that the tenant's nodes carry, one a fabric."`
	ID       string        `name:"id" placeholder:"ID" help:"Id of the quote. Default: contract id and version."`
	Validity time.Duration `placeholder:"DURATION" help:"How long the offer is held, such as 72h. Default: the site's policy."`
	approveFlag
	client
	format
}

// Help is the example.
func (siteAdopt) Help() string {
	return `For whoever was on the site before it was adopted, and stays. They are registered
as a tenant; an approver offers the contract; an administrator of the tenant signs it
(bulkhead lease sign). Then the nodes that carry the labels are in the lease's slots
and the labels are its project's, with the values that they have. No node is wiped, and
nothing says that it was clean at the begin: the tenant's bundle says so. Nodes are
handed over, and billed, from the contract's date on, once their ports are proven. When
the lease ends, or a node leaves its slot, it is wiped and attested like every other.

The nodes must carry no other found label, and the labels be at no other nodes. Volumes
are not taken over.

Example:

    bulkhead site adopt contract.yaml --label roce/vni/5000 --label frontend/vni/5000 --token-file data/approver.token`
}

// Run offers.
func (c *siteAdopt) Run(ctx context.Context) error {
	k, data, err := readContract(c.File)
	if err != nil {
		return err
	}
	if c.Validity < 0 || c.Validity%time.Second != 0 {
		return usagef("--validity %s: expected whole seconds, such as 72h", c.Validity)
	}
	if c.ID == "" {
		c.ID = fmt.Sprintf("%s-v%d", k.ID, k.Version)
	}
	if err := c.approve(ctx, &c.client, book.ActOfferSitting, book.SittingSubject(c.ID, k.ID, k.Version, c.Label), ""); err != nil {
		return err
	}
	q, err := ask(ctx, &c.client, bulkheadv1connect.ControlPlaneClient.OfferSitting,
		&v1.OfferSittingRequest{Quote: c.ID, File: c.File, Contract: data, ValidSeconds: int64(c.Validity / time.Second), Labels: c.Label})
	if err != nil {
		return explain(err)
	}
	return c.print(q, func(w io.Writer) { quoteTable(w, q) })
}
