package ethernet

import "net/netip"

// Orders are the VNIs of ports, by the leaf's address and the port's number, as route
// reflectors are to pass their routes on: more than one while a port changes.
type Orders map[netip.Addr]map[int][]uint32

// Passed is what a route reflector passes on.
type Passed struct {
	Targets map[netip.Addr][]Target `json:"targets"` // by leaf, ascending
	Ordered map[netip.Addr][]Target `json:"ordered"` // the same, as its agent was told last
	Open    []string                `json:"open"`    // in words, what of its policy is not as it is to be
}
