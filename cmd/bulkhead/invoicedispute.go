package main

import (
	"context"

	v1 "bulkhead/api/bulkheadv1"
	"bulkhead/api/bulkheadv1/bulkheadv1connect"
	"bulkhead/claim"
	"bulkhead/contract"
	"bulkhead/custody"
)

type invoiceDispute struct {
	Number   string `arg:"" help:"Number of the invoice."`
	Line     string `required:"" placeholder:"ID" help:"The line that is wrong, by its name in the invoice. Nothing else is held."`
	Reason   string `required:"" placeholder:"TEXT" help:"What is wrong with it."`
	Evidence string `placeholder:"FILE" help:"What you have against it: its digest goes into the ledger, the file stays with you."`
	actFlags
}

// Help is the example.
func (invoiceDispute) Help() string {
	return `For an administrator of the tenant. Finance answers by a credit note or by a
refusal; both are in the tenant's log, and in invoice show.

Example:

    bulkhead invoice dispute acme-0001 --line usage/t1 --reason down --yes`
}

// Run disputes.
func (c *invoiceDispute) Run(ctx context.Context) error {
	request := &v1.DisputeLineRequest{CommandId: c.id(), Number: c.Number, Line: c.Line, Reason: c.Reason}
	if c.Evidence != "" {
		data, err := custody.ReadFile(c.Evidence, custody.Large)
		if err != nil {
			return err
		}
		request.Evidence = claim.DigestOf(data).String()
	}
	return c.shown(ctx, &v1.ActRequest{Act: string(contract.ActDispute), Dispute: request}, "dispute of line "+c.Line+" of "+c.Number, c.Number, func(with *v1.Assured) (*v1.Done, error) {
		request.Assured = with
		return ask(ctx, &c.client, bulkheadv1connect.ControlPlaneClient.DisputeLine, request)
	}, noteLine{"invoice", c.Number}, noteLine{"line", c.Line}, noteLine{"reason", c.Reason}, noteLine{"evidence", request.Evidence})
}

type invoiceSettle struct {
	Number string `arg:"" help:"Number of the invoice."`
	Line   string `required:"" placeholder:"ID" help:"The line that is disputed."`
	Credit string `xor:"outcome" required:"" placeholder:"AMOUNT" help:"Give so much of the line back, by a credit note; its tax comes on top."`
	Refuse bool   `xor:"outcome" required:"" help:"The line stands."`
	Reason string `required:"" placeholder:"TEXT" help:"Why: the tenant is told."`
	actFlags
}

// Help is the example.
func (invoiceSettle) Help() string {
	return `For the owner's finance. Give one of --credit and --refuse.

Examples:

    bulkhead invoice settle acme-0001 --line usage/t1 --credit 120.50 --reason down --yes
    bulkhead invoice settle acme-0001 --line usage/t1 --refuse --reason rebooted --yes`
}

// Run settles.
func (c *invoiceSettle) Run(ctx context.Context) error {
	request := &v1.SettleDisputeRequest{CommandId: c.id(), Number: c.Number, Line: c.Line, Credit: c.Credit, Refuse: c.Refuse, Reason: c.Reason}
	return c.shown(ctx, &v1.ActRequest{Act: string(contract.ActSettle), Settle: request}, "dispute of line "+c.Line+" of "+c.Number, c.Number, func(with *v1.Assured) (*v1.Done, error) {
		request.Assured = with
		return ask(ctx, &c.client, bulkheadv1connect.ControlPlaneClient.SettleDispute, request)
	})
}
