package ethernet_test

import (
	"net/netip"
	"testing"

	"bulkhead/fabric"
	"bulkhead/fabric/ethernet"
	"bulkhead/fabric/fabrictest"
	"bulkhead/site"
)

// TestLeavesOfFewerRails: where an SU has 4 rail leaves, the addresses of the others are
// no leaf's, and no range that leaves accept VXLAN from has them.
func TestLeavesOfFewerRails(t *testing.T) {
	s := fabrictest.NewSite(3, 4, site.RoCE)
	for i := range s.SUs {
		s.SUs[i].GPUs = 4
	}
	for f := range s.Fabrics {
		leaves := map[netip.Addr]bool{}
		for leaf := range site.Leaf(s.Leaves()) {
			if s.FabricOfLeaf(leaf) != f {
				continue
			}
			a := ethernet.VTEP(f, leaf)
			leaves[a] = true
			if back, ok := ethernet.LeafOf(s, f, a); !ok || back != leaf {
				t.Errorf("%s is leaf %d, found %d %v", a, leaf, back, ok)
			}
		}
		accepted := 0
		for _, r := range ethernet.VTEPRanges(s, f) {
			for a := r.From; ; a = a.Next() {
				if !leaves[a] {
					t.Errorf("fabric %s: %s is accepted, and no leaf has it", s.Fabrics[f].ID, a)
				}
				accepted++
				if a == r.To {
					break
				}
			}
		}
		if accepted != len(leaves) {
			t.Errorf("fabric %s: %d addresses accepted of %d leaves", s.Fabrics[f].ID, accepted, len(leaves))
		}
		gap := ethernet.VTEP(f, site.Leaf(4))
		if _, ok := ethernet.LeafOf(s, f, gap); ok && !s.Fabrics[f].Frontend {
			t.Errorf("%s is taken for a leaf", gap)
		}
	}
	// A leaf that accepts what lies between two SUs' leaves is at fault.
	ideal := func(accept []ethernet.Range) ethernet.Capture {
		row := fabric.Compile(site.RoCE, 5000)
		c, err := ethernet.Ideal(s, 0, accept, []fabric.Reading{{Port: 0, LeafPort: 1, Leaf: row.Leaf, EnforceIn: true, EnforceOut: true, Class: row.Class, Neighbour: s.PortID[0]}}, 64)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	ranges := ethernet.VTEPRanges(s, 1)
	if len(ranges) != 3 {
		t.Fatal(ranges)
	}
	right := ideal(ranges)
	wide := ideal([]ethernet.Range{{From: ranges[0].From, To: ranges[2].To}})
	for name, one := range map[string]struct {
		c    ethernet.Capture
		want fabric.Faults
	}{"the plan's own ranges": {right, 0}, "all from the first to the last": {wide, fabric.FaultUnderlay}} {
		readings, err := ethernet.Readings(s, 0, &one.c)
		if err != nil || len(readings) != 1 || readings[0].Faults != one.want {
			t.Errorf("%s: %v, %+v, expected faults %v", name, err, readings, one.want)
		}
	}
}
