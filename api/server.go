package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"connectrpc.com/connect"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"google.golang.org/protobuf/proto"

	"bulkhead/api/bulkheadv1"
	"bulkhead/api/bulkheadv1/bulkheadv1connect"
	"bulkhead/book"
	"bulkhead/keystore"
	"bulkhead/run"
)

// maxRequest is the largest request: a site template or a contract.
const maxRequest = 4 << 20

// Options are what a server is made of.
type Options struct {
	Plane  *run.Plane
	Keys   *keystore.Store
	Tokens *Tokens
	Now    func() time.Time // nil: the machine's clock

	Metrics []prometheus.Collector // shown at /metrics beside the plane's; they must name no tenant

	Hosts  []string // names that this server answers to, beside addresses and localhost
	Limits Limits   // zero: DefaultLimits
}

// service implements the generated ControlPlane service.
type service struct {
	bulkheadv1connect.UnimplementedControlPlaneHandler
	plane *run.Plane
	keys  *keystore.Store
	now   func() time.Time

	rotating sync.Mutex // one rotation at a time, so that no id makes two keys

	asks asks // of tenants
}

// New returns the API with health, readiness and metrics beside it. /healthz and
// /readyz need no token and name nothing; /metrics counts, names no tenant,
// and is for the roles monitor, operator and auditor.
func New(o Options) http.Handler {
	if o.Now == nil {
		o.Now = func() time.Time { return time.Now().UTC() }
	}
	if o.Limits == (Limits{}) {
		o.Limits = DefaultLimits()
	}
	o.Tokens.keepIn(o.Plane)
	mux := http.NewServeMux()
	gate := newGate(o.Limits)
	requests := newRequests(gate)
	mux.Handle(bulkheadv1connect.NewControlPlaneHandler(
		&service{plane: o.Plane, keys: o.Keys, now: o.Now},
		connect.WithInterceptors(&guard{tokens: o.Tokens, now: o.Now, view: o.Plane.View, broken: o.Plane.Broken}, &positions{plane: o.Plane, patience: entryPatience}),
		connect.WithConditionalHandlerOptions(func(spec connect.Spec) []connect.HandlerOption {
			return []connect.HandlerOption{connect.WithReadMaxBytes(largest(method(spec.Procedure)))}
		}),
		connect.WithCodec(strictJSON{"json"}), connect.WithCodec(strictJSON{"json; charset=utf-8"}),
	))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { answer(w, nil) })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, o.Plane.Ready()) // names no device: whoever asks here shows no token
	})
	registry := prometheus.NewRegistry()
	registry.MustRegister(newMetrics(o.Plane), requests)
	registry.MustRegister(o.Metrics...)
	mux.Handle("GET "+metricsPath, promhttp.HandlerFor(registry, promhttp.HandlerOpts{MaxRequestsInFlight: 4}))
	hosts := make([]string, len(o.Hosts))
	for i, h := range o.Hosts {
		hosts[i] = hostname(h)
	}
	return bounded(&door{next: mux, tokens: o.Tokens, now: o.Now, hosts: hosts, gate: gate, requests: requests, refusals: connect.NewErrorWriter()})
}

func answer(w http.ResponseWriter, trouble error) {
	if trouble != nil {
		http.Error(w, trouble.Error(), http.StatusServiceUnavailable)
		return
	}
	_, _ = w.Write([]byte("ok\n")) // a client that has gone needs no answer
}

// change is a request that changes something.
type change interface {
	proto.Message
	GetCommandId() string
}

// commandID is the id under which the ledger knows a request; "" if the caller
// gave none. Two callers' ids are not the same id, whatever they chose. An id
// that comes again with another request is refused: it must not be answered with
// "done already" and forgotten.
func commandID(ctx context.Context, request change, c book.Command) string {
	if request.GetCommandId() == "" {
		return ""
	}
	encoded, _ := proto.MarshalOptions{Deterministic: true}.Marshal(request) // what was decoded encodes
	return run.CommandID(commandName(caller(ctx).ID, request.GetCommandId()), fmt.Appendf(nil, "%T\n%s", c, encoded))
}

// submit gives a command to the book.
func (s *service) submit(ctx context.Context, request change, c book.Command) (*connect.Response[bulkheadv1.Done], error) {
	r, err := s.plane.Submit(ctx, commandID(ctx, request, c), c)
	return s.done(ctx, r, err)
}

// done is the answer to a change. A tenant's role is told a position of its own scope,
// as it is now: the whole ledger's would count what others do.
func (s *service) done(ctx context.Context, r run.Result, err error) (*connect.Response[bulkheadv1.Done], error) {
	if err != nil {
		return nil, err
	}
	if t := caller(ctx); t.Role.OfTenant() {
		s.plane.View(func(b *book.State) { r.Entry = b.Scopes[book.TenantScope(t.Tenant)] })
	}
	return connect.NewResponse(&bulkheadv1.Done{Entry: r.Entry, Repeated: r.Repeated, Nothing: r.Nothing}), nil
}

const pageSizes = "expected 1 to 1,000, or 0 for 100"

// page cuts one page out of ids that are in order. The token is the last id of
// the page before.
func page(ids []string, size int32, token string) (cut []string, next string, err error) {
	if size < 0 || size > 1000 {
		return nil, "", &book.Refusal{Field: "page_size", Reason: pageSizes}
	}
	if size == 0 {
		size = 100
	}
	start := 0
	for token != "" && start < len(ids) && ids[start] <= token {
		start++
	}
	end := min(start+int(size), len(ids))
	if end < len(ids) {
		next = ids[end-1]
	}
	return ids[start:end], next, nil
}

var errNoSite = errors.New("no site has been imported yet: import one first (bulkhead site import FILE)")
