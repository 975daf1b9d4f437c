package api

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"bulkhead/book"
	"bulkhead/custody"
	"bulkhead/keystore"
	"bulkhead/lease"
	"bulkhead/ledger"
)

// webhookQueueLimit is how many events may wait for one receiver. What comes beyond
// drops the oldest of them, with a log line and a count: the ledger has it all
// the same.
const webhookQueueLimit = 1024

// webhookTryLimit is how often one event is tried: for about a day, see backOff.
const webhookTryLimit = 300

// backOff is how long a receiver is left alone after so many tries that failed:
// from a second to five minutes.
func backOff(failed int) time.Duration {
	return min(time.Second<<min(failed-1, 20), 5*time.Minute)
}

// Notifier tells receivers what is in the ledger. The ledger is the queue: a
// receiver has a position in it, which outlives the process, and the positions of
// what it is to be told next. So each event is told at least once, in order, and
// a receiver that does not answer delays nobody else.
type Notifier struct {
	receivers []*receiver
	keys      *keystore.Store
	entries   ledger.Log
	state     string // file with the receivers' positions
	log       *slog.Logger
	backOff   func(failed int) time.Duration

	saving sync.Mutex
}

// receiver is one webhook with what waits for it.
type receiver struct {
	Webhook
	number int // in the file, from 1: its name in metrics, which name no tenant
	id     string
	scope  string
	wake   chan struct{}

	mu      sync.Mutex
	told    uint64   // position in the ledger up to which it was told
	waiting []uint64 // positions of what it is to be told; the first is being tried
	counts  [len(webhookCountNames)]uint64
}

// What is counted of each receiver.
const (
	countDelivered = iota
	countFailed
	countDropped
)

var webhookCountNames = [...]string{"delivered", "failed_tries", "dropped"}

// OpenNotifier continues where the state file says. A receiver that is not in it is
// told of what comes from now on.
func OpenNotifier(ctx context.Context, hooks []Webhook, keys *keystore.Store, entries ledger.Log, state string, log *slog.Logger) (*Notifier, error) {
	c := &Notifier{keys: keys, entries: entries, state: state, log: log, backOff: backOff}
	positions := map[string]uint64{}
	data, err := custody.ReadFile(state, custody.Small)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return nil, err
	default:
		// Lenient JSON: the keys are addresses, not fields; what an earlier release wrote must stay readable.
		if err := json.Unmarshal(data, &positions); err != nil {
			return nil, fmt.Errorf("%s: %w; remove it to tell receivers only of what comes from now on", state, err)
		}
	}
	head, err := entries.Head(ctx)
	if err != nil {
		return nil, err
	}
	from := head
	for i, hook := range hooks {
		sum := sha256.Sum256([]byte(hook.Tenant + "\n" + string(hook.URL))) // an address may hold a secret
		r := &receiver{Webhook: hook, number: i + 1, id: hex.EncodeToString(sum[:8]), scope: book.SiteScope, wake: make(chan struct{}, 1)}
		if hook.Tenant != "" {
			r.scope = book.TenantScope(hook.Tenant)
		}
		position, known := positions[r.id]
		switch {
		case !known:
			position = head
		case position > head:
			log.Warn("webhook: the ledger is shorter than what was told: it goes on from its end", "receiver", r.number, "told", position, "head", head)
			position = head
		}
		r.told = position
		from = min(from, position)
		c.receivers = append(c.receivers, r)
	}
	for e, err := range entries.Read(ctx, from+1) {
		if err != nil {
			return nil, err
		}
		c.queue(&e)
	}
	return c, c.save() // so that a new receiver's position is kept before anything is told
}

// Feed takes durable entries. It never waits.
func (c *Notifier) Feed(entries []ledger.Entry) {
	for i := range entries {
		c.queue(&entries[i])
	}
}

func (c *Notifier) queue(e *ledger.Entry) {
	if !worthACall(e) {
		return
	}
	for _, r := range c.receivers {
		if !r.hears(e) {
			continue
		}
		if lost := r.add(e.Seq); lost != 0 {
			c.log.Error("webhook dropped: too many wait for this receiver", "receiver", r.number, "url", r.URL, "entry", lost)
		}
	}
}

// hears says whether an entry is the receiver's to know. The owner hears of its
// own scope, and of what only tenants' scopes hold.
func (r *receiver) hears(e *ledger.Entry) bool {
	return e.Scope == r.scope || r.Tenant == "" && (e.Kind == lease.KindProposed || e.Kind == lease.KindWithdrawn || e.Kind == lease.KindSwapped || e.Kind == lease.KindLate)
}

