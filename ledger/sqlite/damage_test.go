package sqlite_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/mod/sumdb/note"

	"bulkhead/ledger"
	"bulkhead/ledger/ledgertest"
	"bulkhead/ledger/sqlite"
)

// whole is a closed ledger with everything in it, and what it held.
type whole struct {
	path      string
	data      []byte
	bodies    []ledger.Body
	state     []byte // the snapshot's
	report    ledger.Report
	published *ledger.Published
}

const (
	entriesInWhole = 400
	pageSize       = 4096 // of the database file, as Open makes it
)

func fill(t *testing.T, log *sqlite.Log, w *whole) {
	t.Helper()
	for i := range 8 {
		bodies := ledgertest.Bodies(fmt.Sprintf("b%d", i), 2, 700)
		at := uint64(i) * entriesInWhole / 8
		must(t, log.Append(t.Context(), at, ledgertest.Entries("w", at, entriesInWhole/8, 150), bodies))
		w.bodies = append(w.bodies, bodies...)
	}
	w.state = bytes.Repeat([]byte("state"), 300)
	must(t, log.SaveSnapshot(t.Context(), entriesInWhole/2, "s/1", w.state))
	var err error
	w.report, err = ledger.Verify(t.Context(), log, nil)
	must(t, err)
	secret, public, err := note.GenerateKey(rand.Reader, "checkpoint")
	must(t, err)
	signer, err := note.NewSigner(secret)
	must(t, err)
	verifier, err := note.NewVerifier(public)
	must(t, err)
	w.published = &ledger.Published{
		Path:      filepath.Join(t.TempDir(), "checkpoint"),
		Verifiers: func() ([]note.Verifier, error) { return []note.Verifier{verifier}, nil },
	}
	signed, err := ledger.SignCheckpoint(ledger.Checkpoint{Origin: "test", Size: w.report.Size, Root: w.report.Root}, signer)
	must(t, err)
	must(t, w.published.Store(signed))
}

// check reads a damaged copy. It returns an error where the damage was noticed,
// and fails the test where anything is different and nothing was noticed.
func (w *whole) check(t *testing.T, path, what string) error {
	t.Helper()
	log, err := sqlite.Open(path)
	if err != nil {
		return err
	}
	defer log.Close()
	// Without the published checkpoint a cut of the end may pass, for it is
	// what an older copy looks like; different entries may not.
	alone, aloneErr := ledger.Verify(context.Background(), log, nil)
	if aloneErr == nil && alone.Size == w.report.Size && alone.Root != w.report.Root {
		t.Errorf("%s: the engine gave other entries without an error", what)
	}
	if aloneErr == nil && alone.Size != 0 && alone.Size != w.report.Size && alone.Size%(entriesInWhole/8) != 0 {
		t.Errorf("%s: the engine gave %d entries, half a group, without an error", what, alone.Size)
	}
	noticed := aloneErr
	r, err := ledger.Verify(context.Background(), log, w.published)
	if err == nil && (r.Root != w.report.Root || r.Size != w.report.Size || len(r.Scopes) != len(w.report.Scopes)) {
		t.Errorf("%s: another ledger passed", what)
	}
	noticed = errors.Join(noticed, err)
	for _, b := range w.bodies {
		got, err := log.Body(context.Background(), b.Digest)
		if err == nil && !bytes.Equal(got, b.Data) {
			t.Errorf("%s: another body was given for %s", what, b.Digest)
		}
		noticed = errors.Join(noticed, err)
	}
	seq, state, err := log.LoadSnapshot(context.Background(), "s/1")
	if err == nil && (seq != entriesInWhole/2 || !bytes.Equal(state, w.state)) {
		t.Errorf("%s: another snapshot was given, of entry %d", what, seq)
	}
	return errors.Join(noticed, err)
}

// TestDamage flips bits of the database file and cuts it off: each is noticed,
// or nothing that is read is different.
func TestDamage(t *testing.T) {
	w := &whole{path: filepath.Join(t.TempDir(), "ledger.db")}
	log := open(t, w.path)
	fill(t, log, w)
	must(t, log.Close())
	var err error
	w.data, err = os.ReadFile(w.path)
	must(t, err)
	must(t, w.check(t, w.path, "as it was"))
	head, err := os.ReadFile(sqlite.HeadFile(w.path))
	must(t, err)

	dir := t.TempDir()
	try := func(n int, data []byte, what string) error {
		path := filepath.Join(dir, fmt.Sprintf("%d.db", n))
		must(t, os.WriteFile(path, data, 0o600))
		must(t, os.WriteFile(sqlite.HeadFile(path), head, 0o600))
		return w.check(t, path, what)
	}
	random := mathrand.New(mathrand.NewPCG(1, 2))
	const flips = 240
	noticed := 0
	for n := range flips {
		at := random.IntN(len(w.data))
		switch {
		case n < 40:
			at = random.IntN(100) // the file's header
		case n < 80: // the header of a page
			at = random.IntN(len(w.data)/pageSize)*pageSize + random.IntN(12)
		}
		bit := byte(1) << random.IntN(8)
		damaged := bytes.Clone(w.data)
		damaged[at] ^= bit
		if try(n, damaged, fmt.Sprintf("byte %d of %d, bit %#02x flipped", at, len(w.data), bit)) != nil {
			noticed++
		}
	}
	t.Logf("%d of %d flips were noticed, the others changed nothing that is read", noticed, flips)
	if noticed < flips/2 {
		t.Errorf("only %d of %d flips were noticed", noticed, flips)
	}
	for n := range 40 {
		size := len(w.data) * n / 40
		if n%2 == 1 {
			size = size / pageSize * pageSize
		}
		if try(flips+n, w.data[:size], fmt.Sprintf("cut off after %d bytes", size)) == nil {
			t.Errorf("a file cut off after %d of %d bytes passed", size, len(w.data))
		}
	}
}

