package place

import (
	"testing"

	"bulkhead/lease"
	"bulkhead/site"
)

// A pod of six SUs of eight nodes, each a rack. Others have five nodes of the
// first SU and two of the second, inside each SU. Twelve nodes are a whole SU and
// four more: both the second and a whole SU would do at the same cost, and the
// second is taken, so that four SUs stay whole.
func TestSmallerLeafIsTheTightest(t *testing.T) {
	s := grow(plot{rackNodes: 8, suNodes: 8, halls: [][]podPlot{{{sus: []int{8, 8, 8, 8, 8, 8}, kinds: []string{"H100"}}}}})
	o := NewOccupancy(s)
	o.Hold(site.SetOf(s.SUs[0].Nodes[:5]...))
	o.Hold(site.SetOf(s.SUs[1].Nodes[:2]...))
	for _, c := range []struct{ nodes, small, in int }{
		{12, 4, 1}, {13, 5, 1}, // six are free in the second SU
		{10, 2, 0}, {11, 3, 0}, // three in the first, which is tighter
		{15, 7, -1}, // seven: only in an SU of which nobody has a part
	} {
		slice, err := o.Solve(Ask{Nodes: c.nodes, Fabric: "roce", Kind: "H100", Links: lease.Hermetic})
		if err != nil {
			t.Fatal(err)
		}
		if err := o.Check(slice); err != nil {
			t.Fatal(err)
		}
		in := make([]int, len(s.SUs))
		for _, n := range slice.Nodes {
			in[s.SUOf(n)]++
		}
		if c.in >= 0 && in[c.in] != c.small {
			t.Errorf("%d nodes lie as %v, expected %d in SU %d", c.nodes, in, c.small, c.in)
		}
		if c.in < 0 && in[0]+in[1] > 0 {
			t.Errorf("%d nodes lie as %v, expected none in the first two SUs", c.nodes, in)
		}
	}
}
