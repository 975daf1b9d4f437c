package wire

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strconv"
	"time"

	"bulkhead/claim"
	"bulkhead/custody"
	"bulkhead/custody/exchange"
	"bulkhead/fabric"
	"bulkhead/site"
	"bulkhead/storage"
)

// Listen opens a unix socket for its owner alone; see custody.Listen.
func Listen(socket string) (net.Listener, error) {
	return custody.Listen(socket, func(p custody.Peer) {
		slog.Warn("a connection was refused: its process belongs to another user", "socket", socket, "user", p.UID, "process", p.PID)
	})
}

// Serve answers calls until the listener is closed, and then returns nil.
func Serve(l net.Listener, d Drivers) error {
	var open connections
	d.Sim = beside(d.Sim, &open)
	server := &http.Server{Handler: Handler(d), ReadHeaderTimeout: 10 * time.Second, ConnState: open.note}
	err := server.Serve(l)
	_ = server.Close()
	if errors.Is(err, net.ErrClosed) || errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// Handler is the protocol as a handler.
func Handler(d Drivers) http.Handler {
	mux := http.NewServeMux()
	asJSON(mux, "hello", func(ctx context.Context, _ struct{}) (hello, error) {
		h := hello{Protocol: Protocol, Fabrics: []string{}, Nodes: d.Nodes != nil, Storage: d.Storage != nil, Sim: d.Sim != nil}
		for id, driver := range d.Fabrics {
			h.Fabrics = append(h.Fabrics, id)
			if _, is := driver.(fabric.Postured); is {
				h.Postured = append(h.Postured, id)
			}
		}
		slices.Sort(h.Fabrics)
		slices.Sort(h.Postured)
		return h, nil
	})
	for id, driver := range d.Fabrics {
		serveFabric(mux, "fabrics/"+id+"/", driver)
	}
	serveJoint(mux, d.Fabrics)
	if d.Nodes != nil {
		asJSON(mux, "nodes/capabilities", func(ctx context.Context, _ struct{}) (any, error) { return d.Nodes.Capabilities(ctx) })
		handle(mux, "nodes/apply", func(ctx context.Context, body []byte) ([]byte, error) {
			steps, fence, err := decodeSteps(body)
			if err != nil {
				return nil, err
			}
			return inJSON(d.Nodes.Apply(ctx, steps, fence))
		})
		handle(mux, "nodes/observe", func(ctx context.Context, body []byte) ([]byte, error) {
			var since uint64
			if err := claim.Exact(body, maxMessage, &since); err != nil {
				return nil, err
			}
			o, err := d.Nodes.Observe(ctx, since)
			return encodeReports(&o), err
		})
	}
	if d.Storage != nil {
		serveStorage(mux, d.Storage)
	}
	if d.Sim != nil {
		serveSim(mux, d.Sim)
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		answer(w, http.StatusNotFound, fmt.Errorf("no call %.80q: the other end speaks another protocol or has no such driver", r.URL.Path))
	})
	return mux
}

func serveFabric(mux *http.ServeMux, at string, d fabric.Driver) {
	asJSON(mux, at+"capabilities", func(ctx context.Context, _ struct{}) (any, error) { return d.Capabilities(ctx) })
	handle(mux, at+"apply", func(ctx context.Context, body []byte) ([]byte, error) {
		c, fence, err := decodeChange(body)
		if err != nil {
			return nil, err
		}
		return inJSON(d.Apply(ctx, c, fence))
	})
	handle(mux, at+"observe", func(ctx context.Context, body []byte) ([]byte, error) {
		var scope fabric.Scope
		if err := claim.Exact(body, maxMessage, &scope); err != nil {
			return nil, err
		}
		o, err := d.Observe(ctx, scope)
		if err != nil {
			return nil, err
		}
		return encodeReadback(&o), nil
	})
	asJSON(mux, at+"await", func(ctx context.Context, since uint64) (bool, error) {
		bounded, cancel := context.WithTimeout(ctx, awaitTime)
		defer cancel()
		if err := d.Await(bounded, since); err != nil && bounded.Err() == nil {
			return false, err
		}
		return bounded.Err() == nil, ctx.Err()
	})
	asJSON(mux, at+"lockdown", func(ctx context.Context, l lockdown) (struct{}, error) {
		return struct{}{}, d.Lockdown(ctx, l.Ports, l.Fence)
	})
	if p, is := d.(fabric.Postured); is {
		asJSON(mux, at+"posture", func(ctx context.Context, has known) (any, error) {
			posture, err := p.Posture(ctx)
			if z := posture.Zones; z != nil && !z.Digest.IsZero() && z.Digest == has.Zones {
				same := *z
				same.Nodes, posture.Zones = nil, &same
			}
			return posture, err
		})
		asJSON(mux, at+"mend", func(ctx context.Context, f fabric.Fence) (struct{}, error) {
			if m, can := d.(fabric.Mender); can {
				return struct{}{}, m.Mend(ctx, f)
			}
			return struct{}{}, nil
		})
	}
}

