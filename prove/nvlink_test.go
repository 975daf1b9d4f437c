package prove_test

import (
	"testing"
	"time"

	"bulkhead/fabric"
	"bulkhead/fabric/fabrictest"
	"bulkhead/prove"
	"bulkhead/site"
)

// TestDomainOfTwoProjectsIsRed: where a rack is one NVLink domain, a certificate says of
// how many domains its nodes are alone, and is red where another project is in one,
// however clean the fabrics are.
func TestDomainOfTwoProjectsIsRed(t *testing.T) {
	s := fabrictest.NewSite(1, 4, site.RoCE)
	s.RackNodes, s.Shape.RackNodes, s.Shape.SUNodes = 2, 2, 4
	now := time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC)
	for _, one := range []struct {
		name           string
		nvlink         bool
		holders        [4]uint32
		domains, alone int
		verdict        string
	}{
		{"no domains", false, [4]uint32{2, 3, 3, 2}, 0, 0, "proven"},
		{"alone in both", true, [4]uint32{2, 2, 2, 2}, 2, 2, "proven"},
		{"a rival in one", true, [4]uint32{2, 2, 2, 3}, 2, 1, "red"},
		{"an empty tray", true, [4]uint32{2, prove.Quarantined, 2, 2}, 2, 2, "proven"},
		{"a tray that changes hands", true, [4]uint32{2, prove.TurnoverHolder(1), 2, 2}, 2, 2, "proven"},
	} {
		s.Kinds = []site.Kind{{ID: s.SUs[0].Kind, NVLinkRacks: one.nvlink}}
		tables := fabric.NewTables(s.Ports())
		p := prove.NewProver(s, tables)
		for f := range s.Fabrics {
			for _, holder := range []uint32{2, 3} {
				if err := p.Own(f, 100+holder, holder); err != nil {
					t.Fatal(err)
				}
			}
		}
		for l := range s.Leaves() {
			leaf := site.Leaf(l)
			if !s.HasLeaf(leaf) {
				continue
			}
			var readings []fabric.Reading
			for _, n := range s.SUs[leaf.SU()].Nodes {
				port, family := site.PortOf(n, leaf.NIC()), s.Fabrics[s.FabricOf(site.PortOf(n, leaf.NIC()))].Family
				holder := one.holders[n]
				label := 100 + holder
				switch {
				case holder == prove.Quarantined:
					label = fabric.QuarantineLabel("", family).Value
				case holder >= prove.FirstTurnover:
					label = fabric.TurnoverLabel("", family, n).Value
				}
				p.Hold(port, holder)
				row := fabric.Compile(family, label)
				readings = append(readings, fabric.Reading{LeafPort: s.LeafPort(port), NIC: row.NIC, Leaf: row.Leaf,
					EnforceIn: true, EnforceOut: true, Class: row.Class, Neighbour: s.PortID[port]})
			}
			p.Read(leaf, now, readings)
		}
		set := site.NewSet(0)
		for n, holder := range one.holders {
			if holder == 2 {
				set.Add(site.Index(n))
			}
		}
		c, _ := p.Certify(prove.Request{Lease: "l", Tenant: "t", Epoch: 1, Nodes: set, Issued: now, Window: time.Hour})
		if err := c.Check(); err != nil || c.Verdict != one.verdict || (c.NVLink == nil) == one.nvlink {
			t.Errorf("%s: %v, %s, %+v, %v", one.name, err, c.Verdict, c.NVLink, c.Failed)
			continue
		}
		if one.nvlink && *c.NVLink != (prove.NVLinkPart{Domains: one.domains, Alone: one.alone}) {
			t.Errorf("%s: %+v", one.name, c.NVLink)
		}
		forged := c
		if forged.Verdict = "proven"; one.verdict == "red" && forged.Check() == nil {
			t.Errorf("%s: called proven, and passed", one.name)
		}
	}
}
