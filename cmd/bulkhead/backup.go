package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"bulkhead/custody"
	"bulkhead/keystore"
	"bulkhead/ledger/sqlite"
)

type backupCommand struct {
	keysFlag
	Out           dataDir `required:"" placeholder:"DIR" help:"Folder to make. It must not exist, or be empty."`
	WithMasterKey bool    `help:"Copy keys/master.key too: who reads the copy can then sign as the owner."`
	format
}

// Help is the example.
func (backupCommand) Help() string {
	return `A server may be running: the copy is of one instant. It holds the signing keys,
sealed, and not the master key that opens them, unless --with-master-key asks for it:
keep a copy of keys/master.key elsewhere, or choose another place for it (bulkhead key
protect --help says what each is worth). Exit code 0 says that the copy was read back,
checked and folded.

Example:

    bulkhead backup --data /var/lib/bulkhead --out /backup/2026-11-23`
}

// Run copies and verifies. The checkpoint is copied before the ledger, so that
// the copy never holds less than what its checkpoint says.
func (c *backupCommand) Run(ctx context.Context) error {
	log, err := c.Data.reader()
	if err != nil {
		return err
	}
	defer log.Close()
	if err := emptyDir("--out", c.Out); err != nil {
		return err
	}
	master, err := c.master()
	if err != nil {
		return err
	}
	if master.Place == "" { // the copy is checked with the key of what it was copied from
		if place, err := keystore.Place(c.Data.keys()); err == nil && place == keystore.Beside {
			master = keystore.Master{Place: keystore.InFile, From: keystore.MasterFile(c.Data.keys())}
		}
	}
	if err := copySmall(c.Data, c.Out, c.WithMasterKey); err != nil {
		return err
	}
	if err := log.Backup(ctx, c.Out.ledger()); err != nil {
		return err
	}
	return reportCopy(ctx, c.format, "backup", c.Out, master)
}

type restoreCommand struct {
	From dataDir `required:"" placeholder:"DIR" help:"Folder that backup made."`
	keysFlag
	format
}

// Help is the example.
func (restoreCommand) Help() string {
	return `Refuses a folder that is not empty, and a backup that is damaged or holds less
than the checkpoint beside it. Where a newer checkpoint than that was published,
the server refuses to go on from the copy; see bulkhead ledger recover --help. What is
restored is a copy: devices take its orders only after bulkhead ledger take-over, which
see; until then it can be served, read-only.

Example:

    bulkhead restore --from /backup/2026-11-23 --data /var/lib/bulkhead`
}

// Run verifies the backup, copies it, and verifies the copy.
func (c *restoreCommand) Run(ctx context.Context) error {
	if err := c.From.existingAs("--from"); err != nil {
		return err
	}
	master, err := c.master()
	if err != nil {
		return err
	}
	if _, err := verifyDir(ctx, c.From, master); err != nil {
		return fmt.Errorf("--from %s: not restored: %w", c.From, err)
	}
	if err := emptyDir("--data", c.Data); err != nil {
		return err
	}
	if err := copySmall(c.From, c.Data, true); err != nil {
		return err
	}
	log, err := sqlite.OpenReader(c.From.ledger())
	if err != nil {
		return err
	}
	defer log.Close()
	if err := log.Backup(ctx, c.Data.ledger()); err != nil {
		return err
	}
	return reportCopy(ctx, c.format, "restored", c.Data, master)
}

func reportCopy(ctx context.Context, f format, what string, d dataDir, master keystore.Master) error {
	found, err := verifyDir(ctx, d, master)
	if err != nil {
		return fmt.Errorf("the copy in %s is not good: %w", d, err)
	}
	return f.print(found, func(w io.Writer) {
		row(w, what, string(d))
		row(w, "entries", found.Entries)
		row(w, "root", found.Root)
		row(w, "published", publishedAs(found.Published, "the copy"))
		_, missing := os.Stat(keystore.MasterFile(d.keys()))
		row(w, "keys", besides(d, missing == nil))
		if what == "restored" {
			row(w, "next", "this is a copy. To look at it: bulkhead serve --data "+string(d)+" --read-only"+besideKey(missing == nil))
			row(w, "", "to go on from it, with the other server stopped for good: "+d.takesOver()+besideKey(missing == nil))
		}
	})
}

// besideKey is what a command needs where the master key does not lie beside the keys.
func besideKey(there bool) string {
	if there {
		return ""
	}
	return " --key-file FILE"
}

// emptyDir makes a folder for its owner alone, or accepts an empty one.
func emptyDir(flag string, d dataDir) error {
	entries, err := os.ReadDir(string(d))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return os.MkdirAll(string(d), 0o700)
	case err != nil:
		return fmt.Errorf("%s %s: %w", flag, d, err)
	case len(entries) > 0:
		return fmt.Errorf("%s %s is not empty, and nothing is ever overwritten: give another folder, or move this one away", flag, d)
	}
	return nil
}

// copySmall copies everything but the ledger: keys, tokens and the checkpoint.
// The master key is copied where it is asked for: beside what it opens it opens it for
// whoever has the copy.
func copySmall(from, to dataDir, withMaster bool) error {
	leave := ""
	if !withMaster {
		leave = keystore.MasterFile(from.keys())
	}
	for _, pair := range [][2]string{{from.checkpoint(), to.checkpoint()}, {from.keys(), to.keys()}, {from.tokens(), to.tokens()}} {
		if err := copyTree(pair[0], pair[1], leave); err != nil {
			return err
		}
	}
	return nil
}

// copyTree copies a file, or a folder of files, but for one. What is not there is passed
// over.
func copyTree(from, to, leave string) error {
	if from == leave {
		return nil
	}
	info, err := os.Stat(from)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if !info.IsDir() {
		data, err := custody.ReadFile(from, custody.Large)
		if err != nil {
			return err
		}
		return os.WriteFile(to, data, info.Mode().Perm())
	}
	if err := os.MkdirAll(to, info.Mode().Perm()); err != nil {
		return err
	}
	entries, err := os.ReadDir(from)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if err := copyTree(filepath.Join(from, e.Name()), filepath.Join(to, e.Name()), leave); err != nil {
			return err
		}
	}
	return nil
}
