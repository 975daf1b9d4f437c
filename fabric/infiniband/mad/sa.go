package mad

import (
	"encoding/binary"
	"fmt"
)

// SAVersion is the class version of subnet administration (15.2.1).
const SAVersion = 2

// SADataSize is how many bytes of attributes an SA packet carries.
const SADataSize = 200

// RMPPType is what a packet of a reliable multi-packet transfer is (13.6.2).
type RMPPType uint8

// The RMPP packet types.
const (
	RMPPData RMPPType = 1
)

// The RMPP flags (13.6.2.1).
const (
	RMPPActive = 1
)

// RMPP is the header of a reliable multi-packet transfer (13.6.2). Data1 and
// Data2 of a data packet are the segment's number and the payload's length, of
// an acknowledgement the last segment seen and the last of the new window.
type RMPP struct {
	Version   uint8 // 1 where RMPP is active
	Type      RMPPType
	RRespTime uint8 // 5 bits
	Flags     uint8 // 3 bits
	Status    uint8
	Data1     uint32
	Data2     uint32
}

// SA is a packet of subnet administration (15.2.1.1). Components says which
// fields of the record in Data a query compares: bit i is the i-th field.
type SA struct {
	Method          Method
	Status          Status
	TID             uint64
	Attribute       Attribute
	Modifier        uint32
	RMPP            RMPP
	SMKey           uint64
	AttributeOffset uint16 // bytes from one record to the next, in units of 8
	Components      uint64
	Data            [SADataSize]byte
}

// ParseSA reads an SA packet. It is an error if the class is another or a
// version is not what this package knows.
func ParseSA(p *Packet) (SA, error) {
	h := p.Header()
	if h.Class != ClassSubnAdm || h.BaseVersion != Version || h.ClassVersion != SAVersion {
		return SA{}, fmt.Errorf("mad: %s of base version %d and class version %d, expected %s of %d and %d",
			h.Class, h.BaseVersion, h.ClassVersion, ClassSubnAdm, Version, SAVersion)
	}
	return SA{
		Method: h.Method, Status: h.Status, TID: h.TID, Attribute: h.Attribute, Modifier: h.Modifier,
		RMPP: RMPP{
			Version: p[24], Type: RMPPType(p[25]), RRespTime: p[26] >> 3, Flags: p[26] & 7, Status: p[27],
			Data1: binary.BigEndian.Uint32(p[28:]), Data2: binary.BigEndian.Uint32(p[32:]),
		},
		SMKey:           binary.BigEndian.Uint64(p[36:]),
		AttributeOffset: binary.BigEndian.Uint16(p[44:]),
		Components:      binary.BigEndian.Uint64(p[48:]),
		Data:            [SADataSize]byte(p[56:]),
	}, nil
}

// Encode writes the SA packet.
func (s *SA) Encode() Packet {
	var p Packet
	p.SetHeader(Header{BaseVersion: Version, Class: ClassSubnAdm, ClassVersion: SAVersion, Method: s.Method,
		Status: s.Status, TID: s.TID, Attribute: s.Attribute, Modifier: s.Modifier})
	p[24], p[25] = s.RMPP.Version, byte(s.RMPP.Type)
	p[26], p[27] = s.RMPP.RRespTime<<3|s.RMPP.Flags&7, s.RMPP.Status
	binary.BigEndian.PutUint32(p[28:], s.RMPP.Data1)
	binary.BigEndian.PutUint32(p[32:], s.RMPP.Data2)
	binary.BigEndian.PutUint64(p[36:], s.SMKey)
	binary.BigEndian.PutUint16(p[44:], s.AttributeOffset)
	binary.BigEndian.PutUint64(p[48:], s.Components)
	copy(p[56:], s.Data[:])
	return p
}
