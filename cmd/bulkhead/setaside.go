package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
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

type ledgerSetAside struct {
	keysFlag
	Until  string `required:"" placeholder:"TIME" help:"Entries after this time are set aside: what time it is now, or when the clock jumped, such as 2026-11-23T18:04:00Z."`
	By     string `required:"" placeholder:"NAME" help:"Who decides that these entries count for nothing."`
	Reason string `required:"" placeholder:"TEXT" help:"What made the clock wrong."`
	format
}

// setAsidePredicate is the type of the statement about what was set aside.
const setAsidePredicate = "bulkhead/ledger-set-aside/1"

// Help says what it costs.
func (ledgerSetAside) Help() string {
	return `A server refuses a ledger whose last entry is in the future: no entry could follow
until then. Set the machine's clock right first: a ledger that is not in its future is
left as it is.

The ledger as it is, with every entry, is kept beside it as ledger.set-aside-SIZE.db,
and the published checkpoint as checkpoint.lost-SIZE. What goes on are the entries up
to --until, and then a signed entry that says what was set aside, and one for each
tenant whose log lost entries. Invoices among those count for nothing: tell the tenants.

As after bulkhead ledger recover, the next server reads back every fabric first, and
quarantines nodes whose ports do not carry what is left of the ledger says.

Example:

    bulkhead ledger set-aside --data /var/lib/bulkhead --until 2026-11-23T18:04:00Z --by "J. Doe" --reason "the time server said 2100"`
}

// Run sets aside. Until the ledger's file is replaced nothing has changed; after it, a
// published checkpoint that is not replaced yet is what ledger recover is for.
func (c *ledgerSetAside) Run(ctx context.Context) error {
	until, err := parseClock(c.Until)
	if err != nil {
		return usagef("--until %s: expected a time such as 2026-11-23T18:04:00Z", c.Until)
	}
	now := time.Now()
	if until.After(now.Add(book.SaidWithin)) {
		return fmt.Errorf("--until %s: the machine's clock shows %s: set it right first, or give a time that has come", c.Until, now.UTC().Format(time.RFC3339))
	}
	log, err := c.Data.writer()
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
	if err != nil {
		return fmt.Errorf("%s: %w: nothing was changed", c.Data.ledger(), err)
	}
	// Whoever could take the end off a ledger that goes on by itself could rewrite it.
	if !found.Last.After(now) {
		return fmt.Errorf("--data %s: the last entry is of %s and the machine's clock shows %s: the ledger is not in the future, so there is nothing to set aside", c.Data, found.Last.UTC().Format(time.RFC3339), now.UTC().Format(time.RFC3339))
	}
	kept := filepath.Join(string(c.Data), fmt.Sprintf("ledger.set-aside-%d.db", found.Size))
	cut, said, err := c.cut(ctx, log, until, filepath.Base(kept))
	if err != nil {
		return fmt.Errorf("--data %s: %w", c.Data, err)
	}
	short := c.Data.ledger() + ".shorter"
	if err := os.Remove(short); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err // what this verb left that was killed here
	}
	defer os.Remove(short)
	if err := log.BackupUntil(ctx, short, cut.Keep, cut.Kept); err != nil {
		return err
	}
	entries, after, err := c.goOn(ctx, short, cut, said, keys)
	if err != nil {
		return err
	}
	if err := log.Backup(ctx, kept); err != nil {
		return err
	}
	if err := c.replace(log, short); err != nil {
		return errors.Join(err, os.Remove(kept))
	}
	lost, err := c.republish(found, cut.Keep, after, keys, published)
	if err != nil {
		return fmt.Errorf("the entries are set aside, and no checkpoint over what is left was published: run bulkhead ledger recover: %w", err)
	}
	first := entries[0]
	return c.print(map[string]any{"entry": first.Seq, "set_aside": json.RawMessage(first.Body), "kept": kept, "checkpoint": lost}, func(w io.Writer) {
		row(w, "set aside", fmt.Sprintf("%d entries, of %s to %s", cut.Size-cut.Keep, cut.First.UTC().Format(time.RFC3339), cut.Last.UTC().Format(time.RFC3339)))
		row(w, "left", fmt.Sprintf("%d entries", cut.Keep))
		row(w, "recorded", fmt.Sprintf("entry %d, %s; %d tenants are told in their own logs", first.Seq, first.Kind, len(entries)-1))
		row(w, "all of it", kept)
		if lost != "" {
			row(w, "old checkpoint", lost)
		}
		row(w, "next", "bulkhead serve: it reads back every fabric before anything else; bulkhead clock show says whether an approver must confirm the clock")
	})
}

