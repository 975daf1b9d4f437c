package sqlite_test

import (
	"database/sql"
	"errors"
	"path/filepath"
	"testing"

	"bulkhead/ledger"
	"bulkhead/ledger/ledgertest"
	"bulkhead/ledger/sqlite"
)

// TestTampered changes the rows behind the engine's back. Each change is
// noticed when it is read, without a published checkpoint.
func TestTampered(t *testing.T) {
	bodies := ledgertest.Bodies("t", 2, 300)
	for _, change := range []struct{ name, sql string }{
		{"nothing", ``},
		{"the last entry deleted", `DELETE FROM entry WHERE seq=30`},
		{"the first entry deleted", `DELETE FROM entry WHERE seq=1`},
		{"an entry deleted", `DELETE FROM entry WHERE seq=17`},
		{"all entries deleted", `DELETE FROM entry`},
		{"an entry twice", `INSERT INTO entry SELECT 31, frame FROM entry WHERE seq=30`},
		{"two entries exchanged", `UPDATE entry SET seq=99 WHERE seq=4; UPDATE entry SET seq=4 WHERE seq=7; UPDATE entry SET seq=7 WHERE seq=99`},
		{"an entry empty", `UPDATE entry SET frame=x'' WHERE seq=9`},
		{"an entry of zeros", `UPDATE entry SET frame=zeroblob(300000) WHERE seq=9`},
		{"a scope deleted", `DELETE FROM scope WHERE name='tenant/tide'`},
		{"a scope longer", `UPDATE scope SET size=size+1 WHERE name='site'`},
		{"a scope added", `INSERT INTO scope VALUES ('tenant/new', 3)`},
		{"another format", `UPDATE meta SET value='2'`},
		{"no format", `DELETE FROM meta`},
		{"a body put for another", `UPDATE body SET data=(SELECT data FROM body AS other WHERE other.digest<>body.digest)`},
		{"a body deleted", `DELETE FROM body WHERE rowid=1`},
		{"a snapshot moved", `UPDATE snapshot SET seq=11`},
		{"a snapshot's schema changed", `UPDATE snapshot SET schema='s/1' WHERE schema='s/2'`},
	} {
		path := filepath.Join(t.TempDir(), "ledger.db")
		log := open(t, path)
		must(t, log.Append(t.Context(), 0, ledgertest.Entries("t", 0, 30, 80), bodies))
		must(t, log.SaveSnapshot(t.Context(), 10, "s/2", []byte("state")))
		must(t, log.Close())
		db, err := sql.Open("sqlite", "file:"+path)
		must(t, err)
		_, err = db.Exec(change.sql)
		must(t, err)
		must(t, db.Close())

		err = readAll(t, path, bodies)
		if (err != nil) != (change.sql != "") {
			t.Errorf("%s: error %v", change.name, err)
		}
	}
}

// readAll opens a ledger, which is as it was or damaged, and reads everything.
func readAll(t *testing.T, path string, bodies []ledger.Body) error {
	t.Helper()
	log, err := sqlite.Open(path)
	if err != nil {
		return err
	}
	defer log.Close()
	_, err = ledger.Verify(t.Context(), log, nil)
	errs := []error{err}
	for _, b := range bodies {
		_, err := log.Body(t.Context(), b.Digest)
		errs = append(errs, err)
	}
	_, _, err = log.LoadSnapshot(t.Context(), "s/2")
	if errors.Is(err, ledger.ErrNoSnapshot) {
		_, _, err = log.LoadSnapshot(t.Context(), "s/1")
	}
	return errors.Join(append(errs, err)...)
}

// TestCutBehindTheWriter: when entries vanish while the ledger is open, the next
// append is refused, and the next start and every read show the hole.
func TestCutBehindTheWriter(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ledger.db")
	log := open(t, path)
	must(t, log.Append(t.Context(), 0, ledgertest.Entries("t", 0, 30, 80), nil))
	db, err := sql.Open("sqlite", "file:"+path+"?_pragma=busy_timeout(5000)")
	must(t, err)
	defer db.Close()
	_, err = db.Exec(`DELETE FROM entry WHERE seq > 25`)
	must(t, err)
	for _, n := range []int{1, 3, 250} {
		if err := log.Append(t.Context(), 30, ledgertest.Entries("t", 30, n, 80), nil); !errors.Is(err, sqlite.ErrDamaged) {
			t.Fatalf("append after what is lost: error %v, expected %v", err, sqlite.ErrDamaged)
		}
	}
	must(t, log.Close())
	if _, err := sqlite.Open(path); !errors.Is(err, sqlite.ErrDamaged) {
		t.Fatalf("opened again: error %v, expected %v", err, sqlite.ErrDamaged)
	}
}

// TestHole: a read that crosses or begins in a hole ends with an error.
func TestHole(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ledger.db")
	log := open(t, path)
	kept := ledgertest.Entries("t", 0, 30, 80)
	must(t, log.Append(t.Context(), 0, kept, nil))
	db, err := sql.Open("sqlite", "file:"+path+"?_pragma=busy_timeout(5000)")
	must(t, err)
	defer db.Close()
	_, err = db.Exec(`DELETE FROM entry WHERE seq BETWEEN 11 AND 15`)
	must(t, err)
	if r, err := ledger.Verify(t.Context(), log, nil); !errors.Is(err, sqlite.ErrDamaged) || r.Size != 10 {
		t.Fatalf("verified %d entries, error %v, expected %v after 10", r.Size, err, sqlite.ErrDamaged)
	}
	for _, err := range log.Read(t.Context(), 13) {
		if !errors.Is(err, sqlite.ErrDamaged) {
			t.Fatalf("a read that begins in the hole: error %v, expected %v", err, sqlite.ErrDamaged)
		}
	}
	ledgertest.Holds(t, log, 16, kept[15:])
}
