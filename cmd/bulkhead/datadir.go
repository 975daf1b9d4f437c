package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"bulkhead/claim"
	"bulkhead/custody"
	"bulkhead/keystore"
	"bulkhead/ledger"
	"bulkhead/ledger/sqlite"
)

// dataDir is the folder of a control plane: its ledger, its keys, its tokens, the
// newest checkpoint that it published, and the lineage that it writes.
type dataDir string

func (d dataDir) ledger() string     { return filepath.Join(string(d), "ledger.db") }
func (d dataDir) keys() string       { return filepath.Join(string(d), "keys") }
func (d dataDir) checkpoint() string { return filepath.Join(string(d), "checkpoint") }
func (d dataDir) tokens() string     { return filepath.Join(string(d), "tokens.json") }
func (d dataDir) clock() string      { return filepath.Join(string(d), "clock.json") } // how the machine's count stood to the site's time
func (d dataDir) lineage() string    { return filepath.Join(string(d), "lineage") }
func (d dataDir) webhooks() string   { return filepath.Join(string(d), "webhooks.json") } // how far each receiver was told

// dataFlag is the flag of every verb that works on the files of a control plane.
type dataFlag struct {
	Data dataDir `required:"" placeholder:"DIR" help:"Folder of the control plane: ledger.db, keys/, checkpoint."`
}

// existing refuses a folder that holds no ledger, so that a mistyped path does
// not make one, and one that others may fill: what is read in it would be theirs.
func (d dataDir) existing() error { return d.existingAs("--data") }

// existingAs is existing, for the flag that named the folder.
func (d dataDir) existingAs(flag string) error {
	if _, err := os.Stat(d.ledger()); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("%s %s: there is no ledger.db in it: give the folder of a control plane; bulkhead serve --data DIR makes one", flag, d)
		}
		return fmt.Errorf("%s %s: %w", flag, d, err)
	}
	if err := custody.Folder(string(d)); err != nil {
		return fmt.Errorf("%s %w", flag, err)
	}
	return nil
}

// reader opens the ledger for reading, also while a server writes it.
func (d dataDir) reader() (*sqlite.Log, error) {
	if err := d.existing(); err != nil {
		return nil, err
	}
	return sqlite.OpenReader(d.ledger())
}

// writer opens the ledger for a verb that writes it while no server does.
func (d dataDir) writer() (*sqlite.Log, error) {
	if err := d.existing(); err != nil {
		return nil, err
	}
	log, err := sqlite.Open(d.ledger())
	if errors.Is(err, sqlite.ErrInUse) {
		return nil, fmt.Errorf("--data %s: a server runs on this folder: %w", d, err)
	}
	return log, err
}

// afterLoss opens a ledger that writer refuses for what is missing, or does not refuse:
// why says which.
func (d dataDir) afterLoss() (log *sqlite.Log, acknowledged sqlite.Acknowledged, why []string, err error) {
	log, err = d.writer()
	if err == nil || !errors.Is(err, ledger.ErrLost) && !errors.Is(err, ledger.ErrUnguarded) {
		return log, acknowledged, nil, err
	}
	why = []string{err.Error()}
	log, acknowledged, err = sqlite.OpenAfterLoss(d.ledger())
	return log, acknowledged, why, err
}

// openKeys opens keys that exist.
func (d dataDir) openKeys(master keystore.Master) (*keystore.Store, error) {
	if _, err := os.Stat(d.keys()); err != nil {
		return nil, fmt.Errorf("--data %s: there is no keys/ in it: restore it from the backup, or let bulkhead serve make a new control plane in an empty folder", d)
	}
	return keystore.OpenWith(d.keys(), time.Now(), master)
}

// published is the checkpoint file with the keys that it is checked with.
func (d dataDir) published(keys *keystore.Store) *ledger.Published {
	return &ledger.Published{Path: d.checkpoint(), Verifiers: keys.Verifiers}
}

// checked is what reading a whole ledger comes to, as it is printed.
type checked struct {
	Entries   uint64            `json:"entries"`
	Root      claim.Digest      `json:"root"`
	Scopes    map[string]uint64 `json:"scopes"`
	First     time.Time         `json:"first,omitzero"`
	Last      time.Time         `json:"last,omitzero"`
	Published uint64            `json:"published"`
}

// verifyDir checks the ledger of a folder against its published checkpoint: it
// is whole, and it is the one that was published.
func verifyDir(ctx context.Context, d dataDir, master keystore.Master) (checked, error) {
	log, err := d.reader()
	if err != nil {
		return checked{}, err
	}
	defer log.Close()
	keys, err := d.openKeys(master)
	if err != nil {
		return checked{}, err
	}
	r, err := ledger.Verify(ctx, log, d.published(keys))
	if err != nil {
		return checked{}, fmt.Errorf("%s: %w", d.ledger(), err)
	}
	c := checked{Entries: r.Size, Root: r.Root, Scopes: map[string]uint64{}, First: r.First, Last: r.Last, Published: r.Published.Size}
	for name, scope := range r.Scopes {
		c.Scopes[name] = scope.Size
	}
	return c, nil
}
