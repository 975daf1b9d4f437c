package check

import (
	"fmt"

	"bulkhead/site"
)

// Racks verifies that a slice has the whole of every rack that it touches:
// all nodes of it that may be sold.
func Racks(s *site.Site, nodes []site.Index) error {
	own := site.SetOf(nodes...)
	for _, n := range nodes {
		if int(n) >= s.Nodes() {
			return fmt.Errorf("slice: node %d, expected below %d", n, s.Nodes())
		}
		all := s.SUs[s.SUOf(n)].Nodes
		at := int(s.NodePos[n]) / s.RackNodes * s.RackNodes
		for _, other := range all[at:min(at+s.RackNodes, len(all))] {
			if !s.IsSpare(other) && !s.IsRetired(other) && !own.Has(other) {
				return fmt.Errorf("slice: rack %s is split: node %s is in the slice, and %s is not", s.RackID(s.RackOf(n)), s.NodeID[n], s.NodeID[other])
			}
		}
	}
	return nil
}
