package ibfabric

import (
	"encoding/binary"

	"bulkhead/fabric/infiniband/mad"
)

// agent is the subnet management agent of the node that p is on: it answers what
// came in by p (14.2.5).
func (f *Fabric) agent(p *port, s *mad.SMP) (mad.Data, mad.Status) {
	n, set := p.node, s.Method == mad.Set
	switch s.Attribute {
	case mad.AttrNodeDescription:
		if set {
			return s.Data, mad.StatusAttributeUnsupported
		}
		return n.desc, mad.StatusOK
	case mad.AttrNodeInfo:
		if set {
			return s.Data, mad.StatusAttributeUnsupported
		}
		return n.info(p), mad.StatusOK
	case mad.AttrSwitchInfo:
		return f.switchInfo(n, s, set)
	case mad.AttrGUIDInfo:
		var g mad.GUIDBlock
		if s.Modifier == 0 {
			g[0] = p.manages().guid
		}
		return g.Encode(), mad.StatusOK
	case mad.AttrPortInfo:
		return f.portInfo(p, s, set)
	case mad.AttrPKeyTable:
		return f.keyTable(p, s, set)
	case mad.AttrSLtoVL, mad.AttrVLArbitration:
		return f.lanes(p, s, set)
	case mad.AttrLinearFDB:
		if !n.isSwitch() {
			return s.Data, mad.StatusAttributeUnsupported
		}
		at := int(s.Modifier) * 64
		if at+64 > len(n.linear) {
			return s.Data, mad.StatusInvalidValue
		}
		if set {
			copy(n.linear[at:at+64], s.Data[:])
		}
		return mad.Data(n.linear[at : at+64]), mad.StatusOK
	case mad.AttrMulticastFDB:
		if !n.isSwitch() {
			return s.Data, mad.StatusAttributeUnsupported
		}
		if set {
			n.mcast[s.Modifier] = s.Data
		}
		return n.mcast[s.Modifier], mad.StatusOK
	}
	return s.Data, mad.StatusAttributeUnsupported
}

// info is the node's NodeInfo as asked through p.
func (n *node) info(p *port) mad.Data {
	i := mad.NodeInfo{
		BaseVersion: 1, ClassVersion: 1, Type: n.kind, NumPorts: uint8(len(n.ports) - 1), SystemImageGUID: n.system, NodeGUID: n.guid,
		PortGUID: p.manages().guid, PartitionCap: hostKeys, DeviceID: 0xbd36, Revision: 0xa1, LocalPort: p.number, VendorID: 0x2c9,
	}
	if !n.isSwitch() {
		i.PortGUID, i.DeviceID = p.guid, 0x101d
	}
	return i.Encode()
}

func (f *Fabric) switchInfo(n *node, s *mad.SMP, set bool) (mad.Data, mad.Status) {
	if !n.isSwitch() {
		return s.Data, mad.StatusAttributeUnsupported
	}
	if set {
		asked := mad.ParseSwitchInfo(&s.Data)
		n.top, n.life = asked.LinearFDBTop, asked.LifeTimeValue
		if asked.PortStateChange {
			n.changed = false // written with 1 it is cleared
		}
	}
	i := mad.SwitchInfo{
		LinearFDBCap: linearCap, MulticastFDBCap: mcastCap, LinearFDBTop: n.top, LifeTimeValue: n.life, PortStateChange: n.changed,
		PartitionEnforcementCap: switchKeys, InboundEnforcementCap: true, OutboundEnforcementCap: true, FilterRawInboundCap: true, FilterRawOutboundCap: true,
	}
	return i.Encode(), mad.StatusOK
}

// portInfo reads and writes a port's state.
func (f *Fabric) portInfo(p *port, s *mad.SMP, set bool) (mad.Data, mad.Status) {
	n := p.node
	number := int(s.Modifier & 0xff)
	if number == 0 && !n.isSwitch() {
		number = int(p.number)
	}
	if number >= len(n.ports) || n.ports[number] == nil {
		return s.Data, mad.StatusInvalidValue
	}
	q := n.ports[number]
	if set {
		if !n.isSwitch() && q != p {
			return s.Data, mad.StatusInvalidValue
		}
		if status := f.setPort(q, mad.ParsePortInfo(&s.Data)); status != mad.StatusOK {
			return s.Data, status
		}
	}
	i := q.info
	i.LocalPort = p.number
	if hides(q, s.MKey) {
		i.MKey = 0
	}
	return i.Encode(), mad.StatusOK
}

