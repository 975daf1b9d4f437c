// Package sqlite is the embedded ledger engine: one SQLite file, and a lock file that
// keeps a second writer out. The file is in WAL mode with synchronous=FULL.
package sqlite

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"sync"

	"github.com/klauspost/compress/zstd"
	_ "modernc.org/sqlite" // the driver "sqlite"

	"bulkhead/claim"
	"bulkhead/ledger"
)

// ErrInUse is returned when another process writes this ledger.
var ErrInUse = errors.New("another process has this ledger open for writing")

// ErrDamaged is returned for what is stored and can't be what was written.
var ErrDamaged = errors.New("the store is damaged: restore a backup")

// schema is what a new file gets. A file that exists gets nothing but the table of
// places, which follows from the rest: what else is missing there was lost, or is
// of another release.
const schema = `
BEGIN IMMEDIATE;
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
CREATE TABLE entry (seq INTEGER PRIMARY KEY, frame BLOB NOT NULL) STRICT;
CREATE TABLE scope (name TEXT PRIMARY KEY, size INTEGER NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE body (digest BLOB PRIMARY KEY, data BLOB NOT NULL) STRICT;
` + placeTable + `
CREATE TABLE snapshot (schema TEXT PRIMARY KEY, seq INTEGER NOT NULL, digest BLOB NOT NULL, data BLOB NOT NULL) STRICT;
INSERT INTO meta VALUES ('format', '1');
COMMIT;
`

// Log is the engine. It is safe for concurrent use.
type Log struct {
	path    string
	write   *sql.DB     // one connection; nil when read-only
	inserts []*sql.Stmt // of rowsAStatement rows, on write
	place   *sql.Stmt   // inserts into place, on write
	placed  bool        // there is a table of places
	read    *sql.DB
	lock    *os.File

	acknowledged *headFile // nil when read-only

	mu     sync.Mutex // of head and heads, held through an append
	head   uint64
	heads  map[string]uint64
	encode *zstd.Encoder
	decode *zstd.Decoder
}

