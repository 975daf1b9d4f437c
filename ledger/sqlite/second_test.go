package sqlite

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"bulkhead/ledger"
)

// A second writer that got past the lock is named as what it is: the ledger is whole, and
// a backup would only lose what both wrote.
func TestASecondWriterIsNoDamage(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ledger.db")
	one := opened(t, path)
	appended(t, one, 1)
	if err := os.Remove(path + ".lock"); err != nil {
		t.Fatal(err)
	}
	two := opened(t, path)
	appended(t, two, 2)
	appended(t, two, 3)
	err := one.Append(t.Context(), 1, []ledger.Entry{entryAt(2)}, nil)
	if !errors.Is(err, ledger.ErrConflict) || errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), "entries 2 to 3 were written by another process") {
		t.Fatalf("the first writer after the second wrote: %v", err)
	}
	appended(t, two, 4)
	if _, err := ledger.Verify(t.Context(), two, nil); err != nil {
		t.Error(err)
	}
}

func opened(t *testing.T, path string) *Log {
	t.Helper()
	l, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

func entryAt(seq uint64) ledger.Entry {
	return ledger.Entry{Seq: seq, ScopeSeq: seq, Kind: "test/1", Scope: "site", Time: time.Unix(int64(seq), 0), Body: []byte(`{}`)}
}

func appended(t *testing.T, l *Log, seq uint64) {
	t.Helper()
	if err := l.Append(t.Context(), seq-1, []ledger.Entry{entryAt(seq)}, nil); err != nil {
		t.Fatal(err)
	}
}