// setPort changes what a manager may change.
func (f *Fabric) setPort(p *port, want mad.PortInfo) mad.Status {
	i := &p.info
	base := !p.node.isSwitch() || p.number == 0
	if want.OperationalVLs > i.VLCap {
		return mad.StatusInvalidValue
	}
	if base {
		if i.LID != want.LID {
			f.unroute(p)
			i.LID = want.LID
		}
		i.MKey, i.GIDPrefix, i.MasterSMLID, i.MKeyLeasePeriod, i.MKeyProtect = want.MKey, want.GIDPrefix, want.MasterSMLID, want.MKeyLeasePeriod, want.MKeyProtect
		i.LMC, i.MasterSMSL, i.SubnetTimeout = want.LMC, want.MasterSMSL, want.SubnetTimeout
		i.MKeyViolations = want.MKeyViolations
		if i.LID != 0 {
			f.byLID[i.LID] = p
		}
	}
	i.PKeyViolations, i.QKeyViolations = want.PKeyViolations, want.QKeyViolations
	i.EnforceIn, i.EnforceOut, i.FilterRawIn, i.FilterRawOut = want.EnforceIn, want.EnforceOut, want.FilterRawIn, want.FilterRawOut
	i.VLHighLimit, i.HOQLife, i.VLStallCount, i.MulticastPKeyTrap = want.VLHighLimit, want.HOQLife, want.VLStallCount, want.MulticastPKeyTrap
	i.LocalPhyErrors, i.OverrunErrors = want.LocalPhyErrors, want.OverrunErrors
	if want.NeighborMTU != 0 {
		i.NeighborMTU = want.NeighborMTU
	}
	if want.OperationalVLs != 0 {
		i.OperationalVLs = want.OperationalVLs
	}
	if want.LinkDownDefault != 0 {
		i.LinkDownDefault = want.LinkDownDefault
	}
	if want.LinkWidthEnabled != 0 && want.LinkWidthEnabled != 0xff {
		i.LinkWidthEnabled = want.LinkWidthEnabled
	}
	if want.LinkSpeedEnabled != 0 && want.LinkSpeedEnabled != 0xf {
		i.LinkSpeedEnabled = want.LinkSpeedEnabled
	}
	return f.setState(p, want.State)
}

// setState moves the logical state of a link: down brings both ends back to
// initialize; armed and active follow one another, with the other end at most one
// behind (14.2.5.6, 7.2).
func (f *Fabric) setState(p *port, want mad.PortState) mad.Status {
	i := &p.info
	switch {
	case want == 0 || want == i.State:
		return mad.StatusOK
	case p.peer == nil:
		return mad.StatusInvalidValue
	case want == mad.PortDown:
		i.State = mad.PortInit
		p.peer.info.State = mad.PortInit
		p.peer.node.changed = true
		return mad.StatusOK
	case want <= mad.PortInit || absDiff(i.State, want) != 1 || absDiff(p.peer.info.State, want) > 1:
		return mad.StatusInvalidValue
	}
	i.State = want
	return mad.StatusOK
}

func absDiff(a, b mad.PortState) int {
	if a > b {
		return int(a - b)
	}
	return int(b - a)
}

// keyTable reads and writes a block of a P_Key table.
func (f *Fabric) keyTable(p *port, s *mad.SMP, set bool) (mad.Data, mad.Status) {
	number, block, err := mad.ParsePKeyModifier(s.Modifier)
	if err != nil {
		return s.Data, mad.StatusInvalidValue
	}
	if p.node.isSwitch() {
		if int(number) >= len(p.node.ports) {
			return s.Data, mad.StatusInvalidValue
		}
		p = p.node.ports[number]
	}
	at := int(block) * mad.BlockKeys
	if at >= len(p.keys) {
		return s.Data, mad.StatusInvalidValue
	}
	keys := p.keys[at:min(at+mad.BlockKeys, len(p.keys))]
	if set {
		asked := mad.ParsePKeyBlock(&s.Data)
		copy(keys, asked[:])
	}
	var b mad.PKeyBlock
	copy(b[:], keys)
	return b.Encode(), mad.StatusOK
}

// lanes keeps the tables of virtual lanes, which nothing here depends on.
func (f *Fabric) lanes(p *port, s *mad.SMP, set bool) (mad.Data, mad.Status) {
	table := p.slvl
	if s.Attribute == mad.AttrVLArbitration {
		table = p.vlarb
	}
	if set {
		table[s.Modifier] = s.Data
	}
	return table[s.Modifier], mad.StatusOK
}

// perf answers performance management with counters that are all 0 (16.1).
func perf(p *mad.Packet) mad.Packet {
	out := *p
	h := out.Header()
	h.Method, h.Status = mad.GetResp, mad.StatusOK
	out.SetHeader(h)
	clear(out[64:])
	if h.Attribute == mad.AttrClassPortInfo {
		out[64], out[65] = 1, 1
		binary.BigEndian.PutUint32(out[68:], 0x12)
	}
	return out
}
