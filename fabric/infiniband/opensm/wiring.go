package opensm

import "bulkhead/site"

// Wiring says what an inventory knows of a fabric's edge: the switch GUID of every
// leaf, and whether a node of the inventory is cabled to a port of a switch. The
// site must have the units.
func Wiring(s *site.Site, units []*site.SUInventory, fabricID string) (leaves map[site.Leaf]uint64, listed func(leaf uint64, port uint8) bool) {
	type end struct {
		leaf uint64
		port uint8
	}
	leaves = map[site.Leaf]uint64{}
	ends := map[end]bool{}
	for _, u := range units {
		for _, l := range u.Leaves {
			id, known := s.LeafByID(l.ID)
			if !known || l.Fabric != fabricID {
				continue
			}
			leaves[id] = uint64(l.GUID)
			for i := range u.Nodes {
				ends[end{uint64(l.GUID), uint8(u.Nodes[i].NICs[l.NIC].Port)}] = true
			}
		}
	}
	return leaves, func(leaf uint64, port uint8) bool { return ends[end{leaf, port}] }
}