// cut finds where the ledger is cut.
func (c *ledgerSetAside) cut(ctx context.Context, log *sqlite.Log, until time.Time, file string) (*ledger.Cut, ledger.SetAside, error) {
	cut := ledger.NewCut()
	for e, err := range log.Read(ctx, 1) {
		if err != nil {
			return nil, ledger.SetAside{}, err
		}
		cut.Follow(&e, until)
	}
	said, err := cut.SetAside(until, file, c.By, c.Reason)
	return cut, said, err
}

// goOn writes the entries that say what was set aside behind those that are left.
func (c *ledgerSetAside) goOn(ctx context.Context, path string, cut *ledger.Cut, said ledger.SetAside, keys *keystore.Store) ([]ledger.Entry, ledger.Report, error) {
	fail := func(err error) ([]ledger.Entry, ledger.Report, error) { return nil, ledger.Report{}, err }
	log, err := sqlite.Open(path)
	if err != nil {
		return fail(err)
	}
	defer os.Remove(path + ".lock")
	defer log.Close()
	state, err := foldLog(ctx, log, everything)
	if err != nil {
		return fail(fmt.Errorf("what is left can't be folded: %w", err))
	}
	statement, body, err := lossStatement(setAsidePredicate, said.HeadRoot, said, keys)
	if err != nil {
		return fail(err)
	}
	said.Statement = statement
	at := c.Data.certainTime(state.Time)
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
		if err := add(ledger.KindTakenOff, scope, ledger.TakenOff{Entries: s.Lost, HeadSize: s.Keep, First: s.First.UTC(), Last: s.Last.UTC(), Reason: c.Reason}); err != nil {
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
func (c *ledgerSetAside) replace(log *sqlite.Log, short string) error {
	if err := log.Close(); err != nil {
		return err
	}
	for _, path := range []string{c.Data.ledger() + "-wal", short + "-wal"} {
		if info, err := os.Stat(path); err == nil && info.Size() > 0 {
			return fmt.Errorf("%s is in use: another process reads the ledger; end it and try again, nothing was changed", path)
		}
	}
	for _, path := range []string{c.Data.ledger() + "-wal", c.Data.ledger() + "-shm", short + "-wal", short + "-shm"} {
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	// A crash between the two leaves a store that is refused: see ledger recover.
	if err := os.Rename(short, c.Data.ledger()); err != nil {
		return err
	}
	return os.Rename(sqlite.HeadFile(short), sqlite.HeadFile(c.Data.ledger()))
}

// republish signs a checkpoint over what is left, and keeps the old one.
func (c *ledgerSetAside) republish(found ledger.Report, keep uint64, after ledger.Report, keys *keystore.Store, published *ledger.Published) (lost string, err error) {
	if found.Published.Size == 0 {
		return "", nil
	}
	if found.Published.Size > keep {
		lost = fmt.Sprintf("%s.lost-%d", c.Data.checkpoint(), found.Published.Size)
		if err := os.Rename(c.Data.checkpoint(), lost); err != nil {
			return "", err
		}
	}
	signed, err := keys.Checkpoint(found.Published.Origin, after.Size, after.Root)
	if err != nil {
		return lost, err
	}
	return lost, published.Store(signed)
}
