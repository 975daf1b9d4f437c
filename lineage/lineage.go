// Package lineage orders writers: which control plane's word counts with a device.
// A ledger is one lineage with one writer at a time. A copy of it, restored or
// cloned, is another lineage, however much the two ledgers say the same, and a
// device takes the word of one of them only.
package lineage

import (
	"errors"
	"fmt"
)

// Lineage names what a ledger is written from. The name lies beside the store and
// not in it, and no backup copies it: what was copied gets another one.
//
// Epoch counts how often somebody decided that another copy goes on instead (see
// ledger.KindTakenOver). Of two lineages the one of the greater epoch counts; of two
// of the same epoch, the one that a device has seen.
type Lineage struct {
	Epoch uint64 `json:"epoch,omitempty"`
	ID    string `json:"lineage,omitempty"` // hexadecimal
}

// IsZero reports whether no lineage is named, as by a release that knew of none.
func (l Lineage) IsZero() bool { return l == Lineage{} }

func (l Lineage) String() string {
	if l.IsZero() {
		return "no lineage"
	}
	return fmt.Sprintf("lineage %.12s of epoch %d", l.ID, l.Epoch)
}

// Fence says who orders, and how new the order is. Devices keep the newest one that
// they admitted.
type Fence struct {
	Lineage
	Term       uint64 `json:"term"`          // of the ledger: one run of one writer
	Run        string `json:"run,omitempty"` // hexadecimal: no other run has it, whatever its term
	Generation uint64 `json:"generation"`
}

func (f Fence) String() string {
	s := fmt.Sprintf("term %d generation %d", f.Term, f.Generation)
	if f.IsZero() {
		return s
	}
	return s + " of " + f.Lineage.String()
}

// Writer is the fence without its generation: who orders.
func (f Fence) Writer() Fence {
	f.Generation = 0
	return f
}

// ErrFenced is wrapped by what refuses a fence.
var ErrFenced = errors.New("a newer writer has been here")

// maxID is the longest lineage or run that is kept.
const maxID = 64

// Check refuses what no device could keep.
func (f Fence) Check() error {
	for _, id := range [...]string{f.ID, f.Run} {
		if len(id) > maxID {
			return fmt.Errorf("fence: a name of %d digits: expected at most %d", len(id), maxID)
		}
		for _, c := range []byte(id) {
			if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
				return fmt.Errorf("fence: the name %.80q: expected hexadecimal digits", id)
			}
		}
	}
	if (f.Epoch == 0) != (f.ID == "") {
		return fmt.Errorf("fence: epoch %d and lineage %.80q: expected both or neither", f.Epoch, f.ID)
	}
	return nil
}

// Admit says whether who has seen a fence takes this one: nil, or a *RefusedError.
//
// Who has seen a lineage takes no other, and none that is not named, unless it is of
// a greater epoch: then whatever the older one's term is counts no more. Within a
// lineage the greater term counts, of one term only the first run that showed itself,
// and of that the greater generation.
func (f Fence) Admit(seen Fence) error {
	if err := f.Check(); err != nil {
		return err
	}
	refused := &RefusedError{Got: f, Newest: seen}
	switch {
	case !seen.IsZero() && f.Lineage != seen.Lineage:
		if f.Epoch <= seen.Epoch {
			return refused
		}
	case f.Term < seen.Term,
		f.Term == seen.Term && seen.Run != "" && f.Run != seen.Run,
		f.Term == seen.Term && f.Generation < seen.Generation:
		return refused
	}
	return nil
}

// RefusedError says which fence was refused, and for which.
type RefusedError struct {
	Got    Fence `json:"got"`
	Newest Fence `json:"newest"`
}

func (e *RefusedError) Error() string {
	text := fmt.Sprintf("fence %s, but %s was seen: %v", e.Got, e.Newest, ErrFenced)
	switch {
	case !e.Newest.IsZero() && e.Got.Lineage != e.Newest.Lineage:
		return text + "; one of the two works on a copy of the other's ledger"
	case e.Got.Term == e.Newest.Term && e.Newest.Run != "" && e.Got.Run != e.Newest.Run:
		return text + "; two servers were started from one state of the same ledger"
	}
	return text
}

// Unwrap lets errors.Is see ErrFenced.
func (e *RefusedError) Unwrap() error { return ErrFenced }

// ByAnother reports whether another writer was seen: another lineage, a newer term or
// another run. Else it is this writer's own later order that came first.
func (e *RefusedError) ByAnother() bool { return e.Got.Writer() != e.Newest.Writer() }
