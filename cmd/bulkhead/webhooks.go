package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"time"

	"github.com/goccy/go-yaml"

	"bulkhead/book"
	"bulkhead/claim"
	"bulkhead/fabric"
	"bulkhead/keystore"
	"bulkhead/lease"
	"bulkhead/ledger"
	"bulkhead/node"
)

// webhook is one address that is told. A tenant's is told of its own scope only.
type webhook struct {
	URL    string `yaml:"url"`
	Tenant string `yaml:"tenant"` // "" is the owner: the site's scope
}

// webhookPredicate is the type of the statement that is posted.
const webhookPredicate = "bulkhead/webhook/1"

// webhookQueue is how many events may wait for slow receivers. What comes beyond
// is dropped and logged: the ledger has it all the same.
const webhookQueue = 1024

// readWebhooks reads and checks the file of --webhooks.
func readWebhooks(path string) ([]webhook, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("--webhooks: %w", err)
	}
	var file struct {
		Webhooks []webhook `yaml:"webhooks"`
	}
	if err := yaml.UnmarshalWithOptions(data, &file, yaml.Strict()); err != nil {
		return nil, fmt.Errorf("--webhooks %s: %w", path, err)
	}
	if len(file.Webhooks) == 0 {
		return nil, fmt.Errorf("--webhooks %s: webhooks: expected a list with a url each", path)
	}
	for i, w := range file.Webhooks {
		u, err := url.Parse(w.URL)
		if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
			return nil, fmt.Errorf("--webhooks %s: webhooks[%d].url: %q: expected https://HOST/PATH", path, i, w.URL)
		}
	}
	return file.Webhooks, nil
}

// told says whether an entry is worth a call: drift, quarantine, replacements
// and late tranches.
func told(e *ledger.Entry) bool {
	switch e.Kind {
	case fabric.KindDrifted, fabric.KindLocked, fabric.KindRestored, lease.KindProposed, lease.KindSwapped, lease.KindLate:
		return true
	case node.KindMoved:
		var moved struct {
			To string `json:"to"`
		}
		return json.Unmarshal(e.Body, &moved) == nil && moved.To == node.Quarantined.String()
	}
	return false
}

// event is what is posted, inside a signed statement (DSSE). A receiver that
// gets it twice knows it by scope and number.
type event struct {
	Scope  string          `json:"scope"`
	Number uint64          `json:"scope_seq"`
	Time   time.Time       `json:"time"`
	Kind   string          `json:"kind"`
	Body   json.RawMessage `json:"body"`
}

// caller posts events, one receiver after the other, in order.
type caller struct {
	hooks []webhook
	keys  *keystore.Store
	log   *slog.Logger
	queue chan event
}

func newCaller(hooks []webhook, keys *keystore.Store, log *slog.Logger) *caller {
	return &caller{hooks: hooks, keys: keys, log: log, queue: make(chan event, webhookQueue)}
}

// feed takes durable entries. It never waits.
func (c *caller) feed(entries []ledger.Entry) {
	for i := range entries {
		e := &entries[i]
		if !told(e) {
			continue
		}
		select {
		case c.queue <- event{e.Scope, e.ScopeSeq, e.Time, e.Kind, bytes.Clone(e.Body)}:
		default:
			c.log.Error("webhook dropped: too many are waiting", "scope", e.Scope, "number", e.ScopeSeq, "kind", e.Kind)
		}
	}
}

// run posts until ctx ends. What waits then is not posted.
func (c *caller) run(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case e := <-c.queue:
			for _, w := range c.hooks {
				scope := book.SiteScope
				if w.Tenant != "" {
					scope = book.TenantScope(w.Tenant)
				}
				if e.Scope == scope {
					c.post(ctx, w, e)
				}
			}
		}
	}
}

// post tries a few times. A receiver that stays away is logged and left.
func (c *caller) post(ctx context.Context, w webhook, e event) {
	body, err := c.sign(e)
	for try := 0; err == nil && try < 4; try++ {
		if try > 0 {
			select {
			case <-ctx.Done():
				return
			case <-time.After(time.Second << try):
			}
		}
		var trouble error
		if trouble = send(ctx, w.URL, body); trouble == nil {
			return
		}
		c.log.Warn("webhook", "url", w.URL, "try", try+1, "why", trouble.Error())
	}
	c.log.Error("webhook not delivered", "url", w.URL, "scope", e.Scope, "number", e.Number, "kind", e.Kind)
}

func (c *caller) sign(e event) ([]byte, error) {
	signer, err := c.keys.Statement("webhook")
	if err != nil {
		return nil, err
	}
	said, err := json.Marshal(e)
	if err != nil {
		return nil, err
	}
	statement, err := claim.NewStatement(fmt.Sprintf("%s/%d", e.Scope, e.Number), claim.DigestOf(said), webhookPredicate, json.RawMessage(said))
	if err != nil {
		return nil, err
	}
	return claim.Sign(statement, signer)
}

func send(ctx context.Context, address string, body []byte) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, address, bytes.NewReader(body))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/vnd.dsse.envelope+json")
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode/100 != 2 {
		return fmt.Errorf("answered %s", answer.Status)
	}
	return nil
}
