package main

import (
	"context"

	v1 "bulkhead/api/bulkheadv1"
	"bulkhead/api/bulkheadv1/bulkheadv1connect"
	"bulkhead/book"
)

type siteManage struct {
	Reason string `required:"" placeholder:"TEXT" help:"Why devices may be written to from now on."`
	approveFlag
	requestFlag
	client
	format
}

// Help is the example.
func (siteManage) Help() string {
	return `A server that ran with --observe has adopted its site read-only, and so it stays
until an approver ends that. From then on the loop of a server without --observe
writes to devices whatever is not as the ledger wants it: look first at how much
that is (bulkhead plan show) and at what was found (bulkhead site found). Nodes that
carry labels of others are kept as they are; they are taken over one label at a time.

Example:

    bulkhead site manage --reason "read back for a week, as compiled" --token-file data/approver.token`
}

// Run ends the adoption.
func (c *siteManage) Run(ctx context.Context) error {
	if err := c.approve(ctx, &c.client, book.ActManageSite, "", c.Reason); err != nil {
		return err
	}
	d, err := ask(ctx, &c.client, bulkheadv1connect.ControlPlaneClient.ManageSite, &v1.ReasonRequest{CommandId: c.id(), Reason: c.Reason})
	return c.done("end of the read-only adoption", d, err)
}
