package datadir

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"bulkhead/custody"
	"bulkhead/keystore"
	"bulkhead/ledger"
	"bulkhead/ledger/sqlite"
)

// Dir is the folder of a control plane: its ledger, its keys, its tokens, the
// newest checkpoint that it published, and the lineage that it writes.
type Dir string

func (d Dir) Ledger() string     { return filepath.Join(string(d), "ledger.db") }
func (d Dir) Keys() string       { return filepath.Join(string(d), "keys") }
func (d Dir) Checkpoint() string { return filepath.Join(string(d), "checkpoint") }
func (d Dir) Tokens() string     { return filepath.Join(string(d), "tokens.json") }
func (d Dir) Clock() string      { return filepath.Join(string(d), "clock.json") } // how the machine's count stood to the site's time
func (d Dir) lineage() string    { return filepath.Join(string(d), "lineage") }
func (d Dir) Webhooks() string   { return filepath.Join(string(d), "webhooks.json") } // how far each receiver was told

// Existing refuses a folder that holds no ledger, so that a mistyped path does
// not make one, and one that others may fill: what is read in it would be theirs.
func (d Dir) Existing() error {
	return d.existingAs("--data", "give the folder of a control plane; bulkhead serve --data DIR makes one")
}

// existingAs is Existing, for the flag that named the folder and what it should name.
func (d Dir) existingAs(flag, expected string) error {
	if _, err := os.Stat(d.Ledger()); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("%s %s: there is no ledger.db in it: %s", flag, d, expected)
		}
		return fmt.Errorf("%s %s: %w", flag, d, err)
	}
	if err := custody.Folder(string(d)); err != nil {
		return fmt.Errorf("%s %w", flag, err)
	}
	return nil
}

// Reader opens the ledger for reading, also while a server writes it.
func (d Dir) Reader() (*sqlite.Log, error) {
	if err := d.Existing(); err != nil {
		return nil, err
	}
	return sqlite.OpenReader(d.Ledger())
}

// Writer opens the ledger for a verb that writes it while no server does.
func (d Dir) Writer() (*sqlite.Log, error) {
	if err := d.Existing(); err != nil {
		return nil, err
	}
	log, err := sqlite.Open(d.Ledger())
	if errors.Is(err, sqlite.ErrInUse) {
		return nil, fmt.Errorf("--data %s: a server runs on this folder: %w", d, err)
	}
	return log, err
}

// afterLoss opens a ledger that Writer refuses for what is missing, or does not refuse:
// why says which.
func (d Dir) afterLoss() (log *sqlite.Log, acknowledged sqlite.Acknowledged, why []string, err error) {
	log, err = d.Writer()
	if err == nil || !errors.Is(err, ledger.ErrLost) && !errors.Is(err, ledger.ErrUnguarded) {
		return log, acknowledged, nil, err
	}
	why = []string{err.Error()}
	log, acknowledged, err = sqlite.OpenAfterLoss(d.Ledger())
	return log, acknowledged, why, err
}

// OpenKeys opens keys that exist.
func (d Dir) OpenKeys(master keystore.Master) (*keystore.Store, error) {
	if _, err := os.Stat(d.Keys()); err != nil {
		return nil, fmt.Errorf("--data %s: there is no keys/ in it: restore it from the backup, or let bulkhead serve make a new control plane in an empty folder", d)
	}
	return keystore.OpenWith(d.Keys(), time.Now(), master)
}

// Published is the checkpoint file with the keys that it is checked with.
func (d Dir) Published(keys *keystore.Store) *ledger.Published {
	return &ledger.Published{Path: d.Checkpoint(), Verifiers: keys.Verifiers}
}
