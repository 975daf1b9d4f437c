package main

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"bulkhead/claim"
	"bulkhead/keystore"
	"bulkhead/lease"
	"bulkhead/ledger"
	"bulkhead/node"
)

// A tenant's webhook hears of its own scope only, only of what is worth a call,
// and what it hears is signed. A receiver that stumbles is called again.
func TestWebhooks(t *testing.T) {
	got := make(chan []byte, 10)
	stumbled := false
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !stumbled {
			stumbled = true
			http.Error(w, "not now", http.StatusServiceUnavailable)
			return
		}
		body, _ := io.ReadAll(r.Body)
		got <- body
	}))
	defer receiver.Close()
	keys, err := keystore.InMemory(strings.NewReader(strings.Repeat("0123456789abcdef", 64)), time.Unix(0, 0))
	if err != nil {
		t.Fatal(err)
	}
	c := newCaller([]webhook{{URL: receiver.URL, Tenant: "acme"}}, keys, slog.New(slog.DiscardHandler))
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	go c.run(ctx)
	c.feed([]ledger.Entry{
		{Scope: "tenant/other", ScopeSeq: 1, Kind: lease.KindLate, Body: []byte(`{}`)},
		{Scope: "tenant/acme", ScopeSeq: 1, Kind: node.KindMoved, Body: []byte(`{"to":"ready"}`)},
		{Scope: "tenant/acme", ScopeSeq: 2, Kind: node.KindMoved, Body: []byte(`{"to":"quarantined"}`)},
		{Scope: "tenant/acme", ScopeSeq: 3, Kind: lease.KindLate, Body: []byte(`{}`)},
	})
	for _, want := range []string{`"scope_seq":2`, `"scope_seq":3`} {
		select {
		case body := <-got:
			said, err := claim.Peek(body)
			if err != nil || !strings.Contains(string(said), want) {
				t.Errorf("got %s (%v), expected %s", said, err, want)
			}
		case <-time.After(10 * time.Second):
			t.Fatal("nothing was posted")
		}
	}
}

func TestBadWebhookFiles(t *testing.T) {
	for text, want := range map[string]string{
		"":                              "expected a list",
		"webhooks: [{url: ftp://x/}]":   "webhooks[0].url",
		"webhooks: [{uri: https://x/}]": "uri",
		"webhooks: 7":                   "webhooks",
	} {
		path := filepath.Join(t.TempDir(), "hooks.yaml")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := readWebhooks(path); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, expected it to name %q", text, err, want)
		}
	}
}
