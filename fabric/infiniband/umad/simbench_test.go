package umad_test

import (
	"context"
	"os"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"bulkhead/fabric/infiniband/mad"
	"bulkhead/fabric/infiniband/smp"
	"bulkhead/fabric/infiniband/umad"
	"bulkhead/lab/ibnet"
)

// window is how many requests are on the way in both measurements.
const window = 32

// BenchmarkReadTables compares a full read-back with the raw rate of the same
// transport: the same packet sent over and over with the same window and nothing
// done with the answers. The simulator answers both from one core, so this is
// what the client costs, not how fast hardware is. IBNET_HOSTS sets the size.
func BenchmarkReadTables(b *testing.B) {
	hosts := 4096
	if s := os.Getenv("IBNET_HOSTS"); s != "" {
		var err error
		if hosts, err = strconv.Atoi(s); err != nil {
			b.Fatal(err)
		}
	}
	tree := ibnet.Tree{Hosts: hosts, PerLeaf: 32, Spines: 4, PerPod: 32}
	sim := ibnet.Start(b, tree)
	open := func() *umad.SimPort {
		port, err := umad.OpenSim(umad.SimOptions{Socket: sim.Name, Host: ibnet.HostName(0)})
		if err != nil {
			b.Fatal(err)
		}
		return port
	}
	client, err := smp.New(open(), smp.Options{Window: window, Timeout: 5 * time.Second})
	if err != nil {
		b.Fatal(err)
	}
	defer client.Close()
	began := time.Now()
	f, err := client.Sweep(b.Context(), smp.Keys{})
	if err != nil {
		b.Fatal(err)
	}
	b.Logf("sweep of %d nodes: %s, %+v", len(f.Nodes), time.Since(began), client.Stats())
	if len(f.Nodes) != tree.Hosts+tree.Switches() || len(f.Missing) > 0 {
		b.Fatalf("%d nodes, %d missing", len(f.Nodes), len(f.Missing))
	}
	// To the leaf of the last host: as far as the shorter requests of a read-back,
	// which makes the raw rate no slower than it should be.
	leaf := f.Node(ibnet.LeafGUID(tree.Leaves() - 1)).Route

	var raw, full rate // over all rounds, because other work on the machine comes and goes
	for b.Loop() {
		raw.add(sendRaw(b, open(), leaf, max(7*tree.Hosts, 200_000)))
		before := client.Stats()
		tables, err := client.ReadTables(b.Context(), f, smp.TableOptions{})
		if err != nil {
			b.Fatal(err)
		}
		for i := range tables.Ports {
			if !tables.Ports[i].Complete() {
				b.Fatal(tables.Ports[i].Missing)
			}
		}
		if after := client.Stats(); after.Repeated != before.Repeated {
			b.Fatalf("%d requests were repeated", after.Repeated-before.Repeated)
		}
		full.add(rate{tables.Asked, tables.Ended.Sub(tables.Began)})
	}
	b.ReportMetric(full.took.Seconds()/float64(b.N), "readback-s")
	b.ReportMetric(float64(full.requests/b.N), "requests")
	b.ReportMetric(raw.perSecond(), "raw-req/s")
	b.ReportMetric(full.perSecond(), "readback-req/s")
	b.ReportMetric(100*full.perSecond()/raw.perSecond(), "%of-raw")
}

// rate is requests and how long they took.
type rate struct {
	requests int
	took     time.Duration
}

func (r *rate) add(o rate) { r.requests += o.requests; r.took += o.took }

func (r *rate) perSecond() float64 { return float64(r.requests) / r.took.Seconds() }

// sendRaw sends one packet n times with a window and counts what comes back.
func sendRaw(b *testing.B, port *umad.SimPort, r smp.Route, n int) rate {
	b.Helper()
	s, err := mad.NewByRoute(mad.Get, mad.AttrPKeyTable, 0, []byte(r))
	if err != nil {
		b.Fatal(err)
	}
	packet := s.Encode()
	room := make(chan struct{}, window)
	var bad atomic.Int64
	ctx, cancel := context.WithTimeout(b.Context(), 10*time.Minute)
	defer cancel()
	done := make(chan struct{})
	began := time.Now()
	go func() {
		defer close(done)
		var p mad.Packet
		for range n {
			if lost, err := port.Recv(&p); err != nil || lost {
				bad.Add(1)
			}
			<-room
		}
	}()
	for range n {
		room <- struct{}{}
		if err := port.Send(mad.PermissiveLID, &packet); err != nil {
			b.Fatal(err)
		}
	}
	select {
	case <-done:
	case <-ctx.Done():
		b.Fatal("the raw packets did not all come back")
	}
	took := time.Since(began)
	if err := port.Close(); err != nil {
		b.Fatal(err)
	}
	if bad.Load() > 0 {
		b.Fatalf("%d raw packets lost", bad.Load())
	}
	return rate{n, took}
}
