package main

import (
	"context"
	"encoding/json"
	"fmt"

	v1 "bulkhead/api/bulkheadv1"
	"bulkhead/api/bulkheadv1/bulkheadv1connect"
	"bulkhead/claim"
	"bulkhead/custody"
)

type invoiceDispute struct {
	Number   string `arg:"" help:"Number of the invoice."`
	Line     string `required:"" placeholder:"ID" help:"The line that is wrong, by its name in the invoice. Nothing else is held."`
	Reason   string `required:"" placeholder:"TEXT" help:"What is wrong with it."`
	Evidence string `placeholder:"FILE" help:"What you have against it: its digest goes into the ledger, the file stays with you."`
	askFlag
	requestFlag
	client
	format
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
	amount, currency, err := c.lineOf(ctx, c.Number, c.Line)
	if err != nil {
		return err
	}
	if err := c.confirm("line %s of %s, %s %s, and its tax are held from now on, until finance gives back what it owes or refuses; every other line stays due", c.Line, c.Number, amount, currency); err != nil {
		return err
	}
	d, err := ask(ctx, &c.client, bulkheadv1connect.ControlPlaneClient.DisputeLine, request)
	return c.done("dispute of line "+c.Line+" of "+c.Number, d, err)
}

type invoiceSettle struct {
	Number string `arg:"" help:"Number of the invoice."`
	Line   string `required:"" placeholder:"ID" help:"The line that is disputed."`
	Credit string `xor:"outcome" required:"" placeholder:"AMOUNT" help:"Give so much of the line back, by a credit note; its tax comes on top."`
	Refuse bool   `xor:"outcome" required:"" help:"The line stands."`
	Reason string `required:"" placeholder:"TEXT" help:"Why: the tenant is told."`
	askFlag
	requestFlag
	client
	format
}

// Help is the example.
func (invoiceSettle) Help() string {
	return `For the owner's finance.

Examples:

    bulkhead invoice settle acme-0001 --line usage/t1 --credit 120.50 --reason down --yes
    bulkhead invoice settle acme-0001 --line usage/t1 --refuse --reason rebooted --yes`
}

// Run settles.
func (c *invoiceSettle) Run(ctx context.Context) error {
	amount, currency, err := c.lineOf(ctx, c.Number, c.Line)
	if err != nil {
		return err
	}
	comesTo := fmt.Sprintf("%s %s of line %s, and the tax on it, are given back by a credit note, which can't be taken back; of the line's %s %s the rest stays due", c.Credit, currency, c.Line, amount, currency)
	if c.Refuse {
		comesTo = fmt.Sprintf("line %s of %s stays due with its %s %s, and the tenant is told why; the answer can't be taken back", c.Line, c.Number, amount, currency)
	}
	if err := c.confirm("%s", comesTo); err != nil {
		return err
	}
	d, err := ask(ctx, &c.client, bulkheadv1connect.ControlPlaneClient.SettleDispute, &v1.SettleDisputeRequest{
		CommandId: c.id(), Number: c.Number, Line: c.Line, Credit: c.Credit, Refuse: c.Refuse, Reason: c.Reason,
	})
	return c.done("dispute of line "+c.Line+" of "+c.Number, d, err)
}

// lineOf is what a line of an invoice comes to, for who is asked about it. A line that
// there is not is left to the server to refuse.
func (c *client) lineOf(ctx context.Context, number, line string) (amount, currency string, err error) {
	i, err := ask(ctx, c, bulkheadv1connect.ControlPlaneClient.GetInvoice, &v1.InvoiceRef{Number: number})
	if err != nil {
		return "", "", err
	}
	var signed struct {
		Currency string
		Lines    []struct{ ID, Amount string }
	}
	// Lenient JSON: a server of a later release may say more of an invoice; the dispute names it by its digest.
	if err := json.Unmarshal([]byte(i.Json), &signed); err != nil {
		return "", "", fmt.Errorf("invoice %s: %w", number, err)
	}
	for _, l := range signed.Lines {
		if l.ID == line {
			return l.Amount, signed.Currency, nil
		}
	}
	return "no amount, since there is no such line,", signed.Currency, nil
}
