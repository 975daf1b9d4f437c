package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"

	v1 "bulkhead/api/bulkheadv1"
	"bulkhead/api/bulkheadv1/bulkheadv1connect"
)

type whatIfCommand struct {
	Earliest whatIfEarliest `cmd:"" help:"From when sizes can be had, and in which shape."`
	Slip     whatIfSlip     `cmd:"" help:"What it would cost if a hall came into service later."`
	Place    whatIfPlace    `cmd:"" help:"What the site would look like with one contract more, as a picture."`
}

type whatIfEarliest struct {
	Fabric string  `required:"" placeholder:"ID" help:"Compute fabric, as the site calls it."`
	Kind   string  `required:"" placeholder:"KIND" help:"GPU kind, such as H100."`
	Gpus   []int64 `required:"" placeholder:"N,N" help:"Sizes in GPUs, whole nodes (of 8, unless the kind has fewer): 512,4096,32768."`
	Days   int64   `placeholder:"N" help:"Length of the lease. Default, without --until: 365."`
	Until  string  `placeholder:"DATE" help:"End of the lease, instead of its length."`
	From   string  `placeholder:"DATE" help:"Not before this. Default: now."`
	Links  string  `default:"shared" enum:"shared,hermetic" help:"shared, or hermetic."`
	client
	format
}

// Help is the example.
func (whatIfEarliest) Help() string {
	return `For each size the earliest date at which all of it can be had for all of the
time, where it would lie, what the best shape on an empty site would be, and from
when a better shape could be had. Halls that are only planned count from their
date. Nothing is held: bulkhead quote does that.

Example:

    bulkhead what-if earliest --fabric roce --kind H100 --gpus 512,4096,32768 --days 365`
}

// Run asks.
func (c *whatIfEarliest) Run(ctx context.Context) error {
	if c.Days == 0 && c.Until == "" {
		c.Days = 365
	}
	d, err := ask(ctx, &c.client, bulkheadv1connect.ControlPlaneClient.WhatIfEarliest,
		&v1.WhatIfEarliestRequest{Fabric: c.Fabric, Kind: c.Kind, Links: c.Links, Gpus: c.Gpus, From: c.From, Days: c.Days, Until: c.Until})
	if err != nil {
		return err
	}
	return c.print(d, func(w io.Writer) { earliestTable(w, d) })
}

func earliestTable(w io.Writer, d *v1.EarliestDates) {
	row(w, "GPUs", "from", "halls/pods/SUs/racks", "on an empty site", "in", "better from")
	for _, s := range d.Sizes {
		from, shape, where, better := "never, by what is planned", "-", "-", "-"
		if s.Begin != "" {
			from, shape, where = dayOf(s.Begin), shapeText(s.Shape), strings.Join(s.Halls, " ")
		}
		if s.BetterFrom != "" {
			better = dayOf(s.BetterFrom) + ": " + shapeText(s.Better)
		}
		row(w, commas(s.Gpus), from, shape, shapeText(s.Ideal), where, better)
	}
	for _, s := range d.Sizes {
		if s.Why != "" {
			row(w, "")
			row(w, commas(s.Gpus)+" GPUs: "+s.Why)
		}
		rebookingTable(w, s.Moves)
	}
}

func rebookingTable(w io.Writer, moves []*v1.Rebooking) {
	for _, m := range moves {
		row(w, fmt.Sprintf("placed again, before it begins: %s, %s becomes %s", m.Lease, shapeText(m.Was), shapeText(m.Is)))
	}
}

type whatIfSlip struct {
	Hall string `arg:"" help:"Hall that is not in service yet."`
	Days int32  `arg:"" help:"Days by which it slips."`
	client
	format
}

// Help is the example.
func (whatIfSlip) Help() string {
	return `Which contracts would notice, which discounts and rights that gives by their own
terms, and how much money it is: the difference between the invoices that the
meter makes of both accounts. Nothing is written. To move the date, ask the API
for RescheduleHall.

Example:

    bulkhead what-if slip hall-l 21`
}

