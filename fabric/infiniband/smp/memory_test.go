package smp

import (
	"errors"
	"math/rand/v2"
	"sync"

	"bulkhead/fabric/infiniband/mad"
)

// device is a node of the fabric in memory.
type device struct {
	guid     uint64
	kind     mad.NodeType
	ports    int
	cap      uint16 // P_Keys, of a host's port or of a switch's external ports
	cables   map[uint8]End
	keys     map[uint8][]mad.PKey // by port, of a host port 0
	mkey     uint64               // who does not have it gets nothing
	silent   bool
	refuses  mad.Status
	lid      uint16
	sends    map[uint16]uint8 // by LID: where a switch sends it
	inactive map[uint8]bool   // ports whose links are up, and not active
	narrow   map[uint8]bool   // ports that send small packets only
	hides    bool             // does not say where it sends what
	manager  bool
}

// memory is a Transport to a fabric in memory that loses, doubles and shuffles
// packets.
type memory struct {
	devices map[uint64]*device
	local   uint64 // host, port 1

	mu     sync.Mutex
	random *rand.Rand
	lose   float64
	double float64
	held   []mad.Packet      // answers that wait to be overtaken
	change func(*mad.Packet) // what is done to answers on the way

	answers chan mad.Packet
	lost    chan mad.Packet
	tell    bool // say which requests got lost
	closed  chan struct{}
	once    sync.Once
	sent    int
}

var errClosed = errors.New("closed")

func newMemory(local uint64) *memory {
	return &memory{devices: map[uint64]*device{}, local: local, random: rand.New(rand.NewPCG(1, 1)),
		answers: make(chan mad.Packet, 100_000), lost: make(chan mad.Packet, 100_000), closed: make(chan struct{})}
}

func (m *memory) add(d *device) *device {
	d.cables, d.keys = map[uint8]End{}, map[uint8][]mad.PKey{}
	m.devices[d.guid] = d
	return d
}

func (m *memory) cable(a *device, pa uint8, b *device, pb uint8) {
	a.cables[pa], b.cables[pb] = End{b.guid, pb}, End{a.guid, pa}
}

func (m *memory) Close() error { m.once.Do(func() { close(m.closed) }); return nil }

func (m *memory) Recv(p *mad.Packet) (bool, error) {
	select {
	case *p = <-m.answers:
		return false, nil
	case *p = <-m.lost:
		return true, nil
	case <-m.closed:
		return false, errClosed
	}
}

