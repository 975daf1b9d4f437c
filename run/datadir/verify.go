package datadir

import (
	"context"
	"fmt"
	"math"
	"time"

	"bulkhead/book"
	"bulkhead/claim"
	"bulkhead/keystore"
	"bulkhead/ledger/sqlite"
	"bulkhead/run"
)

// Verified is what reading a whole ledger comes to, as it is printed.
type Verified struct {
	Entries   uint64            `json:"entries"`
	Root      claim.Digest      `json:"root"`
	Scopes    map[string]uint64 `json:"scopes"`
	First     time.Time         `json:"first,omitzero"`
	Last      time.Time         `json:"last,omitzero"`
	Published uint64            `json:"published"`
}

// Verify checks the ledger of a folder against its published checkpoint: it
// is whole, and it is the one that was published.
func (d Dir) Verify(ctx context.Context, master keystore.Master) (Verified, error) {
	h, err := d.openWith(ctx, master, d.Reader)
	if err != nil {
		return Verified{}, err
	}
	defer h.log.Close()
	if h.doubt != nil {
		return Verified{}, fmt.Errorf("%s: %w", d.Ledger(), h.doubt)
	}
	r := h.found
	c := Verified{Entries: r.Size, Root: r.Root, Scopes: map[string]uint64{}, First: r.First, Last: r.Last, Published: r.Published.Size}
	for name, scope := range r.Scopes {
		c.Scopes[name] = scope.Size
	}
	return c, nil
}

// Everything is the size to which a whole ledger is folded.
const Everything uint64 = math.MaxUint64

// Fold folds the first entries of a ledger, so many or as many as there are.
func Fold(ctx context.Context, log *sqlite.Log, size uint64) (*book.State, error) {
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
