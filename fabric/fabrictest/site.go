package fabrictest

import (
	"fmt"

	"bulkhead/claim"
	"bulkhead/site"
)

// NewSite returns a small simulated site: sus SUs of nodes nodes each, with one
// compute fabric "compute" of the family (index 1) and the frontend fabric
// "frontend" (index 0). A port's identity follows from its number.
func NewSite(sus, nodes int, family site.Family) *site.Site {
	s := &site.Site{
		Name: "test", Origin: claim.Simulated, RackNodes: 8,
		Fabrics: []site.Fabric{{ID: "frontend", Family: site.RoCE, Frontend: true}, {ID: "compute", Family: family}},
		Phases:  []site.Phase{{ID: "p1"}}, Halls: []site.Hall{{ID: "h1"}},
		Pods: []site.Pod{{ID: "h1-pod0", Fabric: 1}},
	}
	for su := range sus {
		unit := site.SU{ID: fmt.Sprintf("su%02d", su), Kind: "H100"}
		for pos := range nodes {
			n := site.Index(len(s.NodeID))
			unit.Nodes = append(unit.Nodes, n)
			s.NodeID = append(s.NodeID, fmt.Sprintf("su%02d-n%02d", su, pos))
			s.NodeSU = append(s.NodeSU, uint32(su))
			s.NodePos = append(s.NodePos, uint8(pos))
			for nic := range site.NICs {
				s.PortID = append(s.PortID, 0x02_00_00_00_00_00|uint64(site.PortOf(n, nic))+1)
			}
		}
		s.SUs = append(s.SUs, unit)
	}
	return s
}

// Ports returns the edge ports of one fabric, ascending.
func Ports(s *site.Site, fabricIndex int) []site.Port {
	var ports []site.Port
	for p := range site.Port(len(s.PortID)) {
		if s.FabricOf(p) == fabricIndex {
			ports = append(ports, p)
		}
	}
	return ports
}
