// Package infiniband is the raw read-back of an InfiniBand leaf, as it is on the wire.
// It is the attributes that subnet management packets (SMPs) return from the switch
// itself and from the HCAs behind its ports, in a thin framing.
//
// Framing. All numbers are big-endian, as in the SMPs. Attributes are those of
// the InfiniBand Architecture Specification volume 1, chapter 14.2.5:
//
//	magic       8 bytes "IBSMP/1\n"
//	NodeInfo    40 bytes, of the switch (14.2.5.3)
//	SwitchInfo  20 bytes (14.2.5.4); PartitionEnforcementCap at byte 14
//	count       1 byte: ports that follow, ascending by number, each:
//	  number    1 byte, from 1
//	  PortInfo  64 bytes, of the switch port (14.2.5.6); byte 43 bits 3 and 2 are
//	            PartitionEnforcementInbound and -Outbound
//	  blocks    P_KeyTable blocks (14.2.5.7) of the switch port: 64 bytes each,
//	            32 P_Keys of 16 bits, as many as PartitionEnforcementCap needs
//	  present   1 byte: 1 if a node answered behind the port, else 0 and no more
//	  NodeInfo  40 bytes, of that node; PartitionCap at byte 28
//	  blocks    P_KeyTable blocks of its port, as many as PartitionCap needs
//
// Where the reader has followed the forwarding tables as well, what came of it is behind
// the ports, and the magic another: see [Follow].
//
// The package is pure.
package infiniband

import (
	"encoding/binary"
	"fmt"

	"bulkhead/fabric"
)

// Source is the Source of readings in this encoding.
const Source = "smp"

const (
	magic          = "IBSMP/1\n"
	nodeInfoSize   = 40
	switchInfoSize = 20
	portInfoSize   = 64
	blockSize      = 64 // bytes of a P_KeyTable block
	blockKeys      = 32

	atNodeType     = 2  // NodeInfo: 1 channel adapter, 2 switch
	atNodeGUID     = 12 // NodeInfo
	atPortGUID     = 20 // NodeInfo
	atPartitionCap = 28 // NodeInfo
	atEnforceCap   = 14 // SwitchInfo
	atPortState    = 32 // PortInfo, low four bits: 1 down, 4 active
	atEnforce      = 43 // PortInfo
	enforceIn      = 1 << 3
	enforceOut     = 1 << 2

	fullMembership = 0x8000 // P_Key
	keyBits        = 0x7fff

	maxCap = 8192 // P_Keys: far above any device's, keeps hostile input small
)

// Header is what a capture says of the leaf itself.
type Header struct {
	GUID    uint64 // of the switch
	LeafCap int    // P_Keys that a switch port's table holds
	NICCap  int    // P_Keys that an HCA's table holds; for Encode only
}

// Encode writes the capture of one leaf as its SMPs would give it. Readings are
// ascending by LeafPort. A reading with Neighbour 0 has nobody behind the port,
// and its NIC table must be empty. Full is not written: it follows from the
// tables.
func Encode(h Header, readings []fabric.Reading) ([]byte, error) {
	if h.LeafCap < 0 || h.LeafCap > maxCap || h.NICCap < 1 || h.NICCap > maxCap {
		return nil, fmt.Errorf("infiniband capture: tables of %d and %d P_Keys: expected up to %d", h.LeafCap, h.NICCap, maxCap)
	}
	if len(readings) > 255 {
		return nil, fmt.Errorf("infiniband capture: %d ports, at most 255", len(readings))
	}
	size := len(magic) + nodeInfoSize + switchInfoSize + 1 +
		len(readings)*(1+portInfoSize+blocks(h.LeafCap)*blockSize+1+nodeInfoSize+blocks(h.NICCap)*blockSize)
	b := append(make([]byte, 0, size), magic...)
	b = appendNodeInfo(b, 2, byte(len(readings)), h.GUID, 0)
	var info [switchInfoSize]byte
	binary.BigEndian.PutUint16(info[atEnforceCap:], uint16(h.LeafCap))
	b = append(b, info[:]...)
	b = append(b, byte(len(readings)))
	last := 0
	for i := range readings {
		r := &readings[i]
		if r.LeafPort <= last || r.LeafPort > 254 {
			return nil, fmt.Errorf("infiniband capture: port %d after port %d: expected ascending numbers up to 254", r.LeafPort, last)
		}
		last = r.LeafPort
		b = append(b, byte(r.LeafPort))
		var port [portInfoSize]byte
		port[atPortState] = 1
		if r.Neighbour != 0 {
			port[atPortState] = 4
		}
		if r.EnforceIn {
			port[atEnforce] |= enforceIn
		}
		if r.EnforceOut {
			port[atEnforce] |= enforceOut
		}
		b = append(b, port[:]...)
		var err error
		if b, err = appendTable(b, r.Leaf, h.LeafCap); err != nil {
			return nil, fmt.Errorf("infiniband capture: port %d: leaf table: %w", r.LeafPort, err)
		}
		if r.Neighbour == 0 {
			if len(r.NIC) > 0 {
				return nil, fmt.Errorf("infiniband capture: port %d: a NIC table, but nobody behind the port", r.LeafPort)
			}
			b = append(b, 0)
			continue
		}
		b = append(b, 1)
		b = appendNodeInfo(b, 1, 1, r.Neighbour, h.NICCap)
		if b, err = appendTable(b, r.NIC, h.NICCap); err != nil {
			return nil, fmt.Errorf("infiniband capture: port %d: NIC table: %w", r.LeafPort, err)
		}
	}
	return b, nil
}

