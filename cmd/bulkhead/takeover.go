package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"

	"bulkhead/ledger"
	"bulkhead/lineage"
)

type ledgerTakeOver struct {
	keysFlag
	By     string `required:"" placeholder:"NAME" help:"Who decides that this copy goes on."`
	Reason string `required:"" placeholder:"TEXT" help:"What became of the other server."`
	format
}

// takenOverPredicate is the type of the statement about a take-over.
const takenOverPredicate = "bulkhead/ledger-taken-over/1"

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
	log, err := c.Data.writer()
	if err != nil {
		return err
	}
	defer log.Close()
	keys, err := c.openKeys()
	if err != nil {
		return err
	}
	found, err := ledger.Verify(ctx, log, c.Data.published(keys))
	if err != nil {
		return fmt.Errorf("%s: %w", c.Data.ledger(), err)
	}
	state, err := foldLog(ctx, log, everything)
	if err != nil {
		return fmt.Errorf("%s: %w", c.Data.ledger(), err)
	}
	own, err := c.Data.readLineage()
	if err != nil {
		return err
	}
	was := state.Control.Lineage
	next := newLineage(max(was.Epoch, own.Epoch, own.Seen.Epoch, 1) + 1)
	t := ledger.TakenOver{Epoch: next.Epoch, Lineage: next.ID, HeadSize: found.Size, HeadRoot: found.Root, By: c.By, Reason: c.Reason}
	if err := t.Check(); err != nil {
		return err
	}
	entry, err := recordDecision(ctx, log, state, found.Size, c.Data.certainTime(state.Time), ledger.KindTakenOver, takenOverPredicate, t.HeadRoot, &t, &t.Statement, keys)
	if err != nil {
		return err
	}
	// A start between the two is refused, and told to do this again.
	if err := c.Data.writeLineage(lineageFile{Lineage: next}); err != nil {
		return err
	}
	return c.print(map[string]any{"entry": entry.Seq, "taken_over": json.RawMessage(entry.Body), "before": was}, func(w io.Writer) {
		row(w, "was", was)
		row(w, "now", lineage.Lineage{Epoch: t.Epoch, ID: t.Lineage})
		row(w, "recorded", fmt.Sprintf("entry %d, %s", entry.Seq, entry.Kind))
		row(w, "next", "bulkhead serve --data "+string(c.Data)+" ...: it reads back every fabric first")
	})
}
