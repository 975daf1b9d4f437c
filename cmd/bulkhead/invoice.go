package main

import (
	"context"
	"fmt"
	"io"
	"strings"

	v1 "bulkhead/api/bulkheadv1"
	"bulkhead/api/bulkheadv1/bulkheadv1connect"
)

type invoiceCommand struct {
	List    invoiceList    `cmd:"" help:"List invoices."`
	Show    invoiceShow    `cmd:"" help:"Show one invoice."`
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
	Line   string `placeholder:"ID" help:"Only this line."`
	client
	format
}

// Help is the example.
func (invoiceExplain) Help() string {
	return `Example:

    bulkhead invoice explain acme-0001 --line 3`
}

// Run lists.
func (c *invoiceList) Run(ctx context.Context) error {
	all := &v1.Invoices{}
	err := pages(func(p *v1.Page) (string, bool, error) {
		a, err := ask(ctx, &c.client, bulkheadv1connect.ControlPlaneClient.ListInvoices, p)
		if err != nil {
			return "", false, err
		}
		for _, i := range a.Invoices {
			if c.Tenant == "" || i.Tenant == c.Tenant {
				all.Invoices = append(all.Invoices, i)
			}
		}
		return a.NextPageToken, true, nil
	})
	if err != nil {
		return err
	}
	return c.print(all, func(w io.Writer) {
		row(w, "INVOICE", "TENANT", "CONTRACT", "FROM", "TO", "TOTAL", "")
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

// Run explains.
func (c *invoiceExplain) Run(ctx context.Context) error {
	e, err := ask(ctx, &c.client, bulkheadv1connect.ControlPlaneClient.ExplainInvoice, &v1.ExplainInvoiceRequest{Number: c.Number, Line: c.Line})
	if err != nil {
		return err
	}
	return c.print(e, func(w io.Writer) { fmt.Fprintln(w, strings.TrimRight(e.Text, "\n")) })
}
