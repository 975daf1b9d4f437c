package agent

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"bulkhead/fabric"
	"bulkhead/lab/await"
)

// served is an agent at a socket, and who asks it.
func served(t *testing.T, h http.Handler) *Client {
	t.Helper()
	socket := filepath.Join(t.TempDir(), "sock")
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- Serve(ctx, socket, h) }()
	c := Dial("leaf x", socket)
	t.Cleanup(func() {
		c.Close()
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	if err := await.True(await.Context(t), "it to listen", func() bool {
		probe, err := net.Dial("unix", socket)
		if err == nil {
			probe.Close()
		}
		return err == nil
	}); err != nil {
		t.Fatal(err)
	}
	return c
}

// A fence is kept over a restart, an older one refused, also at the other end of the
// socket; one that can't be read or kept admits nobody.
func TestFence(t *testing.T) {
	dir := t.TempDir()
	f, err := OpenFence(dir)
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	Handle(mux, "admit", func(_ context.Context, next fabric.Fence) (any, error) { return struct{}{}, f.Admit(next) })
	c := served(t, mux)
	admit := func(next fabric.Fence) error { return c.Call(t.Context(), "admit", next, &struct{}{}) }
	for _, s := range []struct {
		next   fabric.Fence
		fenced bool
	}{{fabric.Fence{Term: 2, Generation: 3}, false}, {fabric.Fence{Term: 2, Generation: 3}, false}, {fabric.Fence{Term: 2, Generation: 2}, true}, {fabric.Fence{Term: 1, Generation: 9}, true}} {
		if err := admit(s.next); errors.Is(err, fabric.ErrFenced) != s.fenced || (err != nil) != s.fenced {
			t.Errorf("%s: %v", s.next, err)
		}
	}
	if f, err = OpenFence(dir); err != nil {
		t.Fatal(err)
	}
	if err := admit(fabric.Fence{Term: 2, Generation: 2}); !errors.Is(err, fabric.ErrFenced) {
		t.Errorf("after a restart: %v", err)
	}
	f.path = filepath.Join(dir, "nosuch", "fence")
	if err := admit(fabric.Fence{Term: 3}); err == nil || errors.Is(err, fabric.ErrFenced) {
		t.Errorf("a fence that can't be kept: %v", err)
	}
	if err := admit(fabric.Fence{Term: 2, Generation: 3}); err != nil {
		t.Errorf("what could not be kept counts: %v", err)
	}
	if err := os.WriteFile(filepath.Join(dir, "fence"), []byte("2\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenFence(dir); err == nil {
		t.Error("a fence that is not understood is taken for none")
	}
}

// Requests with more in them than is understood are refused, and answers come as they are.
func TestProtocol(t *testing.T) {
	mux := http.NewServeMux()
	Handle(mux, "raw", func(context.Context, struct{}) (any, error) { return Raw("\x00raw"), nil })
	Handle(mux, "half", func(context.Context, struct{}) (any, error) { return Raw("half"), errors.New("not all of it") })
	c := served(t, mux)
	if data, err := c.Ask(t.Context(), "raw", struct{}{}); err != nil || string(data) != "\x00raw" {
		t.Errorf("%q, %v", data, err)
	}
	for verb, ask := range map[string]any{"raw": map[string]int{"more": 1}, "half": struct{}{}, "nosuch": struct{}{}} {
		if data, err := c.Ask(t.Context(), verb, ask); err == nil || !strings.HasPrefix(err.Error(), "leaf x: ") {
			t.Errorf("%s: %q, %v", verb, data, err)
		}
	}
}

// Agents of every release are asked in the same words, and who says too much is named.
func TestRequest(t *testing.T) {
	here, there := net.Pipe()
	defer there.Close()
	c := DialWith("leaf x", func(context.Context) (net.Conn, error) { return here, nil })
	got := make(chan string, 1)
	go func() {
		all := make([]byte, 1<<10)
		n, _ := there.Read(all)
		m, _ := there.Read(all[n:])
		got <- string(all[:n+m])
		_, _ = fmt.Fprintf(there, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", maxBody+1)
	}()
	_, err := c.Ask(t.Context(), "read", struct{}{})
	if err == nil || err.Error() != "leaf x: read: message of more than 67108864 bytes" {
		t.Errorf("an answer that is too large: %v", err)
	}
	if text := <-got; text != "POST /read HTTP/1.1\r\nHost: agent\r\nUser-Agent: Go-http-client/1.1\r\nContent-Length: 2\r\n\r\n{}" {
		t.Errorf("%q", text)
	}
}

// Who waits hears of a change that only a look finds, and not of none; another run of
// the agent has another number.
func TestChanges(t *testing.T) {
	var said atomic.Int64
	look := func(context.Context) (d Digest, err error) { d[0] = byte(said.Load()); return d, nil }
	one, err := NewChanges(look, false)
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	one.Handle(mux)
	c := served(t, mux)
	n, err := c.Changes(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if again, err := c.Changes(t.Context()); err != nil || again != n {
		t.Errorf("nothing changed: %d after %d, %v", again, n, err)
	}
	bounded, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if err := c.Await(bounded, n); err == nil {
		t.Error("nothing changed, and whoever waits is woken")
	}
	said.Store(1)
	patient, cancel := context.WithTimeout(t.Context(), await.Patience)
	defer cancel()
	if err := c.Await(patient, n); err != nil {
		t.Errorf("a change: %v", err)
	}
	two, err := NewChanges(look, false)
	if err != nil {
		t.Fatal(err)
	}
	if a, _ := one.Number(t.Context()); a>>32 == two.number>>32 {
		t.Error("two runs have the same numbers")
	}
}

// FuzzNotice: notices of the kernel that are cut or made up.
func FuzzNotice(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte{16, 0, 0, 0, 28, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7})
	f.Fuzz(func(_ *testing.T, notice []byte) { telling(notice) })
}
