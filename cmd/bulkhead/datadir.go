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
	"bulkhead/keystore"
	"bulkhead/ledger"
	"bulkhead/ledger/sqlite"
)

// dataDir is the folder of a control plane: its ledger, its keys, its tokens,
// and the newest checkpoint that it published.
type dataDir string

func (d dataDir) ledger() string     { return filepath.Join(string(d), "ledger.db") }
func (d dataDir) keys() string       { return filepath.Join(string(d), "keys") }
func (d dataDir) checkpoint() string { return filepath.Join(string(d), "checkpoint") }
func (d dataDir) tokens() string     { return filepath.Join(string(d), "tokens.json") }

// dataFlag is the flag of every verb that works on the files of a control plane.
type dataFlag struct {
	Data dataDir `required:"" placeholder:"DIR" help:"Folder of the control plane: ledger.db, keys/, checkpoint."`
}

// existing refuses a folder that holds no ledger, so that a mistyped path does
// not make one.
func (d dataDir) existing() error {
	if _, err := os.Stat(d.ledger()); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("--data %s: there is no ledger.db in it: give the folder of a control plane; bulkhead serve --data DIR makes one", d)
		}
		return fmt.Errorf("--data %s: %w", d, err)
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

// openKeys opens keys that exist.
func (d dataDir) openKeys() (*keystore.Store, error) {
	if _, err := os.Stat(d.keys()); err != nil {
		return nil, fmt.Errorf("--data %s: there is no keys/ in it: restore it from the backup, or let bulkhead serve make a new control plane in an empty folder", d)
	}
	return keystore.Open(d.keys(), time.Now())
}

// published is the checkpoint file with the keys that it is checked with.
func (d dataDir) published(keys *keystore.Store) (*ledger.Published, error) {
	return &ledger.Published{Path: d.checkpoint(), Verifiers: keys.Verifiers}, nil
}

// checked is what reading a whole ledger comes to.
type checked struct {
	Entries    uint64            `json:"entries"`
	Root       claim.Digest      `json:"root"`
	Scopes     map[string]uint64 `json:"scopes"`
	First      time.Time         `json:"first,omitzero"`
	Last       time.Time         `json:"last,omitzero"`
	Published  uint64            `json:"published"`
	RootAtSize claim.Digest      `json:"-"` // root of the first Published entries
}

// checkLog reads every entry, checks its place in the ledger and in its scope,
// and grows the tree. published is the size of the checkpoint to compare with.
func checkLog(ctx context.Context, log ledger.Log, published uint64, each func(*ledger.Entry) error) (checked, error) {
	c := checked{Scopes: map[string]uint64{}, Published: published}
	tree := ledger.NewTree()
	if published == 0 {
		c.RootAtSize = tree.Root()
	}
	for e, err := range log.Read(ctx, 1) {
		if err != nil {
			return c, fmt.Errorf("after entry %d: %w", c.Entries, err)
		}
		if e.Seq != c.Entries+1 {
			return c, fmt.Errorf("entry %d follows entry %d: entries are missing", e.Seq, c.Entries)
		}
		if want := c.Scopes[e.Scope] + 1; e.ScopeSeq != want {
			return c, fmt.Errorf("entry %d is number %d of scope %s, expected %d", e.Seq, e.ScopeSeq, e.Scope, want)
		}
		if e.Time.Before(c.Last) {
			return c, fmt.Errorf("entry %d is of %s, before the entry that it follows (%s)", e.Seq, e.Time, c.Last)
		}
		c.Entries, c.Last = e.Seq, e.Time
		c.Scopes[e.Scope]++
		if c.Entries == 1 {
			c.First = e.Time
		}
		tree.Append(ledger.LeafHash(ledger.Encode(&e)))
		if c.Entries == published {
			c.RootAtSize = tree.Root()
		}
		if each != nil {
			if err := each(&e); err != nil {
				return c, err
			}
		}
	}
	c.Root = tree.Root()
	return c, nil
}

// verifyDir checks the ledger of a folder against its published checkpoint and
// folds it: it is whole, it is the one that was published, and it can be told.
func verifyDir(ctx context.Context, d dataDir, each func(*ledger.Entry) error) (checked, error) {
	log, err := d.reader()
	if err != nil {
		return checked{}, err
	}
	defer log.Close()
	keys, err := d.openKeys()
	if err != nil {
		return checked{}, err
	}
	published, err := d.published(keys)
	if err != nil {
		return checked{}, err
	}
	last, err := published.Load()
	if err != nil {
		return checked{}, err
	}
	c, err := checkLog(ctx, log, last.Size, each)
	if err != nil {
		return c, fmt.Errorf("%s: %w", d.ledger(), err)
	}
	return c, published.Check(c.Entries, func(uint64) (claim.Digest, error) { return c.RootAtSize, nil })
}
