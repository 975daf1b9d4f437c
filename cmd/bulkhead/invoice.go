package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"

	v1 "bulkhead/api/bulkheadv1"
	"bulkhead/api/bulkheadv1/bulkheadv1connect"
	"bulkhead/meter"
)

type invoiceCommand struct {
	List    invoiceList    `cmd:"" help:"List invoices."`
	Show    invoiceShow    `cmd:"" help:"Show one invoice."`
	Dispute invoiceDispute `cmd:"" help:"Hold one line of an invoice, with a reason, until finance has answered."`
	Settle  invoiceSettle  `cmd:"" help:"Answer a dispute, by a credit note or by a refusal."`
	Explain invoiceExplain `cmd:"" help:"Say from which clause, formula and entries each line follows."`
}

type invoiceList struct {
	Tenant string `placeholder:"ID" help:"Only this tenant's."`
	client
	format
}

// Help is the example.
func (invoiceList) Help() string {
	return `Example:

    bulkhead invoice list --tenant acme`
}

type invoiceShow struct {
	Number string `arg:"" help:"Number of the invoice."`
	client
	format
}

// Help is the example.
func (invoiceShow) Help() string {
	return `Example:

    bulkhead invoice show acme-0001`
}

type invoiceExplain struct {
	Number string `arg:"" help:"Number of the invoice."`
	Line   string `placeholder:"ID" help:"Only this line, by its name in the invoice."`
	client
	format
}

// Help is the example.
func (invoiceExplain) Help() string {
	return `Example:

    bulkhead invoice explain acme-0001 --line usage/t1`
}

// Run lists.
func (c *invoiceList) Run(ctx context.Context) error {
	found, err := collect(ctx, &c.client, bulkheadv1connect.ControlPlaneClient.ListInvoices, (*v1.Invoices).GetInvoices)
	if err != nil {
		return err
	}
	all := &v1.Invoices{Invoices: slices.DeleteFunc(found, func(i *v1.Invoice) bool { return c.Tenant != "" && i.Tenant != c.Tenant })}
	return c.print(all, func(w io.Writer) {
		row(w, "INVOICE", "TENANT", "CONTRACT", "FROM", "TO", "TOTAL", "CURRENCY")
		for _, i := range all.Invoices {
			row(w, i.Number, i.Tenant, i.Contract, i.From, i.To, i.Total, i.Currency)
		}
	})
}

// Run shows the invoice as it was signed, or as a page.
func (c *invoiceShow) Run(ctx context.Context) error {
	i, err := ask(ctx, &c.client, bulkheadv1connect.ControlPlaneClient.GetInvoice, &v1.InvoiceRef{Number: c.Number})
	if err != nil {
		return err
	}
	text := i.Text
	if c.Output == "json" {
		text = i.Json + "\n"
	}
	_, err = io.WriteString(stdout, text)
	return err
}

// Run explains one line, or all.
func (c *invoiceExplain) Run(ctx context.Context) error {
	lines := []string{c.Line}
	if c.Line == "" {
		var err error
		if lines, err = c.lines(ctx); err != nil {
			return err
		}
	}
	var texts []string
	for _, line := range lines {
		e, err := ask(ctx, &c.client, bulkheadv1connect.ControlPlaneClient.ExplainInvoice, &v1.ExplainInvoiceRequest{Number: c.Number, Line: line})
		if err != nil {
			return err
		}
		texts = append(texts, strings.TrimRight(e.Text, "\n"))
	}
	all := &v1.Explanation{Text: strings.Join(texts, "\n\n")}
	return c.print(all, func(w io.Writer) { fmt.Fprintln(w, all.Text) })
}

// lines are the names of an invoice's lines.
func (c *invoiceExplain) lines(ctx context.Context) ([]string, error) {
	i, err := ask(ctx, &c.client, bulkheadv1connect.ControlPlaneClient.GetInvoice, &v1.InvoiceRef{Number: c.Number})
	if err != nil {
		return nil, err
	}
	var invoice meter.Invoice
	// Lenient JSON: a server of a later release may say more of an invoice; what is shown is no proof.
	if err := json.Unmarshal([]byte(i.Json), &invoice); err != nil {
		return nil, fmt.Errorf("invoice %s: %w", c.Number, err)
	}
	var names []string
	for _, line := range invoice.Lines {
		names = append(names, line.ID)
	}
	return names, nil
}
