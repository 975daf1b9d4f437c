package mad

import (
	"bytes"
	"encoding/binary"
	"fmt"
)

// NodeType is what a node is (14.2.5.3).
type NodeType uint8

// The node types.
const (
	ChannelAdapter NodeType = 1
	Switch         NodeType = 2
	Router         NodeType = 3
)

func (t NodeType) String() string {
	switch t {
	case ChannelAdapter:
		return "channel adapter"
	case Switch:
		return "switch"
	case Router:
		return "router"
	}
	return fmt.Sprintf("node type %d", uint8(t))
}

// NodeInfo says what a node is, and through which of its ports it was asked
// (14.2.5.3).
type NodeInfo struct {
	BaseVersion     uint8
	ClassVersion    uint8
	Type            NodeType
	NumPorts        uint8 // physical ports; a switch has port 0 besides
	SystemImageGUID uint64
	NodeGUID        uint64
	PortGUID        uint64 // of the port that answered; a switch has one, port 0's
	PartitionCap    uint16 // P_Keys in a host port's table, or in a switch's port 0's
	DeviceID        uint16
	Revision        uint32
	LocalPort       uint8  // the port by which the request came in
	VendorID        uint32 // 24 bits
}

// ParseNodeInfo reads a NodeInfo.
func ParseNodeInfo(d *Data) NodeInfo {
	return NodeInfo{
		BaseVersion: d[0], ClassVersion: d[1], Type: NodeType(d[2]), NumPorts: d[3],
		SystemImageGUID: binary.BigEndian.Uint64(d[4:]),
		NodeGUID:        binary.BigEndian.Uint64(d[12:]),
		PortGUID:        binary.BigEndian.Uint64(d[20:]),
		PartitionCap:    binary.BigEndian.Uint16(d[28:]),
		DeviceID:        binary.BigEndian.Uint16(d[30:]),
		Revision:        binary.BigEndian.Uint32(d[32:]),
		LocalPort:       d[36],
		VendorID:        uint24(d[37:]),
	}
}

// Encode writes a NodeInfo.
func (n *NodeInfo) Encode() Data {
	var d Data
	d[0], d[1], d[2], d[3] = n.BaseVersion, n.ClassVersion, byte(n.Type), n.NumPorts
	binary.BigEndian.PutUint64(d[4:], n.SystemImageGUID)
	binary.BigEndian.PutUint64(d[12:], n.NodeGUID)
	binary.BigEndian.PutUint64(d[20:], n.PortGUID)
	binary.BigEndian.PutUint16(d[28:], n.PartitionCap)
	binary.BigEndian.PutUint16(d[30:], n.DeviceID)
	binary.BigEndian.PutUint32(d[32:], n.Revision)
	d[36] = n.LocalPort
	putUint24(d[37:], n.VendorID)
	return d
}

// NodeDescription is the text that a node has for people (14.2.5.2): up to 64
// bytes of UTF-8, ended by a NUL if shorter. Anybody who holds the node can
// write it, so it identifies nothing.
type NodeDescription string

// ParseNodeDescription reads up to the first NUL.
func ParseNodeDescription(d *Data) NodeDescription {
	text := d[:]
	if end := bytes.IndexByte(text, 0); end >= 0 {
		text = text[:end]
	}
	return NodeDescription(text)
}

// Encode writes the text, cut after 64 bytes.
func (n NodeDescription) Encode() Data {
	var d Data
	copy(d[:], n)
	return d
}

// GUIDBlock is eight entries of a port's GUID table (14.2.5.5); the attribute
// modifier is the block's number. Entry 0 of block 0 is the port's own GUID.
type GUIDBlock [8]uint64

// Encode writes a GUIDInfo.
func (g *GUIDBlock) Encode() Data {
	var d Data
	for i, guid := range g {
		binary.BigEndian.PutUint64(d[8*i:], guid)
	}
	return d
}

func uint24(b []byte) uint32 { return uint32(b[0])<<16 | uint32(b[1])<<8 | uint32(b[2]) }

func putUint24(b []byte, v uint32) { b[0], b[1], b[2] = byte(v>>16), byte(v>>8), byte(v) }

func bit(b byte, n uint) bool { return b>>n&1 != 0 }

func flag(on bool, n uint) byte {
	if on {
		return 1 << n
	}
	return 0
}
