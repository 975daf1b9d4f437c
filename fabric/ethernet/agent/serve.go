package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"time"

	"bulkhead/claim"
	"bulkhead/custody"
	"bulkhead/fabric"
	"bulkhead/lineage"
)

// The protocol is HTTP over the agent's socket: each call is a POST of JSON to its verb,
// answered by JSON, or by what has a form of its own ([Raw]). An error is a status other
// than 200 with a failure as its body.

const maxBody = 64 << 20

// Raw is an answer that is not JSON.
type Raw []byte

type failure struct {
	Error   string                `json:"error"`
	Fenced  bool                  `json:"fenced,omitempty"`
	Refused *lineage.RefusedError `json:"refused,omitempty"` // which writer was seen
}

// Handle answers one verb.
func Handle[Q any](mux *http.ServeMux, verb string, do func(context.Context, Q) (any, error)) {
	mux.HandleFunc("POST /"+verb, func(w http.ResponseWriter, r *http.Request) {
		var q Q
		var value any
		err := request(w, r, &q)
		if err == nil {
			value, err = do(r.Context(), q)
		}
		if raw, is := value.(Raw); is && err == nil {
			_, _ = w.Write(raw)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		if err != nil {
			w.WriteHeader(http.StatusInternalServerError)
			f := failure{Error: err.Error(), Fenced: errors.Is(err, fabric.ErrFenced)}
			_ = errors.As(err, &f.Refused)
			value = f
		}
		_ = json.NewEncoder(w).Encode(value)
	})
}

func request(w http.ResponseWriter, r *http.Request, into any) error {
	data, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err == nil {
		err = claim.Exact(data, maxBody, into)
	}
	if err != nil {
		return fmt.Errorf("request: %w", err)
	}
	return nil
}

// Serve serves an agent at its socket until the context ends.
func Serve(ctx context.Context, socket string, h http.Handler) error {
	l, err := custody.Listen(socket, func(p custody.Peer) {
		slog.Warn("a connection was refused: its process belongs to another user", "socket", socket, "user", p.UID, "process", p.PID)
	})
	if err != nil {
		return fmt.Errorf("agent: %w", err)
	}
	server := &http.Server{Handler: h, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second, IdleTimeout: time.Minute, MaxHeaderBytes: 8 << 10}
	stop := context.AfterFunc(ctx, func() { _ = server.Close() })
	defer stop()
	if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}
