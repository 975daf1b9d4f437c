package main

import (
	"context"
	"fmt"
	"math"

	"bulkhead/book"
	"bulkhead/ledger/sqlite"
	"bulkhead/run"
)

// everything is the size to which a whole ledger is folded.
const everything uint64 = math.MaxUint64

// foldLog folds the first entries of a ledger, so many or as many as there are.
func foldLog(ctx context.Context, log *sqlite.Log, size uint64) (*book.State, error) {
	state, bodies := book.New(), run.BodiesOf(log)
	for e, err := range log.Read(ctx, 1) {
		if err != nil {
			return nil, err
		}
		if e.Seq > size {
			break
		}
		if err := book.Apply(state, &e, bodies); err != nil {
			return nil, fmt.Errorf("entry %d (%s): %w", e.Seq, e.Kind, err)
		}
	}
	return state, nil
}