func blocks(limit int) int { return (limit + blockKeys - 1) / blockKeys }

func appendNodeInfo(b []byte, kind, ports byte, guid uint64, partitionCap int) []byte {
	var info [nodeInfoSize]byte
	info[0], info[1], info[atNodeType], info[3] = 1, 1, kind, ports
	binary.BigEndian.PutUint64(info[4:], guid)
	binary.BigEndian.PutUint64(info[atNodeGUID:], guid)
	binary.BigEndian.PutUint64(info[atPortGUID:], guid)
	binary.BigEndian.PutUint16(info[atPartitionCap:], uint16(partitionCap))
	return append(b, info[:]...)
}

func appendTable(b []byte, members []fabric.Member, limit int) ([]byte, error) {
	if len(members) > limit {
		return nil, fmt.Errorf("%d P_Keys, it holds %d", len(members), limit)
	}
	for _, m := range members {
		if !m.Valid() || m.Value() > keyBits {
			return nil, fmt.Errorf("member 0x%08x is no P_Key", uint32(m))
		}
		key := uint16(m.Value())
		if m.IsFull() {
			key |= fullMembership
		}
		b = binary.BigEndian.AppendUint16(b, key)
	}
	return append(b, make([]byte, blocks(limit)*blockSize-2*len(members))...), nil
}

// DecodeError says where a capture is not as documented.
type DecodeError struct {
	Offset int    // byte
	Port   int    // leaf port, 0 before the first
	What   string // what was expected
}

func (e *DecodeError) Error() string {
	return fmt.Sprintf("infiniband capture: byte %d, port %d: expected %s", e.Offset, e.Port, e.What)
}

// Decode reads the capture of one leaf. It refuses what is cut off, has bytes
// left over, or has ports out of order; attributes that it does not need are not
// judged. An entry whose key is 0 is empty whatever its membership bit (IBTA
// 10.9.1.1): it matches no packet. Cost: about 8 µs for 64 ports.
func Decode(raw []byte) ([]fabric.Reading, error) {
	_, readings, err := decode(raw)
	return readings, err
}

// cursor walks through a capture.
type cursor struct {
	raw  []byte
	at   int
	port int
}

func (c *cursor) take(n int, what string) ([]byte, error) {
	if len(c.raw)-c.at < n {
		return nil, c.expected(what)
	}
	b := c.raw[c.at : c.at+n]
	c.at += n
	return b, nil
}

func (c *cursor) expected(what string) error { return &DecodeError{c.at, c.port, what} }

