package ledgertest

import (
	"context"
	"errors"
	"testing"

	"bulkhead/ledger"
)

// testScopes: the entries of a scope are those that the whole ledger has of it, from
// any number on, in groups of any size, and after a restart.
func testScopes(t *testing.T, engine Engine) {
	log := engine.Open(t)
	var kept []ledger.Entry
	heads := map[string]uint64{}
	add := func(label string, scopes ...string) {
		t.Helper()
		entries := Entries(label, uint64(len(kept)), len(scopes), 60)
		for i, scope := range scopes {
			heads[scope]++
			entries[i].Scope, entries[i].ScopeSeq = scope, heads[scope]
		}
		must(t, log.Append(t.Context(), uint64(len(kept)), entries, nil))
		kept = append(kept, entries...)
	}
	check := func() {
		t.Helper()
		for _, scope := range []string{"site", "tenant/a", "tenant/b", "tenant/none", "tenant/", "", "tenant/a\x00"} {
			for _, from := range []uint64{0, 1, 2, 3, 7, heads[scope] / 2, heads[scope] - 1, heads[scope], heads[scope] + 1, 1 << 40, ^uint64(0)} {
				HoldsScope(t, log, scope, from, kept)
			}
		}
	}
	check()
	add("one", "site")
	add("two", "tenant/a", "site")
	check()
	for i := range 40 {
		add("small", "site", "tenant/a", "site")
		if i%10 == 0 {
			add("rare", "tenant/b")
		}
	}
	many := make([]string, 5000) // larger than any row of an index
	for i := range many {
		many[i] = [...]string{"site", "site", "tenant/a"}[i%3]
	}
	add("many", many...)
	add("last", "tenant/b")
	check()
	log = engine.again(t, log)
	check()
	add("after", "tenant/a", "tenant/b", "site")
	check()

	n := 0
	for e, err := range log.ReadScope(t.Context(), "tenant/a", 10) {
		must(t, err)
		// Appending goes on while a reader stands still, and is not in what it reads.
		if n++; n == 1 {
			add("beside", "tenant/a")
		}
		if e.ScopeSeq == 20 {
			break
		}
	}
	if n != 11 {
		t.Fatalf("%d entries until the loop ended, expected 11", n)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var last error
	for _, err := range log.ReadScope(ctx, "site", 1) {
		if last = err; err != nil {
			break
		}
		cancel()
	}
	if last != nil && !errors.Is(last, context.Canceled) {
		t.Fatalf("a read whose context ended: error %v, expected %v", last, context.Canceled)
	}
	check()
}

// HoldsScope checks that of a scope a log holds exactly those of all its entries that
// are of it, from a number on.
func HoldsScope(t *testing.T, log ledger.Log, scope string, from uint64, all []ledger.Entry) {
	t.Helper()
	var want []*ledger.Entry
	for i := range all {
		if all[i].Scope == scope && all[i].ScopeSeq >= from {
			want = append(want, &all[i])
		}
	}
	i := 0
	for e, err := range log.ReadScope(t.Context(), scope, from) {
		if err != nil {
			t.Fatalf("scope %q from %d: %v", scope, from, err)
		}
		if i >= len(want) {
			t.Fatalf("scope %q from %d: entry %d, expected only %d entries", scope, from, e.Seq, len(want))
		}
		if err := Same(&e, want[i]); err != nil {
			t.Fatalf("scope %q from %d: %v", scope, from, err)
		}
		i++
	}
	if i != len(want) {
		t.Fatalf("scope %q from %d: %d entries, expected %d", scope, from, i, len(want))
	}
}
