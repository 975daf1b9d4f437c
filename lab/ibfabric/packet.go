package ibfabric

import (
	"encoding/binary"
	"time"

	"bulkhead/fabric/infiniband/mad"
)

// Where the parts of a data message are.
const (
	atDLID, atSLID, atDQP, atSQP, atStatus, atKey, atLength, atMAD = 0, 4, 8, 12, 16, 20, 24, 32
)

// packet handles what a client sends.
func (f *Fabric) packet(c *client, b *[dataSize]byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.clients[c.id] != c {
		return // it went, or the fabric did, while this waited
	}
	p := mad.Packet(b[atMAD:])
	h := p.Header()
	if h.Method == mad.TrapRepress {
		f.repress(c, b, &p)
		return
	}
	if !h.Method.IsResponse() {
		// The number of the client goes into the transaction id, so that the answer
		// finds it.
		p.SetTID(p.TID()&(1<<48-1) | uint64(c.id)<<48)
		copy(b[atMAD:], p[:])
	}
	lid := binary.BigEndian.Uint16(b[atDLID:])
	if binary.BigEndian.Uint16(b[atSLID:]) == 0 {
		binary.BigEndian.PutUint16(b[atSLID:], c.at.manages().info.LID)
	}
	var done bool
	if h.Class.IsSubn() {
		done = f.subnet(c, b, &p, lid)
	} else {
		done = f.general(c, b, &p, lid)
	}
	if !done && !h.Method.IsResponse() {
		binary.BigEndian.PutUint32(b[atStatus:], lostStatus)
		f.give(c, b)
	}
}

// subnet handles a subnet management packet: it goes to the agent of a node, or
// to the manager that runs there.
func (f *Fabric) subnet(c *client, b *[dataSize]byte, p *mad.Packet, lid uint16) bool {
	s, err := mad.ParseSMP(p)
	if err != nil {
		return false
	}
	response := s.Method.IsResponse()
	var to *port
	switch {
	case lid != mad.PermissiveLID:
		to, _ = f.route(c.at, lid)
	case response:
		to = walkBack(c.at, &s)
	default:
		to = walk(c.at, &s)
	}
	if to == nil {
		return false
	}
	if response || s.Attribute == mad.AttrSMInfo || s.Method == mad.Trap {
		d := f.receiver(to, p, response)
		if d == nil {
			return false
		}
		out := s.Encode()
		copy(b[atMAD:], out[:])
		return f.hand(c, d, b, response)
	}
	if to.node.silent || f.lose != nil && f.lose(&s) {
		return false
	}
	if ok, noticed := f.allows(to, s.Method, s.MKey); !ok {
		if noticed {
			f.badMKey(to, c.at, &s)
		}
		return false
	}
	if s.Method != mad.Get && s.Method != mad.Set {
		return false
	}
	data, status := f.agent(to, &s)
	a := s.Answer(status, data)
	a.ReturnPath = s.ReturnPath
	if to.node.lie != nil && to.node.lie(&s, &a) {
		return false // it says nothing
	}
	out := a.Encode()
	copy(b[atMAD:], out[:])
	swap(b)
	return f.give(c, b)
}

// general handles a general management packet: it is subject to the partition
// rules like any datagram.
func (f *Fabric) general(c *client, b *[dataSize]byte, p *mad.Packet, lid uint16) bool {
	key := c.at.manages().defaultKey()
	if binary.BigEndian.Uint16(b[atKey:]) == keyMark {
		key = mad.PKey(binary.BigEndian.Uint16(b[atKey+2:]))
	}
	to, _ := f.route(c.at, lid)
	if d := f.deliver(c.at, lid, key, least); !d.Delivered || to == nil {
		return false
	}
	h := p.Header()
	if h.Class == mad.ClassSubnAdm && h.Method == mad.Set && h.Attribute == mad.AttrInformInfo {
		f.asked++
		c.asks = f.asked
	}
	if h.Class == mad.ClassPerf && !h.Method.IsResponse() {
		if to.node.silent {
			return false
		}
		out := perf(p)
		copy(b[atMAD:], out[:])
		swap(b)
		return f.give(c, b)
	}
	d := f.receiver(to, p, h.Method.IsResponse())
	if d == nil {
		return false
	}
	return f.hand(c, d, b, h.Method.IsResponse())
}

