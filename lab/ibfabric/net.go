package ibfabric

import (
	"bufio"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"bulkhead/fabric/infiniband/mad"
)

// Sizes of tables, as common devices have them.
const (
	hostKeys   = 64
	switchKeys = 64
	linearCap  = 49152 // LIDs
	mcastCap   = 1024
)

// node is a host's adapter or a switch.
type node struct {
	name   string
	guid   uint64
	kind   mad.NodeType
	system uint64
	ports  []*port // of a switch from 0, of a host from 1 (ports[0] is nil)

	// Of a switch.
	linear  []byte
	mcast   map[uint32]mad.Data
	top     uint16
	life    byte
	changed bool

	silent bool // answers nothing
	lie    func(asked, answer *mad.SMP) bool
	desc   mad.Data
}

// port is one port.
type port struct {
	node   *node
	number uint8
	guid   uint64
	peer   *port
	info   mad.PortInfo
	keys   []mad.PKey
	slvl   map[uint32]mad.Data
	vlarb  map[uint32]mad.Data
	lease  leaseClock
	told   map[uint16]time.Time // traps by number: when the last was sent
}

func (n *node) isSwitch() bool { return n.kind == mad.Switch }

// manages is the port whose M_Key guards a port's tables: its own, of a switch
// port 0's (14.2.4).
func (p *port) manages() *port {
	if p.node.isSwitch() {
		return p.node.ports[0]
	}
	return p
}

// read reads a topology in the form of ibsim and ibnetdiscover(8), as far as
// ibsim reads it: a GUID line, a Switch or Ca line, and a line a port.
func (f *Fabric) read(r io.Reader) error {
	type end struct {
		line int
		p    *port
		peer string
		port int
	}
	var ends []end
	named := map[uint64]string{}
	var guid uint64
	var at *node
	scanner := bufio.NewScanner(r)
	scanner.Buffer(nil, 1<<20)
	line := 0
	bad := func(expected string) error {
		return fmt.Errorf("topology line %d: %.80q: expected %s", line, scanner.Text(), expected)
	}
	for scanner.Scan() {
		line++
		text := strings.TrimSpace(scanner.Text())
		if i := strings.IndexByte(text, '#'); i >= 0 && !strings.Contains(text[:i], `"`) {
			text = strings.TrimSpace(text[:i])
		}
		switch {
		case text == "":
		case strings.HasPrefix(text, "switchguid="), strings.HasPrefix(text, "caguid="):
			_, value, _ := strings.Cut(text, "=")
			value, _, _ = strings.Cut(value, "(")
			var err error
			if guid, err = strconv.ParseUint(strings.TrimPrefix(value, "0x"), 16, 64); err != nil || guid == 0 {
				return bad("a GUID")
			}
		case strings.HasPrefix(text, "vendid="), strings.HasPrefix(text, "devid="), strings.HasPrefix(text, "sysimgguid="):
		case strings.HasPrefix(text, "Switch"), strings.HasPrefix(text, "Ca"), strings.HasPrefix(text, "Hca"):
			fields := strings.Fields(text)
			quoted := strings.Split(text, `"`)
			if len(fields) < 3 || len(quoted) < 3 {
				return bad(`Switch COUNT "NAME" or Ca COUNT "NAME"`)
			}
			count, err := strconv.Atoi(fields[1])
			if err != nil || count < 1 || count > 254 {
				return bad("1 to 254 ports")
			}
			if guid == 0 {
				return bad("a line with its GUID before it")
			}
			kind := mad.ChannelAdapter
			if fields[0] == "Switch" {
				kind = mad.Switch
			}
			if other := named[guid]; other != "" {
				return fmt.Errorf("topology line %d: %q and %q: a second node of this GUID", line, other, quoted[1])
			}
			named[guid] = quoted[1]
			if at, err = f.add(quoted[1], guid, kind, count); err != nil {
				return fmt.Errorf("topology line %d: %w", line, err)
			}
			guid = 0
		case strings.HasPrefix(text, "["):
			number, rest, ok := strings.Cut(text[1:], "]")
			n, err := strconv.Atoi(number)
			quoted := strings.Split(rest, `"`)
			if !ok || err != nil || at == nil || n < 1 || n >= len(at.ports) || len(quoted) < 3 {
				return bad(`[PORT] "PEER"[PORT] of the node above`)
			}
			remote, _, _ := strings.Cut(strings.TrimPrefix(quoted[2], "["), "]")
			m, err := strconv.Atoi(remote)
			if err != nil || m < 1 {
				return bad("the peer's port number")
			}
			ends = append(ends, end{line, at.ports[n], quoted[1], m})
		default:
			return bad("a line of a topology file")
		}
	}
	if err := scanner.Err(); err != nil {
		return err
	}
	for _, e := range ends {
		peer := f.byName[e.peer]
		if peer == nil || e.port >= len(peer.ports) {
			return fmt.Errorf("topology line %d: no port %d of %q", e.line, e.port, e.peer)
		}
		other := peer.ports[e.port]
		if other == e.p || e.p.peer != nil && e.p.peer != other || other.peer != nil && other.peer != e.p {
			return fmt.Errorf("topology line %d: a port with two cables, or one that leads back to it", e.line)
		}
		e.p.peer, other.peer = other, e.p
	}
	if len(f.nodes) == 0 {
		return fmt.Errorf("topology: no node")
	}
	for _, n := range f.nodes {
		for _, p := range n.ports {
			if p != nil {
				p.linkState()
			}
		}
	}
	return nil
}

