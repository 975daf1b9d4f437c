package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"connectrpc.com/connect"

	"bulkhead/api/bulkheadv1"
	"bulkhead/api/bulkheadv1/bulkheadv1connect"
)

const (
	// answerWithin is when a request counts as failed; it counts as having taken as
	// long.
	answerWithin = 10 * time.Second
	// mostOpen is how many requests may be open: what is due beyond that has failed.
	mostOpen = 4000
)

// load is requests that are due at a fixed rate, whatever becomes of those before:
// a server that stands still is late for each of them.
type load struct {
	each time.Duration
	ask  func(ctx context.Context, n int) error

	open   atomic.Int64
	mu     sync.Mutex
	took   []time.Duration
	failed int
	why    map[string]int
}

func newLoad(perSecond int, ask func(ctx context.Context, n int) error) *load {
	return &load{each: time.Second / time.Duration(perSecond), ask: ask, why: map[string]int{}}
}

// run asks for as long as it is told to, and waits for the answers.
func (l *load) run(ctx context.Context, of time.Duration) {
	var all sync.WaitGroup
	begun := time.Now()
	for n := 0; ctx.Err() == nil; n++ {
		due := begun.Add(time.Duration(n) * l.each)
		if due.Sub(begun) >= of {
			break
		}
		if wait := time.Until(due); wait > 0 {
			select {
			case <-ctx.Done():
			case <-time.After(wait):
			}
		}
		if l.open.Load() >= mostOpen {
			l.note(answerWithin, fmt.Errorf("more than %d requests were open", mostOpen))
			continue
		}
		l.open.Add(1)
		all.Go(func() {
			defer l.open.Add(-1)
			bounded, cancel := context.WithDeadline(ctx, due.Add(answerWithin))
			defer cancel()
			err := l.ask(bounded, n)
			took := time.Since(due)
			if err != nil {
				took = max(took, answerWithin)
			}
			l.note(took, err)
		})
	}
	all.Wait()
}

func (l *load) note(took time.Duration, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.took = append(l.took, took)
	if err != nil {
		l.failed++
		l.why[connect.CodeOf(err).String()]++
	}
}

func (l *load) figures() figures {
	l.mu.Lock()
	defer l.mu.Unlock()
	f := figures{Due: len(l.took), Failed: l.failed}
	if f.Due == 0 {
		return f
	}
	slices.Sort(l.took)
	at := func(share float64) time.Duration { return l.took[min(int(share*float64(f.Due)), f.Due-1)] }
	f.P50, f.P99, f.Max = at(0.5), at(0.99), l.took[f.Due-1]
	return f
}

// asker asks one server, with several tokens in turn: what one token may have in
// flight is bounded.
type asker struct {
	server  string
	plain   *http.Client
	clients []bulkheadv1connect.ControlPlaneClient
	leases  []string
	nodes   []string
}

type shows struct {
	token string
	next  http.RoundTripper
}

func (s shows) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+s.token)
	return s.next.RoundTrip(r)
}

func newAsker(server string, tokens []string) *asker {
	transport := &http.Transport{MaxIdleConnsPerHost: 512, MaxIdleConns: 512, DisableCompression: true}
	a := &asker{server: server, plain: &http.Client{Transport: transport}}
	for _, token := range tokens {
		a.clients = append(a.clients, bulkheadv1connect.NewControlPlaneClient(&http.Client{Transport: shows{token, transport}}, server))
	}
	return a
}

// read is the mix: of twenty, eight list leases, five look at one, five at the site,
// one asks for health and one for readiness.
func (a *asker) read(ctx context.Context, n int) error {
	c := a.clients[1+n%(len(a.clients)-1)] // the first token is for commands alone
	var err error
	switch k := n % 20; {
	case k < 8:
		_, err = c.ListLeases(ctx, connect.NewRequest(&bulkheadv1.Page{}))
	case k < 13:
		_, err = c.GetLease(ctx, connect.NewRequest(&bulkheadv1.LeaseRef{Lease: a.leases[n%len(a.leases)]}))
	case k < 18:
		_, err = c.ShowSite(ctx, connect.NewRequest(&bulkheadv1.ShowSiteRequest{}))
	case k < 19:
		err = a.get(ctx, "/healthz")
	default:
		err = a.get(ctx, "/readyz")
	}
	return err
}

// get reads a page. One that says that it is not ready is an answer.
func (a *asker) get(ctx context.Context, path string) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, a.server+path, nil)
	if err != nil {
		return err
	}
	response, err := a.plain.Do(r)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	_, err = io.Copy(io.Discard, response.Body)
	return err
}

// command cordons a node, and lifts that the next time.
func (a *asker) command(ctx context.Context, n int) error {
	_, err := a.clients[0].CordonNode(ctx, connect.NewRequest(&bulkheadv1.CordonNodeRequest{
		CommandId: fmt.Sprintf("bench-%d-%d", time.Now().UnixNano(), n), Node: a.nodes[(n/2)%len(a.nodes)], Lift: n%2 == 1,
		Reason: "apibench",
	}))
	return err
}
