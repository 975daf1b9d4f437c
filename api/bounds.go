package api

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"
	"time"
)

// Bounds are how long a client may take, and how much it may send.
type Bounds struct {
	Header time.Duration // for the header of a request
	Body   time.Duration // for its body: a request is at most 4 MiB
	Write  time.Duration // for taking each part of an answer; a stream may go on for ever
	Idle   time.Duration // between two requests on a connection
	Ping   time.Duration // for the answer to an HTTP/2 ping, which is sent when nothing has come for as long as Body
}

// DefaultBounds are wide enough for a site template over a slow line.
func DefaultBounds() Bounds {
	return Bounds{Header: 10 * time.Second, Body: 30 * time.Second, Write: 30 * time.Second, Idle: 2 * time.Minute, Ping: 15 * time.Second}
}

// maxHeader is the largest header, in bytes; a token takes some 30.
const maxHeader = 16 << 10

// maxStreams is how many calls one HTTP/2 connection may have open.
const maxStreams = 100

// receiveBuffer is how many bytes of an HTTP/2 connection are held that no handler has
// asked for: they come before anybody knows who sends them.
const receiveBuffer = 128 << 10

// Secure has a TLS configuration offer what NewServer speaks.
func Secure(c *tls.Config) *tls.Config {
	c.NextProtos = []string{"h2", "http/1.1"}
	return c
}

// NewServer returns a server for what New returns: HTTP/1 and HTTP/2, in plain
// text or behind a listener of TLS (see Secure), with bounds on whatever a client can be slow with. The bounds of bodies
// and answers are the handler's (see bounded): a deadline of the connection would
// end watches. Contexts of requests come from ctx.
func NewServer(ctx context.Context, handler http.Handler, b Bounds) *http.Server {
	s := &http.Server{
		Handler: handler, ReadHeaderTimeout: b.Header, IdleTimeout: b.Idle, MaxHeaderBytes: maxHeader,
		BaseContext: func(net.Listener) context.Context { return context.WithValue(ctx, boundsKey{}, b) },
		HTTP2: &http.HTTP2Config{
			MaxConcurrentStreams: maxStreams, SendPingTimeout: b.Body, PingTimeout: b.Ping,
			MaxReceiveBufferPerConnection: receiveBuffer, MaxReceiveBufferPerStream: receiveBuffer,
		},
	}
	s.Protocols = new(http.Protocols)
	s.Protocols.SetHTTP1(true)
	s.Protocols.SetHTTP2(true)
	s.Protocols.SetUnencryptedHTTP2(true)
	return s
}

type boundsKey struct{}

// bounded gives every request a deadline for its body, and every part of an
// answer one for being taken. Neither ends a handler that works or a watch that
// waits for news: net/http lifts the first when all of a body was read.
func bounded(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, ok := r.Context().Value(boundsKey{}).(Bounds)
		if !ok {
			b = DefaultBounds()
		}
		control := http.NewResponseController(w)
		// A server without deadlines, as in a test, has no slow clients either.
		_ = control.SetReadDeadline(time.Now().Add(b.Body))
		next.ServeHTTP(&boundedWriter{w, control, b.Write}, r)
	})
}

// maxFraming is what the framing of a message adds to it, at most.
const maxFraming = 1 << 10

// boundedWriter gives each write a deadline of its own.
type boundedWriter struct {
	http.ResponseWriter
	control *http.ResponseController
	most    time.Duration
}

// Unwrap is for http.ResponseController.
func (w *boundedWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// Write writes, or fails when the client does not take it in time.
func (w *boundedWriter) Write(p []byte) (int, error) {
	defer w.begin()()
	return w.ResponseWriter.Write(p)
}

// Flush implements http.Flusher.
func (w *boundedWriter) Flush() {
	defer w.begin()()
	_ = w.control.Flush() // the next write says what is wrong
}

func (w *boundedWriter) begin() (end func()) {
	_ = w.control.SetWriteDeadline(time.Now().Add(w.most))
	return func() { _ = w.control.SetWriteDeadline(time.Time{}) }
}
