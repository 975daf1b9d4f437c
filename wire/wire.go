// Package wire is the driver protocol: the drivers of fabrics, nodes and storage over HTTP
// on a unix socket. So devices and control plane are two processes, and either may die
// without the other.
//
// Every call is a POST to /v1/..., and its answer is 200 with the result, or
// another status with {"code": ..., "error": ...}, and the two fences where one was refused. What is small is JSON. What is
// bulky (changes, steps, read-back, evidence) is the binary form of codec.go;
// nothing is compressed, since both ends are on one machine. Errors keep their identity: errors.Is sees
// fabric.ErrFenced through the wire.
//
// A simulator serves its clock and its faults beside the drivers. The protocol
// has no credentials: whoever may open the socket may do everything, so it is
// made for its owner alone.
package wire

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"bulkhead/fabric"
	"bulkhead/lineage"
	"bulkhead/node"
	"bulkhead/storage"
)

// Protocol is the version of the protocol that this release speaks.
const Protocol = 6

// Drivers are the drivers of one site. A missing one is nil.
type Drivers struct {
	Fabrics map[string]fabric.Driver // by fabric id
	Nodes   node.Driver
	Storage storage.Driver
	Sim     Control // of a simulated site
}

// Control is the clock and the faults of a simulated site.
type Control interface {
	Now(ctx context.Context) (time.Time, error)
	Advance(ctx context.Context, to time.Time) error
	// Asked is the last time at which all fabrics and the nodes were looked at; zero: never.
	// There reports whether somebody else than who asks may still look: over a socket, whether
	// another connection is open. A process that has ended has none, and one that is busy keeps it.
	Asked(ctx context.Context) (at time.Time, there bool, err error)
	NextEvent(ctx context.Context) (at time.Time, ok bool, err error)
	// Inject lets a fault happen, which the simulator describes.
	Inject(ctx context.Context, at time.Time, fault json.RawMessage) error
}

// ErrGone is wrapped by errors of calls that found nobody at the other end, or
// lost them before the answer. What was asked for may have happened: look, or
// ask again, since all calls are idempotent.
var ErrGone = errors.New("the devices' process is gone")

// hello is what a server says of itself.
type hello struct {
	Protocol int      `json:"protocol"`
	Fabrics  []string `json:"fabrics"`            // ids, sorted
	Postured []string `json:"postured,omitempty"` // those of them whose management can be taken over
	Nodes    bool     `json:"nodes"`
	Storage  bool     `json:"storage"`
	Sim      bool     `json:"sim"`
}

// failure is an error on the wire.
type failure struct {
	Code    string                `json:"code"`
	Error   string                `json:"error"`
	Refused *lineage.RefusedError `json:"refused,omitempty"` // of a fence: which writer was seen
}

func failureOf(err error) failure {
	f := failure{Code: codeOf(err), Error: err.Error()}
	_ = errors.As(err, &f.Refused)
	return f
}

// codes are errors that keep their identity.
var codes = []struct {
	code string
	err  error
}{
	{"fenced", lineage.ErrFenced},
	{"unknown-port", fabric.ErrUnknownPort},
	{"other-numbering", fabric.ErrNumbering},
	{"no-volume", storage.ErrNoVolume},
	{"different-volume", storage.ErrDifferent},
	{"granted-volume", storage.ErrGranted},
	{"destroyed-volume", storage.ErrDestroyed},
	{"cancelled", context.Canceled},
	{"deadline", context.DeadlineExceeded},
}

func codeOf(err error) string {
	for _, c := range codes {
		if errors.Is(err, c.err) {
			return c.code
		}
	}
	return "failed"
}

// remote is an error that the other end returned, in its words.
type remote struct {
	text string
	err  error
}

func (r *remote) Error() string { return r.text }
func (r *remote) Unwrap() error { return r.err }

func (f *failure) restore() error {
	if f.Refused != nil {
		return &remote{f.Error, f.Refused}
	}
	for _, c := range codes {
		if c.code == f.Code {
			return &remote{f.Error, c.err}
		}
	}
	return &remote{f.Error, nil}
}
