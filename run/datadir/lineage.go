package datadir

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"

	"bulkhead/claim"
	"bulkhead/custody"
	"bulkhead/lineage"
)

// LineageFile is what a folder keeps beside its ledger, and no backup copies: a copy
// gets another lineage, and devices that know this one refuse it.
type LineageFile struct {
	lineage.Lineage
	// Seen is another writer's, for which devices refused this one.
	Seen lineage.Lineage `json:"seen,omitzero"`
}

// newLineage makes a lineage that nothing else has.
func newLineage(epoch uint64) lineage.Lineage { return lineage.Lineage{Epoch: epoch, ID: NewID()} }

// NewID makes a name that nothing else has.
func NewID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails, see its documentation
	return hex.EncodeToString(b[:])
}

// ReadLineage reads the lineage of a folder; zero where there is none.
func (d Dir) ReadLineage() (f LineageFile, err error) {
	data, err := custody.ReadSecret(d.lineage(), custody.Small)
	if errors.Is(err, fs.ErrNotExist) {
		return f, nil
	}
	if err != nil {
		return f, err
	}
	if f, err = decodeLineage(data); err != nil {
		return f, fmt.Errorf("%s: %w: move it away if this folder is a copy, or nobody can say what it held: then devices decide whether it may write", d.lineage(), err)
	}
	return f, nil
}

func decodeLineage(data []byte) (f LineageFile, err error) {
	if err := claim.Exact(data, custody.Small, &f); err != nil {
		return LineageFile{}, err
	}
	for _, l := range [...]lineage.Lineage{f.Lineage, f.Seen} {
		if err := (lineage.Fence{Lineage: l}).Check(); err != nil {
			return LineageFile{}, err
		}
	}
	if f.IsZero() {
		return LineageFile{}, errors.New("it names no lineage: expected the line that bulkhead serve has written")
	}
	return f, nil
}

func (d Dir) writeLineage(f LineageFile) error {
	data, err := json.MarshalIndent(f, "", "  ")
	if err != nil {
		return err
	}
	return custody.Replace(d.lineage(), append(data, '\n'))
}

// TakesOver names the verb for a copy that is to go on.
func (d Dir) TakesOver() string {
	return fmt.Sprintf(`bulkhead ledger take-over --data %s --by NAME --reason "what became of the other server"`, d)
}

// LineageAfter is the lineage that a writer of this folder has, given the one that its
// ledger names last. A folder without one is new, or a copy, or of a release that knew of
// none: it gets a new one, and the devices say whether another has been there.
func (d Dir) LineageAfter(log *slog.Logger) func(last lineage.Lineage) (lineage.Lineage, error) {
	return func(last lineage.Lineage) (lineage.Lineage, error) {
		f, err := d.ReadLineage()
		switch {
		case err != nil:
			return f.Lineage, err
		case f.IsZero():
			f.Lineage = newLineage(max(last.Epoch, 1))
			if !last.IsZero() {
				log.Warn("this folder is a copy: its ledger was written elsewhere. It writes only where devices have seen no other writer; to let it go on instead of the other, see "+d.TakesOver(),
					"lineage", f.Lineage.String(), "copied from", last.String())
			}
			return f.Lineage, d.writeLineage(f)
		case !last.IsZero() && f.Lineage != last:
			return f.Lineage, fmt.Errorf("%s says that this folder writes %s, and its ledger was last written by %s: the ledger was put here from elsewhere, or a take-over was cut off. To let it go on: %s", d.lineage(), f.Lineage, last, d.TakesOver())
		}
		return f.Lineage, nil
	}
}

// StepDown keeps that devices take the word of another writer, so that a start of this
// one does not ask them again. One of the same lineage is asked: it is a server that was
// started from this very folder, or a copy of all of it.
func (d Dir) StepDown(other lineage.Lineage) error {
	own, err := d.ReadLineage()
	if err != nil || other == own.Lineage || other.IsZero() {
		return err
	}
	own.Seen = other
	return d.writeLineage(own)
}
