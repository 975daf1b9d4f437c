package prove_test

import (
	"slices"
	"testing"
	"time"

	"bulkhead/fabric"
	"bulkhead/fabric/fabrictest"
	"bulkhead/prove"
	"bulkhead/site"
)

// TestPortsThatThereAreNone: on nodes of 4 GPUs only five of nine port numbers are
// somebody's. The others are counted nowhere, and a certificate says how many a node has.
func TestPortsThatThereAreNone(t *testing.T) {
	for _, family := range []site.Family{site.RoCE, site.InfiniBand} {
		s := fabrictest.NewSite(2, 6, family)
		for i := range s.SUs {
			s.SUs[i].GPUs = 4
		}
		const nodes, ports = 12, 60
		tables := fabric.NewTables(s.Ports())
		p := prove.NewProver(s, tables)
		if tally := p.Tally(); tally.Unknown != ports || tally.Ports() != ports {
			t.Fatalf("%s: before anything is read: %+v", family, tally)
		}
		now := time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC)
		values := map[int]uint32{}
		for f := range s.Fabrics {
			values[f] = 5000
			if s.Fabrics[f].Family == site.InfiniBand {
				values[f] = 0x200
			}
			if err := p.Own(f, values[f], prove.FirstProject); err != nil {
				t.Fatal(err)
			}
		}
		for leaf := range site.Leaf(s.Leaves()) {
			var readings []fabric.Reading
			for _, n := range s.SUs[leaf.SU()].Nodes {
				port := site.PortOf(n, leaf.NIC())
				index := max(0, s.FabricOf(port))
				row := fabric.Compile(s.Fabrics[index].Family, values[index])
				p.Hold(port, prove.FirstProject)
				readings = append(readings, fabric.Reading{LeafPort: s.LeafPort(port), NIC: row.NIC, Leaf: row.Leaf,
					EnforceIn: true, EnforceOut: true, Class: row.Class, Neighbour: s.PortID[port]})
			}
			p.Read(leaf, now, readings) // of leaves that there are none of as well: they say nothing
		}
		want := prove.Tally{Proven: ports}
		kept := p.Tally()
		p.Sweep()
		if checked := p.CheckRange(0, site.Port(s.Ports())); kept != want || p.Tally() != want || checked != want {
			t.Errorf("%s: %+v kept, %+v judged again, %+v checked", family, kept, p.Tally(), checked)
		}
		for port := range p.Unknown() {
			t.Errorf("%s is unknown", s.PortName(port))
		}
		set := site.NewSet(0)
		for n := range site.Index(nodes) {
			set.Add(n)
		}
		c, _ := p.Certify(prove.Request{Lease: "l", Tenant: "t", Epoch: 1, Nodes: set, Issued: now, Window: time.Hour})
		if err := c.Check(); err != nil || c.Verdict != "proven" || c.Ports != ports || len(c.Fabrics) != 2 {
			t.Fatalf("%s: %v, %s of %d ports, %+v", family, err, c.Verdict, c.Ports, c.Spans())
		}
		for _, part := range c.Fabrics {
			if part.Counted != part.Proven || part.EverRead != part.Counted || part.Unread != 0 {
				t.Errorf("%s: %+v", family, part)
			}
		}
		for _, ports := range []int{0, 1, 4, 6, 9} {
			bad := c
			bad.Fabrics = slices.Clone(c.Fabrics)
			for i := range bad.Fabrics {
				if bad.Fabrics[i].Role == site.RoleCompute {
					bad.Fabrics[i].Each = ports - 1
				}
			}
			if bad.Check() == nil {
				t.Errorf("%s: a certificate of %d ports a node passed", family, ports)
			}
		}
		// Whoever asks about such a port is told that nothing is known.
		if v, _ := p.Lease([]site.Port{site.PortOf(0, 5)}); v != prove.Unknown {
			t.Errorf("%s: a port that there is none of is %s", family, v)
		}
	}
}
