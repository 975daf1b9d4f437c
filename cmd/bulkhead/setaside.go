package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"bulkhead/book"
)

type ledgerSetAside struct {
	keysFlag
	Until  string `required:"" placeholder:"TIME" help:"Entries after this time are set aside: what time it is now, or when the clock jumped, such as 2026-11-23T18:04:00Z."`
	By     string `required:"" placeholder:"NAME" help:"Who decides that these entries count for nothing."`
	Reason string `required:"" placeholder:"TEXT" help:"What made the clock wrong."`
	format
}

// Help says what it costs.
func (ledgerSetAside) Help() string {
	return `A server refuses a ledger whose last entry is in the future: no entry could follow
until then. Set the machine's clock right first: a ledger that is not in its future is
left as it is.

The ledger as it is, with every entry, is kept beside it as ledger.set-aside-SIZE.db,
and the published checkpoint as checkpoint.lost-SIZE. What goes on are the entries up
to --until, and then a signed entry that says what was set aside, and one for each
tenant whose log lost entries. Invoices among those count for nothing: tell the tenants.

As after bulkhead ledger recover, the next server reads back every fabric first, and
quarantines nodes whose ports do not carry what is left of the ledger says.

Example:

    bulkhead ledger set-aside --data /var/lib/bulkhead --until 2026-11-23T18:04:00Z --by "J. Doe" --reason "the time server said 2100"`
}

// Run sets aside.
func (c *ledgerSetAside) Run(ctx context.Context) error {
	until, err := parseClock(c.Until)
	if err != nil {
		return usagef("--until %s: expected a time such as 2026-11-23T18:04:00Z", c.Until)
	}
	now := time.Now()
	if until.After(now.Add(book.SaidWithin)) {
		return fmt.Errorf("--until %s: the machine's clock shows %s: set it right first, or give a time that has come", c.Until, now.UTC().Format(time.RFC3339))
	}
	master, err := c.master()
	if err != nil {
		return err
	}
	done, err := c.Data.SetAside(ctx, master, until, now, c.By, c.Reason)
	if err != nil {
		return err
	}
	cut, first := done.Cut, done.Entries[0]
	return c.print(map[string]any{"entry": first.Seq, "set_aside": json.RawMessage(first.Body), "kept": done.Kept, "checkpoint": done.Checkpoint}, func(w io.Writer) {
		row(w, "set aside", fmt.Sprintf("%d entries, of %s to %s", cut.Size-cut.Keep, cut.First.UTC().Format(time.RFC3339), cut.Last.UTC().Format(time.RFC3339)))
		row(w, "left", fmt.Sprintf("%d entries", cut.Keep))
		row(w, "recorded", fmt.Sprintf("entry %d, %s; %d tenants are told in their own logs", first.Seq, first.Kind, len(done.Entries)-1))
		row(w, "all of it", done.Kept)
		if done.Checkpoint != "" {
			row(w, "old checkpoint", done.Checkpoint)
		}
		row(w, "next", "bulkhead serve: it reads back every fabric before anything else; bulkhead clock show says whether an approver must confirm the clock")
	})
}
