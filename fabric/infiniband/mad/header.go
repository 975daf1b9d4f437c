package mad

import (
	"encoding/binary"
	"fmt"
)

// Size is the length of every MAD in bytes (13.4.2).
const Size = 256

// Packet is one MAD as it is on the wire.
type Packet [Size]byte

// Class is the management class (13.4.4).
type Class uint8

// The classes that this package knows.
const (
	ClassSubnLID      Class = 0x01 // subnet management, LID routed
	ClassSubnAdm      Class = 0x03 // subnet administration
	ClassPerf         Class = 0x04 // performance management
	ClassSubnDirected Class = 0x81 // subnet management, directed route
)

// IsSubn reports whether c is one of the two subnet management classes, which
// travel on QP0.
func (c Class) IsSubn() bool { return c == ClassSubnLID || c == ClassSubnDirected }

func (c Class) String() string {
	switch c {
	case ClassSubnLID:
		return "SubnLID"
	case ClassSubnAdm:
		return "SubnAdm"
	case ClassPerf:
		return "Perf"
	case ClassSubnDirected:
		return "SubnDirected"
	}
	return fmt.Sprintf("class 0x%02x", uint8(c))
}

// Method is the method with the response bit, 0x80 (13.4.5, 15.2.2).
type Method uint8

// The methods.
const (
	Get          Method = 0x01
	Set          Method = 0x02
	Send         Method = 0x03
	Trap         Method = 0x05
	Report       Method = 0x06
	TrapRepress  Method = 0x07
	GetTable     Method = 0x12
	Delete       Method = 0x15
	GetResp      Method = 0x81 // the answer to Get and to Set
	ReportResp   Method = 0x86
	GetTableResp Method = 0x92
	DeleteResp   Method = 0x95

	responseBit Method = 0x80
)

// IsResponse reports whether the packet answers another. TrapRepress ends a
// trap without being a response in this sense.
func (m Method) IsResponse() bool { return m&responseBit != 0 }

// Response is the method that answers m: GetResp for Get and Set, m with the
// response bit for others.
func (m Method) Response() Method {
	if m == Set {
		return GetResp
	}
	return m | responseBit
}

func (m Method) String() string {
	switch m {
	case Get:
		return "Get"
	case Set:
		return "Set"
	case Send:
		return "Send"
	case Trap:
		return "Trap"
	case Report:
		return "Report"
	case TrapRepress:
		return "TrapRepress"
	case GetTable:
		return "GetTable"
	case Delete:
		return "Delete"
	case GetResp:
		return "GetResp"
	case ReportResp:
		return "ReportResp"
	case GetTableResp:
		return "GetTableResp"
	case DeleteResp:
		return "DeleteResp"
	}
	return fmt.Sprintf("method 0x%02x", uint8(m))
}

// Attribute names what a packet carries (13.4.8, 14.2.5, 15.2.5).
type Attribute uint16

// The attributes. Those from NodeRecord on are of subnet administration only.
const (
	AttrClassPortInfo   Attribute = 0x0001
	AttrNotice          Attribute = 0x0002
	AttrInformInfo      Attribute = 0x0003
	AttrNodeDescription Attribute = 0x0010
	AttrNodeInfo        Attribute = 0x0011
	AttrSwitchInfo      Attribute = 0x0012
	AttrGUIDInfo        Attribute = 0x0014
	AttrPortInfo        Attribute = 0x0015
	AttrPKeyTable       Attribute = 0x0016
	AttrSLtoVL          Attribute = 0x0017
	AttrVLArbitration   Attribute = 0x0018
	AttrLinearFDB       Attribute = 0x0019
	AttrMulticastFDB    Attribute = 0x001b
	AttrSMInfo          Attribute = 0x0020

	AttrNodeRecord     Attribute = 0x0011
	AttrPKeyRecord     Attribute = 0x0033
	AttrMCMemberRecord Attribute = 0x0038
)

// HeaderSize is how many bytes the common header has.
const HeaderSize = 24

// Version is the only base version, and the class version of subnet management
// (13.4.3, 14.2.1).
const Version = 1

// Header is the common MAD header (13.4.3). On a directed-route SMP the
// direction bit is part of Status as it is on the wire; [SMP] takes it apart.
type Header struct {
	BaseVersion  uint8 // 1
	Class        Class
	ClassVersion uint8 // 1 for subnet management, 2 for subnet administration
	Method       Method
	Status       Status
	Specific     uint16 // of the class: hop pointer and count on a directed route
	TID          uint64 // transaction id: a response carries the request's
	Attribute    Attribute
	Modifier     uint32 // attribute modifier
}

// Header reads the common header.
func (p *Packet) Header() Header {
	return Header{
		BaseVersion:  p[0],
		Class:        Class(p[1]),
		ClassVersion: p[2],
		Method:       Method(p[3]),
		Status:       Status(binary.BigEndian.Uint16(p[4:])),
		Specific:     binary.BigEndian.Uint16(p[6:]),
		TID:          binary.BigEndian.Uint64(p[8:]),
		Attribute:    Attribute(binary.BigEndian.Uint16(p[16:])),
		Modifier:     binary.BigEndian.Uint32(p[20:]),
	}
}

// SetHeader writes the common header and leaves the rest.
func (p *Packet) SetHeader(h Header) {
	p[0], p[1], p[2], p[3] = h.BaseVersion, byte(h.Class), h.ClassVersion, byte(h.Method)
	binary.BigEndian.PutUint16(p[4:], uint16(h.Status))
	binary.BigEndian.PutUint16(p[6:], h.Specific)
	binary.BigEndian.PutUint64(p[8:], h.TID)
	binary.BigEndian.PutUint16(p[16:], uint16(h.Attribute))
	binary.BigEndian.PutUint16(p[18:], 0)
	binary.BigEndian.PutUint32(p[20:], h.Modifier)
}

// TID reads the transaction id alone.
func (p *Packet) TID() uint64 { return binary.BigEndian.Uint64(p[8:]) }

// SetTID writes the transaction id alone.
func (p *Packet) SetTID(tid uint64) { binary.BigEndian.PutUint64(p[8:], tid) }
