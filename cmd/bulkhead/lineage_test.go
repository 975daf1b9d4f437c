package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A bit of the journal flips while the server is down. The journal is read up to there,
// and what was answered after that would be gone without a word: the next start is
// refused, and says what was acknowledged.
func TestAFlippedJournalBitStopsTheStart(t *testing.T) {
	d := dataDir(filepath.Join(t.TempDir(), "data"))
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
	journal, err := os.ReadFile(d.ledger() + "-wal")
	if err != nil {
		t.Fatal(err)
	}
	journal[len(journal)*9/10] ^= 4
	if err := os.WriteFile(d.ledger()+"-wal", journal, 0o600); err != nil {
		t.Fatal(err)
	}
	again := serve()
	if err := again.wait(t); err == nil || !strings.Contains(again.said(), "was acknowledged") {
		t.Fatalf("it ended with %v: %s", err, again.said())
	}
}

// FuzzLineageFile: what is not a lineage is refused, and what is comes back as it was.
func FuzzLineageFile(f *testing.F) {
	f.Add([]byte(`{"epoch":1,"lineage":"0a"}`))
	f.Add([]byte(`{"epoch":1,"lineage":"0a","seen":{"epoch":2,"lineage":"0b"}}`))
	f.Add([]byte(`{}`))
	f.Add([]byte(`{"epoch":1,"lineage":"x"} {}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		own, err := decodeLineage(data)
		if err != nil {
			return
		}
		d := dataDir(t.TempDir())
		if err := d.writeLineage(own); err != nil {
			t.Fatal(err)
		}
		if back, err := d.readLineage(); err != nil || back != own {
			t.Errorf("%q: %v came back as %v, %v", data, own, back, err)
		}
	})
}
