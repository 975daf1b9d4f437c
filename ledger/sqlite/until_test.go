package sqlite_test

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"bulkhead/claim"
	"bulkhead/ledger"
	"bulkhead/ledger/sqlite"
)

// The first entries alone are a whole ledger: it verifies, goes on, and has the bodies and
// the snapshots that belong to it.
func TestBackupUntil(t *testing.T) {
	ctx := t.Context()
	log := open(t, filepath.Join(t.TempDir(), "ledger.db"))
	at := time.Date(2026, 7, 1, 0, 0, 0, 0, time.UTC)
	var entries []ledger.Entry
	sizes := map[string]uint64{}
	var kept map[string]uint64
	const all, keep = 40, 17
	for i := range uint64(all) {
		scope := fmt.Sprintf("tenant/%d", i%3)
		sizes[scope]++
		entries = append(entries, ledger.Entry{Seq: i + 1, Time: at.Add(time.Duration(i) * time.Hour), Term: 1, Kind: "a/1", Scope: scope, ScopeSeq: sizes[scope], Body: []byte("{}")})
		if i+1 == keep {
			kept = map[string]uint64{"tenant/0": sizes["tenant/0"], "tenant/1": sizes["tenant/1"], "tenant/2": sizes["tenant/2"]}
		}
	}
	body := ledger.Body{Digest: claim.DigestOf([]byte("body")), Data: []byte("body")}
	if err := log.Append(ctx, 0, entries, []ledger.Body{body}); err != nil {
		t.Fatal(err)
	}
	for schema, seq := range map[string]uint64{"early": 5, "late": 30} {
		if err := log.SaveSnapshot(ctx, seq, schema, []byte(schema)); err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(t.TempDir(), "short.db")
	if err := log.BackupUntil(ctx, path, keep, kept); err != nil {
		t.Fatal(err)
	}
	if err := log.BackupUntil(ctx, path, keep, kept); err == nil {
		t.Error("a copy was overwritten")
	}
	short, err := sqlite.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer short.Close()
	report, err := ledger.Verify(ctx, short, nil)
	if err != nil || report.Size != keep {
		t.Fatalf("%d entries, %v", report.Size, err)
	}
	if data, err := short.Body(ctx, body.Digest); err != nil || string(data) != "body" {
		t.Errorf("body: %q, %v", data, err)
	}
	if _, _, err := short.LoadSnapshot(ctx, "early"); err != nil {
		t.Errorf("a snapshot of what is left: %v", err)
	}
	if _, _, err := short.LoadSnapshot(ctx, "late"); err == nil {
		t.Error("a snapshot of what is not left")
	}
	if err := short.Append(ctx, keep, entries[keep:keep+1], nil); err != nil {
		t.Errorf("it does not go on: %v", err)
	}
	if head, err := log.Head(ctx); err != nil || head != all {
		t.Errorf("the ledger itself has %d entries, %v", head, err)
	}
}
