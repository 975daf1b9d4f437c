package sqlite_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"bulkhead/ledger"
	"bulkhead/ledger/ledgertest"
	"bulkhead/ledger/sqlite"
)

// childPath names the ledger that a child process appends to until it is
// killed; unset in the test's own process.
const childPath = "BULKHEAD_LEDGER_CHILD"

func TestMain(m *testing.M) {
	if path := os.Getenv(childPath); path != "" {
		if err := appendForever(path); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	os.Exit(m.Run())
}

// groupAfter is the size of the group that follows a head: what a reader may
// find follows from it alone.
func groupAfter(head uint64) int { return 1 + int(head%97)*3 }

func groupBody(head uint64) []ledger.Body {
	return ledgertest.Bodies(fmt.Sprintf("group-%d", head), 1, 5000)
}

// appendForever writes a line with the head after each group that was
// acknowledged.
func appendForever(path string) error {
	log, err := sqlite.Open(path)
	if err != nil {
		return err
	}
	head, err := log.Head(context.Background())
	if err != nil {
		return err
	}
	for {
		n := groupAfter(head)
		if err := log.Append(context.Background(), head, ledgertest.Entries("kill", head, n, 200), groupBody(head)); err != nil {
			return err
		}
		head += uint64(n)
		fmt.Println(head)
	}
}

// TestKillDuringAppend kills a writer at random moments. What it acknowledged is
// there, groups are there whole or not at all, and the next writer goes on. It
// shows nothing about a loss of power: there synchronous=FULL is relied on.
func TestKillDuringAppend(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ledger.db")
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	var before uint64
	for round := range 10 {
		acknowledged := killedWriter(t, path, time.Duration(random.IntN(200_000))*time.Microsecond)
		log, err := sqlite.Open(path) // the dead writer's lock is gone
		if err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		head, err := log.Head(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		last := max(acknowledged, before)
		if head != last && head != last+uint64(groupAfter(last)) {
			t.Fatalf("round %d: the head is %d: %d was acknowledged and the group after it ends at %d", round, head, last, last+uint64(groupAfter(last)))
		}
		ledgertest.Holds(t, log, 1, ledgertest.Entries("kill", 0, int(head), 200))
		if _, err := ledger.Verify(t.Context(), log, nil); err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		for at := uint64(0); ; at += uint64(groupAfter(at)) {
			_, err := log.Body(t.Context(), groupBody(at)[0].Digest)
			if at < head && err != nil || at >= head && !errors.Is(err, ledger.ErrNoBody) {
				t.Fatalf("round %d: body of the group after entry %d of %d: %v", round, at, head, err)
			}
			if at >= head {
				break
			}
		}
		n := groupAfter(head) // and it goes on
		if err := log.Append(t.Context(), head, ledgertest.Entries("kill", head, n, 200), groupBody(head)); err != nil {
			t.Fatalf("round %d: %v", round, err)
		}
		before = head + uint64(n)
		if err := log.Close(); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%d entries in the end", before)
}

// killedWriter runs a writer, kills it some time after its first
// acknowledgement, and returns the last head that it acknowledged.
func killedWriter(t *testing.T, path string, after time.Duration) (acknowledged uint64) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	child := exec.Command(self)
	child.Env = append(os.Environ(), childPath+"="+path)
	var words strings.Builder
	child.Stderr = &words
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		head, err := strconv.ParseUint(lines.Text(), 10, 64)
		if err != nil {
			break // a line that the kill cut off
		}
		if acknowledged == 0 {
			time.AfterFunc(after, func() { _ = child.Process.Kill() })
		}
		acknowledged = head
	}
	if err := child.Wait(); err == nil || words.Len() > 0 || acknowledged == 0 {
		t.Fatalf("the writer ended by itself after entry %d (%v): %s", acknowledged, err, words.String())
	}
	return acknowledged
}

// TestSecondWriter: it gets ErrInUse, from this process and from another, and
// the first goes on unharmed.
func TestSecondWriter(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ledger.db")
	log := open(t, path)
	kept := ledgertest.Entries("first", 0, 5, 50)
	must(t, log.Append(t.Context(), 0, kept, nil))
	for range 3 {
		if second, err := sqlite.Open(path); !errors.Is(err, sqlite.ErrInUse) || second != nil {
			t.Fatalf("a second writer: error %v, expected %v", err, sqlite.ErrInUse)
		}
	}
	self, err := os.Executable()
	must(t, err)
	child := exec.Command(self)
	child.Env = append(os.Environ(), childPath+"="+path)
	if out, err := child.CombinedOutput(); err == nil || !strings.Contains(string(out), sqlite.ErrInUse.Error()) {
		t.Fatalf("a second process: %v: %s", err, out)
	}
	more := ledgertest.Entries("first", 5, 5, 50)
	must(t, log.Append(t.Context(), 5, more, nil))
	ledgertest.Holds(t, log, 1, append(kept, more...))
	must(t, log.Close())
	next := open(t, path)
	ledgertest.Holds(t, next, 1, append(kept, more...))
	// A file that cannot be opened leaves no lock behind.
	folder := filepath.Join(t.TempDir(), "ledger.db")
	must(t, os.Mkdir(folder, 0o700))
	if _, err := sqlite.Open(folder); err == nil || errors.Is(err, sqlite.ErrInUse) {
		t.Fatalf("a folder was opened as a ledger: %v", err)
	}
	must(t, os.Remove(folder))
	open(t, folder)
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