// TestDamagedJournal flips bits of the write-ahead log that a killed writer
// leaves, and cuts it off. SQLite drops what follows, whole groups, without an error.
// The acknowledged head shows that they are missing, also where nothing was published.
func TestDamagedJournal(t *testing.T) {
	w := &whole{path: filepath.Join(t.TempDir(), "ledger.db")}
	log := open(t, w.path)
	fill(t, log, w)
	data, err := os.ReadFile(w.path) // the writer is alive: the log is not moved into the file yet
	must(t, err)
	journal, err := os.ReadFile(w.path + "-wal")
	must(t, err)
	if len(journal) < entriesInWhole*150 {
		t.Fatalf("the write-ahead log has %d bytes: expected all entries in it", len(journal))
	}
	dir := t.TempDir()
	random := mathrand.New(mathrand.NewPCG(3, 4))
	head, err := os.ReadFile(sqlite.HeadFile(w.path))
	must(t, err)
	noticed, lost := 0, 0
	const tries = 60
	for n := range tries {
		damaged, what := bytes.Clone(journal), ""
		at := random.IntN(len(journal))
		if n%2 == 0 {
			damaged, what = damaged[:at], fmt.Sprintf("journal cut off after %d of %d bytes", at, len(journal))
		} else {
			damaged[at] ^= 1 << random.IntN(8)
			what = fmt.Sprintf("byte %d of %d of the journal flipped", at, len(journal))
		}
		path := filepath.Join(dir, fmt.Sprintf("%d.db", n))
		must(t, os.WriteFile(path, data, 0o600))
		must(t, os.WriteFile(path+"-wal", damaged, 0o600))
		must(t, os.WriteFile(sqlite.HeadFile(path), head, 0o600))
		for kind, open := range map[string]func(string) (*sqlite.Log, error){"reader": sqlite.OpenReader, "writer": sqlite.Open} {
			if log, err := open(path); err == nil {
				if now, err := log.Head(t.Context()); err != nil || now != entriesInWhole {
					t.Errorf("%s: the %s takes a store of %d entries, %d were acknowledged (%v)", what, kind, now, entriesInWhole, err)
				}
				must(t, log.Close())
			} else if errors.Is(err, ledger.ErrLost) {
				lost++
			}
		}
		if w.check(t, path, what) != nil {
			noticed++
		}
	}
	t.Logf("%d of %d were noticed", noticed, tries)
	if noticed < tries/2 || lost < tries/2 {
		t.Errorf("only %d of %d were noticed, %d said to be lost", noticed, tries, lost)
	}
}

// TestBackup: a copy that is taken while the writer writes is a ledger of its
// own, whole at some group; nothing is ever overwritten.
func TestBackup(t *testing.T) {
	w := &whole{path: filepath.Join(t.TempDir(), "ledger.db")}
	log := open(t, w.path)
	fill(t, log, w)
	done := make(chan error, 1)
	go func() {
		for i := range uint64(50) {
			at := entriesInWhole + i*10
			if err := log.Append(context.Background(), at, ledgertest.Entries("w", at, 10, 150), nil); err != nil {
				done <- err
				return
			}
		}
		done <- nil
	}()
	dir := t.TempDir()
	first, second := filepath.Join(dir, "first.db"), filepath.Join(dir, "second.db")
	must(t, log.Backup(t.Context(), first))
	must(t, <-done)
	reader, err := sqlite.OpenReader(w.path)
	must(t, err)
	defer reader.Close()
	must(t, reader.Backup(t.Context(), second))
	before, err := os.ReadFile(first)
	must(t, err)
	if err := log.Backup(t.Context(), first); err == nil {
		t.Fatal("a backup was overwritten")
	}
	after, err := os.ReadFile(first)
	must(t, err)
	if !bytes.Equal(before, after) {
		t.Fatal("a refused backup changed the file")
	}
	for path, want := range map[string]uint64{first: 0, second: entriesInWhole + 500} {
		info, err := os.Stat(path)
		must(t, err)
		if info.Mode().Perm() != 0o600 {
			t.Errorf("%s has mode %o, expected 600", path, info.Mode().Perm())
		}
		clone := open(t, path)
		r, err := ledger.Verify(t.Context(), clone, w.published)
		must(t, err)
		if want != 0 && r.Size != want || r.Size%10 != 0 {
			t.Fatalf("the copy holds %d entries, expected %d", r.Size, want)
		}
		for _, b := range w.bodies {
			_, err := clone.Body(t.Context(), b.Digest)
			must(t, err)
		}
		if seq, _, err := clone.LoadSnapshot(t.Context(), "s/1"); err != nil || seq != entriesInWhole/2 {
			t.Fatalf("the copy's snapshot: entry %d, %v", seq, err)
		}
		must(t, clone.Append(t.Context(), r.Size, ledgertest.Entries("w", r.Size, 1, 150), nil))
	}
	left, err := filepath.Glob(filepath.Join(dir, "*.partial"))
	must(t, err)
	if len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	if err := log.Backup(cancelled, filepath.Join(dir, "third.db")); err == nil {
		t.Fatal("a backup with an ended context: no error")
	}
	if _, err := os.Stat(filepath.Join(dir, "third.db")); err == nil {
		t.Fatal("a backup that failed left a file of the name that was asked for")
	}
}

