package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"bulkhead/book"
	"bulkhead/claim"
	"bulkhead/ledger"
	"bulkhead/ledger/sqlite"
	"bulkhead/run"
)

type ledgerRecover struct {
	keysFlag
	By     string `required:"" placeholder:"NAME" help:"Who decides that what is missing is lost."`
	Reason string `required:"" placeholder:"TEXT" help:"What happened to the store."`
	format
}

// recoveredPredicate is the type of the statement about a recovery.
const recoveredPredicate = "bulkhead/ledger-recovered/1"

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
	log, acknowledged, why, err := c.Data.afterLoss()
	if err != nil {
		return err
	}
	defer log.Close()
	keys, err := c.openKeys()
	if err != nil {
		return err
	}
	published := c.Data.published(keys)
	found, err := ledger.Verify(ctx, log, published)
	switch {
	case errors.Is(err, ledger.ErrUnguarded):
		why = append(why, err.Error())
	case err != nil && !errors.Is(err, ledger.ErrRolledBack):
		return fmt.Errorf("%s: %w: what is left is no whole ledger: restore a backup", c.Data.ledger(), err)
	}
	r, err := ledger.NewRecovered(found, c.By, c.Reason, why...)
	if err != nil {
		return fmt.Errorf("--data %s: %w", c.Data, err)
	}
	r.AcknowledgedSize = acknowledged.Seq
	state, err := foldLog(ctx, log, everything)
	if err != nil {
		return fmt.Errorf("%s: %w: what is left can't be folded: restore a backup", c.Data.ledger(), err)
	}
	entry, err := recordDecision(ctx, log, state, found.Size, c.Data.certainTime(state.Time), ledger.KindRecovered, recoveredPredicate, r.HeadRoot, &r, &r.Statement, keys)
	if err != nil {
		return err
	}
	kept := fmt.Sprintf("%s.lost-%d", c.Data.checkpoint(), r.PublishedSize)
	if err := os.Rename(c.Data.checkpoint(), kept); errors.Is(err, fs.ErrNotExist) {
		kept = "none: it is missing"
	} else if err != nil {
		return err
	}
	after, err := ledger.Verify(ctx, log, nil)
	if err != nil {
		return err
	}
	signed, err := keys.Checkpoint(run.CheckpointOrigin(state, book.SiteScope), after.Size, after.Root)
	if err != nil {
		return err
	}
	if err := published.Store(signed); err != nil {
		return err
	}
	if err := published.Remember(ctx, log, signed); err != nil {
		return err
	}
	return c.print(map[string]any{"entry": entry.Seq, "recovered": json.RawMessage(entry.Body), "kept": kept}, func(w io.Writer) {
		row(w, "published", fmt.Sprintf("%d entries", r.PublishedSize))
		row(w, "acknowledged", fmt.Sprintf("%d entries", r.AcknowledgedSize))
		for _, reason := range r.Why {
			row(w, "why", reason)
		}
		row(w, "left", fmt.Sprintf("%d entries", r.HeadSize))
		row(w, "recorded", fmt.Sprintf("entry %d, %s", entry.Seq, entry.Kind))
		row(w, "old checkpoint", kept)
	})
}

// recordDecision signs what somebody decides about a ledger that no server has open,
// and writes it there as its next entry. statement is where said names what was signed.
func recordDecision(ctx context.Context, log *sqlite.Log, state *book.State, size uint64, at time.Time, kind, predicate string, head claim.Digest, said any, statement *claim.Digest, signers run.Signers) (ledger.Entry, error) {
	signed, body, err := lossStatement(predicate, head, said, signers)
	if err != nil {
		return ledger.Entry{}, err
	}
	*statement = signed
	entry, err := nextEntry(state, at, kind, book.SiteScope, said)
	if err != nil {
		return ledger.Entry{}, err
	}
	if err := book.Apply(state, &entry, run.BodiesOf(log)); err != nil {
		return ledger.Entry{}, err
	}
	return entry, log.Append(ctx, size, []ledger.Entry{entry}, []ledger.Body{body})
}

// lossStatement signs what somebody decides about a ledger of this root: what was taken
// off it, what was lost of it, or that it goes on elsewhere.
func lossStatement(predicate string, head claim.Digest, said any, signers run.Signers) (claim.Digest, ledger.Body, error) {
	var none ledger.Body
	signer, err := signers.Statement(claim.PurposeStatement)
	if err != nil {
		return claim.Digest{}, none, err
	}
	encoded, err := json.Marshal(said)
	if err != nil {
		return claim.Digest{}, none, err
	}
	statement, err := claim.NewStatement("ledger", head, predicate, json.RawMessage(encoded))
	if err != nil {
		return claim.Digest{}, none, err
	}
	signed, err := claim.Sign(statement, signer)
	if err != nil {
		return claim.Digest{}, none, err
	}
	digest := claim.DigestOf(signed)
	return digest, ledger.Body{Digest: digest, Data: signed}, nil
}

// nextEntry makes the next entry of a ledger that no server has open.
func nextEntry(state *book.State, at time.Time, kind, scope string, body any) (ledger.Entry, error) {
	encoded, err := json.Marshal(body)
	if err != nil {
		return ledger.Entry{}, err
	}
	if at.Before(state.Time) {
		at = state.Time
	}
	e := ledger.Entry{
		Seq: state.Seq + 1, Time: at.UTC(), Term: state.Term, Kind: kind, Scope: scope, ScopeSeq: state.Scopes[scope] + 1, Body: encoded,
	}
	_, err = rand.Read(e.Salt[:])
	return e, err
}
