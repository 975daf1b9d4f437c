package wire_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"bulkhead/fabric"
	"bulkhead/fabric/fabrictest"
	"bulkhead/node"
	"bulkhead/node/nodetest"
	"bulkhead/sim"
	"bulkhead/site"
	"bulkhead/storage/storagetest"
	"bulkhead/wire"
)

var start = time.Date(2026, 4, 20, 0, 0, 0, 0, time.UTC)

func simulated(t testing.TB, seed uint64, failures bool) *sim.Sim {
	t.Helper()
	file := "../examples/tiny/site.yaml"
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	template, err := site.ParseTemplate(file, data)
	if err != nil {
		t.Fatal(err)
	}
	config := sim.DefaultConfig(seed, start)
	if !failures {
		config.FailureRate, config.DeadShare, config.SlowShare = 0, 0, 0
	}
	s, err := sim.FromTemplate(template, config)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// serve serves a simulated site and dials it.
func serve(t testing.TB, s *sim.Sim) (*wire.Client, net.Listener, string) {
	t.Helper()
	socket := filepath.Join(t.TempDir(), "devices.sock")
	l, err := wire.Listen(socket)
	must(t, err)
	done := make(chan error, 1)
	go func() { done <- wire.Serve(l, s.Drivers()) }()
	t.Cleanup(func() {
		l.Close()
		if err := <-done; err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	c, err := wire.Dial(socket)
	must(t, err)
	t.Cleanup(c.Close)
	return c, l, socket
}

func TestFabricsConform(t *testing.T) {
	for index, id := range []string{"roce", "ib", "frontend"} {
		t.Run(id, func(t *testing.T) {
			fabrictest.Run(t, func(t *testing.T) *fabrictest.Fixture {
				s := simulated(t, 1, false)
				c, _, _ := serve(t, s)
				return fabricFixture(t, s, c, id, index)
			})
		})
	}
}

// fabricFixture is a simulated fabric behind a client, for its suite.
func fabricFixture(t *testing.T, s *sim.Sim, c *wire.Client, id string, index int) *fabrictest.Fixture {
	inject := func(on bool, f sim.Fault) {
		if !on {
			f = sim.Fault{Kind: sim.Cleared}
		}
		must(t, c.Sim.Inject(t.Context(), time.Time{}, f.JSON()))
	}
	return &fabrictest.Fixture{Driver: c.Fabrics[id], Site: s.Site(), Fabric: index, Tamper: s.Tamper,
		SetReachable: func(l site.Leaf, reachable bool) { inject(!reachable, sim.Fault{Kind: sim.LeafDown, Leaf: l}) },
		SetFailing: func(p site.Port, failing bool) {
			inject(failing, sim.Fault{Kind: sim.PortFails, Node: p.Node(), NIC: p.NIC()})
		},
	}
}

func TestNodesConform(t *testing.T) {
	nodetest.Run(t, func(t *testing.T) *nodetest.Fixture {
		s := simulated(t, 2, false)
		c, _, _ := serve(t, s)
		return nodeFixture(t, s, c)
	})
}

// nodeFixture is simulated nodes behind a client, for their suite.
func nodeFixture(t *testing.T, s *sim.Sim, c *wire.Client) *nodetest.Fixture {
	now := start
	return &nodetest.Fixture{Driver: c.Nodes, Site: s.Site(),
		Pass: func(d time.Duration) { now = now.Add(d); must(t, c.Sim.Advance(t.Context(), now)) },
		Kill: func(n site.Index) { must(t, c.Sim.Inject(t.Context(), now, sim.Fault{Kind: sim.Dead, Node: n}.JSON())) },
		Lie:  func(n site.Index) { must(t, c.Sim.Inject(t.Context(), now, sim.Fault{Kind: sim.Liar, Node: n}.JSON())) },
	}
}

func TestStorageConforms(t *testing.T) {
	storagetest.Run(t, func(t *testing.T) *storagetest.Fixture {
		s := simulated(t, 3, false)
		c, _, _ := serve(t, s)
		return &storagetest.Fixture{Driver: c.Storage, Mount: s.Mount}
	})
}

func TestClockAndErrorsOfTheSimulator(t *testing.T) {
	ctx := t.Context()
	s := simulated(t, 4, true)
	c, _, _ := serve(t, s)
	steps := []node.Step{{ID: "x", Kind: node.StepCommission, Turnover: 1}}
	if _, err := c.Nodes.Apply(ctx, steps, node.Fence{Term: 1}); err != nil {
		t.Fatal(err)
	}
	at, ok, err := c.Sim.NextEvent(ctx)
	here, hereOK, _ := s.NextEvent(ctx)
	if err != nil || !ok || !hereOK || !at.Equal(here) {
		t.Fatalf("next event %s %t over the wire, %s %t here, error %v", at, ok, here, hereOK, err)
	}
	must(t, c.Sim.Advance(ctx, at))
	if now, err := c.Sim.Now(ctx); err != nil || !now.Equal(at) {
		t.Fatalf("it is %s, error %v", now, err)
	}
	if err := c.Sim.Advance(ctx, start.Add(-1)); err == nil || !strings.Contains(err.Error(), "does not go back") {
		t.Errorf("time goes back: %v", err)
	}
	if err := c.Sim.Inject(ctx, at, sim.Fault{Kind: "meteor"}.JSON()); err == nil || !strings.Contains(err.Error(), "meteor") {
		t.Errorf("an unknown fault: %v", err)
	}
}

// The same calls through the wire and without it give the same answers.
func TestTheWireChangesNothing(t *testing.T) {
	ctx := t.Context()
	direct := simulated(t, 5, true)
	served := simulated(t, 5, true)
	c, _, _ := serve(t, served)
	there, here := c.Drivers, direct.Drivers()
	for _, d := range []wire.Drivers{here, there} {
		var steps []node.Step
		for n := range 64 {
			steps = append(steps, node.Step{ID: string(rune('0' + n)), Node: site.Index(n), Kind: node.StepCommission, Turnover: 1, Attempt: 1, Nonce: [32]byte{byte(n), 1}})
		}
		_, err := d.Nodes.Apply(ctx, steps, node.Fence{Term: 1, Generation: 1})
		must(t, err)
		var rows []fabric.PortRow
		for p := range site.Port(9 * 16) {
			if direct.Site().FabricOf(p) == 0 {
				rows = append(rows, fabric.PortRow{Port: p, Row: fabric.Compile(site.RoCE, 5000+uint32(p))})
			}
		}
		_, err = d.Fabrics["roce"].Apply(ctx, fabric.NewChange("roce", rows), fabric.Fence{Term: 1})
		must(t, err)
		must(t, d.Sim.Advance(ctx, start.Add(90*24*time.Hour)))
	}
	a, err := here.Nodes.Observe(ctx, 0)
	must(t, err)
	b, err := there.Nodes.Observe(ctx, 0)
	must(t, err)
	if len(a.Reports) < 64 || !reflect.DeepEqual(a, b) {
		t.Errorf("%d reports here, %d over the wire, and not the same", len(a.Reports), len(b.Reports))
	}
	ra, err := here.Fabrics["roce"].Observe(ctx, fabric.Scope{})
	must(t, err)
	rb, err := there.Fabrics["roce"].Observe(ctx, fabric.Scope{})
	must(t, err)
	if !reflect.DeepEqual(ra, rb) {
		t.Error("read-back differs over the wire")
	}
}

func TestPeerGoneAndBack(t *testing.T) {
	ctx := t.Context()
	s := simulated(t, 6, false)
	socket := filepath.Join(t.TempDir(), "devices.sock")
	if _, err := wire.Dial(socket); !errors.Is(err, wire.ErrGone) {
		t.Fatalf("nobody is there: %v, expected ErrGone", err)
	}
	l, err := wire.Listen(socket)
	must(t, err)
	server := &http.Server{Handler: wire.Handler(s.Drivers())}
	go server.Serve(l)
	c, err := wire.Dial(socket)
	must(t, err)
	defer c.Close()
	if _, err := wire.Listen(socket); err == nil || !strings.Contains(err.Error(), "another process") {
		t.Errorf("a second server on the same socket: %v", err)
	}
	change := fabric.NewChange("roce", []fabric.PortRow{{Port: 0, Row: fabric.Compile(site.RoCE, 5000)}})
	_, err = c.Fabrics["roce"].Apply(ctx, change, fabric.Fence{Term: 2})
	must(t, err)
	server.Close()
	for name, call := range map[string]func() error{
		"capabilities": func() error { _, err := c.Nodes.Capabilities(ctx); return err },
		"apply":        func() error { _, err := c.Fabrics["roce"].Apply(ctx, change, fabric.Fence{Term: 2}); return err },
		"observe":      func() error { _, err := c.Nodes.Observe(ctx, 0); return err },
		"advance":      func() error { return c.Sim.Advance(ctx, start) },
	} {
		if err := call(); !errors.Is(err, wire.ErrGone) || !strings.Contains(err.Error(), socket) {
			t.Errorf("%s: %v, expected ErrGone and the socket's path", name, err)
		}
	}
	// It comes back, and so do the devices with all they held.
	l, err = wire.Listen(socket)
	must(t, err)
	server = &http.Server{Handler: wire.Handler(s.Drivers())}
	go server.Serve(l)
	defer server.Close()
	if _, err := c.Fabrics["roce"].Apply(ctx, change, fabric.Fence{Term: 1}); !errors.Is(err, fabric.ErrFenced) {
		t.Errorf("the devices forgot the newest fence: %v", err)
	}
	if !s.Carries(0).Equal(fabric.Compile(site.RoCE, 5000)) {
		t.Error("the devices forgot what was written to them")
	}
	over, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := c.Nodes.Observe(over, 0); !errors.Is(err, context.Canceled) || errors.Is(err, wire.ErrGone) {
		t.Errorf("an ended context: %v", err)
	}
}

func TestStrangers(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "devices.sock")
	l, err := net.Listen("unix", socket)
	must(t, err)
	var answer atomic.Value
	answer.Store(`{"protocol":1}`)
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, answer.Load().(string)) })}
	go server.Serve(l)
	defer server.Close()
	if _, err := wire.Dial(socket); err == nil || !strings.Contains(err.Error(), "protocol 1") {
		t.Errorf("another protocol: %v", err)
	}
	answer.Store("<html>")
	if _, err := wire.Dial(socket); err == nil {
		t.Error("something else at the other end was accepted")
	}
	file := filepath.Join(t.TempDir(), "precious")
	must(t, os.WriteFile(file, []byte("keep me"), 0o600))
	if _, err := wire.Listen(file); err == nil {
		t.Error("a file was taken for a socket")
	}
	if kept, _ := os.ReadFile(file); string(kept) != "keep me" {
		t.Error("a file was removed")
	}
	// Bad bodies are answered, not obeyed.
	c, _, path := serve(t, simulated(t, 7, false))
	client := http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return net.Dial("unix", path)
	}}}
	defer client.CloseIdleConnections()
	for _, call := range []string{"nodes/apply", "fabrics/roce/apply", "fabrics/roce/observe", "sim/advance", "storage/provision", "none"} {
		r, err := client.Post("http://devices/v1/"+call, "application/octet-stream", strings.NewReader("\x01\x02garbage"))
		must(t, err)
		var f struct{ Error string }
		if err := json.NewDecoder(r.Body).Decode(&f); err != nil || r.StatusCode == 200 || f.Error == "" {
			t.Errorf("%s: status %d, %v", call, r.StatusCode, err)
		}
		r.Body.Close()
	}
	if _, err := c.Nodes.Capabilities(t.Context()); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}
