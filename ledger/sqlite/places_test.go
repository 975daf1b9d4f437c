package sqlite_test

import (
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"bulkhead/ledger"
	"bulkhead/ledger/ledgertest"
	"bulkhead/ledger/sqlite"
)

// placed is a closed ledger of 3,000 entries in groups, and its entries.
func placed(t *testing.T) (path string, kept []ledger.Entry) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "ledger.db")
	log, err := sqlite.Open(path)
	must(t, err)
	for _, n := range []int{1, 2, 7, 90, 1900, 500, 500} {
		entries := ledgertest.Entries("p", uint64(len(kept)), n, 60)
		must(t, log.Append(t.Context(), uint64(len(kept)), entries, nil))
		kept = append(kept, entries...)
	}
	must(t, log.Close())
	return path, kept
}

func change(t *testing.T, path, statement string) {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+path)
	must(t, err)
	_, err = db.Exec(statement)
	must(t, err)
	must(t, db.Close())
}

// TestPlacesAreNotBelieved takes the table of places away, as in a ledger of a
// release that had none, cuts it and falsifies it: readers get the same entries,
// and a writer goes on.
func TestPlacesAreNotBelieved(t *testing.T) {
	path, kept := placed(t)
	whole, err := os.ReadFile(path)
	must(t, err)
	head, err := os.ReadFile(sqlite.HeadFile(path))
	must(t, err)
	for n, statement := range []string{
		``,
		`DROP TABLE place`,
		`DELETE FROM place`,
		`DELETE FROM place WHERE first > 3`,
		`DELETE FROM place WHERE first = 1`,
		`DELETE FROM place WHERE first BETWEEN 2 AND 40`,
		`DELETE FROM place WHERE scope = 'site'`,
		`UPDATE place SET first = first + 100000`,
		`UPDATE place SET first = first - 1 WHERE first > 600`,
		`UPDATE place SET seqs = x''`,
		`UPDATE place SET seqs = x'ffffffffffffffffffff01'`,
		`UPDATE place SET seqs = x'8080808080808080807f'`,
		`UPDATE place SET seqs = x'01010101' WHERE first > 1`,
		`UPDATE place SET seqs = CAST(seqs || x'7f' AS BLOB) WHERE first > 1`,
		`UPDATE place SET scope = 'tenant/swap' WHERE scope = 'site'; UPDATE place SET scope = 'site' WHERE scope = 'tenant/tide'; UPDATE place SET scope = 'tenant/tide' WHERE scope = 'tenant/swap'`,
	} {
		path := filepath.Join(t.TempDir(), fmt.Sprintf("%d.db", n))
		must(t, os.WriteFile(path, whole, 0o600))
		must(t, os.WriteFile(sqlite.HeadFile(path), head, 0o600))
		if statement != "" {
			change(t, path, statement)
		}
		check := func(log *sqlite.Log, kept []ledger.Entry) {
			t.Helper()
			for _, scope := range []string{"site", "tenant/north", "tenant/tide"} {
				for _, from := range []uint64{1, 2, 30, 999} {
					ledgertest.HoldsScope(t, log, scope, from, kept)
				}
			}
		}
		reader, err := sqlite.OpenReader(path)
		must(t, err)
		check(reader, kept)
		must(t, reader.Close())
		log, err := sqlite.Open(path)
		must(t, err)
		check(log, kept)
		more := ledgertest.Entries("q", uint64(len(kept)), 5, 60)
		must(t, log.Append(t.Context(), uint64(len(kept)), more, nil))
		check(log, append(kept[:len(kept):len(kept)], more...))
		must(t, log.Close())
	}
}

// TestAScopeWithAHole: an entry that is gone is missed in its scope too.
func TestAScopeWithAHole(t *testing.T) {
	path, _ := placed(t)
	for _, statement := range []string{`DELETE FROM entry WHERE seq = 1500`, `DELETE FROM entry WHERE seq = 3000; UPDATE scope SET size = size + 1 WHERE name = 'tenant/tide'; UPDATE scope SET size = size - 2 WHERE name = 'site'`, `UPDATE entry SET frame = zeroblob(90) WHERE seq = 1500`} {
		copied := filepath.Join(t.TempDir(), "ledger.db")
		whole, err := os.ReadFile(path)
		must(t, err)
		must(t, os.WriteFile(copied, whole, 0o600))
		head, err := os.ReadFile(sqlite.HeadFile(path))
		must(t, err)
		must(t, os.WriteFile(sqlite.HeadFile(copied), head, 0o600))
		change(t, copied, statement)
		log, err := sqlite.OpenReader(copied)
		if errors.Is(err, ledger.ErrLost) {
			continue // the newest entry is missed sooner
		}
		must(t, err)
		for _, err = range log.ReadScope(t.Context(), "tenant/tide", 1) {
		}
		if !errors.Is(err, sqlite.ErrDamaged) {
			t.Errorf("%s: %v", statement, err)
		}
		must(t, log.Close())
	}
}

// BenchmarkReadScope reads the log of one tenant of 1,000 entries among ten thousand
// to half a million of others. The more there are, the fewer of its own lie on one
// page of the file: a page for each is the most that it comes to.
func BenchmarkReadScope(b *testing.B) {
	for _, others := range []int{10_000, 100_000, 500_000} {
		b.Run(fmt.Sprintf("others=%d", others), func(b *testing.B) {
			log := open(b, filepath.Join(b.TempDir(), "ledger.db"))
			const own, batch = 1000, 1000
			var seq, number, other uint64
			for seq < uint64(others+own) {
				entries := ledgertest.Entries("r", seq, min(batch, others+own-int(seq)), 200)
				for i := range entries {
					e := &entries[i]
					if seq++; seq%uint64((others+own)/own) == 0 && number < own {
						number++
						e.Scope, e.ScopeSeq = "tenant/one", number
						continue
					}
					other++
					e.Scope, e.ScopeSeq = "site", other
				}
				must(b, log.Append(b.Context(), seq-uint64(len(entries)), entries, nil))
			}
			read := 0
			for b.Loop() {
				for _, err := range log.ReadScope(b.Context(), "tenant/one", 1) {
					must(b, err)
					read++
				}
			}
			if read == 0 || read%own != 0 {
				b.Fatalf("%d entries, expected a multiple of %d", read, own)
			}
			b.ReportMetric(float64(read)/b.Elapsed().Seconds(), "entries/s")
		})
	}
}
