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

type clockCommand struct {
	Show    clockShow    `cmd:"" help:"Show the site's time, where it is from, and whether it is certain."`
	Confirm clockConfirm `cmd:"" help:"Say what time it is, after the machine's clock has jumped."`
}

type clockShow struct {
	client
	format
}

// Help is the example.
func (clockShow) Help() string {
	return `The site's time is what entries are dated by. While it is not confirmed, nothing
ends, is wiped, destroyed, handed over or billed.

Example:

    bulkhead clock show`
}

type clockConfirm struct {
	Time   string `required:"" placeholder:"TIME" help:"What time it is now, by another clock than the machine's, such as 2026-11-23T18:04:00Z."`
	Reason string `required:"" placeholder:"TEXT" help:"Why the machine's clock jumped."`
	approveFlag
	requestFlag
	client
	format
}

// Help is the example.
func (clockConfirm) Help() string {
	return `For an approver. Look at a clock that has nothing to do with the machine: what you
say may differ by five minutes at most from what the machine's clock shows. Where that
is wrong, set it right instead: the doubt then ends by itself.

Example:

    bulkhead clock confirm --time 2026-11-23T18:04:00Z --reason "host 3 was off for a week" --token-file data/approver.token`
}

// Run shows.
func (c *clockShow) Run(ctx context.Context) error {
	k, err := ask(ctx, &c.client, bulkheadv1connect.ControlPlaneClient.ShowClock, &v1.ShowClockRequest{})
	if err != nil {
		return err
	}
	return c.print(k, func(w io.Writer) {
		clockTable(w, k)
		row(w, "clock shows", k.Machine)
		row(w, "last entry", orDash(k.LastEntry))
		row(w, "source", k.Source)
		if k.Source == "machine" {
			row(w, "synchronised", fmt.Sprintf("%t, says the machine, which is no proof", k.Synchronised))
		}
		if k.Confirmed {
			row(w, "why", k.Why)
		}
	})
}

// clockTable shows the time, and what holds it in doubt.
func clockTable(w io.Writer, k *v1.Clock) {
	if k == nil {
		return // an older server
	}
	if k.Confirmed && k.Silent != "" {
		row(w, "time", k.Now, "it stands still: "+whoseClock(k.Source)+" has not told it for "+k.Silent)
		return
	}
	if k.Confirmed {
		row(w, "time", k.Now, "confirmed, by "+whoseClock(k.Source))
		return
	}
	row(w, "time", k.Now, "IN DOUBT since "+k.Since)
	row(w, "doubt", k.Why)
	row(w, "next", "set the machine's clock right, or an approver confirms it: bulkhead clock confirm --time TIME --reason TEXT")
}

func whoseClock(source string) string {
	if source == "simulated" {
		return "the clock of the simulated devices"
	}
	if source == "virtual" {
		return "a clock that stands still"
	}
	return "the " + source + "'s clock"
}

// Run confirms.
func (c *clockConfirm) Run(ctx context.Context) error {
	at, err := parseClock(c.Time)
	if err != nil {
		return err
	}
	if err := c.approve(ctx, &c.client, book.ActConfirmClock, at.UTC().Format(time.RFC3339), c.Reason); err != nil {
		return err
	}
	d, err := ask(ctx, &c.client, bulkheadv1connect.ControlPlaneClient.ConfirmClock, &v1.ConfirmClockRequest{CommandId: c.id(), Time: at.UTC().Format(time.RFC3339), Reason: c.Reason})
	return c.done("clock confirmed", d, err)
}

// parseClock reads what a person says the time is. Seconds may be left out.
func parseClock(text string) (time.Time, error) {
	for _, layout := range []string{time.RFC3339, "2006-01-02T15:04Z07:00"} {
		if at, err := time.Parse(layout, text); err == nil {
			return at, nil
		}
	}
	return time.Time{}, usagef("--time %s: expected a time such as 2026-11-23T18:04:00Z", text)
}
