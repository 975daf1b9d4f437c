// Package ledgertest is what every ledger engine must pass. That is compare and append
// under a race, positions without gaps, all or nothing, and a replay that gives back
// exactly what was acknowledged.
package ledgertest

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"bulkhead/claim"
	"bulkhead/ledger"
)

// Engine is one engine under test.
type Engine struct {
	// Open makes a new, empty log that is closed when the test ends.
	Open func(t *testing.T) ledger.Log
	// Reopen closes a log and opens the same store again. Nil for an engine
	// that keeps nothing.
	Reopen func(t *testing.T, old ledger.Log) ledger.Log
}

// Run runs the suite.
func Run(t *testing.T, engine Engine) {
	for _, test := range []struct {
		name string
		run  func(*testing.T, Engine)
	}{
		{"empty", testEmpty},
		{"replay", testReplay},
		{"middle", testMiddle},
		{"scopes", testScopes},
		{"refused", testRefused},
		{"conflict", testConflict},
		{"race", testRace},
		{"readers", testReaders},
		{"bodies", testBodies},
		{"snapshots", testSnapshots},
		{"callers' bytes", testBytesAreCopied},
		{"cancelled", testCancelled},
		{"concurrent writers keep order", testOrder},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, engine) })
	}
}

// Start is the time of the first entry that Entries makes.
var Start = time.Date(2026, 4, 1, 0, 0, 0, 0, time.UTC)

// Entries makes n entries after position after, spread over the site's scope
// and two tenants', with bodies of about size bytes. The same arguments give
// the same entries; label is in their salts and commands. The positions in the
// scopes fit if everything before came from Entries too.
func Entries(label string, after uint64, n, size int) []ledger.Entry {
	scopes := [...]string{"site", "tenant/north", "tenant/tide"}
	list := make([]ledger.Entry, n)
	for i := range list {
		seq := after + uint64(i) + 1
		e := ledger.Entry{
			Seq: seq, Time: Start.Add(time.Duration(seq) * time.Millisecond), Term: 1,
			Command: fmt.Sprintf("%s-%d", label, seq), Kind: "lease.bound/1",
			Scope: scopes[(seq-1)%3], ScopeSeq: (seq-1)/3 + 1,
		}
		sum := claim.DigestOf([]byte(e.Command))
		copy(e.Salt[:], sum[:])
		e.Body = fmt.Appendf(nil, `{"lease":"l-%d","pad":"`, seq)
		for len(e.Body) < size-2 {
			e.Body = append(e.Body, 'a'+byte(seq+uint64(len(e.Body)))%26)
		}
		e.Body = append(e.Body, `"}`...)
		list[i] = e
	}
	return list
}

// Bodies makes n bodies of size bytes that differ by label.
func Bodies(label string, n, size int) []ledger.Body {
	list := make([]ledger.Body, n)
	for i := range list {
		data := fmt.Appendf(nil, "%s-%d:", label, i)
		for len(data) < size {
			data = append(data, byte('0'+len(data)%10))
		}
		list[i] = ledger.Body{Digest: claim.DigestOf(data), Data: data}
	}
	return list
}

// Same says how two entries differ, or nil.
func Same(got, want *ledger.Entry) error {
	if got.Seq != want.Seq {
		return fmt.Errorf("position %d, expected %d", got.Seq, want.Seq)
	}
	if string(ledger.Encode(got)) != string(ledger.Encode(want)) {
		return fmt.Errorf("entry %d: other content than was appended", want.Seq)
	}
	return nil
}

// Holds checks that a log holds exactly these entries from position from on.
func Holds(t *testing.T, log ledger.Log, from uint64, want []ledger.Entry) {
	t.Helper()
	i := 0
	for e, err := range log.Read(t.Context(), from) {
		if err != nil {
			t.Fatalf("read from %d: %v", from, err)
		}
		if i >= len(want) {
			t.Fatalf("read from %d: entry %d, expected only %d entries", from, e.Seq, len(want))
		}
		if err := Same(&e, &want[i]); err != nil {
			t.Fatalf("read from %d: %v", from, err)
		}
		i++
	}
	if i != len(want) {
		t.Fatalf("read from %d: %d entries, expected %d", from, i, len(want))
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func headIs(t *testing.T, log ledger.Log, want uint64) {
	t.Helper()
	head, err := log.Head(context.Background())
	must(t, err)
	if head != want {
		t.Fatalf("head is %d, expected %d", head, want)
	}
}

func conflicts(t *testing.T, err error) {
	t.Helper()
	if !errors.Is(err, ledger.ErrConflict) {
		t.Fatalf("error %v, expected %v", err, ledger.ErrConflict)
	}
}

// again reopens where the engine can, and otherwise gives the same log.
func (e Engine) again(t *testing.T, log ledger.Log) ledger.Log {
	t.Helper()
	if e.Reopen == nil {
		return log
	}
	return e.Reopen(t, log)
}
