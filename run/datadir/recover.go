package datadir

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"bulkhead/book"
	"bulkhead/keystore"
	"bulkhead/ledger"
	"bulkhead/run"
)

// recoveredPredicate is the type of the statement about a recovery.
const recoveredPredicate = "bulkhead/ledger-recovered/1"

// Recovery is what was recorded of a recovery.
type Recovery struct {
	Entry     ledger.Entry
	Recovered ledger.Recovered
	Kept      string // where the old checkpoint is
}

// Recover goes on with a ledger that holds less than was published or acknowledged: it
// writes a signed entry that says what was lost, and publishes a new checkpoint. The
// caller is the only one who has the folder; a whole ledger is refused.
func (d Dir) Recover(ctx context.Context, master keystore.Master, by, reason string) (Recovery, error) {
	var none Recovery
	log, acknowledged, why, err := d.afterLoss()
	if err != nil {
		return none, err
	}
	defer log.Close()
	keys, err := d.OpenKeys(master)
	if err != nil {
		return none, err
	}
	published := d.Published(keys)
	found, err := ledger.Verify(ctx, log, published)
	switch {
	case errors.Is(err, ledger.ErrUnguarded):
		why = append(why, err.Error())
	case err != nil && !errors.Is(err, ledger.ErrRolledBack):
		return none, fmt.Errorf("%s: %w: what is left is no whole ledger: restore a backup", d.Ledger(), err)
	}
	r, err := ledger.NewRecovered(found, by, reason, why...)
	if err != nil {
		return none, fmt.Errorf("--data %s: %w", d, err)
	}
	r.AcknowledgedSize = acknowledged.Seq
	state, err := Fold(ctx, log, Everything)
	if err != nil {
		return none, fmt.Errorf("%s: %w: what is left can't be folded: restore a backup", d.Ledger(), err)
	}
	entry, err := recordDecision(ctx, log, state, found.Size, d.CertainTime(state.Time), ledger.KindRecovered, recoveredPredicate, r.HeadRoot, &r, &r.Statement, keys)
	if err != nil {
		return none, err
	}
	kept := fmt.Sprintf("%s.lost-%d", d.Checkpoint(), r.PublishedSize)
	if err := os.Rename(d.Checkpoint(), kept); errors.Is(err, fs.ErrNotExist) {
		kept = "none: it is missing"
	} else if err != nil {
		return none, err
	}
	after, err := ledger.Verify(ctx, log, nil)
	if err != nil {
		return none, err
	}
	signed, err := keys.Checkpoint(run.CheckpointOrigin(state, book.SiteScope), after.Size, after.Root)
	if err != nil {
		return none, err
	}
	if err := published.Store(signed); err != nil {
		return none, err
	}
	if err := published.Remember(ctx, log, signed); err != nil {
		return none, err
	}
	return Recovery{entry, r, kept}, nil
}