// Open opens or makes a ledger for writing. Only one process may: another gets
// ErrInUse, and nothing is harmed.
func Open(path string) (*Log, error) {
	lock, err := acquire(path + ".lock")
	if err != nil {
		return nil, err
	}
	if err := makeFile(path); err != nil {
		_ = lock.Close()
		return nil, err
	}
	l, err := open(path, false)
	if err != nil {
		_ = lock.Close()
		return nil, err
	}
	l.lock = lock
	if err := l.guard(true); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

// OpenAfterLoss opens a ledger for writing that Open refuses because it holds less than
// it acknowledged, or because nothing shows that it does not: for whoever decides that
// what is missing is lost. It returns what was acknowledged, zero where nobody knows.
func OpenAfterLoss(path string) (*Log, Acknowledged, error) {
	lock, err := acquire(path + ".lock")
	if err != nil {
		return nil, Acknowledged{}, err
	}
	l, err := open(path, false)
	if err != nil {
		_ = lock.Close()
		return nil, Acknowledged{}, err
	}
	l.lock = lock
	was, _, err := acknowledgedBefore(path)
	if err != nil && !errors.Is(err, ledger.ErrUnguarded) {
		return nil, was, errors.Join(err, l.Close())
	}
	if err := l.guard(false); err != nil {
		return nil, was, errors.Join(err, l.Close())
	}
	return l, was, nil
}

// guard compares the store with what it acknowledged, and keeps that from now on.
func (l *Log) guard(compare bool) error {
	was, missing, err := acknowledgedBefore(l.path)
	if compare {
		if err == nil {
			err = l.compare(was, missing)
		}
		if err != nil {
			return err
		}
	}
	if err := l.keepHead(); err != nil || !missing || !compare {
		return err // after a loss the first entry says what is acknowledged from now on
	}
	return l.startHead()
}

// OpenReader opens a ledger for reading, also while another process writes it.
func OpenReader(path string) (*Log, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.Size() == 0 {
		return nil, emptyFile(path)
	}
	was, missing, err := acknowledgedBefore(path)
	if err != nil {
		return nil, err
	}
	l, err := open(path, true)
	if err != nil {
		return nil, err
	}
	if err := l.compare(was, missing); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

func open(path string, readOnly bool) (*Log, error) {
	l := &Log{path: path, heads: map[string]uint64{}}
	var err error
	if l.encode, err = zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1)); err != nil {
		return nil, err
	}
	if l.decode, err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(0), zstd.WithDecoderMaxMemory(1<<30)); err != nil {
		return nil, err
	}
	dsn := "file:" + url.PathEscape(path) + "?_pragma=busy_timeout(10000)&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_pragma=cache_size(-16384)&_pragma=wal_autocheckpoint(8000)"
	if readOnly {
		dsn = "file:" + url.PathEscape(path) + "?mode=ro&_pragma=busy_timeout(10000)"
	}
	if !readOnly {
		if l.write, err = sql.Open("sqlite", dsn); err != nil {
			return nil, err
		}
		l.write.SetMaxOpenConns(1)
	}
	if l.read, err = sql.Open("sqlite", dsn); err != nil {
		_ = l.Close()
		return nil, err
	}
	if err := l.load(); err != nil {
		_ = l.Close()
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if readOnly {
		return l, nil
	}
	if err := l.ensurePlaces(context.Background()); err != nil {
		_ = l.Close()
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	l.placed = true
	if l.place, err = l.write.Prepare(insertPlace); err != nil {
		_ = l.Close()
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	for _, rows := range rowsAStatement {
		insert, err := l.write.Prepare(insertText(rows))
		if err != nil {
			_ = l.Close()
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		l.inserts = append(l.inserts, insert)
	}
	return l, nil
}

// load reads the heads.
func (l *Log) load() error {
	var format string
	if err := l.read.QueryRow(`SELECT value FROM meta WHERE key='format'`).Scan(&format); err != nil {
		return fmt.Errorf("this is no ledger, or a damaged one: %w", err)
	}
	if format != "1" {
		return fmt.Errorf("ledger format %q: this release reads format 1", format)
	}
	if err := l.read.QueryRow(`SELECT COALESCE(MAX(seq),0) FROM entry`).Scan(&l.head); err != nil {
		return err
	}
	var sum uint64
	rows, err := l.read.Query(`SELECT name, size FROM scope`)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var name string
		var size uint64
		if err := rows.Scan(&name, &size); err != nil {
			return err
		}
		l.heads[name] = size
		sum += size
	}
	if err := rows.Err(); err != nil {
		return err
	}
	if err := l.read.QueryRow(`SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE name = 'place')`).Scan(&l.placed); err != nil {
		return err
	}
	if sum != l.head {
		return fmt.Errorf("the scopes have %d entries, the ledger %d: %w", sum, l.head, ErrDamaged)
	}
	return nil
}

// Append implements ledger.Log: one transaction.
func (l *Log) Append(ctx context.Context, expect uint64, entries []ledger.Entry, bodies []ledger.Body) error {
	if l.write == nil {
		return errors.New("this ledger is open for reading only")
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if expect != l.head {
		return fmt.Errorf("head is %d, expected %d: %w", l.head, expect, ledger.ErrConflict)
	}
	if l.acknowledged.err != nil {
		return fmt.Errorf("%s: what is acknowledged can't be kept: %w", HeadFile(l.path), l.acknowledged.err)
	}
	frames, err := ledger.CheckAppend(expect, entries, bodies, func(scope string) uint64 { return l.heads[scope] })
	if err != nil {
		return err
	}
	tx, err := l.write.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() //nolint:errcheck // after a commit it does nothing
	if err := l.insertFrames(ctx, tx, expect, frames); err != nil {
		_ = tx.Rollback()
		return l.moved(ctx, expect, err)
	}
	if err := l.insertBodies(ctx, tx, bodies); err != nil {
		return err
	}
	grown := map[string]uint64{}
	at := newPlaces(tx.StmtContext(ctx, l.place))
	for i := range entries {
		e := &entries[i]
		grown[e.Scope] = e.ScopeSeq
		if err := at.add(ctx, e.Scope, e.ScopeSeq, e.Seq); err != nil {
			return err
		}
	}
	if err := at.end(ctx); err != nil {
		return err
	}
	for scope, size := range grown {
		if _, err := tx.ExecContext(ctx, `INSERT INTO scope VALUES (?,?) ON CONFLICT (name) DO UPDATE SET size=excluded.size`, scope, size); err != nil {
			return err
		}
	}
	if err := tx.Commit(); err != nil {
		return l.unknown(err)
	}
	l.head += uint64(len(entries))
	for scope, size := range grown {
		l.heads[scope] = size
	}
	if len(frames) == 0 {
		return nil
	}
	return l.acknowledged.write(acknowledge(l.head, frames[len(frames)-1]))
}

// moved tells a store that another process has written to from one that is damaged. The
// lock keeps others out, but not whoever removed its file, nor on every file system.
func (l *Log) moved(ctx context.Context, expect uint64, cause error) error {
	head, err := l.Head(context.WithoutCancel(ctx))
	if err != nil || head <= expect {
		return errors.Join(cause, err)
	}
	return fmt.Errorf("%s: entries %d to %d were written by another process, although this one holds %s.lock: %w", l.path, expect+1, head, l.path, ledger.ErrConflict)
}

// unknown reads the heads again after a commit whose outcome is unknown.
func (l *Log) unknown(cause error) error {
	clear(l.heads)
	if err := l.load(); err != nil {
		return errors.Join(cause, err)
	}
	return cause
}

// Head implements ledger.Log.
func (l *Log) Head(ctx context.Context) (uint64, error) {
	var head uint64
	err := l.read.QueryRowContext(ctx, `SELECT COALESCE(MAX(seq),0) FROM entry`).Scan(&head)
	return head, err
}

// Body implements ledger.Log.
func (l *Log) Body(ctx context.Context, digest claim.Digest) ([]byte, error) {
	var packed []byte
	err := l.read.QueryRowContext(ctx, `SELECT data FROM body WHERE digest = ?`, digest[:]).Scan(&packed)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, fmt.Errorf("%s: %w", digest, ledger.ErrNoBody)
	}
	if err != nil {
		return nil, err
	}
	data, err := l.decode.DecodeAll(packed, nil)
	if err != nil {
		return nil, fmt.Errorf("body %s: %w", digest, err)
	}
	if claim.DigestOf(data) != digest {
		return nil, fmt.Errorf("body %s: what is stored is something else: %w", digest, ErrDamaged)
	}
	return data, nil
}

// insertBodies packs bodies on one core and writes them on another.
func (l *Log) insertBodies(ctx context.Context, tx *sql.Tx, bodies []ledger.Body) error {
	if len(bodies) == 0 {
		return nil
	}
	insert, err := tx.PrepareContext(ctx, `INSERT OR IGNORE INTO body VALUES (?,?)`)
	if err != nil {
		return err
	}
	defer insert.Close()
	ready := make(chan []byte, len(bodies)) // the one who packs never waits, so that it always ends
	go func() {
		for _, b := range bodies {
			ready <- l.encode.EncodeAll(b.Data, make([]byte, 0, len(b.Data)/3+64))
		}
	}()
	for _, b := range bodies {
		if _, err := insert.ExecContext(ctx, b.Digest[:], <-ready); err != nil {
			return err
		}
	}
	return nil
}

// SaveSnapshot implements ledger.Log.
func (l *Log) SaveSnapshot(ctx context.Context, seq uint64, schema string, data []byte) error {
	if l.write == nil {
		return errors.New("this ledger is open for reading only")
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if seq > l.head {
		return fmt.Errorf("snapshot after entry %d, the head is %d", seq, l.head)
	}
	digest := snapshotDigest(schema, seq, data)
	_, err := l.write.ExecContext(ctx, `INSERT INTO snapshot VALUES (?,?,?,?) ON CONFLICT (schema) DO UPDATE SET seq=excluded.seq, digest=excluded.digest, data=excluded.data WHERE excluded.seq >= seq`,
		schema, int64(seq), digest[:], l.encode.EncodeAll(data, []byte{}))
	return err
}

// snapshotDigest covers the schema and the position too: a state at a wrong
// position would be folded on from there.
func snapshotDigest(schema string, seq uint64, data []byte) claim.Digest {
	h := sha256.New()
	_, _ = fmt.Fprintf(h, "%q %d\n", schema, seq)
	h.Write(data)
	return claim.Digest(h.Sum(nil))
}

// LoadSnapshot implements ledger.Log. A damaged snapshot is an error: the caller
// replays instead.
func (l *Log) LoadSnapshot(ctx context.Context, schema string) (uint64, []byte, error) {
	var seq uint64
	var digest, packed []byte
	err := l.read.QueryRowContext(ctx, `SELECT seq, digest, data FROM snapshot WHERE schema = ?`, schema).Scan(&seq, &digest, &packed)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil, ledger.ErrNoSnapshot
	}
	if err != nil {
		return 0, nil, err
	}
	data, err := l.decode.DecodeAll(packed, nil)
	if err != nil {
		return 0, nil, fmt.Errorf("snapshot %s: %w", schema, err)
	}
	if got := snapshotDigest(schema, seq, data); string(got[:]) != string(digest) {
		return 0, nil, fmt.Errorf("snapshot %s: %w", schema, ErrDamaged)
	}
	return seq, data, nil
}

// Backup writes a consistent copy of the ledger to a new file, durably. Until it
// is whole it has another name.
func (l *Log) Backup(ctx context.Context, path string) error {
	if _, err := os.Lstat(path); err == nil {
		return fmt.Errorf("%s exists: a backup never overwrites", path)
	}
	partial := path + ".partial"
	if err := os.Remove(partial); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	defer os.Remove(partial)
	f, err := os.OpenFile(partial, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600) // SQLite takes an empty file
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := l.read.ExecContext(ctx, `VACUUM INTO ?`, partial); err != nil {
		return fmt.Errorf("backup of %s: %w", l.path, err)
	}
	if err := f.Sync(); err != nil {
		return err
	}
	if err := l.backupHead(ctx, partial, path); err != nil {
		return err
	}
	if err := os.Rename(partial, path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

// BackupUntil is Backup of the first entries alone. Bodies that only later ones name
// stay: they are found by their digests, and are nobody's any more.
func (l *Log) BackupUntil(ctx context.Context, path string, keep uint64, scopes map[string]uint64) error {
	whole := path + ".whole"
	if err := os.Remove(whole); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	defer os.Remove(whole)
	if _, err := os.Lstat(path); err == nil {
		return fmt.Errorf("%s exists: a backup never overwrites", path)
	}
	if err := l.Backup(ctx, whole); err != nil {
		return err
	}
	if err := shorten(ctx, whole, keep, scopes); err != nil {
		return fmt.Errorf("the first %d entries of %s: %w", keep, l.path, err)
	}
	if err := os.Remove(HeadFile(whole)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.Rename(whole, path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

// shorten takes entries off the end of a copy that nobody else has open.
func shorten(ctx context.Context, path string, keep uint64, scopes map[string]uint64) error {
	db, err := sql.Open("sqlite", "file:"+url.PathEscape(path)+"?_pragma=journal_mode(DELETE)&_pragma=synchronous(FULL)")
	if err != nil {
		return err
	}
	db.SetMaxOpenConns(1)
	defer db.Close()
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() //nolint:errcheck // after a commit it does nothing
	if _, err := tx.ExecContext(ctx, `DELETE FROM meta WHERE key='head-file'`); err != nil {
		return err // what was acknowledged is more: the copy begins a head file of its own
	}
	for _, statement := range []string{`DELETE FROM entry WHERE seq > ?1`, `DELETE FROM snapshot WHERE seq > ?1`} {
		if _, err := tx.ExecContext(ctx, statement, int64(keep)); err != nil {
			return err
		}
	}
	if _, err := tx.ExecContext(ctx, `DELETE FROM scope`); err != nil {
		return err
	}
	for scope, size := range scopes {
		if _, err := tx.ExecContext(ctx, `INSERT INTO scope VALUES (?,?)`, scope, int64(size)); err != nil {
			return err
		}
	}
	if err := tx.Commit(); err != nil {
		return err
	}
	return db.Close()
}

// backupHead gives a copy the head file of what it holds, which may be less than the
// ledger does by now.
func (l *Log) backupHead(ctx context.Context, partial, path string) error {
	copied, err := open(partial, true)
	if err != nil {
		return err
	}
	copied.path = path
	defer copied.Close()
	if guarded, err := copied.guarded(); err != nil || !guarded {
		return err
	}
	if copied.acknowledged, err = openHead(HeadFile(path)); err != nil {
		return err
	}
	return copied.startHead()
}

// Close implements ledger.Log.
func (l *Log) Close() error {
	var errs []error
	if l.read != nil {
		errs = append(errs, l.read.Close())
	}
	if l.place != nil {
		errs = append(errs, l.place.Close())
	}
	for _, insert := range l.inserts {
		errs = append(errs, insert.Close())
	}
	if l.write != nil {
		errs = append(errs, l.write.Close())
	}
	if l.acknowledged != nil {
		errs = append(errs, l.acknowledged.close())
	}
	if l.lock != nil {
		errs = append(errs, l.lock.Close())
	}
	return errors.Join(errs...)
}