func (m *memory) Send(lid uint16, p *mad.Packet) error {
	select {
	case <-m.closed:
		return errClosed
	default:
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.sent++
	request, err := mad.ParseSMP(p)
	if err != nil {
		return err
	}
	d, in := m.walk(lid, &request)
	if d == nil || m.random.Float64() < m.lose {
		if m.tell {
			m.lost <- *p
		}
		return nil
	}
	answer, ok := d.answer(&request, in)
	if !ok {
		if m.tell {
			m.lost <- *p
		}
		return nil
	}
	out := answer.Encode()
	if m.change != nil {
		m.change(&out)
	}
	times := 1
	if m.random.Float64() < m.double {
		times = 2
	}
	for range times {
		m.held = append(m.held, out)
	}
	// Answers overtake each other, but with one request on the way it is not held.
	m.random.Shuffle(len(m.held), func(i, j int) { m.held[i], m.held[j] = m.held[j], m.held[i] })
	for _, a := range m.held {
		m.answers <- a
	}
	m.held = m.held[:0]
	return nil
}

// walk finds whom a request reaches, and by which port it comes in.
func (m *memory) walk(lid uint16, s *mad.SMP) (*device, uint8) {
	if s.Class == mad.ClassSubnLID {
		for _, d := range m.devices {
			if d.lid == lid && !d.silent {
				return d, 1
			}
		}
		return nil, 0
	}
	at, in := m.devices[m.local], uint8(1)
	for i, out := range s.Route() {
		if i > 0 && at.kind != mad.Switch {
			return nil, 0
		}
		end, ok := at.cables[out]
		if !ok {
			return nil, 0
		}
		at, in = m.devices[end.Node], end.Port
	}
	if at.silent || at.mkey != 0 && s.MKey != at.mkey {
		return nil, 0
	}
	return at, in
}

func (d *device) answer(s *mad.SMP, in uint8) (mad.SMP, bool) {
	if d.refuses != 0 && s.Attribute == mad.AttrPKeyTable {
		return s.Answer(d.refuses, mad.Data{}), true
	}
	var data mad.Data
	switch s.Attribute {
	case mad.AttrNodeDescription:
		data = mad.NodeDescription("node").Encode()
	case mad.AttrNodeInfo:
		info := mad.NodeInfo{BaseVersion: 1, ClassVersion: 1, Type: d.kind, NumPorts: uint8(d.ports), SystemImageGUID: d.guid,
			NodeGUID: d.guid, PortGUID: d.guid + uint64(in), PartitionCap: d.cap, LocalPort: in}
		data = info.Encode()
	case mad.AttrSwitchInfo:
		info := mad.SwitchInfo{PartitionEnforcementCap: d.cap, LinearFDBTop: topLID}
		data = info.Encode()
	case mad.AttrPortInfo:
		info := mad.PortInfo{LID: d.lid, State: mad.PortDown, PhysState: 2, LocalPort: in, PKeyViolations: uint16(s.Modifier)}
		if d.manager {
			info.CapabilityMask = mad.CapIsSM
		}
		if _, plugged := d.cables[uint8(s.Modifier)]; plugged || s.Modifier == 0 {
			if info.State, info.PhysState = mad.PortActive, mad.PhysLinkUp; d.inactive[uint8(s.Modifier)] {
				info.State = mad.PortInit
			}
			if info.MTUCap, info.NeighborMTU = 5, 5; d.narrow[uint8(s.Modifier)] {
				info.NeighborMTU = 1
			}
		}
		data = info.Encode()
	case mad.AttrLinearFDB:
		if d.hides {
			return mad.SMP{}, false
		}
		for i := range data {
			data[i] = mad.NoPort
			if port, sends := d.sends[uint16(s.Modifier)*mad.LIDsABlock+uint16(i)]; sends {
				data[i] = port
			}
		}
	case mad.AttrPKeyTable:
		port, block, err := mad.ParsePKeyModifier(s.Modifier)
		if err != nil || int(block) >= mad.Blocks(d.cap) {
			return s.Answer(mad.StatusInvalidValue, data), true
		}
		var b mad.PKeyBlock
		for i := range b {
			if at := int(block)*mad.BlockKeys + i; at < len(d.keys[port]) {
				b[i] = d.keys[port][at]
			}
		}
		data = b.Encode()
	case mad.AttrSMInfo:
		info := mad.SMInfo{GUID: d.guid + 1, State: mad.SMMaster, Priority: 9}
		data = info.Encode()
	default:
		return s.Answer(mad.StatusAttributeUnsupported, data), true
	}
	return s.Answer(mad.StatusOK, data), true
}

// topLID is the greatest that switches send on.
const topLID = 200

// The fabric of most tests: hosts 0x10 to 0x50 behind two leaves that two spines
// join; host 0x50 has a port on each leaf. Port 8 of each leaf is empty.
func small() *memory {
	m := newMemory(0x10)
	m.tell = true
	leaf := []*device{m.add(&device{guid: 0x1000, kind: mad.Switch, ports: 8, cap: 40}), m.add(&device{guid: 0x2000, kind: mad.Switch, ports: 8, cap: 40})}
	for i := range 2 {
		spine := m.add(&device{guid: 0x3000 + uint64(i)*0x1000, kind: mad.Switch, ports: 4, cap: 40})
		for j, l := range leaf {
			m.cable(l, uint8(6+i), spine, uint8(j+1))
		}
	}
	for i := range 4 {
		h := m.add(&device{guid: 0x10 * uint64(i+1), kind: mad.ChannelAdapter, ports: 1, cap: 64, lid: uint16(i + 1)})
		m.cable(h, 1, leaf[i/2], uint8(i%2+1))
	}
	double := m.add(&device{guid: 0x50, kind: mad.ChannelAdapter, ports: 2, cap: 64})
	m.cable(double, 1, leaf[0], 3)
	m.cable(double, 2, leaf[1], 3)
	for _, d := range m.devices {
		for port := range uint8(9) {
			for k := range int(d.cap) {
				d.keys[port] = append(d.keys[port], mad.PKey(d.guid<<4+uint64(port)<<8+uint64(k)+1))
			}
		}
	}
	return m
}
