package sqlite

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"bulkhead/ledger"
)

// copyOf copies a closed ledger's files.
func copyOf(t *testing.T, path string, ends ...string) string {
	t.Helper()
	to := filepath.Join(t.TempDir(), "ledger.db")
	for _, end := range ends {
		data, err := os.ReadFile(path + end)
		if err == nil {
			err = os.WriteFile(to+end, data, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return to
}

// A store without what guards its end is refused, as is one that holds less or another
// history, to readers too; whoever decides that the rest is lost goes on from it, and
// what is acknowledged then is what counts.
func TestWhatWasAcknowledgedIsThere(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ledger.db")
	l := opened(t, path)
	appended(t, l, 1)
	appended(t, l, 2)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	older := copyOf(t, path, "", ".head")
	l = opened(t, path)
	appended(t, l, 3)
	other := opened(t, older)
	if err := other.Append(t.Context(), 2, []ledger.Entry{{Seq: 3, ScopeSeq: 3, Kind: "other/1", Scope: "site", Time: entryAt(3).Time}}, nil); err != nil {
		t.Fatal(err)
	}
	for _, l := range []*Log{l, other} {
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
	must := func(name, path string, want error) {
		t.Helper()
		for what, open := range map[string]func(string) (*Log, error){"writer": Open, "reader": OpenReader} {
			l, err := open(path)
			if !errors.Is(err, want) || (err == nil) != (want == nil) {
				t.Errorf("%s, a %s: %v, expected %v", name, what, err, want)
			}
			if err == nil {
				_ = l.Close()
			}
		}
	}
	must("whole", copyOf(t, path, "", ".head"), nil)
	must("the head file removed", copyOf(t, path, ""), ledger.ErrUnguarded)
	damaged := copyOf(t, path, "", ".head")
	if err := os.WriteFile(HeadFile(damaged), make([]byte, 5000), 0o600); err != nil {
		t.Fatal(err)
	}
	must("the head file overwritten", damaged, ledger.ErrUnguarded)
	swapped := copyOf(t, older, "")
	head, err := os.ReadFile(HeadFile(path))
	if err == nil {
		err = os.WriteFile(HeadFile(swapped), head, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	must("another history of the same length", swapped, ledger.ErrLost)

	// Of the older store three entries were acknowledged.
	short := opened(t, filepath.Join(t.TempDir(), "ledger.db"))
	appended(t, short, 1)
	if err := errors.Join(short.Close(), os.WriteFile(HeadFile(short.path), head, 0o600)); err != nil {
		t.Fatal(err)
	}
	must("less than was acknowledged", short.path, ledger.ErrLost)
	l, was, err := OpenAfterLoss(short.path)
	if err != nil || was.Seq != 3 {
		t.Fatalf("after a loss: %d acknowledged, %v", was.Seq, err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	must("looked at, and nothing decided", short.path, ledger.ErrLost)
	if l, _, err = OpenAfterLoss(short.path); err != nil {
		t.Fatal(err)
	}
	appended(t, l, 2)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	must("gone on from", short.path, nil)
}

// A ledger of an earlier release has no head file: it gets one when it is written.
func TestALedgerWithoutAHeadFileGetsOne(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ledger.db")
	l := opened(t, path)
	appended(t, l, 1)
	if _, err := l.write.Exec(`DELETE FROM meta WHERE key='head-file'`); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(l.Close(), os.Remove(HeadFile(path))); err != nil {
		t.Fatal(err)
	}
	reader, err := OpenReader(path)
	if err != nil {
		t.Fatal(err)
	}
	_ = reader.Close()
	if err := opened(t, path).Close(); err != nil {
		t.Fatal(err)
	}
	if a, err := readHead(HeadFile(path)); err != nil || a.Seq != 1 {
		t.Fatalf("%d acknowledged, %v", a.Seq, err)
	}
	if err := os.Remove(HeadFile(path)); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(path); !errors.Is(err, ledger.ErrUnguarded) {
		t.Errorf("removed afterwards: %v", err)
	}
}

// A write that is cut off anywhere leaves the entry before it.
func TestATornHeadLeavesTheOneBefore(t *testing.T) {
	path := filepath.Join(t.TempDir(), "head")
	h, err := openHead(path)
	if err != nil {
		t.Fatal(err)
	}
	defer h.f.Close()
	for seq := uint64(1); seq < 4; seq++ {
		if err := h.write(acknowledge(seq, []byte{1})); err != nil {
			t.Fatal(err)
		}
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for n := range slotSize {
		torn := append([]byte{}, whole...)
		for i := n; i < slotSize; i++ { // entry 3 is in the first slot
			torn[i] = 0xff
		}
		if err := os.WriteFile(path, torn, 0o600); err != nil {
			t.Fatal(err)
		}
		if a, err := readHead(path); err != nil || a.Seq != 2 {
			t.Fatalf("cut off after %d bytes: entry %d, %v", n, a.Seq, err)
		}
	}
}

// FuzzHead: a slot that is not whole is none.
func FuzzHead(f *testing.F) {
	a := acknowledge(7, []byte("frame"))
	f.Add(a.encode())
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		if a, whole := decodeAcknowledged(b); whole && string(a.encode()) != string(b) {
			t.Errorf("%x is taken for %v", b, a)
		}
	})
}
