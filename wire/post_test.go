package wire_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"bulkhead/fabric"
	"bulkhead/wire"
)

// TestConnectionsOfAnEarlierProcess: the devices' process is stopped and started again
// while several connections to it are idle. The next call finds none of them alive, and
// goes through all the same.
func TestConnectionsOfAnEarlierProcess(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "devices.sock")
	start := func() *http.Server {
		l, err := wire.Listen(socket)
		must(t, err)
		server := &http.Server{Handler: wire.Handler(simulated(t, 9, false).Drivers())}
		go server.Serve(l) //nolint:errcheck // it is closed below
		return server
	}
	server := start()
	c, err := wire.Dial(socket)
	must(t, err)
	defer c.Close()
	var wait sync.WaitGroup
	for range 8 {
		wait.Go(func() {
			for range 20 {
				if _, err := c.Sim.Now(t.Context()); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wait.Wait()
	must(t, server.Close())
	server = start()
	defer server.Close()
	if _, err := c.Sim.Now(t.Context()); err != nil {
		t.Errorf("after a restart: %v", err)
	}
}

// TestCallsThatEndEarly: a call that is given up while its answer is awaited says so at
// once, and no later call gets that answer.
func TestCallsThatEndEarly(t *testing.T) {
	c, _, _ := serve(t, simulated(t, 10, false))
	o, err := c.Fabrics["roce"].Observe(t.Context(), fabric.Scope{})
	must(t, err)
	for range 50 {
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		began := time.Now()
		if err := c.Fabrics["roce"].Await(ctx, o.Cursor); !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, wire.ErrGone) {
			t.Fatalf("a wait that ended: %v", err)
		}
		cancel()
		if took := time.Since(began); took > 30*time.Second {
			t.Fatalf("it was given up after %s", took)
		}
		if now, err := c.Sim.Now(t.Context()); err != nil || now.IsZero() {
			t.Fatalf("the next call: %s, %v", now, err)
		}
	}
}

// TestOtherEndCloses: a server that ends each connection after its answer is asked on a
// new one each time.
func TestOtherEndCloses(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "devices.sock")
	l, err := wire.Listen(socket)
	must(t, err)
	var opened atomic.Int32
	server := &http.Server{Handler: wire.Handler(simulated(t, 11, false).Drivers()), ConnState: func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			opened.Add(1)
		}
	}}
	server.SetKeepAlivesEnabled(false)
	go server.Serve(l) //nolint:errcheck // it is closed below
	defer server.Close()
	c, err := wire.Dial(socket)
	must(t, err)
	defer c.Close()
	for range 3 {
		if _, err := c.Sim.Now(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if n := opened.Load(); n != 4 {
		t.Errorf("%d connections for 4 calls", n)
	}
}
