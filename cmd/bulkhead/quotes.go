package main

import (
	"context"
	"fmt"
	"io"

	"connectrpc.com/connect"

	v1 "bulkhead/api/bulkheadv1"
	"bulkhead/api/bulkheadv1/bulkheadv1connect"
	"bulkhead/claim"
)

type quoteList struct {
	Tenant string `placeholder:"ID" help:"Only this tenant's."`
	client
	format
}

// Help is the example.
func (quoteList) Help() string {
	return `Example:

    bulkhead quote list --tenant acme`
}

type quoteShow struct {
	Quote  string `arg:"" help:"Id of the quote."`
	Tenant string `placeholder:"ID" help:"Whose, where two tenants have a quote of this id. With a tenant's token: its own."`
	client
	format
}

// Help is the example.
func (quoteShow) Help() string {
	return `The page is made from the bytes that are signed, and from nothing else. Its digest,
at the end, is what lease sign QUOTE --digest names.

Examples:

    bulkhead quote show first-v1
    bulkhead quote show first-v1 -o json`
}

type quoteWithdraw struct {
	Quote  string `arg:"" help:"Id of the quote."`
	Tenant string `placeholder:"ID" help:"Whose, where two tenants have a quote of this id. With a tenant's token: its own."`
	Reason string `placeholder:"TEXT" help:"Why. The owner must say it of a quote that a tenant has asked for, and the tenant is told."`
	requestFlag
	client
	format
}

// Help is the example.
func (quoteWithdraw) Help() string {
	return `A tenant withdraws what it has asked for itself; the owner's finance and operator
withdraw any quote. What it held is free at once.

Example:

    bulkhead quote withdraw first-v1 --reason "it went elsewhere"`
}

// Run lists.
func (c *quoteList) Run(ctx context.Context) error {
	found, err := collect(ctx, &c.client, bulkheadv1connect.ControlPlaneClient.ListQuotes, (*v1.Quotes).GetQuotes)
	if err != nil {
		return err
	}
	all := &v1.Quotes{}
	for _, q := range found {
		if c.Tenant == "" || q.Tenant == c.Tenant {
			all.Quotes = append(all.Quotes, q)
		}
	}
	return c.print(all, func(w io.Writer) {
		row(w, "QUOTE", "TENANT", "CONTRACT", "VERSION", "GPUS", "HELD UNTIL", "OFFERED BY")
		for _, q := range all.Quotes {
			gpus := int64(0)
			for _, p := range q.Parts {
				gpus += p.Gpus
			}
			row(w, q.Id, q.Tenant, q.Contract, q.Version, gpus, q.Expires, orDash(q.OfferedBy))
		}
	})
}

// Run shows.
func (c *quoteShow) Run(ctx context.Context) error {
	q, err := ask(ctx, &c.client, bulkheadv1connect.ControlPlaneClient.ShowQuote, &v1.QuoteRef{Quote: c.Quote, Tenant: c.Tenant})
	if err != nil {
		return err
	}
	if err := isItsPage(q); err != nil {
		return err
	}
	if c.Output == "json" {
		return c.print(q, nil)
	}
	_, err = fmt.Fprintf(stdout, "%s\npage digest      %s\n", q.Page, q.PageDigest)
	return err
}

// Run withdraws.
func (c *quoteWithdraw) Run(ctx context.Context) error {
	d, err := ask(ctx, &c.client, bulkheadv1connect.ControlPlaneClient.WithdrawQuote, &v1.WithdrawQuoteRequest{CommandId: c.id(), Quote: c.Quote, Tenant: c.Tenant, Reason: c.Reason})
	return c.done("quote "+c.Quote+" withdrawn", d, err)
}

// readFlags say which page was read before it is signed.
type readFlags struct {
	Digest string `placeholder:"sha256:DIGEST" help:"Digest of the page that was read, as quote show prints it: refused if the quote was replaced since."`
	Yes    bool   `help:"Sign the page as it is now, without being shown it and asked."`
}

// read is the digest of the page that is signed. Where it can't be asked for, since a
// request of this id was carried out before and the quote is open no more, it is the
// answer of then.
func (f *readFlags) read(ctx context.Context, c *client, tenant, quote, id string) (page string, done *v1.Done, err error) {
	if f.Digest != "" && f.Yes {
		return "", nil, usagef("--digest and --yes: give one: --yes signs whatever page there is now")
	}
	if f.Digest != "" {
		return f.Digest, nil, nil
	}
	q, err := ask(ctx, c, bulkheadv1connect.ControlPlaneClient.ShowQuote, &v1.QuoteRef{Quote: quote, Tenant: tenant})
	if connect.CodeOf(err) == connect.CodeNotFound {
		before, failed := ask(ctx, c, bulkheadv1connect.ControlPlaneClient.ShowCommand, &v1.CommandRef{CommandId: id})
		if failed == nil && before.CarriedOut {
			return "", &v1.Done{Entry: before.Entry, Repeated: true}, nil
		}
	}
	if err == nil {
		err = isItsPage(q)
	}
	if err != nil || f.Yes {
		return q.GetPageDigest(), nil, err
	}
	if !isTerminal() {
		return "", nil, usagef("nobody is at a terminal to read what is signed: read it (bulkhead quote show %s), and give --digest sha256:DIGEST, or --yes for whatever it is now", quote)
	}
	fmt.Fprintf(remarks, "%s\npage digest      %s\n\n", q.Page, q.PageDigest)
	return q.PageDigest, nil, typed("Sign this? Type yes: ", "yes")
}

// isItsPage refuses a page that is not the one whose digest would be signed.
func isItsPage(q *v1.Quote) error {
	if is := claim.DigestOf([]byte(q.Page)).String(); is != q.PageDigest {
		return fmt.Errorf("the server shows a page of digest %s and would have %s signed: sign nothing, and ask the site's operator", is, q.PageDigest)
	}
	return nil
}
