package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"time"

	v1 "bulkhead/api/bulkheadv1"
	"bulkhead/api/bulkheadv1/bulkheadv1connect"
	"bulkhead/contract"
	"bulkhead/custody"
)

type quoteCommand struct {
	Ask      quoteAsk      `cmd:"" default:"withargs" help:"Price and place a contract, and hold the capacity (the default)."`
	List     quoteList     `cmd:"" help:"List open quotes."`
	Show     quoteShow     `cmd:"" help:"Show an open quote, with the page that is read before it is signed."`
	Withdraw quoteWithdraw `cmd:"" help:"Give back what an open quote holds."`
}

type quoteAsk struct {
	File     string        `arg:"" help:"Contract file, YAML. A new version of a contract in force is quoted likewise."`
	ID       string        `name:"id" placeholder:"ID" help:"Id of the quote. Default: contract id and version."`
	Validity time.Duration `placeholder:"DURATION" help:"How long the offer and its capacity are held, such as 72h. Default: the site's policy."`
	client
	format
}

// Help is the example.
func (quoteAsk) Help() string {
	return `The word ask may be left out. A tranche that accepts several kinds (kinds, where others have kind) is quoted in
the one whose slice is the best, at the rates that are for that kind.

A tranche that may be delivered in parts (split) and does not fit on its date is
quoted in parts: what there is on the date, the rest with the halls that are only
planned, and what that costs by the contract's own terms. Any other shortfall is
refused, with the date from which all of it can be had. Leases that have not begun
may be placed again to make room. See also: bulkhead what-if place.

The capacity is held until the quote lapses, is withdrawn, or is signed: bulkhead
lease sign QUOTE. A corrected file replaces the open quote of the same id that the
same party has asked for. What a tenant asks for by itself is limited by the site's
policy, in number, size and time, and answered in steps: see docs/quotes.md.

Example:

    bulkhead quote ask docs/first-lease.yaml --validity 72h`
}

// readContract reads and checks a contract file. Every problem is reported with
// its line and field before a server is asked.
func readContract(path string) (*contract.Contract, []byte, error) {
	data, err := custody.ReadFile(path, custody.Small)
	if err != nil {
		return nil, nil, err
	}
	c, err := contract.Parse(path, data)
	return c, data, err
}

// Run quotes.
func (c *quoteAsk) Run(ctx context.Context) error {
	q, err := offer(ctx, &c.client, c.File, c.ID, c.Validity)
	if err != nil {
		return err
	}
	return c.print(q, func(w io.Writer) { quoteTable(w, q) })
}

// offer asks for a quote of a contract file.
func offer(ctx context.Context, c *client, file, id string, validity time.Duration) (*v1.Quote, error) {
	k, data, err := readContract(file)
	if err != nil {
		return nil, err
	}
	if validity < 0 || validity%time.Second != 0 {
		return nil, usagef("--validity %s: expected whole seconds, such as 72h", validity)
	}
	if id == "" {
		id = fmt.Sprintf("%s-v%d", k.ID, k.Version)
	}
	return ask(ctx, c, bulkheadv1connect.ControlPlaneClient.OfferQuote,
		&v1.OfferQuoteRequest{Quote: id, File: file, Contract: data, ValidSeconds: int64(validity / time.Second)})
}

func quoteTable(w io.Writer, q *v1.Quote) {
	row(w, "quote", q.Id)
	row(w, "contract", fmt.Sprintf("%s, version %d, of tenant %s", q.Contract, q.Version, q.Tenant))
	row(w, "held until", q.Expires)
	for _, p := range q.Parts {
		row(w, "tranche "+p.Tranche, fmt.Sprintf("%d GPUs of %s in fabric %s, %s to %s", p.Gpus, p.Kind+chosenText(p.Kinds), p.Fabric, p.Begin, p.End))
		if q.PlaceWithheld {
			row(w, "", "where: told when it is signed, since before that it would tell of other tenants")
		} else {
			row(w, "", p.Where)
		}
		estimateRows(w, p.Estimate)
		if len(p.Arrivals) > 1 {
			for _, a := range p.Arrivals {
				row(w, "", fmt.Sprintf("%d GPUs come on %s", a.Gpus, dayOf(a.From)))
			}
		}
	}
	for _, r := range q.Ramps {
		row(w, "ramp", rampText(r))
	}
	for _, g := range q.Apart {
		row(w, "apart", apartText(g))
	}
	for _, l := range q.Late {
		row(w, "for what comes late", fmt.Sprintf("%s  %s (%s): %s", l.Month, l.Kind, l.Clause, signed(l.Change)))
	}
	priceTable(w, q.Price)
	signer := "finance"
	if q.OfferedFor == "owner" {
		signer = "an administrator of " + q.Tenant
	}
	with := ""
	if q.NeedsKey && q.OfferedFor == "tenant" {
		signer = "an administrator of " + q.Tenant + ", then finance"
	}
	if q.NeedsKey {
		with = ", with the tenant's key: --key FILE"
	}
	row(w, "next", signer+" signs: bulkhead lease sign "+q.Id+with)
}

// chosenText says of a kind among which it was chosen.
func chosenText(kinds []string) string {
	if len(kinds) == 0 {
		return ""
	}
	return " (the best of " + strings.Join(kinds, ", ") + ")"
}

// priceTable shows a price by the month and by the GPU-hour, one span of a rate
// a line. What can't be read is shown as it is.
func priceTable(w io.Writer, price string) {
	var p struct {
		Currency string `json:"currency"`
		Spans    []struct {
			Tranches []string `json:"tranches"`
			From     string   `json:"from"`
			To       string   `json:"to"`
			Month    string   `json:"month"`
			Hour     string   `json:"gpu_hour"`
			Value    string   `json:"value"`
		} `json:"spans"`
		Storage string `json:"storage"`
		Total   string `json:"total"`
		TotalIs string `json:"total_is"`
		Tax     *contract.PricedTax
	}
	// Lenient JSON: a server of a later release may say more of a price.
	if err := json.Unmarshal([]byte(price), &p); err != nil {
		row(w, "price", price)
		return
	}
	for _, s := range p.Spans {
		row(w, "price of "+strings.Join(s.Tranches, ", "), fmt.Sprintf("%s %s a month, %s a GPU-hour, %s to %s: %s", s.Month, p.Currency, s.Hour, s.From, s.To, s.Value))
	}
	if p.Storage != "" {
		row(w, "storage", p.Storage+" "+p.Currency)
	}
	row(w, "total", p.Total+" "+p.Currency+", "+p.TotalIs)
	if p.Tax != nil {
		row(w, "with tax", fmt.Sprintf("%s %s, of it about %s %s", p.Tax.WithTax, p.Currency, p.Tax.Amount, p.Tax.Name))
	}
}
