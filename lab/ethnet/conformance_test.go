package ethnet

import (
	"context"
	"net/netip"
	"testing"
	"time"

	"bulkhead/fabric"
	"bulkhead/fabric/ethernet/evpn"
	"bulkhead/fabric/fabrictest"
	"bulkhead/lab/await"
	"bulkhead/lab/ethnet/agenttest"
	"bulkhead/site"
)

// The driver over real leaves, with a real route collector, passes what every driver
// must.
func TestConformance(t *testing.T) {
	n := up(t, Options{Only: []string{"frontend"}, Agent: agenttest.Leaf, Reflector: agenttest.Reflector, LLDP: true})
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
		d := &evpn.Driver{Site: s, Fabric: f, Leaves: map[site.Leaf]evpn.Device{}, Routes: k, Origin: "emulated", Bound: 6 * time.Second}
		d.Reflectors = map[netip.Addr]evpn.Reflector{}
		for at, r := range n.Reflectors("frontend") {
			d.Reflectors[at] = r
			t.Cleanup(r.Close)
		}
		names := map[site.Leaf]string{}
		for _, dev := range n.Plan.Leaves("frontend") {
			if used {
				must(n.Reset(ctx, dev.Name))
			}

			c, err := n.Client(dev.Name)
			must(err)
			t.Cleanup(c.Close)
			d.Leaves[dev.Leaf], names[dev.Leaf] = c, dev.Name
		}
		for _, dev := range n.Plan.Spines("frontend") {
			if used {
				must(n.Reset(ctx, dev.Name))
			}
		}
		used = true
		must(await.Until(ctx, "the collector", func() (string, bool) { return "not complete", k.Complete() }))
		return &fabrictest.Fixture{Driver: d, Site: s, Fabric: f,
			SetReachable: func(l site.Leaf, reachable bool) { must(n.SetManaged(names[l], reachable)) },
			SetFailing: func(p site.Port, failing bool) {
				must(n.SetWritable(ctx, names[s.LeafOf(p)], s.LeafPort(p), !failing))
			},
			Tamper: func(p site.Port, row fabric.Row) {
				must(n.Intrude(ctx, names[s.LeafOf(p)], map[int]fabric.Row{s.LeafPort(p): row}))
			},
		}
	})
}
