package api

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"bulkhead/book"
	"bulkhead/claim"
	"bulkhead/fabric"
	"bulkhead/lab/await"
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
	w := newHooked(t)
	c := w.notifier(t, Webhook{URL: SecretURL(receiver.URL), Tenant: "acme"})
	w.run(t, c)
	w.happen(t, c,
		ledger.Entry{Scope: "tenant/other", Kind: lease.KindLate, Body: []byte(`{}`)},
		ledger.Entry{Scope: "tenant/acme", Kind: node.KindMoved, Body: []byte(`{"to":"ready"}`)},
		ledger.Entry{Scope: "tenant/acme", Kind: node.KindMoved, Body: []byte(`{"to":"quarantined"}`)},
		ledger.Entry{Scope: "tenant/acme", Kind: lease.KindLate, Body: []byte(`{}`)},
	)
	for _, want := range []string{`"scope_seq":2`, `"scope_seq":3`} {
		select {
		case body := <-got:
			said, err := claim.Peek(body)
			if err != nil || !strings.Contains(string(said), want) {
				t.Errorf("got %s (%v), expected %s", said, err, want)
			}
		case <-time.After(await.Patience):
			t.Fatal("nothing was posted")
		}
	}
}

// The owner's webhook hears of the site, and of what only tenants' logs hold:
// replacements and late tranches, whoever's they are.
func TestTheOwnersWebhook(t *testing.T) {
	got := make(chan []byte, 20)
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got <- body
	}))
	defer receiver.Close()
	w := newHooked(t)
	c := w.notifier(t, Webhook{URL: SecretURL(receiver.URL)})
	w.run(t, c)
	drift, quarantined := []byte(`{}`), []byte(`{"to":"quarantined"}`)
	w.happen(t, c,
		ledger.Entry{Scope: book.SiteScope, Kind: fabric.KindDrifted, Body: drift},
		ledger.Entry{Scope: "tenant/acme", Kind: fabric.KindDrifted, Body: drift}, // the tenant's copy
		ledger.Entry{Scope: book.SiteScope, Kind: node.KindMoved, Body: quarantined},
		ledger.Entry{Scope: "tenant/acme", Kind: node.KindMoved, Body: quarantined},
		ledger.Entry{Scope: "tenant/acme", Kind: lease.KindLate, Body: []byte(`{}`)},
		ledger.Entry{Scope: "tenant/other", Kind: lease.KindProposed, Body: []byte(`{}`)},
		ledger.Entry{Scope: "tenant/other", Kind: lease.KindWithdrawn, Body: []byte(`{}`)},
		ledger.Entry{Scope: "tenant/other", Kind: lease.KindSwapped, Body: []byte(`{}`)},
		ledger.Entry{Scope: "tenant/other", Kind: lease.KindDelivered, Body: []byte(`{}`)},
		ledger.Entry{Scope: book.SiteScope, Kind: book.KindBrake, Body: []byte(`{}`)},
		ledger.Entry{Scope: book.SiteScope, Kind: book.KindClockDoubted, Body: []byte(`{}`)},
	)
	for _, want := range []string{
		"site fabric.drifted/1", "site node.moved/1", "tenant/acme lease.late/1", "tenant/other replacement.proposed/1", "tenant/other replacement.withdrawn/1", "tenant/other replacement.swapped/1", "site brake.engaged/1", "site clock.doubted/1",
	} {
		select {
		case body := <-got:
			said, err := claim.Peek(body)
			if err != nil {
				t.Fatal(err)
			}
			scope, kind, _ := strings.Cut(want, " ")
			if !strings.Contains(string(said), `"scope":"`+scope+`"`) || !strings.Contains(string(said), `"kind":"`+kind+`"`) {
				t.Errorf("got %s, expected %s", said, want)
			}
		case <-time.After(await.Patience):
			t.Fatalf("nothing was posted of %s", want)
		}
	}
}

func TestBadWebhookFiles(t *testing.T) {
	for text, want := range map[string]string{
		"":                              "hooks.yaml:1:1: empty: expected webhooks, a list",
		"webhooks: [{url: ftp://x/}]":   "hooks.yaml:1:13: webhooks[0].url",
		"webhooks: [{uri: https://x/}]": "uri",
		"webhooks:\n- url: https://x/se cret-: y": "hooks.yaml:2:8: webhooks[0].url: not YAML: a second",
		"webhooks: 7": "hooks.yaml:1:1: webhooks: expected a list",
	} {
		if _, err := ParseWebhooks("hooks.yaml", []byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, expected it to name %q", text, err, want)
		} else if strings.Contains(err.Error(), "cret-") {
			t.Errorf("%q: %v shows the secret", text, err)
		}
	}
}
