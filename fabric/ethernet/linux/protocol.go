package linux

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"

	"bulkhead/fabric"
	"bulkhead/fabric/ethernet"
)

// The protocol between client and agent is HTTP over the agent's socket: each call is
// a POST of JSON, answered by JSON, or by a capture in its canonical form. An error is
// a status other than 200 with a failure as its body.

const (
	maxRequest = 1 << 20
	maxAnswer  = 16 << 20
)

type writeRequest struct {
	Fence fabric.Fence       `json:"fence"`
	Rows  map[int]fabric.Row `json:"rows"`
}

type writeAnswer struct {
	Failed map[int]string `json:"failed"`
}

type admitRequest struct {
	Fence fabric.Fence `json:"fence"`
}

type awaitRequest struct {
	Changes uint64 `json:"changes"`
}

type changesAnswer struct {
	Changes uint64 `json:"changes"`
}

type failure struct {
	Error  string `json:"error"`
	Fenced bool   `json:"fenced,omitempty"`
}

// Handler is the agent's side of the protocol.
func (a *Agent) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /changes", func(w http.ResponseWriter, r *http.Request) {
		n, err := a.Changes(r.Context())
		answer(w, changesAnswer{n}, err)
	})
	mux.HandleFunc("POST /await", func(w http.ResponseWriter, r *http.Request) {
		var q awaitRequest
		err := request(w, r, &q)
		if err == nil {
			err = a.Await(r.Context(), q.Changes)
		}
		answer(w, struct{}{}, err)
	})
	mux.HandleFunc("POST /read", func(w http.ResponseWriter, r *http.Request) {
		c, err := a.Read(r.Context())
		var raw []byte
		if err == nil {
			raw, err = ethernet.Encode(&c)
		}
		if err != nil {
			answer(w, nil, err)
			return
		}
		_, _ = w.Write(raw)
	})
	mux.HandleFunc("POST /admit", func(w http.ResponseWriter, r *http.Request) {
		var q admitRequest
		err := request(w, r, &q)
		if err == nil {
			err = a.Admit(r.Context(), q.Fence)
		}
		answer(w, struct{}{}, err)
	})
	mux.HandleFunc("POST /write", func(w http.ResponseWriter, r *http.Request) {
		var q writeRequest
		var failed map[int]string
		err := request(w, r, &q)
		if err == nil {
			failed, err = a.Write(r.Context(), q.Rows, q.Fence)
		}
		answer(w, writeAnswer{failed}, err)
	})
	return mux
}

func request(w http.ResponseWriter, r *http.Request, into any) error {
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxRequest))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return fmt.Errorf("request: %w", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("request: expected one value of JSON and nothing after it")
	}
	return nil
}

func answer(w http.ResponseWriter, value any, err error) {
	w.Header().Set("Content-Type", "application/json")
	if err != nil {
		w.WriteHeader(http.StatusInternalServerError)
		value = failure{Error: err.Error(), Fenced: errors.Is(err, fabric.ErrFenced)}
	}
	_ = json.NewEncoder(w).Encode(value)
}