func decode(raw []byte) (Header, []fabric.Reading, error) {
	c := cursor{raw: raw}
	head, err := c.take(len(magic), "the magic "+magic[:7])
	if err != nil || string(head) != magic && string(head) != followed {
		c.at = 0
		return Header{}, nil, c.expected("the magic " + magic[:7])
	}
	node, err := c.take(nodeInfoSize, "the switch's NodeInfo")
	if err != nil {
		return Header{}, nil, err
	}
	if node[atNodeType] != 2 {
		return Header{}, nil, c.expected("node type 2 before it: a switch")
	}
	h := Header{GUID: binary.BigEndian.Uint64(node[atNodeGUID:])}
	info, err := c.take(switchInfoSize, "the SwitchInfo")
	if err != nil {
		return Header{}, nil, err
	}
	if h.LeafCap = int(binary.BigEndian.Uint16(info[atEnforceCap:])); h.LeafCap > maxCap {
		return Header{}, nil, c.expected("a PartitionEnforcementCap of at most 8192 before it")
	}
	count, err := c.take(1, "the number of ports")
	if err != nil {
		return Header{}, nil, err
	}
	readings := make([]fabric.Reading, 0, count[0])
	members := make([]fabric.Member, 0, 4*int(count[0]))
	for range count[0] {
		var r fabric.Reading
		if members, err = c.readPort(&r, h.LeafCap, members); err != nil {
			return Header{}, nil, err
		}
		readings = append(readings, r)
	}
	if string(head) == followed {
		if err := c.readUnreached(readings); err != nil {
			return Header{}, nil, err
		}
	}
	if c.at != len(raw) {
		return Header{}, nil, c.expected("the end")
	}
	return h, readings, nil
}

func (c *cursor) readPort(r *fabric.Reading, leafCap int, members []fabric.Member) ([]fabric.Member, error) {
	number, err := c.take(1, "a port number")
	if err != nil {
		return members, err
	}
	if int(number[0]) <= c.port || number[0] == 255 {
		c.at--
		return members, c.expected("a greater port number, up to 254")
	}
	c.port = int(number[0])
	r.LeafPort = c.port
	info, err := c.take(portInfoSize, "a PortInfo")
	if err != nil {
		return members, err
	}
	// A switch that holds no P_Keys for its ports enforces nothing, whatever its
	// enforcement bits say.
	r.EnforceIn = info[atEnforce]&enforceIn != 0 && leafCap > 0
	r.EnforceOut = info[atEnforce]&enforceOut != 0 && leafCap > 0
	var used int
	if r.Leaf, members, used, err = c.readTable(leafCap, members); err != nil {
		return members, err
	}
	r.Full = leafCap > 0 && used >= leafCap
	present, err := c.take(1, "whether a node answered")
	if err != nil {
		return members, err
	}
	if present[0] == 0 {
		return members, nil
	}
	if present[0] != 1 {
		c.at--
		return members, c.expected("0 or 1")
	}
	node, err := c.take(nodeInfoSize, "the NodeInfo behind the port")
	if err != nil {
		return members, err
	}
	if r.Neighbour = binary.BigEndian.Uint64(node[atPortGUID:]); r.Neighbour == 0 {
		return members, c.expected("a port GUID before it that is not 0")
	}
	nicCap := int(binary.BigEndian.Uint16(node[atPartitionCap:]))
	if nicCap > maxCap {
		return members, c.expected("a PartitionCap of at most 8192 before it")
	}
	if r.NIC, members, used, err = c.readTable(nicCap, members); err != nil {
		return members, err
	}
	r.Full = r.Full || used >= nicCap
	return members, nil
}

// readTable reads the blocks of a table. The members it returns are a part of
// the slice that all ports share, so that a leaf costs a few allocations.
func (c *cursor) readTable(limit int, members []fabric.Member) (table, all []fabric.Member, used int, err error) {
	raw, err := c.take(blocks(limit)*blockSize, "the blocks of a P_Key table")
	if err != nil {
		return nil, members, 0, err
	}
	first := len(members)
	for i := 0; i < len(raw); i += 8 {
		if binary.BigEndian.Uint64(raw[i:]) == 0 {
			continue // most of a table is empty
		}
		for j := i; j < i+8; j += 2 {
			key := binary.BigEndian.Uint16(raw[j:])
			if key == 0 {
				continue
			}
			if j/2 >= limit {
				c.at -= len(raw) - j
				return nil, members, 0, c.expected(fmt.Sprintf("no P_Key beyond the table's %d", limit))
			}
			used++
			value := uint32(key & keyBits)
			switch {
			case value == 0:
			case key&fullMembership != 0:
				members = append(members, fabric.Full(value))
			default:
				members = append(members, fabric.Limited(value))
			}
		}
	}
	if len(members) == first {
		return nil, members, used, nil
	}
	return members[first:len(members):len(members)], members, used, nil
}
