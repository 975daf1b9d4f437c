package api

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"bulkhead/claim"
	"bulkhead/keystore"
	"bulkhead/lab/await"
	"bulkhead/lease"
	"bulkhead/ledger"
	"bulkhead/ledger/memory"
)

// hooked is a ledger with what webhooks need beside it.
type hooked struct {
	log    *memory.Log
	keys   *keystore.Store
	state  string
	scopes map[string]uint64
	said   lockedBuffer
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func newHooked(t *testing.T) *hooked {
	t.Helper()
	keys, err := keystore.InMemory(strings.NewReader(strings.Repeat("0123456789abcdef", 64)), time.Unix(0, 0))
	if err != nil {
		t.Fatal(err)
	}
	return &hooked{log: memory.New(), keys: keys, state: filepath.Join(t.TempDir(), "webhooks.json"), scopes: map[string]uint64{}}
}

func (w *hooked) notifier(t *testing.T, hooks ...Webhook) *Notifier {
	t.Helper()
	c, err := OpenNotifier(context.Background(), hooks, w.keys, w.log, w.state, slog.New(slog.NewTextHandler(&w.said, nil)))
	if err != nil {
		t.Fatal(err)
	}
	c.backOff = func(int) time.Duration { return time.Millisecond }
	return c
}

// run starts a caller and returns what stops it, and waits until it has.
func (w *hooked) run(t *testing.T, c *Notifier) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { c.Run(ctx); close(ended) }()
	stop = func() { cancel(); <-ended }
	t.Cleanup(stop)
	return stop
}

// happen appends entries and feeds them.
func (w *hooked) happen(t *testing.T, c *Notifier, entries ...ledger.Entry) {
	t.Helper()
	head, err := w.log.Head(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	for i := range entries {
		e := &entries[i]
		w.scopes[e.Scope]++
		e.Seq, e.ScopeSeq, e.Time = head+uint64(i)+1, w.scopes[e.Scope], time.Unix(0, 0).UTC()
	}
	if err := w.log.Append(context.Background(), head, entries, nil); err != nil {
		t.Fatal(err)
	}
	if c != nil {
		c.Feed(entries)
	}
}

func late(scope string, number int) ledger.Entry {
	return ledger.Entry{Scope: scope, Kind: lease.KindLate, Body: fmt.Appendf(nil, `{"is":"%d."}`, number)}
}

// listener is a receiver that notes what it is told.
type listener struct {
	*httptest.Server
	heard chan string
}

func listen(t *testing.T, answer func() int) listener {
	t.Helper()
	routes := make(chan string, 10*webhookQueueLimit)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if code := answer(); code != http.StatusOK {
			w.Header().Set("Location", "/elsewhere")
			w.WriteHeader(code)
			return
		}
		said, err := claim.Peek(body)
		if err != nil {
			t.Error(err)
		}
		routes <- string(said)
	}))
	t.Cleanup(server.Close)
	return listener{server, routes}
}

func always(code int) func() int { return func() int { return code } }

// hears expects an event next. The one before may come again: at least once.
func (l listener) hears(t *testing.T, number int) {
	t.Helper()
	is := func(said string, number int) bool { return strings.Contains(said, fmt.Sprintf(`"is":"%d."`, number)) }
	for range 2 {
		select {
		case said := <-l.heard:
			if is(said, number) {
				return
			}
			if !is(said, number-1) {
				t.Fatalf("told %s, expected event %d", said, number)
			}
		case <-time.After(await.Patience):
			t.Fatalf("event %d was not told", number)
		}
	}
	t.Fatalf("event %d was told again and again", number-1)
}

// TestADeadReceiverDelaysNobody has a receiver that never answers beside one that
// does.
func TestADeadReceiverDelaysNobody(t *testing.T) {
	w := newHooked(t)
	hang := make(chan struct{})
	dead := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-hang }))
	t.Cleanup(dead.Close)
	t.Cleanup(func() { close(hang) })
	alive := listen(t, always(http.StatusOK))
	c := w.notifier(t, Webhook{URL: SecretURL(dead.URL), Tenant: "acme"}, Webhook{URL: SecretURL(alive.URL), Tenant: "acme"})
	w.run(t, c)
	for i := range 20 {
		w.happen(t, c, late("tenant/acme", i))
	}
	for i := range 20 {
		alive.hears(t, i)
	}
}

