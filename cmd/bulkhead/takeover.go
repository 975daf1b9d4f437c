package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"

	"bulkhead/lineage"
)

type ledgerTakeOver struct {
	keysFlag
	By     string `required:"" placeholder:"NAME" help:"Who decides that this copy goes on."`
	Reason string `required:"" placeholder:"TEXT" help:"What became of the other server."`
	format
}

// Help says what it costs.
func (ledgerTakeOver) Help() string {
	return `A ledger has one writer. Devices that have seen it refuse whoever works on a copy,
such as a restored backup served beside the live server; that one steps down. This lets
the copy go on instead: it writes a signed entry that says so, and devices refuse the
other from the copy's next start on. What the other one recorded after the copy was made
is not in this ledger, now or ever: stop it for good first, and look for a newer copy.

The next server reads back every fabric before it does anything else, as after ledger
recover: nodes whose ports do not carry what this ledger says are quarantined.

Example:

    bulkhead ledger take-over --data /restored --by "J. Doe" --reason "host 3 is lost"`
}

// Run takes over.
func (c *ledgerTakeOver) Run(ctx context.Context) error {
	master, err := c.master()
	if err != nil {
		return err
	}
	done, err := c.Data.TakeOver(ctx, master, c.By, c.Reason)
	if err != nil {
		return err
	}
	entry, t := done.Entry, done.TakenOver
	return c.print(map[string]any{"entry": entry.Seq, "taken_over": json.RawMessage(entry.Body), "before": done.Was}, func(w io.Writer) {
		row(w, "was", done.Was)
		row(w, "now", lineage.Lineage{Epoch: t.Epoch, ID: t.Lineage})
		row(w, "recorded", fmt.Sprintf("entry %d, %s", entry.Seq, entry.Kind))
		row(w, "next", "bulkhead serve --data "+string(c.Data)+" ...: it reads back every fabric first")
	})
}
