package mad

import (
	"encoding/binary"
	"fmt"
)

// Where the parts of an SMP are (14.2.1.1, 14.2.1.2).
const (
	atMKey        = 24
	atDrSLID      = 32
	atDrDLID      = 34
	atData        = 64
	atInitialPath = 128
	atReturnPath  = 192

	// MaxHops is how many links a directed route can have (14.2.2).
	MaxHops = 63

	// PermissiveLID in DrSLID or DrDLID says that this end of the route is
	// walked by directed route, not by LID (14.2.1.2).
	PermissiveLID = 0xffff

	// FirstMulticastLID is above the LIDs of ports (4.1.3).
	FirstMulticastLID = 0xc000
)

// Data is the 64 bytes that an SMP carries.
type Data [64]byte

// Path holds port numbers of a directed route. Entry 0 is not used: hop i leaves
// the node that it is at by port Path[i].
type Path [64]byte

// SMP is a subnet management packet.
type SMP struct {
	Class     Class // ClassSubnLID or ClassSubnDirected
	Method    Method
	Status    Status // 15 bits on a directed route
	TID       uint64
	Attribute Attribute
	Modifier  uint32
	MKey      uint64
	Data      Data

	// Of a directed route only; zero on a LID-routed SMP.
	Returning   bool  // the direction bit: the packet is on its way back
	HopPointer  uint8 // where it is on its way
	HopCount    uint8 // how many links the route has, up to MaxHops
	DrSLID      uint16
	DrDLID      uint16
	InitialPath Path
	ReturnPath  Path
}

// ParseSMP reads an SMP. It is an error if the class is not subnet management,
// a version is not 1, or a directed route is longer than MaxHops.
func ParseSMP(p *Packet) (SMP, error) {
	h := p.Header()
	if !h.Class.IsSubn() {
		return SMP{}, fmt.Errorf("mad: %s, expected an SMP (class 0x01 or 0x81)", h.Class)
	}
	if h.BaseVersion != Version || h.ClassVersion != Version {
		return SMP{}, fmt.Errorf("mad: SMP of base version %d and class version %d, expected %d and %d",
			h.BaseVersion, h.ClassVersion, Version, Version)
	}
	s := SMP{
		Class: h.Class, Method: h.Method, Status: h.Status, TID: h.TID,
		Attribute: h.Attribute, Modifier: h.Modifier,
		MKey: binary.BigEndian.Uint64(p[atMKey:]),
		Data: Data(p[atData:]),
	}
	if h.Class == ClassSubnLID {
		return s, nil
	}
	s.Returning = h.Status&statusDBit != 0
	s.Status = h.Status &^ statusDBit
	s.HopPointer, s.HopCount = p[6], p[7]
	if s.HopCount > MaxHops || s.HopPointer > MaxHops+1 {
		return SMP{}, fmt.Errorf("mad: directed route at hop %d of %d, at most %d hops", s.HopPointer, s.HopCount, MaxHops)
	}
	s.DrSLID = binary.BigEndian.Uint16(p[atDrSLID:])
	s.DrDLID = binary.BigEndian.Uint16(p[atDrDLID:])
	s.InitialPath = Path(p[atInitialPath:])
	s.ReturnPath = Path(p[atReturnPath:])
	return s, nil
}

// Encode writes the SMP.
func (s *SMP) Encode() Packet {
	var p Packet
	h := Header{BaseVersion: Version, Class: s.Class, ClassVersion: Version, Method: s.Method,
		Status: s.Status, TID: s.TID, Attribute: s.Attribute, Modifier: s.Modifier}
	directed := s.Class == ClassSubnDirected
	if directed {
		h.Status &^= statusDBit
		if s.Returning {
			h.Status |= statusDBit
		}
		h.Specific = uint16(s.HopPointer)<<8 | uint16(s.HopCount)
	}
	p.SetHeader(h)
	binary.BigEndian.PutUint64(p[atMKey:], s.MKey)
	copy(p[atData:], s.Data[:])
	if directed {
		binary.BigEndian.PutUint16(p[atDrSLID:], s.DrSLID)
		binary.BigEndian.PutUint16(p[atDrDLID:], s.DrDLID)
		copy(p[atInitialPath:], s.InitialPath[:])
		copy(p[atReturnPath:], s.ReturnPath[:])
	}
	return p
}

// NewByLID makes a request that is routed by LID.
func NewByLID(m Method, a Attribute, modifier uint32) SMP {
	return SMP{Class: ClassSubnLID, Method: m, Attribute: a, Modifier: modifier}
}

// NewByRoute makes a request that leaves the local node by ports[0], the next by
// ports[1], and so on; no ports means the local node itself. It is an error if
// the route is longer than MaxHops.
func NewByRoute(m Method, a Attribute, modifier uint32, ports []byte) (SMP, error) {
	if len(ports) > MaxHops {
		return SMP{}, fmt.Errorf("mad: a directed route of %d hops, at most %d", len(ports), MaxHops)
	}
	s := SMP{Class: ClassSubnDirected, Method: m, Attribute: a, Modifier: modifier,
		DrSLID: PermissiveLID, DrDLID: PermissiveLID, HopCount: uint8(len(ports))}
	copy(s.InitialPath[1:], ports)
	return s, nil
}

// Route returns the ports of a directed route, a slice of s.
func (s *SMP) Route() []byte { return s.InitialPath[1 : 1+int(min(s.HopCount, MaxHops))] }

// Answer makes the response to s: the same transaction, attribute, modifier and
// route, turned back. An M_Key is never in a response (14.2.4).
func (s *SMP) Answer(status Status, data Data) SMP {
	a := *s
	a.Method = s.Method.Response()
	a.Status, a.Data, a.MKey = status, data, 0
	a.Returning = s.Class == ClassSubnDirected
	return a
}
