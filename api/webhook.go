package api

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"bulkhead/book"
	"bulkhead/claim"
	"bulkhead/fabric"
	"bulkhead/lease"
	"bulkhead/ledger"
	"bulkhead/node"
)

// Webhook is one address that is told what happened, signed. A tenant's is told of its
// own scope only.
type Webhook struct {
	URL    SecretURL `yaml:"url"`
	Tenant string    `yaml:"tenant"` // "" is the owner: the site's scope, and every tenant's replacements and late tranches
}

// webhookPredicate is the type of the statement that is posted.
const webhookPredicate = "bulkhead/webhook/1"

// ParseWebhooks reads and checks a file of webhooks, YAML.
func ParseWebhooks(file string, data []byte) ([]Webhook, error) {
	var all struct {
		Webhooks []Webhook `yaml:"webhooks"`
	}
	check := func() error {
		if len(all.Webhooks) == 0 {
			return errors.New("webhooks: expected a list with a url each")
		}
		for i, w := range all.Webhooks {
			if err := w.URL.check(); err != nil {
				return fmt.Errorf("webhooks[%d].url: %w", i, err)
			}
		}
		return nil
	}
	if err := claim.DecodeYAML(file, data, len(data), "webhooks, a list with a url each", &all, check); err != nil {
		// Somebody may have written an address for a field, or half of one where no YAML is.
		said, _, _ := strings.Cut(err.Error(), "; found ")
		return nil, errors.New(withoutAddresses(said))
	}
	return all.Webhooks, nil
}

// worthACall says whether an entry is worth a call: drift, the brake, a clock that needs a
// person, what was taken off a log, quarantine, replacements and late tranches.
func worthACall(e *ledger.Entry) bool {
	switch e.Kind {
	case book.KindClockDoubted, book.KindClockSettled, book.KindClockConfirmed, ledger.KindSetAside, ledger.KindTakenOff:
		return true
	case fabric.KindDrifted, fabric.KindLocked, fabric.KindRestored, book.KindBrake, lease.KindProposed, lease.KindWithdrawn, lease.KindSwapped, lease.KindLate:
		return true
	case node.KindMoved:
		var moved struct {
			To string `json:"to"`
		}
		// Lenient JSON: of an entry that the book has read exactly, the one field that decides.
		return json.Unmarshal(e.Body, &moved) == nil && moved.To == node.Quarantined.String()
	}
	return false
}

// webhookEvent is what is posted, inside a signed statement (DSSE). A receiver that
// gets it twice knows it by scope and number.
type webhookEvent struct {
	Scope  string          `json:"scope"`
	Number uint64          `json:"scope_seq"`
	Time   time.Time       `json:"time"`
	Kind   string          `json:"kind"`
	Body   json.RawMessage `json:"body"`
}

func (c *Notifier) sign(e webhookEvent) ([]byte, error) {
	signer, err := c.keys.Statement(claim.PurposeWebhook)
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

// toReceivers follows no redirect: events go where the operator said.
var toReceivers = &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}

func sendWebhook(ctx context.Context, to SecretURL, body []byte) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, string(to), bytes.NewReader(body))
	if err != nil {
		return withoutAddress(err)
	}
	request.Header.Set("Content-Type", "application/vnd.dsse.envelope+json")
	answer, err := toReceivers.Do(request)
	if err != nil {
		return withoutAddress(err)
	}
	defer answer.Body.Close()
	if answer.StatusCode/100 != 2 {
		return fmt.Errorf("the receiver answered %d %s, expected 2xx", answer.StatusCode, http.StatusText(answer.StatusCode)) // in no words of the receiver's
	}
	return nil
}
