package main

import (
	"context"
	"io"
	"os"

	"bulkhead/keystore"
	"bulkhead/run/datadir"
)

type backupCommand struct {
	keysFlag
	Out           datadir.Dir `required:"" placeholder:"DIR" help:"Folder to make. It must not exist, or be empty."`
	WithMasterKey bool        `help:"Copy keys/master.key too: who reads the copy can then sign as the owner."`
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

// Run copies and verifies.
func (c *backupCommand) Run(ctx context.Context) error {
	master, err := c.master()
	if err != nil {
		return err
	}
	found, err := c.Data.Backup(ctx, c.Out, master, c.WithMasterKey)
	if err != nil {
		return err
	}
	return reportCopy(c.format, "backup", c.Out, found)
}

type restoreCommand struct {
	From datadir.Dir `required:"" placeholder:"DIR" help:"Folder that backup made."`
	keysFlag
	format
}

// Help is the example.
func (restoreCommand) Help() string {
	return `Refuses a folder that is not empty, and a backup that is damaged or holds less
than the checkpoint beside it. Where a newer checkpoint than that was published,
the server refuses to go on from the copy; see bulkhead ledger recover --help. What is
restored is a copy: devices take its orders only after bulkhead ledger take-over (read
its --help first); until then it can be served, read-only.

Example:

    bulkhead restore --from /backup/2026-11-23 --data /var/lib/bulkhead`
}

// Run verifies the backup, copies it, and verifies the copy.
func (c *restoreCommand) Run(ctx context.Context) error {
	master, err := c.master()
	if err != nil {
		return err
	}
	found, err := c.Data.Restore(ctx, c.From, master)
	if err != nil {
		return err
	}
	return reportCopy(c.format, "restored", c.Data, found)
}

func reportCopy(f format, what string, d datadir.Dir, found datadir.Verified) error {
	return f.print(found, func(w io.Writer) {
		row(w, what, string(d))
		row(w, "entries", found.Entries)
		row(w, "root", found.Root)
		row(w, "published", publishedAs(found.Published, "the copy"))
		_, missing := os.Stat(keystore.MasterFile(d.Keys()))
		row(w, "keys", besides(d, missing == nil))
		if what == "restored" {
			row(w, "next", "this is a copy. To look at it: bulkhead serve --data "+string(d)+" --read-only"+besideKey(missing == nil))
			row(w, "", "to go on from it, with the other server stopped for good: "+d.TakesOver()+besideKey(missing == nil))
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
