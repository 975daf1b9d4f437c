package api

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"connectrpc.com/connect"

	"bulkhead/api/bulkheadv1"
	"bulkhead/api/bulkheadv1/bulkheadv1connect"
	"bulkhead/book"
)

// patience is when a test gives up on what should have ended long before.
const patience = 20 * time.Second

// short are bounds that a test can wait for.
var short = Bounds{Header: 700 * time.Millisecond, Body: 700 * time.Millisecond, Write: 700 * time.Millisecond, Idle: 700 * time.Millisecond, Ping: patience}

// serve serves a handler on loopback with short bounds.
func serve(t *testing.T, handler http.Handler) (address string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := NewServer(context.Background(), handler, short)
	ended := make(chan struct{})
	go func() { _ = server.Serve(listener); close(ended) }()
	t.Cleanup(func() { _ = server.Close(); <-ended })
	return listener.Addr().String()
}

func (w *world) serve(t *testing.T) (address string) {
	t.Helper()
	address = serve(t, New(Options{Plane: w.plane, Keys: w.keys, Tokens: w.tokens, Now: func() time.Time { return start }}))
	w.url = "http://" + address
	return address
}

// dial says something to a server and returns the connection.
func dial(t *testing.T, address, say string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if err := c.SetDeadline(time.Now().Add(patience)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(c, say); err != nil {
		t.Fatal(err)
	}
	return c
}

// ends reads until the server ends the connection, and returns what it said.
func ends(t *testing.T, c net.Conn) string {
	t.Helper()
	said, err := io.ReadAll(c)
	if timeout, ok := err.(net.Error); ok && timeout.Timeout() {
		t.Errorf("the server keeps the connection: %q", said)
	}
	return string(said)
}

// TestSlowClients says a header, a body or nothing more at all: the server ends
// each connection, and never carries out what it has not read.
func TestSlowClients(t *testing.T) {
	w := newWorld(t)
	address := w.serve(t)
	before := w.seq()
	post := "POST /bulkhead.v1.ControlPlane/Pause HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nAuthorization: Bearer " + w.secret["operator"] + "\r\n"
	for what, say := range map[string]string{
		"nothing":         "",
		"half a header":   "POST /bulkhead.v1.ControlPlane/Pause HTTP/1.1\r\nHost: localhost\r\n",
		"half a body":     post + "Content-Length: 40\r\n\r\n{\"command_id\":\"slow\"",
		"a chunk":         post + "Transfer-Encoding: chunked\r\n\r\n5\r\n{\"com\r\n",
		"half a preface":  "PRI * HTTP/2.0\r\n\r\nSM",
		"a preface alone": "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			if said := ends(t, dial(t, address, say)); strings.Contains(said, "200 OK") {
				t.Errorf("answered %q", said)
			}
		})
	}
	t.Cleanup(func() {
		if w.seq() != before {
			t.Error("something was carried out")
		}
	})
}

func (w *world) seq() (seq uint64) {
	w.plane.View(func(b *book.State) { seq = b.Seq })
	return seq
}

// TestLargeRequests sends more than is taken.
func TestLargeRequests(t *testing.T) {
	w := newWorld(t)
	address := w.serve(t)
	if said := ends(t, dial(t, address, "GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: "+strings.Repeat("x", maxHeader+8<<10))); !strings.Contains(said, "431") {
		t.Errorf("a large header: %.100q", said)
	}
	large := &bulkheadv1.SiteTemplate{File: "x", Template: make([]byte, maxRequest+1)}
	if _, err := w.client("operator").ImportSite(context.Background(), connect.NewRequest(large)); connect.CodeOf(err) != connect.CodeResourceExhausted {
		t.Errorf("a large message: %v", err)
	}
	// A small message that becomes a large one.
	packed := bulkheadv1connect.NewControlPlaneClient(&http.Client{Transport: bearer{w.secret["operator"]}}, w.url, connect.WithSendGzip())
	if _, err := packed.ImportSite(context.Background(), connect.NewRequest(large)); connect.CodeOf(err) != connect.CodeResourceExhausted {
		t.Errorf("a large message, packed: %v", err)
	}
}