// add queues a position, and returns the one that it had to drop, or 0.
func (r *receiver) add(position uint64) (lost uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if position <= r.told {
		return 0
	}
	if len(r.waiting) == webhookQueueLimit { // the first is being tried: it stays
		lost = r.waiting[1]
		r.waiting = slices.Delete(r.waiting, 1, 2)
		r.counts[countDropped]++
	}
	r.waiting = append(r.waiting, position)
	select {
	case r.wake <- struct{}{}:
	default:
	}
	return lost
}

func (r *receiver) next() (position uint64, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.waiting) == 0 {
		return 0, false
	}
	return r.waiting[0], true
}

func (r *receiver) count(what int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.counts[what]++
}

// finish ends an event that was delivered or given up.
func (r *receiver) finish(what int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.counts[what]++
	r.told = r.waiting[0]
	r.waiting = slices.Delete(r.waiting, 0, 1)
}

// Run tells all receivers until ctx ends. What waits then is told after the next
// start.
func (c *Notifier) Run(ctx context.Context) {
	var all sync.WaitGroup
	for _, r := range c.receivers {
		all.Go(func() { c.tellAll(ctx, r) })
	}
	all.Wait()
}

func (c *Notifier) tellAll(ctx context.Context, r *receiver) {
	for {
		position, ok := r.next()
		if !ok {
			select {
			case <-ctx.Done():
				return
			case <-r.wake:
			}
			continue
		}
		delivered := c.tell(ctx, r, position)
		if ctx.Err() != nil && !delivered {
			return
		}
		what := countDelivered
		if !delivered {
			what = countDropped
			c.log.Error("webhook dropped: given up", "receiver", r.number, "url", r.URL, "entry", position, "tries", webhookTryLimit)
		}
		r.finish(what)
		if err := c.save(); err != nil {
			c.log.Error("webhook: position not kept: after a restart events are told again", "why", err.Error())
		}
	}
}

// tell tries an event until it is delivered, tried often enough, or ctx ends.
func (c *Notifier) tell(ctx context.Context, r *receiver, position uint64) (delivered bool) {
	for try := 1; ; try++ {
		trouble := c.post(ctx, r, position)
		if trouble == nil {
			return true
		}
		if ctx.Err() != nil {
			return false
		}
		r.count(countFailed)
		c.log.Warn("webhook", "receiver", r.number, "url", r.URL, "entry", position, "try", try, "why", trouble.Error())
		if try == webhookTryLimit {
			return false
		}
		select {
		case <-ctx.Done():
			return false
		case <-time.After(c.backOff(try)):
		}
	}
}

func (c *Notifier) post(ctx context.Context, r *receiver, position uint64) error {
	for e, err := range c.entries.Read(ctx, position) {
		if err != nil {
			return err
		}
		body, err := c.sign(webhookEvent{e.Scope, e.ScopeSeq, e.Time, e.Kind, bytes.Clone(e.Body)})
		if err != nil {
			return err
		}
		return sendWebhook(ctx, r.URL, body)
	}
	return fmt.Errorf("the ledger has no entry %d", position)
}

// save keeps the receivers' positions.
func (c *Notifier) save() error {
	c.saving.Lock()
	defer c.saving.Unlock()
	positions := map[string]uint64{}
	for _, r := range c.receivers {
		r.mu.Lock()
		positions[r.id] = r.told
		r.mu.Unlock()
	}
	data, err := json.Marshal(positions)
	if err != nil {
		return err
	}
	return custody.Replace(c.state, data)
}

var (
	webhooksWaiting = prometheus.NewDesc("bulkhead_webhook_waiting", "Events that wait for a receiver.", []string{"receiver"}, nil)
	webhookEvents   = prometheus.NewDesc("bulkhead_webhook_events_total", "Events by what became of them, since the start.", []string{"receiver", "what"}, nil)
)

// Describe implements prometheus.Collector.
func (c *Notifier) Describe(ch chan<- *prometheus.Desc) {
	ch <- webhooksWaiting
	ch <- webhookEvents
}

// Collect implements prometheus.Collector.
func (c *Notifier) Collect(ch chan<- prometheus.Metric) {
	for _, r := range c.receivers {
		r.mu.Lock()
		waiting, counts := len(r.waiting), r.counts
		r.mu.Unlock()
		number := strconv.Itoa(r.number)
		ch <- prometheus.MustNewConstMetric(webhooksWaiting, prometheus.GaugeValue, float64(waiting), number)
		for what, n := range counts {
			ch <- prometheus.MustNewConstMetric(webhookEvents, prometheus.CounterValue, float64(n), number, webhookCountNames[what])
		}
	}
}
