package api

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/goccy/go-yaml"

	"bulkhead/book"
	"bulkhead/fabric"
	"bulkhead/lease"
	"bulkhead/ledger"
	"bulkhead/node"
)

// The events that a webhook can be told of.
const (
	EventDrift       = "drift"
	EventQuarantine  = "quarantine"
	EventReplacement = "replacement"
	EventLate        = "late"
)

// Webhook is one receiver.
type Webhook struct {
	URL    string   `yaml:"url"`
	Secret string   `yaml:"secret"` // at least 16 characters; signs every message
	Events []string `yaml:"events"` // empty: all
	Tenant string   `yaml:"tenant"` // only this tenant's; empty: the site's, for the owner
}

// ParseWebhooks reads a webhook file: strict YAML, a list under "webhooks".
func ParseWebhooks(file string, data []byte) ([]Webhook, error) {
	var f struct {
		Webhooks []Webhook `yaml:"webhooks"`
	}
	if err := yaml.NewDecoder(bytes.NewReader(data), yaml.Strict()).Decode(&f); err != nil {
		return nil, fmt.Errorf("%s: %s", file, yaml.FormatError(err, false, true))
	}
	for i, w := range f.Webhooks {
		u, err := url.Parse(w.URL)
		if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" {
			return nil, fmt.Errorf("%s: webhooks[%d].url: %.80q: expected an http or https address", file, i, w.URL)
		}
		if len(w.Secret) < 16 {
			return nil, fmt.Errorf("%s: webhooks[%d].secret: %d characters, expected at least 16", file, i, len(w.Secret))
		}
		for _, e := range w.Events {
			if !slices.Contains([]string{EventDrift, EventQuarantine, EventReplacement, EventLate}, e) {
				return nil, fmt.Errorf("%s: webhooks[%d].events: %.40q: expected drift, quarantine, replacement or late", file, i, e)
			}
		}
	}
	return f.Webhooks, nil
}

// message is what a receiver gets. It is the ledger's entry, so nothing is told
// that the ledger does not hold.
type message struct {
	Event    string          `json:"event"`
	Scope    string          `json:"scope"`
	ScopeSeq uint64          `json:"scope_seq"`
	Time     time.Time       `json:"time"`
	Kind     string          `json:"kind"`
	Body     json.RawMessage `json:"body"`
}

// Limits of sending.
const (
	webhookQueue   = 4096
	webhookTries   = 5
	webhookTimeout = 10 * time.Second
)

// Sender tells receivers what has happened. Notify never blocks: what does not
// fit into the queue is dropped and logged, and the ledger holds it all the same.
type Sender struct {
	hooks  []Webhook
	queue  chan ledger.Entry
	client *http.Client
	log    *slog.Logger
	pause  time.Duration // before the second try; doubles with each
	now    func() time.Time
}

// NewSender returns a sender; Run sends.
func NewSender(hooks []Webhook, log *slog.Logger) *Sender {
	return &Sender{
		hooks: hooks, queue: make(chan ledger.Entry, webhookQueue), client: &http.Client{Timeout: webhookTimeout}, log: log,
		pause: time.Second, now: time.Now,
	}
}

// Notify takes durable entries; it is made for run.Config.Notify.
func (s *Sender) Notify(entries []ledger.Entry) {
	for i := range entries {
		if eventOf(&entries[i]) == "" {
			continue
		}
		select {
		case s.queue <- entries[i]:
		default:
			s.log.Error("webhook queue is full: receivers must read the ledger", "scope", entries[i].Scope, "scope_seq", entries[i].ScopeSeq)
		}
	}
}

// eventOf says which event an entry is, or "".
func eventOf(e *ledger.Entry) string {
	switch e.Kind {
	case fabric.KindDrifted:
		return EventDrift
	case lease.KindProposed, lease.KindAcknowledged, lease.KindSwapped:
		return EventReplacement
	case lease.KindLate:
		return EventLate
	case node.KindMoved:
		var b node.Moved
		if json.Unmarshal(e.Body, &b) == nil && b.To == node.Quarantined {
			return EventQuarantine
		}
	}
	return ""
}

// Run sends until ctx ends. Each receiver gets each message at most
// webhookTries times; one that does not answer holds up the others by no more
// than that.
func (s *Sender) Run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case e := <-s.queue:
			for i := range s.hooks {
				if s.wants(&s.hooks[i], &e) {
					s.send(ctx, &s.hooks[i], &e)
				}
			}
		}
	}
}

// wants says whether a receiver is told of an entry: a tenant's of its own
// scope, the owner's of everything.
func (s *Sender) wants(w *Webhook, e *ledger.Entry) bool {
	if w.Tenant != "" && e.Scope != book.TenantScope(w.Tenant) {
		return false
	}
	return len(w.Events) == 0 || slices.Contains(w.Events, eventOf(e))
}

func (s *Sender) send(ctx context.Context, w *Webhook, e *ledger.Entry) {
	body, err := json.Marshal(message{eventOf(e), e.Scope, e.ScopeSeq, e.Time, e.Kind, e.Body})
	if err != nil {
		s.log.Error("webhook message", "why", err.Error())
		return
	}
	pause := s.pause
	for try := 1; ; try++ {
		if err = s.post(ctx, w, body); err == nil || ctx.Err() != nil {
			return
		}
		if try == webhookTries {
			s.log.Error("webhook given up", "url", w.URL, "tries", try, "why", err.Error())
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
			pause *= 2
		}
	}
}

func (s *Sender) post(ctx context.Context, w *Webhook, body []byte) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, w.URL, bytes.NewReader(body))
	if err != nil {
		return err
	}
	stamp := strconv.FormatInt(s.now().Unix(), 10)
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Bulkhead-Signature", "t="+stamp+",v1="+Signature(w.Secret, stamp, body))
	response, err := s.client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(response.Body, 1<<16)) // so that the connection is used again
	if response.StatusCode/100 != 2 {
		return fmt.Errorf("it answered %s", response.Status)
	}
	return nil
}

// Signature is the HMAC-SHA256, in hexadecimal, of the time stamp, a dot and the
// body: a receiver computes it again, and refuses old stamps.
func Signature(secret, stamp string, body []byte) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(stamp + "."))
	mac.Write(body)
	return hex.EncodeToString(mac.Sum(nil))
}
