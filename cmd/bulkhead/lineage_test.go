package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"bulkhead/run/datadir"
)

// A bit of the journal flips while the server is down. The journal is read up to there,
// and what was answered after that would be gone without a word: the next start is
// refused, and says what was acknowledged.
func TestAFlippedJournalBitStopsTheStart(t *testing.T) {
	d := datadir.Dir(filepath.Join(t.TempDir(), "data"))
	serve := func() *process { return launch(t, nil, "serve", "--data", string(d), "--listen", "127.0.0.1:0") }
	p := serve()
	address := p.address(t)
	for _, tenant := range []string{"one", "two", "three"} {
		c := launch(t, nil, "tenant", "register", tenant, "--name", tenant, "--server", address, "--token-file", filepath.Join(string(d), "operator.token"))
		if err := c.wait(t); err != nil {
			t.Fatalf("%v: %s", err, c.said())
		}
	}
	p.kill()
	journal, err := os.ReadFile(d.Ledger() + "-wal")
	if err != nil {
		t.Fatal(err)
	}
	journal[len(journal)*9/10] ^= 4
	if err := os.WriteFile(d.Ledger()+"-wal", journal, 0o600); err != nil {
		t.Fatal(err)
	}
	again := serve()
	if err := again.wait(t); err == nil || !strings.Contains(again.said(), "was acknowledged") {
		t.Fatalf("it ended with %v: %s", err, again.said())
	}
}