// hand passes on what one client has for another.
func (f *Fabric) hand(from, to *client, b *[dataSize]byte, response bool) bool {
	p := mad.Packet(b[atMAD:])
	if s, err := mad.ParseSA(&p); err == nil && s.RMPP.Flags&mad.RMPPActive != 0 && s.RMPP.Type != mad.RMPPData {
		return f.give(to, b) // it steers a transfer that goes on, and has no answer
	}
	if !response {
		return f.ask(from, to, b)
	}
	f.answered(exchangeOf(&p))
	return f.give(to, b)
}

// receiver is the client that a packet is for: a response goes to who asked, a
// request for a manager to the one on that port, and any other to the program
// that has sat there longest and is no manager. A manager has registered for no
// other class, so a kernel would not give it one, and OpenSM ends if it gets one. A
// report is for the program that subscribed to them last.
func (f *Fabric) receiver(to *port, p *mad.Packet, response bool) *client {
	if response {
		if c := f.clients[uint32(p.TID()>>48)]; c != nil && c.at.node == to.node {
			return c
		}
		return nil
	}
	class := p.Header().Class
	var first *client
	if class == mad.ClassSubnAdm && p.Header().Method == mad.Report {
		for _, c := range f.clients {
			if c.at.node == to.node && c.asks > 0 && (first == nil || c.asks > first.asks) {
				first = c
			}
		}
		return first
	}
	forManager := class.IsSubn() || class == mad.ClassSubnAdm
	for _, c := range f.clients {
		if c.at.node == to.node && c.isSM == forManager && (first == nil || c.id < first.id) {
			first = c
		}
	}
	return first
}

func (f *Fabric) give(c *client, b *[dataSize]byte) bool {
	select {
	case c.out <- *b:
		return true
	default:
		return false
	}
}

// swap turns a message round.
func swap(b *[dataSize]byte) {
	for _, pair := range [][2]int{{atDLID, atSLID}, {atDQP, atSQP}} {
		var held [4]byte
		copy(held[:], b[pair[0]:])
		copy(b[pair[0]:pair[0]+4], b[pair[1]:pair[1]+4])
		copy(b[pair[1]:], held[:])
	}
	clear(b[atStatus : atStatus+4])
}

func (f *Fabric) badMKey(at, from *port, s *mad.SMP) {
	d := mad.BadMKey{LID: from.manages().info.LID, DrSLID: s.DrSLID, Method: s.Method, Attribute: s.Attribute, Modifier: s.Modifier, MKey: s.MKey,
		Directed: s.Class == mad.ClassSubnDirected, HopCount: s.HopCount}
	copy(d.Return[:], s.ReturnPath[:])
	f.trap(at, mad.TrapBadMKey, d.Encode())
}

// maxTraps is how many traps, the newest, are kept for whoever looks.
const maxTraps = 4096

// trap sends a notice to the manager that a port knows (13.4.9).
func (f *Fabric) trap(p *port, number uint16, d mad.Details) {
	if len(f.traps) == maxTraps {
		f.traps = f.traps[1:]
	}
	f.sent++
	f.traps = append(f.traps, Trap{f.now(), p.node.name, p.number, number})
	// A device tells of the same thing at most once a second (13.4.9).
	if last := p.told[number]; f.now().Sub(last) < time.Second {
		return
	}
	p.told[number] = f.now()
	q := p.manages()
	manager := f.byLID[q.info.MasterSMLID]
	if manager == nil || q.info.LID == 0 {
		return
	}
	kind := uint8(mad.NoticeUrgent)
	switch number {
	case mad.TrapBadMKey, mad.TrapBadPKey, mad.TrapBadQKey, mad.TrapBadPKeySwitch:
		kind = mad.NoticeSecurity
	case mad.TrapCapability:
		kind = mad.NoticeInformational
	}
	notice := mad.Notice{Generic: true, Type: kind, Producer: uint32(p.node.kind), Number: number, Issuer: q.info.LID, Details: d}
	s := mad.NewByLID(mad.Trap, mad.AttrNotice, 0)
	s.Data = notice.Encode()
	s.TID = f.sent&(1<<48-1) | device<<48
	packet := s.Encode()
	var b [dataSize]byte
	binary.BigEndian.PutUint16(b[atDLID:], q.info.MasterSMLID)
	binary.BigEndian.PutUint16(b[atSLID:], q.info.LID)
	binary.BigEndian.PutUint64(b[atLength:], mad.Size)
	copy(b[atMAD:], packet[:])
	for _, c := range f.clients {
		if c.at.node == manager.node && c.isSM {
			f.give(c, &b)
			return
		}
	}
}
