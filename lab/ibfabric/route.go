package ibfabric

import "bulkhead/fabric/infiniband/mad"

const maxHops = 64

// leave is the port at the other end of the cable of a node's port; nil if there
// is no live one.
func (n *node) leave(number int) *port {
	if number <= 0 || number >= len(n.ports) || n.ports[number] == nil {
		return nil
	}
	p := n.ports[number]
	if p.info.PhysState != mad.PhysLinkUp || p.peer == nil || p.peer.info.PhysState != mad.PhysLinkUp {
		return nil
	}
	return p.peer
}

// walk follows a directed route from a port, and fills in the way back. It ends
// at the port by which the packet comes in; nil if a link on the way is missing
// (14.2.2).
func walk(from *port, s *mad.SMP) *port {
	at := from
	s.ReturnPath = mad.Path{}
	s.ReturnPath[0] = from.number
	for hop := 1; hop <= int(s.HopCount); hop++ {
		if hop > 1 && !at.node.isSwitch() {
			return nil
		}
		if at = at.node.leave(int(s.InitialPath[hop])); at == nil {
			return nil
		}
		s.ReturnPath[hop] = at.number
	}
	return at
}

// walkBack follows a response to whoever asked.
func walkBack(from *port, s *mad.SMP) *port {
	at := from
	for hop := int(s.HopCount); hop >= 1; hop-- {
		if hop < int(s.HopCount) && !at.node.isSwitch() {
			return nil
		}
		if at = at.node.leave(int(s.ReturnPath[hop])); at == nil {
			return nil
		}
	}
	return at
}

// has says whether a LID is a port's own.
func (p *port) has(lid uint16) bool {
	q := p.manages()
	return q.info.LID != 0 && lid >= q.info.LID && int(lid) < int(q.info.LID)+1<<q.info.LMC
}

// crossing is an external port of a switch that a packet passes.
type crossing struct {
	port *port
	in   bool // into the switch; else out of it
}

// route follows the switches' forwarding tables to a LID, and returns the port by
// which a packet gets there, nil if it gets nowhere, with the switch ports that it
// passes on its way.
func (f *Fabric) route(from *port, lid uint16) (to *port, passed []crossing) {
	if from.has(lid) {
		return from, nil
	}
	at := from
	if !from.node.isSwitch() {
		if from.info.State != mad.PortActive {
			return nil, nil
		}
		if at = from.node.leave(int(from.number)); at == nil {
			return nil, nil
		}
		if at.node.isSwitch() {
			passed = append(passed, crossing{at, true})
		}
	}
	for range maxHops {
		if at.has(lid) {
			return at, passed
		}
		if !at.node.isSwitch() || lid > at.node.top || int(lid) >= len(at.node.linear) {
			return nil, passed
		}
		number := int(at.node.linear[lid])
		if number == 0xff || number == 0 || number >= len(at.node.ports) {
			return nil, passed
		}
		leaving := at.node.ports[number]
		next := at.node.leave(number)
		if next == nil || leaving.info.State != mad.PortActive || next.info.State != mad.PortActive {
			return nil, passed
		}
		passed = append(passed, crossing{leaving, false})
		if next.node.isSwitch() {
			passed = append(passed, crossing{next, true})
		}
		at = next
	}
	return nil, passed
}

// unroute forgets a port's LID.
func (f *Fabric) unroute(p *port) {
	if f.byLID[p.info.LID] == p {
		delete(f.byLID, p.info.LID)
	}
}
