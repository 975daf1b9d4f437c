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
	"bulkhead/ledger/sqlite"
)

type backupCommand struct {
	dataFlag
	Out dataDir `required:"" placeholder:"DIR" help:"Folder to make. It must not exist, or be empty."`
	format
}

// Help is the example.
func (backupCommand) Help() string {
	return `A server may be running: the copy is of one instant. It holds the signing keys:
keep it as safe as the original. Exit code 0 says that the copy was read back,
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
	if err := copySmall(c.Data, c.Out); err != nil {
		return err
	}
	if err := log.Backup(ctx, c.Out.ledger()); err != nil {
		return err
	}
	return reportCopy(ctx, c.format, "backup", c.Out)
}

type restoreCommand struct {
	From dataDir `required:"" placeholder:"DIR" help:"Folder that backup made."`
	dataFlag
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
	if _, err := verifyDir(ctx, c.From); err != nil {
		return fmt.Errorf("--from %s: not restored: %w", c.From, err)
	}
	if err := emptyDir("--data", c.Data); err != nil {
		return err
	}
	if err := copySmall(c.From, c.Data); err != nil {
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
	return reportCopy(ctx, c.format, "restored", c.Data)
}

func reportCopy(ctx context.Context, f format, what string, d dataDir) error {
	found, err := verifyDir(ctx, d)
	if err != nil {
		return fmt.Errorf("the copy in %s is not good: %w", d, err)
	}
	return f.print(found, func(w io.Writer) {
		row(w, what, string(d))
		row(w, "entries", found.Entries)
		row(w, "root", found.Root)
		row(w, "published", publishedAs(found.Published, "the copy"))
		if what == "restored" {
			row(w, "next", "this is a copy. To look at it: bulkhead serve --data "+string(d)+" --read-only")
			row(w, "", "to go on from it, with the other server stopped for good: "+d.takesOver())
		}
	})
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
func copySmall(from, to dataDir) error {
	for _, pair := range [][2]string{{from.checkpoint(), to.checkpoint()}, {from.keys(), to.keys()}, {from.tokens(), to.tokens()}} {
		if err := copyTree(pair[0], pair[1]); err != nil {
			return err
		}
	}
	return nil
}

// copyTree copies a file, or a folder of files. What is not there is passed over.
func copyTree(from, to string) error {
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
		if err := copyTree(filepath.Join(from, e.Name()), filepath.Join(to, e.Name())); err != nil {
			return err
		}
	}
	return nil
}
