package netdiscover

import (
	"fmt"
)

// maxProblems is how many problems are named.
const maxProblems = 50

// check finds what a whole subnet can't have: a cable whose two ends disagree, a node that is
// named and not there, a port GUID twice. It calls found for each fault, with the end of a
// cable that has it.
func (t *Topology) check(found func(fault *Error, at *Link)) {
	ports := map[uint64]int{} // port GUID of adapters and routers -> line
	for _, n := range t.Nodes {
		for i := range n.Links {
			l := &n.Links[i]
			fail := func(line int, format string, args ...any) {
				found(&Error{t.File, line, fmt.Sprintf(format, args...)}, l)
			}
			peer := t.byGUID[l.Peer]
			if peer == nil {
				fail(l.Line, "port %d of %s leads to 0x%016x, which is not in the file: discover the subnet again, from a host that reaches all of it", l.Port, n.label(), l.Peer)
				continue
			}
			if peer.Kind != l.PeerKind {
				fail(l.Line, "port %d of %s leads to a %s, and line %d says that it is a %s", l.Port, n.label(), l.PeerKind, peer.Line, peer.Kind)
				continue
			}
			back := peer.Link(l.PeerPort)
			switch {
			case back == nil:
				fail(l.Line, "port %d of %s leads to port %d of %s (line %d), where no cable is: if nobody has edited the file, a cable was moved meanwhile, and the subnet is to be discovered again", l.Port, n.label(), l.PeerPort, peer.label(), peer.Line)
			case back.Peer != n.GUID || back.PeerPort != l.Port:
				fail(l.Line, "port %d of %s leads to port %d of %s, whose cable leads elsewhere (line %d): if nobody has edited the file, a cable was moved meanwhile, and the subnet is to be discovered again", l.Port, n.label(), l.PeerPort, peer.label(), back.Line)
			case back.PortGUID != 0 && l.PeerPortGUID != 0 && back.PortGUID != l.PeerPortGUID:
				fail(l.Line, "port GUID 0x%016x at the other end, and line %d says 0x%016x", l.PeerPortGUID, back.Line, back.PortGUID)
			}
			if n.Kind == Switch || l.PortGUID == 0 {
				continue
			}
			if first, twice := ports[l.PortGUID]; twice {
				fail(l.Line, "port GUID 0x%016x is in line %d already", l.PortGUID, first)
			}
			ports[l.PortGUID] = l.Line
		}
	}
}

// label names a node for people.
func (n *Node) label() string {
	if n.Description == "" {
		return fmt.Sprintf("0x%016x", n.GUID)
	}
	return fmt.Sprintf("%q (0x%016x)", n.Description, n.GUID)
}
