package api

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"bulkhead/ledger"
)

func TestWebhooksAreSignedAndTriedAgain(t *testing.T) {
	const secret = "sixteen characters"
	var calls atomic.Int32
	got := make(chan string, 10)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if calls.Add(1) == 1 {
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		body, _ := io.ReadAll(r.Body)
		stamp, signature, _ := strings.Cut(strings.TrimPrefix(r.Header.Get("Bulkhead-Signature"), "t="), ",v1=")
		if signature != Signature(secret, stamp, body) {
			t.Errorf("signature %s does not fit", signature)
		}
		got <- string(body)
	}))
	defer server.Close()
	s := NewSender([]Webhook{{URL: server.URL, Secret: secret, Tenant: "flagship", Events: []string{EventLate}}}, slog.New(slog.DiscardHandler))
	s.pause = time.Millisecond
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { s.Run(ctx); close(ended) }()
	s.Notify([]ledger.Entry{
		{Kind: "lease.late/1", Scope: "tenant/tidewater", ScopeSeq: 1, Body: []byte(`{}`)},
		{Kind: "fabric.drifted/1", Scope: "tenant/flagship", ScopeSeq: 2, Body: []byte(`{}`)},
		{Kind: "lease.bound/1", Scope: "tenant/flagship", ScopeSeq: 3, Body: []byte(`{}`)},
		{Kind: "lease.late/1", Scope: "tenant/flagship", ScopeSeq: 4, Body: []byte(`{}`)},
	})
	select {
	case body := <-got:
		if !strings.Contains(body, `"event":"late"`) || !strings.Contains(body, `"scope_seq":4`) {
			t.Errorf("got %s", body)
		}
	case <-time.After(10 * time.Second):
		t.Error("nothing came")
	}
	stop()
	<-ended
	if n := calls.Load(); n != 2 {
		t.Errorf("%d calls, expected one that failed and one that did not", n)
	}
}

func TestWebhookFile(t *testing.T) {
	good := "webhooks:\n- {url: \"https://example.test/x\", secret: 0123456789abcdef, events: [drift]}\n"
	if hooks, err := ParseWebhooks("w.yaml", []byte(good)); err != nil || len(hooks) != 1 {
		t.Errorf("%v %v", hooks, err)
	}
	for _, c := range [][2]string{{"https", "ftp"}, {"0123456789abcdef", "short"}, {"drift", "everything"}, {"events", "evnts"}} {
		bad := strings.Replace(good, c[0], c[1], 1)
		if _, err := ParseWebhooks("w.yaml", []byte(bad)); err == nil || !strings.Contains(err.Error(), "w.yaml") {
			t.Errorf("%s: %v", bad, err)
		}
	}
}
