package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"bulkhead/run/datadir"
)

// Tokens made at the same moment by several processes are all there afterwards.
func TestTokensAtOnce(t *testing.T) {
	d := datadir.Dir(t.TempDir())
	if err := os.WriteFile(d.Ledger(), nil, 0o600); err != nil { // a folder that holds one
		t.Fatal(err)
	}
	bulkhead, err := exec.LookPath("bulkhead")
	if err != nil {
		t.Fatal(err)
	}
	const people = 12
	var together sync.WaitGroup
	for n := range people {
		together.Go(func() {
			name := fmt.Sprintf("person-%d", n)
			out, err := exec.Command(bulkhead, "token", "create", "--data", string(d), "--subject", name, "--role", "auditor",
				"--out", filepath.Join(string(d), name)).CombinedOutput()
			if err != nil {
				t.Errorf("%s: %v: %s", name, err, out)
			}
		})
	}
	together.Wait()
	tokens, unlock, err := changeTokens(d)
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	list, err := tokens.List()
	if err != nil || len(list) != people {
		t.Errorf("%d tokens, %v; %d were made", len(list), err, people)
	}
}