// Run asks.
func (c *whatIfSlip) Run(ctx context.Context) error {
	s, err := ask(ctx, &c.client, bulkheadv1connect.ControlPlaneClient.WhatIfSlip, &v1.WhatIfSlipRequest{Hall: c.Hall, Days: c.Days})
	if err != nil {
		return err
	}
	return c.print(s, func(w io.Writer) { slipTable(w, s) })
}

func slipTable(w io.Writer, s *v1.SlippedHall) {
	row(w, fmt.Sprintf("if %s came into service on %s and not on %s:", s.Hall, dayOf(s.Is), dayOf(s.Was)))
	if len(s.Contracts) == 0 {
		row(w, "  no signed contract would notice")
	}
	for _, c := range s.Contracts {
		row(w, "")
		row(w, fmt.Sprintf("%s, %s: %s %s", c.Contract, c.Title, signed(c.Change), c.Currency))
		for _, t := range c.Tranches {
			text := fmt.Sprintf("  %s: %s %s GPUs come on %s, promised for %s (%s)", t.Lease, commas(t.Gpus), t.Kind, dayOf(t.Is), dayOf(t.Promised), t.Clause)
			if t.Elsewhere > 0 {
				text += fmt.Sprintf("; for %s of them other nodes are free on time", commas(t.Elsewhere))
			}
			row(w, text)
			if t.Discounted {
				row(w, fmt.Sprintf("    a discount of %s on top, from %s on", t.Discount, dayOf(t.GraceEnd)))
			}
		}
		for _, l := range c.Lines {
			row(w, fmt.Sprintf("  %s  %s (%s): %s %s", l.Month, l.Kind, l.Clause, signed(l.Change), c.Currency))
		}
		for _, r := range c.Rights {
			already := ""
			if r.Already {
				already = "; it would without the slip too"
			}
			row(w, fmt.Sprintf("  %s may %s from %s (%s), because of %s: at stake %s %s%s", partyText(r.By), remedyText(r.Remedy), dayOf(r.From), r.Clause, strings.Join(r.Tranches, ", "), money(r.AtStake), c.Currency, already))
		}
	}
	for _, q := range s.Quotes {
		row(w, fmt.Sprintf("quote %s, which is open, would promise what is not there on its date", q))
	}
	if len(s.Contracts) > 0 {
		row(w, "")
	}
	for _, c := range s.Changes {
		row(w, fmt.Sprintf("together: %s %s, if nobody leaves", signed(c.Amount), c.Currency))
	}
}

func partyText(by string) string {
	switch by {
	case "tenant":
		return "the tenant"
	case "owner":
		return "the owner"
	}
	return "either party"
}

func remedyText(remedy string) string {
	if remedy == "reduce" {
		return "keep what came at a lower fee"
	}
	return "terminate"
}

// signed writes an amount with its sign.
func signed(amount string) string {
	if strings.HasPrefix(amount, "-") {
		return "-" + money(amount[1:])
	}
	return "+" + money(amount)
}

// money writes an amount with commas.
func money(amount string) string {
	whole, rest, cents := strings.Cut(amount, ".")
	for i := len(whole) - 3; i > 0; i -= 3 {
		whole = whole[:i] + "," + whole[i:]
	}
	if cents {
		return whole + "." + rest
	}
	return whole
}

func commas(n int64) string { return money(fmt.Sprint(n)) }

// dayOf shortens a time that is the beginning of a day.
func dayOf(stamp string) string {
	if day, ok := strings.CutSuffix(stamp, "T00:00:00Z"); ok {
		return day
	}
	return stamp
}

func shapeText(s *v1.Shape) string {
	if s == nil {
		return "-"
	}
	return fmt.Sprintf("%d/%d/%d/%d", s.Halls, s.Pods, s.Sus, s.Racks)
}

// inColour says whether a picture may use a terminal's colours.
func inColour(when string) bool {
	if when != "auto" {
		return when == "always"
	}
	file, ok := stdout.(*os.File)
	if !ok || os.Getenv("NO_COLOR") != "" || os.Getenv("TERM") == "dumb" {
		return false
	}
	info, err := file.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
