package sqlite

import (
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
)

// makeFile makes a ledger's file where there is none. The file gets its name
// only when it is whole: whatever has that name and is no ledger was one, and is
// never taken for a new one. The caller holds the lock.
func makeFile(path string) error {
	info, err := os.Stat(path)
	if err == nil && info.Size() == 0 {
		return emptyFile(path)
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if _, err := os.Stat(path + "-wal"); err == nil {
		return fmt.Errorf("%s is missing and its journal %s-wal is there: %w", path, path, ErrDamaged)
	}
	half := path + ".new"
	if err := os.Remove(half); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err // what a writer left that was killed here
	}
	// SQLite would make the file readable for all that the umask lets in.
	f, err := os.OpenFile(half, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err == nil {
		err = f.Close()
	}
	if err == nil {
		err = fill(half)
	}
	if err == nil {
		err = os.Rename(half, path)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("%s: a new ledger: %w", path, err), os.Remove(half))
	}
	return syncDir(filepath.Dir(path))
}

// fill writes the tables of a new ledger. There is no journal of it: what is cut
// off here is made again.
func fill(path string) error {
	db, err := sql.Open("sqlite", "file:"+url.PathEscape(path)+"?_pragma=journal_mode(MEMORY)&_pragma=synchronous(FULL)")
	if err != nil {
		return err
	}
	db.SetMaxOpenConns(1)
	_, err = db.Exec(schema)
	return errors.Join(err, db.Close())
}

// syncDir makes a rename in a folder durable.
func syncDir(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

func emptyFile(path string) error {
	return fmt.Errorf("%s is empty (0 bytes), which a ledger never is: %w; remove the file only if nothing was ever recorded in it", path, ErrDamaged)
}
