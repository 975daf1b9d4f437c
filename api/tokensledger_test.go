package api

import (
	"context"
	"encoding/json"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"

	"bulkhead/api/bulkheadv1"
	"bulkhead/book"
	"bulkhead/ledger"
	"bulkhead/run"
)

// entriesOf is the entries of a kind.
func (w *world) entriesOf(t *testing.T, kind string) (found []ledger.Entry) {
	t.Helper()
	for e, err := range w.log.Read(context.Background(), 1) {
		if err != nil {
			t.Fatal(err)
		}
		if e.Kind == kind {
			found = append(found, e)
		}
	}
	return found
}

// TestATokenIsInTheLedger makes tokens beside a server: each is recorded before it
// counts, once, with who made it; a tenant's in its own log too, without a word of the
// site's.
func TestATokenIsInTheLedger(t *testing.T) {
	w := newWorld(t)
	ctx := context.Background()
	before, told := len(w.entriesOf(t, book.KindTokenMinted)), len(w.entriesOf(t, book.KindTenantToken))
	w.tokens.By = "shell on control1"
	secret, token, err := w.tokens.Create("new officer", Administrator, "flagship", start, time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	w.secret["new"] = secret
	for range 3 {
		if _, err := w.client("new").ListLeases(ctx, connect.NewRequest(&bulkheadv1.Page{})); err != nil {
			t.Fatal(err)
		}
	}
	minted := w.entriesOf(t, book.KindTokenMinted)
	if len(minted) != before+1 {
		t.Fatalf("%d entries for one token", len(minted)-before)
	}
	var b book.TokenMinted
	last := minted[len(minted)-1]
	if err := json.Unmarshal(last.Body, &b); err != nil || last.Scope != book.SiteScope || b.By != "shell on control1" || b.Token != token.ID || b.Role != "administrator" || b.Tenant != "flagship" {
		t.Errorf("entry %+v, %v", b, err)
	}
	own := w.entriesOf(t, book.KindTenantToken)
	if len(own) != told+1 {
		t.Fatalf("the tenant is told %d times", len(own)-told)
	}
	said := own[len(own)-1]
	if said.Scope != book.TenantScope("flagship") || strings.Contains(string(said.Body), "control1") || strings.Contains(string(said.Body), token.Hash) {
		t.Errorf("in %s the tenant is told %s", said.Scope, said.Body)
	}
	for _, e := range append(minted, own...) {
		if strings.Contains(string(e.Body), secret) {
			t.Error("an entry holds a token")
		}
	}
	// It was told of those that were made before it was registered, too.
	if told != 4 {
		t.Errorf("the tenants were told of %d tokens, expected an administrator's and a viewer's each", told)
	}
}

// TestATokenThatWasChangedIsNone edits the token file, as whoever owns the disk can: a
// viewer becomes an administrator, and is let in as neither.
func TestATokenThatWasChangedIsNone(t *testing.T) {
	w := newWorld(t)
	ctx := context.Background()
	if _, err := w.client("viewer flagship").ListLeases(ctx, connect.NewRequest(&bulkheadv1.Page{})); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(w.tokens.path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(w.tokens.path, []byte(strings.ReplaceAll(string(data), `"role": "viewer"`, `"role": "administrator"`)), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = w.client("viewer flagship").ListLeases(ctx, connect.NewRequest(&bulkheadv1.Page{}))
	if connect.CodeOf(err) != connect.CodeUnauthenticated || !strings.Contains(err.Error(), "is not as the ledger holds it") {
		t.Errorf("a viewer that made itself an administrator: %v", err)
	}
}

// TestATokenThatCantBeRecordedIsNone: while nothing can be written, a token that the
// ledger does not hold is not accepted, and one that it holds is.
func TestATokenThatCantBeRecordedIsNone(t *testing.T) {
	w := newWorld(t)
	ctx := context.Background()
	plane, err := run.Open(ctx, run.Config{Log: w.log, Published: w.published, Signers: w.keys, Clock: w.clock, Observe: true, ReadOnly: "it is a copy", Writer: "test"})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(New(Options{Plane: plane, Keys: w.keys, Tokens: w.tokens, Now: func() time.Time { return start }}))
	t.Cleanup(server.Close)
	w.url = server.URL
	if w.secret["new"], _, err = w.tokens.Create("new officer", Administrator, "flagship", start, time.Hour); err != nil {
		t.Fatal(err)
	}
	if _, err := w.client("new").ListLeases(ctx, connect.NewRequest(&bulkheadv1.Page{})); connect.CodeOf(err) != connect.CodeUnavailable || !strings.Contains(err.Error(), "not in the ledger yet") {
		t.Errorf("a token that is not recorded: %v", err)
	}
	if _, err := w.client("administrator flagship").ListLeases(ctx, connect.NewRequest(&bulkheadv1.Page{})); err != nil {
		t.Errorf("one that is: %v", err)
	}
}
