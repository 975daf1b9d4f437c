package ethnet

import (
	"context"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"bulkhead/fabric"
	"bulkhead/fabric/ethernet"
	"bulkhead/fabric/ethernet/evpn"
	"bulkhead/fabric/fabrictest"
	"bulkhead/lab/await"
	"bulkhead/site"
)

// The driver over real leaves, with a real route collector, passes what every driver
// must.
func TestConformance(t *testing.T) {
	n := up(t, Options{Only: []string{"frontend"}, Agent: SelfLeaf, Reflector: SelfReflector, LLDP: true})
	s := labSite(t)
	f, _ := s.FabricByID("frontend")
	k, err := n.StartCollector(t.Context(), "frontend")
	if err != nil {
		t.Fatal(err)
	}
	defer k.Close()
	used := false
	fabrictest.Run(t, func(t *testing.T) *fabrictest.Fixture {
		ctx := context.Background()
		must := func(err error) {
			t.Helper()
			if err != nil {
				t.Fatal(err)
			}
		}
		d := &evpn.Driver{Site: s, Fabric: f, Leaves: map[site.Leaf]evpn.Device{}, Routes: k, Origin: "emulated", Bound: await.Patience, Patience: await.Patience, Hear: await.Patience}
		d.Reflectors = map[netip.Addr]evpn.Reflector{}
		for at, r := range n.Reflectors("frontend") {
			d.Reflectors[at] = r
			t.Cleanup(r.Close)
		}
		names, cut := map[site.Leaf]string{}, map[site.Leaf]*atomic.Bool{}
		for _, dev := range n.Plan.Leaves("frontend") {
			if used {
				must(n.Reset(ctx, dev.Name))
			}

			c, err := n.Client(dev.Name)
			must(err)
			t.Cleanup(c.Close)
			cut[dev.Leaf] = &atomic.Bool{}
			d.Leaves[dev.Leaf], names[dev.Leaf] = cuttable{c, cut[dev.Leaf]}, dev.Name
		}
		for _, dev := range n.Plan.Spines("frontend") {
			if used {
				must(n.Reset(ctx, dev.Name))
			}
		}
		used = true
		must(await.Until(ctx, "the collector", func() (string, bool) { return "not complete", k.Complete() }))
		return &fabrictest.Fixture{Driver: d, Site: s, Fabric: f,
			SetReachable: func(l site.Leaf, reachable bool) {
				cut[l].Store(!reachable)
				must(n.SetManaged(names[l], reachable))
			},
			SetFailing: func(p site.Port, failing bool) {
				must(n.SetWritable(ctx, names[s.LeafOf(p)], s.LeafPort(p), !failing))
			},
			Tamper: func(p site.Port, row fabric.Row) {
				must(n.Intrude(ctx, names[s.LeafOf(p)], map[int]fabric.Row{s.LeafPort(p): row}))
			},
		}
	})
}

// cuttable is a leaf whose link to the management network may be cut. Then a call ends
// soon, because no answer can come; else it may last as long as it does on a machine with
// much else to do.
type cuttable struct {
	evpn.Device
	cut *atomic.Bool
}

func (c cuttable) soon(ctx context.Context) (context.Context, context.CancelFunc) {
	if c.cut.Load() {
		return context.WithTimeout(ctx, 300*time.Millisecond)
	}
	return ctx, func() {}
}

func (c cuttable) Changes(ctx context.Context) (uint64, error) {
	ctx, done := c.soon(ctx)
	defer done()
	return c.Device.Changes(ctx)
}

func (c cuttable) Read(ctx context.Context) (ethernet.Capture, error) {
	ctx, done := c.soon(ctx)
	defer done()
	return c.Device.Read(ctx)
}

func (c cuttable) Admit(ctx context.Context, f fabric.Fence) error {
	ctx, done := c.soon(ctx)
	defer done()
	return c.Device.Admit(ctx, f)
}

func (c cuttable) Write(ctx context.Context, rows map[int]fabric.Row, f fabric.Fence) (map[int]string, error) {
	ctx, done := c.soon(ctx)
	defer done()
	return c.Device.Write(ctx, rows, f)
}
