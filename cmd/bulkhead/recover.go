package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
)

type ledgerRecover struct {
	keysFlag
	By     string `required:"" placeholder:"NAME" help:"Who decides that what is missing is lost."`
	Reason string `required:"" placeholder:"TEXT" help:"What happened to the store."`
	format
}

// Help says what it costs.
func (ledgerRecover) Help() string {
	return `A server refuses a store that holds less than the checkpoint that it published, or
than it acknowledged (ledger.db.head), or from which one of these two files is missing:
going on would show two histories. Look for a newer copy of the store first, or for the
missing file.
Only when there is none, this writes a signed entry that says what was lost, and
publishes a new checkpoint. The old one is kept as checkpoint.lost-SIZE. Tenants
who kept a newer checkpoint will see that entries are gone: tell them.

The next server reads back every fabric before it does anything else. Nodes whose
ports do not carry what is left of the ledger says are quarantined: a tenant may
have been on them. Repair wipes them (bulkhead node repair).

Example:

    bulkhead ledger recover --data /var/lib/bulkhead --by "J. Doe" --reason "disk of host 3 lost"`
}

// Run recovers.
func (c *ledgerRecover) Run(ctx context.Context) error {
	master, err := c.master()
	if err != nil {
		return err
	}
	done, err := c.Data.Recover(ctx, master, c.By, c.Reason)
	if err != nil {
		return err
	}
	entry, r := done.Entry, done.Recovered
	return c.print(map[string]any{"entry": entry.Seq, "recovered": json.RawMessage(entry.Body), "kept": done.Kept}, func(w io.Writer) {
		row(w, "published", fmt.Sprintf("%d entries", r.PublishedSize))
		row(w, "acknowledged", fmt.Sprintf("%d entries", r.AcknowledgedSize))
		for _, reason := range r.Why {
			row(w, "why", reason)
		}
		row(w, "left", fmt.Sprintf("%d entries", r.HeadSize))
		row(w, "recorded", fmt.Sprintf("entry %d, %s", entry.Seq, entry.Kind))
		row(w, "old checkpoint", done.Kept)
	})
}