// awaitTime is how long one call waits for a change: less than what proxies and
// people take for a broken connection.
const awaitTime = 20 * time.Second

// known is what whoever asks for a posture has of it already, and need not be told again.
type known struct {
	Zones claim.Digest `json:"zones,omitzero"`
}

type lockdown struct {
	Ports []site.Port  `json:"ports"`
	Fence fabric.Fence `json:"fence"`
}

type access struct {
	Volume    storage.VolumeID  `json:"volume"`
	Principal storage.Principal `json:"principal,omitempty"`
}

func serveStorage(mux *http.ServeMux, d storage.Driver) {
	asJSON(mux, "storage/capabilities", func(ctx context.Context, _ struct{}) (any, error) { return d.Capabilities(ctx) })
	asJSON(mux, "storage/provision", d.Provision)
	asJSON(mux, "storage/grant", func(ctx context.Context, a access) (any, error) { return d.Grant(ctx, a.Volume, a.Principal) })
	asJSON(mux, "storage/revoke", func(ctx context.Context, a access) (any, error) { return d.Revoke(ctx, a.Volume, a.Principal) })
	asJSON(mux, "storage/usage", func(ctx context.Context, a access) (any, error) { return d.Usage(ctx, a.Volume) })
	asJSON(mux, "storage/destroy", func(ctx context.Context, a access) (any, error) { return d.Destroy(ctx, a.Volume) })
	asJSON(mux, "storage/observe", func(ctx context.Context, _ struct{}) (any, error) { return d.Observe(ctx) })
}

type moment struct {
	At time.Time `json:"at"`
	OK bool      `json:"ok"`
}

type injection struct {
	At    time.Time       `json:"at"`
	Fault json.RawMessage `json:"fault"`
}

func serveSim(mux *http.ServeMux, c Control) {
	asJSON(mux, "sim/now", func(ctx context.Context, _ struct{}) (moment, error) {
		at, err := c.Now(ctx)
		return moment{at, true}, err
	})
	asJSON(mux, "sim/advance", func(ctx context.Context, to moment) (struct{}, error) { return struct{}{}, c.Advance(ctx, to.At) })
	asJSON(mux, "sim/asked", func(ctx context.Context, _ struct{}) (moment, error) {
		at, there, err := c.Asked(ctx)
		return moment{at, there}, err
	})
	asJSON(mux, "sim/next", func(ctx context.Context, _ struct{}) (moment, error) {
		at, ok, err := c.NextEvent(ctx)
		return moment{at, ok}, err
	})
	asJSON(mux, "sim/inject", func(ctx context.Context, i injection) (struct{}, error) {
		return struct{}{}, c.Inject(ctx, i.At, i.Fault)
	})
}

// asJSON serves a call that is JSON both ways.
func asJSON[In, Out any](mux *http.ServeMux, call string, do func(context.Context, In) (Out, error)) {
	handle(mux, call, func(ctx context.Context, body []byte) ([]byte, error) {
		var in In
		if err := claim.Exact(body, maxMessage, &in); err != nil {
			return nil, err
		}
		return inJSON(do(ctx, in))
	})
}

func inJSON[T any](v T, err error) ([]byte, error) {
	if err != nil {
		return nil, err
	}
	return json.Marshal(v)
}

// askedAt is the parameter of a call that says what fabric.Asked does.
const askedAt = "asked"

// handle serves one call.
func handle(mux *http.ServeMux, call string, do func(ctx context.Context, body []byte) ([]byte, error)) {
	mux.HandleFunc("POST /v1/"+call, func(w http.ResponseWriter, r *http.Request) {
		body, err := exchange.ReadMessage(r.Body, r.ContentLength, maxMessage)
		if err != nil {
			answer(w, http.StatusBadRequest, fmt.Errorf("%s: %w", call, err))
			return
		}
		ctx := r.Context()
		if at, err := time.Parse(time.RFC3339Nano, r.URL.Query().Get(askedAt)); err == nil {
			ctx = fabric.WithAsked(ctx, at)
		}
		result, err := do(ctx, body)
		if err != nil {
			answer(w, http.StatusUnprocessableEntity, err)
			return
		}
		w.Header().Set("Content-Length", strconv.Itoa(len(result)))
		_, _ = w.Write(result)
	})
}

func answer(w http.ResponseWriter, status int, err error) {
	body, _ := json.Marshal(failureOf(err))
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(body)
}
