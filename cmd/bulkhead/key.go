package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"bulkhead/book"
	"bulkhead/claim"
	"bulkhead/keystore"
	"bulkhead/ledger/sqlite"
	"bulkhead/run"
	"bulkhead/run/datadir"
)

type keyCommand struct {
	List    keyList    `cmd:"" help:"List the signing keys, without their secrets."`
	Rotate  keyRotate  `cmd:"" help:"Make a new key for a purpose; the old one stays to check with."`
	Protect keyProtect `cmd:"" help:"Choose where the master key lies that opens the signing keys."`
	Trust   keyTrust   `cmd:"" help:"Write the trust file: the public keys, for tenants' policies."`
}

type keyList struct {
	keysFlag
	format
}

// Help is the example.
func (keyList) Help() string {
	return `Example:

    bulkhead key list --data /var/lib/bulkhead`
}

// keyLine is a key as it is printed.
type keyLine struct {
	Purpose string    `json:"purpose"`
	ID      string    `json:"id"`
	Created time.Time `json:"created"`
	Retired time.Time `json:"retired,omitzero"`
}

// Run lists.
func (c *keyList) Run() error {
	keys, err := c.openKeys()
	if err != nil {
		return err
	}
	var lines []keyLine
	for _, k := range keys.Keys() {
		lines = append(lines, keyLine{k.Purpose, k.ID, k.Created, k.Retired})
	}
	return c.print(lines, func(w io.Writer) {
		row(w, "PURPOSE", "KEY", "CREATED", "RETIRED")
		for _, k := range lines {
			retired := "in use"
			if !k.Retired.IsZero() {
				retired = k.Retired.Format(time.RFC3339)
			}
			row(w, k.Purpose, k.ID, k.Created.Format(time.RFC3339), retired)
		}
	})
}

type keyRotate struct {
	keysFlag
	Purpose string `arg:"" enum:"checkpoint,invoice,statement,webhook" help:"checkpoint, invoice, statement or webhook."`
	By      string `default:"operator" placeholder:"NAME" help:"Who rotates, for the ledger."`
	format
}

// Help is the example.
func (keyRotate) Help() string {
	return `The server must be stopped: it holds its keys in memory. The ledger records the
new key's id. Tenants need the new trust file: bulkhead key trust.

Example:

    bulkhead key rotate --data /var/lib/bulkhead statement`
}

// Run rotates. The store is locked meanwhile, which is what keeps a server from
// signing with a key that was just retired.
func (c *keyRotate) Run(ctx context.Context) error {
	log, err := c.Data.Writer()
	if errors.Is(err, sqlite.ErrInUse) {
		return fmt.Errorf("%w: a server holds its keys in memory, so stop it before a rotation", err)
	}
	if err != nil {
		return err
	}
	defer log.Close()
	keys, err := c.openKeys()
	if err != nil {
		return err
	}
	clock, err := rotationClock(ctx, c.Data, log)
	if err != nil {
		return err
	}
	k, err := keys.Rotate(c.Purpose, clock.Now())
	if err != nil {
		return err
	}
	published := c.Data.Published(keys)
	// Opening a plane records the keys in use.
	plane, err := run.Open(ctx, run.Config{Log: log, Signers: keys, Published: published, Clock: clock, Writer: c.By, Observe: true})
	if err != nil {
		return fmt.Errorf("the key was made, and the ledger could not record it (the next start does): %w", err)
	}
	if err := plane.Publish(ctx); err != nil {
		return err
	}
	return c.print(keyLine{Purpose: k.Purpose, ID: k.ID, Created: k.Created}, func(w io.Writer) {
		row(w, "purpose", k.Purpose)
		row(w, "key", k.ID)
		row(w, "next", "give tenants the new trust file: bulkhead key trust --data "+string(c.Data)+" FILE")
	})
}

// rotationClock dates a rotation: by the machine's clock where that is taken for right,
// and no earlier than the ledger's last entry. A clock that is behind it is wrong, and no
// key is made by it, but on a simulated site, whose days may pass faster.
func rotationClock(ctx context.Context, d datadir.Dir, log *sqlite.Log) (run.Clock, error) {
	state, err := datadir.Fold(ctx, log, datadir.Everything)
	if err != nil {
		return nil, err
	}
	now := time.Now().UTC()
	if !now.Before(state.Time) || state.Site != nil && state.Site.Origin == claim.Simulated {
		return run.NewVirtualClock(d.CertainTime(state.Time)), nil
	}
	return nil, fmt.Errorf("this machine's clock says %s, and the ledger's last entry is of %s: set the clock right first; no key was made", now.Format(time.RFC3339), state.Time.Format(time.RFC3339))
}

type keyTrust struct {
	keysFlag
	File string `arg:"" help:"Trust file to write."`
	format
}

// Help is the example.
func (keyTrust) Help() string {
	return `A tenant compares the file by a way of its own, and makes its policy from it:
bulkhead-verify policy init --trust trust.json --tenant ID

Example:

    bulkhead key trust --data /var/lib/bulkhead trust.json`
}

// Run writes the trust file.
func (c *keyTrust) Run(ctx context.Context) error {
	log, err := c.Data.Reader()
	if err != nil {
		return err
	}
	defer log.Close()
	keys, err := c.openKeys()
	if err != nil {
		return err
	}
	state, err := datadir.Fold(ctx, log, datadir.Everything)
	if err != nil {
		return err
	}
	encoded, err := trustOf(state, keys)
	if err != nil {
		return err
	}
	if err := os.WriteFile(c.File, encoded, 0o644); err != nil {
		return fmt.Errorf("FILE %s: %w", c.File, cause(err))
	}
	return c.print(written{File: c.File, Bytes: len(encoded)}, func(w io.Writer) { say(w, "written: %s", c.File) })
}

func trustOf(state *book.State, keys *keystore.Store) ([]byte, error) {
	if state.Site == nil {
		return nil, errors.New("no site has been imported yet: a trust file names its site; bulkhead site import FILE first")
	}
	trust, err := keys.Trust(state.Site.Name)
	if err != nil {
		return nil, err
	}
	return trust.Encode()
}
