package datadir

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"bulkhead/custody"
	"bulkhead/keystore"
	"bulkhead/ledger/sqlite"
)

// Backup copies the folder, also while a server runs, and verifies the copy. The
// checkpoint is copied before the ledger, so that the copy never holds less than what its
// checkpoint says.
func (d Dir) Backup(ctx context.Context, out Dir, master keystore.Master, withMaster bool) (Verified, error) {
	log, err := d.Reader()
	if err != nil {
		return Verified{}, err
	}
	defer log.Close()
	if err := emptyDir("--out", out); err != nil {
		return Verified{}, err
	}
	if master.Place == "" { // the copy is checked with the key of what it was copied from
		if place, err := keystore.Place(d.Keys()); err == nil && place == keystore.Beside {
			master = keystore.Master{Place: keystore.InFile, From: keystore.MasterFile(d.Keys())}
		}
	}
	if err := copySmall(d, out, withMaster); err != nil {
		return Verified{}, err
	}
	if err := log.Backup(ctx, out.Ledger()); err != nil {
		return Verified{}, err
	}
	return out.verifyCopy(ctx, master)
}

// Restore verifies a backup, copies it into this folder, and verifies the copy.
func (d Dir) Restore(ctx context.Context, from Dir, master keystore.Master) (Verified, error) {
	const expected = "give a folder that bulkhead backup has made"
	if err := from.existingAs("--from", expected); err != nil {
		return Verified{}, err
	}
	if _, err := os.Stat(from.Keys()); err != nil {
		return Verified{}, fmt.Errorf("--from %s: there is no keys/ in it: %s", from, expected)
	}
	if _, err := from.Verify(ctx, master); err != nil {
		return Verified{}, fmt.Errorf("--from %s: not restored: %w", from, err)
	}
	if err := emptyDir("--data", d); err != nil {
		return Verified{}, err
	}
	if err := copySmall(from, d, true); err != nil {
		return Verified{}, err
	}
	log, err := sqlite.OpenReader(from.Ledger())
	if err != nil {
		return Verified{}, err
	}
	defer log.Close()
	if err := log.Backup(ctx, d.Ledger()); err != nil {
		return Verified{}, err
	}
	return d.verifyCopy(ctx, master)
}

func (d Dir) verifyCopy(ctx context.Context, master keystore.Master) (Verified, error) {
	found, err := d.Verify(ctx, master)
	if err != nil {
		return found, fmt.Errorf("the copy in %s is not good: %w", d, err)
	}
	return found, nil
}

// emptyDir makes a folder for its owner alone, or accepts an empty one.
func emptyDir(flag string, d Dir) error {
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
func copySmall(from, to Dir, withMaster bool) error {
	leave := ""
	if !withMaster {
		leave = keystore.MasterFile(from.Keys())
	}
	for _, pair := range [][2]string{{from.Checkpoint(), to.Checkpoint()}, {from.Keys(), to.Keys()}, {from.Tokens(), to.Tokens()}} {
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
