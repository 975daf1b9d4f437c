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
	"bulkhead/ledger/sqlite"
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
	var acknowledged sqlite.Acknowledged
	var why []string
	h, err := d.openWith(ctx, master, func() (log *sqlite.Log, err error) {
		log, acknowledged, why, err = d.afterLoss()
		return log, err
	})
	if err != nil {
		return none, err
	}
	defer h.log.Close()
	switch {
	case errors.Is(h.doubt, ledger.ErrUnguarded):
		why = append(why, h.doubt.Error())
	case h.doubt != nil && !errors.Is(h.doubt, ledger.ErrRolledBack):
		return none, fmt.Errorf("%s: %w: what is left is no whole ledger: restore a backup", d.Ledger(), h.doubt)
	}
	r, err := ledger.NewRecovered(h.found, by, reason, why...)
	if err != nil {
		return none, fmt.Errorf("--data %s: %w", d, err)
	}
	r.AcknowledgedSize = acknowledged.Seq
	state, err := Fold(ctx, h.log, Everything)
	if err != nil {
		return none, fmt.Errorf("%s: %w: what is left can't be folded: restore a backup", d.Ledger(), err)
	}
	entry, err := h.record(ctx, state, ledger.KindRecovered, recoveredPredicate, r.HeadRoot, &r, &r.Statement)
	if err != nil {
		return none, err
	}
	kept := fmt.Sprintf("%s.lost-%d", d.Checkpoint(), r.PublishedSize)
	if err := os.Rename(d.Checkpoint(), kept); errors.Is(err, fs.ErrNotExist) {
		kept = "none: it is missing"
	} else if err != nil {
		return none, err
	}
	after, err := ledger.Verify(ctx, h.log, nil)
	if err != nil {
		return none, err
	}
	signed, err := h.keys.Checkpoint(run.CheckpointOrigin(state, book.SiteScope), after.Size, after.Root)
	if err != nil {
		return none, err
	}
	if err := h.published.Store(signed); err != nil {
		return none, err
	}
	if err := h.published.Remember(ctx, h.log, signed); err != nil {
		return none, err
	}
	return Recovery{entry, r, kept}, nil
}