func (f *Fabric) add(name string, guid uint64, kind mad.NodeType, count int) (*node, error) {
	if f.byName[name] != nil {
		return nil, fmt.Errorf("%q: a second node of this name", name)
	}
	n := &node{name: name, guid: guid, system: guid, kind: kind, ports: make([]*port, count+1), desc: mad.NodeDescription(name).Encode()}
	for i := range n.ports {
		if i == 0 && kind != mad.Switch {
			continue
		}
		p := &port{node: n, number: uint8(i), guid: guid + uint64(i), slvl: map[uint32]mad.Data{}, vlarb: map[uint32]mad.Data{}, told: map[uint16]time.Time{}}
		size := hostKeys
		if kind == mad.Switch {
			p.guid = guid
			if i > 0 {
				size = switchKeys
			}
		}
		p.keys = make([]mad.PKey, size)
		p.keys[0] = mad.DefaultPKey // as devices come up (10.9.1.2)
		p.info = freshPort(kind, i)
		n.ports[i] = p
	}
	if kind == mad.Switch {
		n.linear = make([]byte, linearCap)
		for i := range n.linear {
			n.linear[i] = 0xff
		}
		n.mcast = map[uint32]mad.Data{}
	}
	f.nodes = append(f.nodes, n)
	f.byName[name] = n
	return n, nil
}

// freshPort is a port that nobody has configured.
func freshPort(kind mad.NodeType, number int) mad.PortInfo {
	info := mad.PortInfo{
		LocalPort: uint8(number), LinkWidthEnabled: 3, LinkWidthSupported: 3, LinkWidthActive: 2,
		LinkSpeedSupported: 7, LinkSpeedActive: 4, LinkSpeedEnabled: 7, State: mad.PortDown, PhysState: 2, LinkDownDefault: 2,
		NeighborMTU: 4, MTUCap: 4, VLCap: 4, OperationalVLs: 4, VLArbHighCap: 8, VLArbLowCap: 8, VLStallCount: 7, HOQLife: 16, RespTime: 16,
		GIDPrefix: 0xfe80000000000000, InitType: 0,
	}
	if kind != mad.Switch {
		info.CapabilityMask = mad.CapTrap | mad.CapMKeyNVRAM | mad.CapPKeySwitchExternalTrap | mad.CapCommunicationManagement | mad.CapClientReregistration | mad.CapCapabilityMaskNotice
		info.GUIDCap = 32
	} else if number == 0 {
		info.CapabilityMask = mad.CapTrap | mad.CapPKeySwitchExternalTrap
		info.GUIDCap = 1
		info.State, info.PhysState = mad.PortActive, mad.PhysLinkUp
	}
	return info
}

// linkState follows the cable: a port with somebody at the other end comes up and
// waits to be configured.
func (p *port) linkState() {
	if p.node.isSwitch() && p.number == 0 {
		return
	}
	if p.peer == nil {
		p.info.State, p.info.PhysState = mad.PortDown, 2
		return
	}
	if p.info.PhysState != mad.PhysLinkUp {
		p.info.State, p.info.PhysState = mad.PortInit, mad.PhysLinkUp
	}
}
