package datadir

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"bulkhead/book"
	"bulkhead/keystore"
	"bulkhead/ledger"
	"bulkhead/ledger/sqlite"
	"bulkhead/run"
)

// setAsidePredicate is the type of the statement about what was set aside.
const setAsidePredicate = "bulkhead/ledger-set-aside/1"

// Aside is what was recorded when the end of a ledger was set aside.
type Aside struct {
	Cut        *ledger.Cut
	Entries    []ledger.Entry // of the site first, then one for each tenant whose log lost entries
	Kept       string         // the ledger as it was
	Checkpoint string         // the old checkpoint; "": it stays
}

// SetAside goes on with a ledger whose end is in the machine's future: what is after
// until counts for nothing, and signed entries say so. Until the ledger's file is
// replaced nothing has changed; after it, a published checkpoint that is not replaced yet
// is what Recover is for.
func (d Dir) SetAside(ctx context.Context, master keystore.Master, until, now time.Time, by, reason string) (Aside, error) {
	var none Aside
	h, err := d.openWith(ctx, master, d.Writer)
	if err != nil {
		return none, err
	}
	defer h.log.Close()
	if h.doubt != nil {
		return none, fmt.Errorf("%s: %w: nothing was changed", d.Ledger(), h.doubt)
	}
	log, found := h.log, h.found
	// Whoever could take the end off a ledger that goes on by itself could rewrite it.
	if !found.Last.After(now) {
		return none, fmt.Errorf("--data %s: the last entry is of %s and the machine's clock shows %s: the ledger is not in the future, so there is nothing to set aside", d, found.Last.UTC().Format(time.RFC3339), now.UTC().Format(time.RFC3339))
	}
	kept := filepath.Join(string(d), fmt.Sprintf("ledger.set-aside-%d.db", found.Size))
	cut, said, err := cutAt(ctx, log, until, filepath.Base(kept), by, reason)
	if err != nil {
		return none, fmt.Errorf("--data %s: %w", d, err)
	}
	short := d.Ledger() + ".shorter"
	if err := os.Remove(short); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return none, err // what this verb left that was killed here
	}
	defer os.Remove(short)
	if err := log.BackupUntil(ctx, short, cut.Keep, cut.Kept); err != nil {
		return none, err
	}
	entries, after, err := d.goOn(ctx, short, cut, said, h.keys)
	if err != nil {
		return none, err
	}
	if err := log.Backup(ctx, kept); err != nil {
		return none, err
	}
	if err := d.replace(log, short); err != nil {
		return none, errors.Join(err, os.Remove(kept))
	}
	lost, err := h.republish(cut.Keep, after)
	if err != nil {
		return none, fmt.Errorf("the entries are set aside, and no checkpoint over what is left was published: run bulkhead ledger recover: %w", err)
	}
	return Aside{cut, entries, kept, lost}, nil
}

// cutAt finds where the ledger is cut.
func cutAt(ctx context.Context, log *sqlite.Log, until time.Time, file, by, reason string) (*ledger.Cut, ledger.SetAside, error) {
	cut := ledger.NewCut()
	for e, err := range log.Read(ctx, 1) {
		if err != nil {
			return nil, ledger.SetAside{}, err
		}
		cut.Follow(&e, until)
	}
	said, err := cut.SetAside(until, file, by, reason)
	return cut, said, err
}

// goOn writes the entries that say what was set aside behind those that are left.
func (d Dir) goOn(ctx context.Context, path string, cut *ledger.Cut, said ledger.SetAside, keys *keystore.Store) ([]ledger.Entry, ledger.Report, error) {
	fail := func(err error) ([]ledger.Entry, ledger.Report, error) { return nil, ledger.Report{}, err }
	log, err := sqlite.Open(path)
	if err != nil {
		return fail(err)
	}
	defer os.Remove(path + ".lock")
	defer log.Close()
	state, err := Fold(ctx, log, Everything)
	if err != nil {
		return fail(fmt.Errorf("what is left can't be folded: %w", err))
	}
	statement, body, err := lossStatement(setAsidePredicate, said.HeadRoot, said, keys)
	if err != nil {
		return fail(err)
	}
	said.Statement = statement
	at := d.CertainTime(state.Time)
	var entries []ledger.Entry
	add := func(kind, scope string, body any) error {
		e, err := nextEntry(state, at, kind, scope, body)
		if err != nil {
			return err
		}
		entries = append(entries, e)
		return book.Apply(state, &e, run.BodiesOf(log))
	}
	if err := add(ledger.KindSetAside, book.SiteScope, said); err != nil {
		return fail(err)
	}
	for _, scope := range slices.Sorted(maps.Keys(cut.Scopes)) {
		s := cut.Scopes[scope]
		if scope == book.SiteScope || s.Keep == 0 { // a tenant that is not known any more
			continue
		}
		if err := add(ledger.KindTakenOff, scope, ledger.TakenOff{Entries: s.Lost, HeadSize: s.Keep, First: s.First.UTC(), Last: s.Last.UTC(), Reason: said.Reason}); err != nil {
			return fail(err)
		}
	}
	if err := log.Append(ctx, cut.Keep, entries, []ledger.Body{body}); err != nil {
		return fail(err)
	}
	after, err := ledger.Verify(ctx, log, nil)
	return entries, after, err
}

// replace puts what is left in the place of the ledger. A journal that is still there
// belongs to the old file, and would be taken for the new one's.
func (d Dir) replace(log *sqlite.Log, short string) error {
	if err := log.Close(); err != nil {
		return err
	}
	for _, path := range []string{d.Ledger() + "-wal", short + "-wal"} {
		if info, err := os.Stat(path); err == nil && info.Size() > 0 {
			return fmt.Errorf("%s is in use: another process reads the ledger; end it and try again, nothing was changed", path)
		}
	}
	for _, path := range []string{d.Ledger() + "-wal", d.Ledger() + "-shm", short + "-wal", short + "-shm"} {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	// A crash between the two leaves a store that is refused: see ledger recover.
	if err := os.Rename(short, d.Ledger()); err != nil {
		return err
	}
	return os.Rename(sqlite.HeadFile(short), sqlite.HeadFile(d.Ledger()))
}

// republish signs a checkpoint over what is left, and keeps the old one.
func (h *opened) republish(keep uint64, after ledger.Report) (lost string, err error) {
	if h.found.Published.Size == 0 {
		return "", nil
	}
	if h.found.Published.Size > keep {
		lost = fmt.Sprintf("%s.lost-%d", h.Checkpoint(), h.found.Published.Size)
		if err := os.Rename(h.Checkpoint(), lost); err != nil {
			return "", err
		}
	}
	signed, err := h.keys.Checkpoint(h.found.Published.Origin, after.Size, after.Root)
	if err != nil {
		return lost, err
	}
	return lost, h.published.Store(signed)
}
