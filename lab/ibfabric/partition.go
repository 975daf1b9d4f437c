package ibfabric

import (
	"fmt"

	"bulkhead/fabric/infiniband/mad"
)

// match is the P_Key match: the same key, and not limited at both ends (10.9.3).
func match(table []mad.PKey, k mad.PKey) bool {
	for _, have := range table {
		if have.Valid() && have.Key() == k.Key() && (have.IsFull() || k.IsFull()) {
			return true
		}
	}
	return false
}

// holds is the check of a switch that enforces: the key is in the port's table.
// Membership is left to the receiver. OpenSM gives the leaf port of a limited
// member the same limited entry, and such a host reaches subnet administration
// through it, so a switch that compared membership would cut it off.
func holds(table []mad.PKey, k mad.PKey) bool {
	for _, have := range table {
		if have.Valid() && have.Key() == k.Key() {
			return true
		}
	}
	return false
}

// Delivery is what became of a packet.
type Delivery struct {
	Delivered bool   `json:"delivered"`
	Where     string `json:"where,omitempty"` // where it was dropped: "sender", "leaf in", "switch out", "switch in", "leaf out", "route", "receiver"
	Why       string `json:"why,omitempty"`
}

// Probe sends one datagram under a P_Key from a host to another, by the
// forwarding tables, as great as both of them take. An honest host sends what its own table holds; with hostile
// it sends whatever it likes.
func (f *Fabric) Probe(from, to string, k mad.PKey, hostile bool) Delivery {
	f.mu.Lock()
	defer f.mu.Unlock()
	a, b := f.host(from), f.host(to)
	if a == nil || b == nil {
		return Delivery{false, "sender", "no such host"}
	}
	if !hostile {
		held := false
		for _, have := range a.keys {
			held = held || have == k
		}
		if !held {
			return Delivery{false, "sender", fmt.Sprintf("its own table does not hold %s", k)}
		}
	}
	if b.info.LID == 0 {
		return Delivery{false, "route", "the receiver has no LID"}
	}
	return f.deliver(a, b.info.LID, k, min(a.info.NeighborMTU, b.info.NeighborMTU))
}

// host is the first port of a host.
func (f *Fabric) host(name string) *port {
	if n := f.byName[name]; n != nil && !n.isSwitch() {
		return n.ports[1]
	}
	return nil
}

// least is the code of the least MTU, 256 B: management packets are no greater.
const least = 1

// deliver takes a packet that is no subnet management, and as great as an MTU, through the
// fabric, with every check of its P_Key on the way.
func (f *Fabric) deliver(from *port, lid uint16, k mad.PKey, mtu uint8) Delivery {
	to, passed := f.route(from, lid)
	for _, c := range passed {
		if !c.in && c.port.info.NeighborMTU < mtu {
			return Delivery{false, c.where(), fmt.Sprintf("port %d of %s discards what is greater than its NeighborMTU", c.port.number, c.port.node.name)}
		}
		if c.stops(k) {
			f.badKeyAtSwitch(c.port, from, lid, k)
			return Delivery{false, c.where(), fmt.Sprintf("port %d of %s enforces its table on what goes %s: %s is not there", c.port.number, c.port.node.name, c.way(), k)}
		}
	}
	if to == nil {
		return Delivery{false, "route", fmt.Sprintf("no way to LID %d", lid)}
	}
	q := to.manages()
	if !match(q.keys, k) {
		if q.info.PKeyViolations < 0xffff {
			q.info.PKeyViolations++
		}
		d := mad.BadKey{LID1: from.manages().info.LID, LID2: lid, Key: uint32(k)}
		f.trap(q, mad.TrapBadPKey, d.Encode())
		return Delivery{false, "receiver", fmt.Sprintf("%s has no %s in its table", to.node.name, k)}
	}
	return Delivery{Delivered: true}
}

// stops says whether a switch port keeps a packet out, or in.
func (c crossing) stops(k mad.PKey) bool {
	enforces := c.port.info.EnforceOut
	if c.in {
		enforces = c.port.info.EnforceIn
	}
	return enforces && !holds(c.port.keys, k)
}

func (c crossing) way() string {
	if c.in {
		return "in"
	}
	return "out"
}

// where names the port's place: the one that a host is cabled to is the leaf's.
func (c crossing) where() string {
	if c.port.peer != nil && !c.port.peer.node.isSwitch() {
		return "leaf " + c.way()
	}
	return "switch " + c.way()
}

func (f *Fabric) badKeyAtSwitch(at, from *port, lid uint16, k mad.PKey) {
	if at.info.PKeyViolations < 0xffff {
		at.info.PKeyViolations++
	}
	d := mad.BadPKeySwitch{LID1: from.manages().info.LID, LID2: lid, PKey: k, SwitchLID: at.manages().info.LID, Port: at.number}
	f.trap(at, mad.TrapBadPKeySwitch, d.Encode())
}

// defaultKey is the P_Key under which a host sends general management packets if
// it does not say: its membership of the default partition, else its first.
func (p *port) defaultKey() mad.PKey {
	for _, k := range p.keys {
		if k.Key() == mad.DefaultPKey.Key() {
			return k
		}
	}
	for _, k := range p.keys {
		if k.Valid() {
			return k
		}
	}
	return 0
}
