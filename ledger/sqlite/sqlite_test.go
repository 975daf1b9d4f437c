package sqlite_test

import (
	"path/filepath"
	"sync"
	"testing"

	"bulkhead/ledger"
	"bulkhead/ledger/ledgertest"
	"bulkhead/ledger/sqlite"
)

func TestEngine(t *testing.T) {
	var paths sync.Map // of each log, for opening it again
	reopen := func(t *testing.T, path string) ledger.Log {
		t.Helper()
		log := open(t, path)
		paths.Store(ledger.Log(log), path)
		return log
	}
	ledgertest.Run(t, ledgertest.Engine{
		Open: func(t *testing.T) ledger.Log { return reopen(t, filepath.Join(t.TempDir(), "ledger.db")) },
		Reopen: func(t *testing.T, old ledger.Log) ledger.Log {
			path, _ := paths.Load(old)
			if err := old.Close(); err != nil {
				t.Fatal(err)
			}
			return reopen(t, path.(string))
		},
	})
}

// open opens a ledger for writing until the test ends.
func open(t testing.TB, path string) *sqlite.Log {
	t.Helper()
	log, err := sqlite.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = log.Close() })
	return log
}