// TestWatchesOutliveTheBounds follows a log for longer than any bound, over
// HTTP/1 and HTTP/2: what is written then still arrives.
func TestWatchesOutliveTheBounds(t *testing.T) {
	w := newWorld(t)
	w.serve(t)
	for version, hall := range map[string]string{"HTTP/1.1": "hall-a", "HTTP/2.0": "hall-b"} {
		t.Run(version, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(context.Background(), patience)
			defer cancel()
			transport := &http.Transport{Protocols: new(http.Protocols)}
			transport.Protocols.SetHTTP1(version == "HTTP/1.1")
			transport.Protocols.SetUnencryptedHTTP2(version == "HTTP/2.0")
			t.Cleanup(transport.CloseIdleConnections)
			client := bulkheadv1connect.NewControlPlaneClient(&http.Client{Transport: shown{w.secret["auditor"], transport, version, t}}, w.url)
			from := uint64(0)
			w.plane.View(func(b *book.State) { from = b.Scopes[book.SiteScope] })
			stream, err := client.TailLedger(ctx, connect.NewRequest(&bulkheadv1.TailLedgerRequest{Scope: book.SiteScope, From: from, Follow: true}))
			if err != nil || !stream.Receive() {
				t.Fatal(err, stream.Err())
			}
			<-time.After(3 * max(short.Header, short.Body, short.Write, short.Idle))
			done(t)(w.client("operator").Pause(ctx, connect.NewRequest(&bulkheadv1.PauseRequest{CommandId: version, Hall: hall, Reason: "still there, " + version})))
			for stream.Receive() {
				if strings.Contains(stream.Msg().Body, "still there, "+version) {
					return
				}
			}
			t.Errorf("the watch has ended: %v", stream.Err())
		})
	}
}

// shown shows a token, and wants answers of one version.
type shown struct {
	secret  string
	next    http.RoundTripper
	version string
	t       *testing.T
}

func (s shown) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+s.secret)
	response, err := s.next.RoundTrip(r)
	if err == nil && response.Proto != s.version {
		s.t.Errorf("answered in %s, expected %s", response.Proto, s.version)
	}
	return response, err
}

// TestAReaderThatTakesNothing asks for a stream without end and reads none of it:
// the handler gets an error, and ends.
func TestAReaderThatTakesNothing(t *testing.T) {
	var sent atomic.Int64
	over := make(chan error, 1)
	address := serve(t, bounded(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		part := make([]byte, 64<<10)
		for {
			n, err := w.Write(part)
			sent.Add(int64(n))
			if err != nil {
				over <- err
				return
			}
			w.(http.Flusher).Flush()
		}
	})))
	c := dial(t, address, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
	if line, err := bufio.NewReaderSize(c, 16).ReadString('\n'); err != nil || !strings.Contains(line, "200") {
		t.Fatal(line, err)
	}
	select {
	case err := <-over:
		if timeout, ok := err.(net.Error); !ok || !timeout.Timeout() {
			t.Errorf("it ended with %v", err)
		}
	case <-time.After(patience):
		t.Errorf("it goes on after %d bytes", sent.Load())
	}
}

// TestAHandlerMayTakeItsTime reads a whole request and works for longer than any
// bound, as the import of a large site does: its call is not ended.
func TestAHandlerMayTakeItsTime(t *testing.T) {
	address := serve(t, bounded(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.ReadAll(r.Body)
		select {
		case <-r.Context().Done():
			http.Error(w, "ended", http.StatusServiceUnavailable)
		case <-time.After(3 * short.Body):
			_, _ = io.WriteString(w, "worked")
		}
	})))
	if said := ends(t, dial(t, address, "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{}")); !strings.HasSuffix(said, "worked") {
		t.Errorf("answered %q", said)
	}
}

// TestAWatchTellsEachEntryOnce follows a scope while other scopes grow too, and
// takes it up again in the middle.
func TestAWatchTellsEachEntryOnce(t *testing.T) {
	w := newWorld(t)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	operator := w.client("operator")
	follow := func(from uint64) *connect.ServerStreamForClient[bulkheadv1.Entry] {
		stream, err := w.client("auditor").TailLedger(ctx, connect.NewRequest(&bulkheadv1.TailLedgerRequest{Scope: book.SiteScope, From: from, Follow: true}))
		if err != nil {
			t.Fatal(err)
		}
		return stream
	}
	expect := func(stream *connect.ServerStreamForClient[bulkheadv1.Entry], from, to uint64) {
		t.Helper()
		for want := from; want <= to; want++ {
			if !stream.Receive() || stream.Msg().ScopeSeq != want {
				t.Fatalf("entry %d, expected %d: %v", stream.Msg().GetScopeSeq(), want, stream.Err())
			}
		}
	}
	head := func() (size uint64) {
		w.plane.View(func(b *book.State) { size = b.Scopes[book.SiteScope] })
		return size
	}
	stream, told := follow(0), head()
	expect(stream, 1, told)
	for _, tenant := range []string{"a", "b"} {
		done(t)(operator.RegisterTenant(ctx, connect.NewRequest(&bulkheadv1.RegisterTenantRequest{CommandId: tenant, Tenant: tenant, Name: tenant}))) // in two scopes
		expect(stream, told+1, head())
		told = head()
	}
	expect(follow(told-1), told-1, told)
}