// TestNoNewLedgerOverAnOldOne: what has a ledger's name and lost its content is
// never taken for a new ledger.
func TestNoNewLedgerOverAnOldOne(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ledger.db")
	refused := func(what, want string) {
		t.Helper()
		for name, open := range map[string]func(string) (*sqlite.Log, error){"writer": sqlite.Open, "reader": sqlite.OpenReader} {
			log, err := open(path)
			if err == nil {
				log.Close()
			}
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s, %s: %v, expected %q", what, name, err, want)
			}
		}
	}
	must(t, os.WriteFile(path, nil, 0o600))
	refused("an empty file", "is empty (0 bytes)")
	if info, err := os.Stat(path); err != nil || info.Size() != 0 {
		t.Errorf("the refused file was changed: %v, %v", info, err)
	}
	must(t, os.Remove(path))
	must(t, os.WriteFile(path+"-wal", []byte("journal"), 0o600))
	if log, err := sqlite.Open(path); err == nil || !errors.Is(err, sqlite.ErrDamaged) {
		t.Errorf("a journal without its ledger: %v, %v", log, err)
	}
	must(t, os.Remove(path+"-wal"))

	// A database of no tables, as SQLite leaves it where nothing was written.
	db, err := sql.Open("sqlite", "file:"+path)
	must(t, err)
	_, err = db.Exec("PRAGMA user_version=1")
	must(t, errors.Join(err, db.Close()))
	refused("a file without tables", "this is no ledger, or a damaged one")
	for _, end := range []string{"", "-wal", "-shm"} {
		_ = os.Remove(path + end)
	}

	// What a killed writer left of a new ledger is no hindrance.
	must(t, os.WriteFile(path+".new", []byte("half"), 0o600))
	log, err := sqlite.Open(path)
	must(t, err)
	must(t, log.Close())
	if _, err := os.Stat(path + ".new"); err == nil {
		t.Error("the half of a new ledger is still there")
	}
}

// TestReader reads beside a writer, sees what is appended, and cannot write.
func TestReader(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ledger.db")
	if _, err := sqlite.OpenReader(path); err == nil {
		t.Fatal("a ledger that is not there was opened for reading")
	}
	if _, err := os.Stat(path); err == nil {
		t.Fatal("opening for reading made a file")
	}
	log := open(t, path)
	kept := ledgertest.Entries("r", 0, 20, 80)
	must(t, log.Append(t.Context(), 0, kept, nil))
	reader, err := sqlite.OpenReader(path)
	must(t, err)
	defer reader.Close()
	ledgertest.Holds(t, reader, 1, kept)
	more := ledgertest.Entries("r", 20, 20, 80)
	bodies := ledgertest.Bodies("r", 1, 500)
	must(t, log.Append(t.Context(), 20, more, bodies))
	kept = append(kept, more...)
	ledgertest.Holds(t, reader, 1, kept)
	if _, err := reader.Body(t.Context(), bodies[0].Digest); err != nil {
		t.Fatal(err)
	}
	if err := reader.Append(t.Context(), 40, ledgertest.Entries("r", 40, 1, 80), nil); err == nil {
		t.Fatal("a reader appended")
	}
	if err := reader.SaveSnapshot(t.Context(), 1, "s/1", nil); err == nil {
		t.Fatal("a reader saved a snapshot")
	}
	must(t, log.Close())
	ledgertest.Holds(t, reader, 1, kept) // the writer is gone
	other := filepath.Join(t.TempDir(), "other.db")
	must(t, os.WriteFile(other, []byte("this is no database, and long enough to be looked at: "+string(make([]byte, 500))), 0o600))
	if _, err := sqlite.OpenReader(other); err == nil {
		t.Fatal("another file was opened as a ledger")
	}
	if _, err := sqlite.Open(other); err == nil {
		t.Fatal("another file was opened as a ledger for writing")
	}
	info, err := os.Stat(path)
	must(t, err)
	if info.Mode().Perm() != 0o600 {
		t.Errorf("the ledger has mode %o, expected 600", info.Mode().Perm())
	}
}
