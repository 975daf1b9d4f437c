package datadir

import (
	"context"
	"fmt"

	"bulkhead/keystore"
	"bulkhead/ledger"
	"bulkhead/lineage"
)

// takenOverPredicate is the type of the statement about a take-over.
const takenOverPredicate = "bulkhead/ledger-taken-over/1"

// Succession is what was recorded of a take-over.
type Succession struct {
	Entry     ledger.Entry
	TakenOver ledger.TakenOver
	Was       lineage.Lineage
}

// TakeOver lets this folder go on in place of the server that it was copied from: it
// writes a signed entry that says so, under a new lineage that devices take for newer.
func (d Dir) TakeOver(ctx context.Context, master keystore.Master, by, reason string) (Succession, error) {
	var none Succession
	h, err := d.openWith(ctx, master, d.Writer)
	if err != nil {
		return none, err
	}
	defer h.log.Close()
	if h.doubt != nil {
		return none, fmt.Errorf("%s: %w", d.Ledger(), h.doubt)
	}
	state, err := Fold(ctx, h.log, Everything)
	if err != nil {
		return none, fmt.Errorf("%s: %w", d.Ledger(), err)
	}
	own, err := d.ReadLineage()
	if err != nil {
		return none, err
	}
	was := state.Control.Lineage
	next := newLineage(max(was.Epoch, own.Epoch, own.Seen.Epoch, 1) + 1)
	t := ledger.TakenOver{Epoch: next.Epoch, Lineage: next.ID, HeadSize: h.found.Size, HeadRoot: h.found.Root, By: by, Reason: reason}
	if err := t.Check(); err != nil {
		return none, err
	}
	entry, err := h.record(ctx, state, ledger.KindTakenOver, takenOverPredicate, t.HeadRoot, &t, &t.Statement)
	if err != nil {
		return none, err
	}
	// A start between the two is refused, and told to do this again.
	if err := d.writeLineage(LineageFile{Lineage: next}); err != nil {
		return none, err
	}
	return Succession{entry, t, was}, nil
}