// TestEventsOutliveARestart stops the caller while its receiver is away. What
// waited, and what happened while nobody ran, is told after the next start, in
// order.
func TestEventsOutliveARestart(t *testing.T) {
	w := newHooked(t)
	var mu sync.Mutex
	code := http.StatusOK
	set := func(to int) { mu.Lock(); code = to; mu.Unlock() }
	l := listen(t, func() int { mu.Lock(); defer mu.Unlock(); return code })
	hook := Webhook{URL: SecretURL(l.URL), Tenant: "acme"}
	w.happen(t, nil, late("tenant/acme", 99)) // before it was known: not told
	c := w.notifier(t, hook)
	stop := w.run(t, c)
	w.happen(t, c, late("tenant/acme", 0), late("tenant/other", 98))
	l.hears(t, 0)
	set(http.StatusServiceUnavailable)
	w.happen(t, c, late("tenant/acme", 1), late("tenant/acme", 2))
	stop()
	w.happen(t, nil, late("tenant/acme", 3))
	set(http.StatusOK)
	c = w.notifier(t, hook)
	stop = w.run(t, c)
	w.happen(t, c, late("tenant/acme", 4))
	for i := range 4 {
		l.hears(t, i+1)
	}
	stop()
	c = w.notifier(t, hook)
	w.run(t, c)
	w.happen(t, c, late("tenant/acme", 5))
	l.hears(t, 5)
	if info, err := os.Stat(w.state); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the state file: %v, %v", info, err)
	}
	if data, err := os.ReadFile(w.state); err != nil || bytes.Contains(data, []byte("127.0.0.1")) {
		t.Errorf("the state file names an address, which may hold a secret: %s, %v", data, err)
	}
}

// TestNothingIsDroppedSilently fills a queue, and has a receiver that refuses an
// event for ever.
func TestNothingIsDroppedSilently(t *testing.T) {
	w := newHooked(t)
	l := listen(t, always(http.StatusFound)) // a redirect is not followed
	c := w.notifier(t, Webhook{URL: SecretURL(l.URL)})
	const over = 3
	for i := range webhookQueueLimit + over {
		w.happen(t, c, late("site", i))
	}
	r := c.receivers[0]
	if got := w.shown(t, c); got["dropped"] != over || got["waiting"] != webhookQueueLimit || strings.Count(w.said.String(), "webhook dropped") != over {
		t.Errorf("%v, said %.300s", got, w.said.String())
	}
	if first, _ := r.next(); first != 1 || r.waiting[1] != 2+over {
		t.Errorf("the first two are %v", r.waiting[:2])
	}
	r.waiting = r.waiting[:1]
	stop := w.run(t, c)
	deadline := time.After(await.Patience)
	for w.shown(t, c)["dropped"] != over+1 {
		select {
		case <-deadline:
			t.Fatalf("not given up: %v", w.shown(t, c))
		case <-time.After(10 * time.Millisecond):
		}
	}
	stop()
	if got := w.shown(t, c); got["failed_tries"] != webhookTryLimit || got["delivered"] != 0 || !strings.Contains(w.said.String(), "given up") {
		t.Errorf("%v", got)
	}
	if len(l.heard) != 0 {
		t.Error("something was told all the same")
	}
}

// shown is what the metrics show of the only receiver.
func (w *hooked) shown(t *testing.T, c *Notifier) map[string]int {
	t.Helper()
	registry := prometheus.NewPedanticRegistry()
	if err := registry.Register(c); err != nil {
		t.Fatal(err)
	}
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]int{}
	for _, f := range families {
		for _, m := range f.Metric {
			if f.GetName() == "bulkhead_webhook_waiting" {
				out["waiting"] = int(m.GetGauge().GetValue())
				continue
			}
			for _, l := range m.Label {
				if l.GetName() == "what" {
					out[l.GetValue()] = int(m.GetCounter().GetValue())
				}
			}
		}
	}
	return out
}

func TestBackOffHasABound(t *testing.T) {
	last := time.Duration(0)
	for failed := 1; failed < 2*webhookTryLimit; failed++ {
		wait := backOff(failed)
		if wait < last || wait < time.Second || wait > 5*time.Minute {
			t.Fatalf("after %d: %s, before %s", failed, wait, last)
		}
		last = wait
	}
}

// TestBadWebhookState starts over a state file that is damaged, and one that is
// ahead of the ledger.
func TestBadWebhookState(t *testing.T) {
	w := newHooked(t)
	w.happen(t, nil, late("site", 0))
	hook := Webhook{URL: "http://127.0.0.1:1"}
	c := w.notifier(t, hook)
	if err := os.WriteFile(w.state, fmt.Appendf(nil, `{"%s": 70}`, c.receivers[0].id), 0o600); err != nil {
		t.Fatal(err)
	}
	c = w.notifier(t, hook)
	if c.receivers[0].told != 1 || !strings.Contains(w.said.String(), "shorter") {
		t.Errorf("told up to %d, said %q", c.receivers[0].told, w.said.String())
	}
	if err := os.WriteFile(w.state, []byte(`{"x": "y"`), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenNotifier(context.Background(), []Webhook{hook}, w.keys, w.log, w.state, slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), "webhooks.json") {
		t.Errorf("a damaged file: %v", err)
	}
}
