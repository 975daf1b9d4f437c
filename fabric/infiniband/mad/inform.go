package mad

import (
	"encoding/binary"
	"fmt"
)

// What fields of an InformInfo say that leave nothing out.
const (
	EveryLID      = 0xffff
	EveryTrap     = 0xffff // also of the kinds of notice
	EveryProducer = 0xffffff
)

// InformInfo is the attribute by which somebody asks a manager to pass notices on,
// or to stop it (13.4.8.3).
type InformInfo struct {
	GID       [16]byte // of the port whose notices are meant; zero: LIDs are
	FirstLID  uint16
	LastLID   uint16
	Generic   bool
	Subscribe bool
	Kind      uint16 // of the notices: fatal, urgent, security, ...
	Number    uint16 // of the trap if generic, else the device
	QPN       uint32 // 24 bits; read by the manager when somebody unsubscribes
	RespTime  uint8  // 5 bits: how long the subscriber may take to answer
	Producer  uint32 // 24 bits: a node type if generic, else the vendor
}

// ParseInformInfo reads an InformInfo from the data of a packet of subnet
// administration.
func ParseInformInfo(d *[SADataSize]byte) InformInfo {
	return InformInfo{
		GID:      [16]byte(d[0:]),
		FirstLID: binary.BigEndian.Uint16(d[16:]), LastLID: binary.BigEndian.Uint16(d[18:]),
		Generic: bit(d[22], 0), Subscribe: bit(d[23], 0),
		Kind: binary.BigEndian.Uint16(d[24:]), Number: binary.BigEndian.Uint16(d[26:]),
		QPN: uint24(d[28:]), RespTime: d[31] & 0x1f,
		Producer: uint24(d[33:]),
	}
}

// Encode writes an InformInfo.
func (i *InformInfo) Encode() (d [SADataSize]byte) {
	copy(d[0:], i.GID[:])
	binary.BigEndian.PutUint16(d[16:], i.FirstLID)
	binary.BigEndian.PutUint16(d[18:], i.LastLID)
	d[22], d[23] = flag(i.Generic, 0), flag(i.Subscribe, 0)
	binary.BigEndian.PutUint16(d[24:], i.Kind)
	binary.BigEndian.PutUint16(d[26:], i.Number)
	putUint24(d[28:], i.QPN)
	d[31] = i.RespTime & 0x1f
	putUint24(d[33:], i.Producer)
	return d
}

// Forwarded is a notice that a manager passes on to a subscriber, a report
// (13.4.10).
type Forwarded struct {
	Notice Notice
	Issuer [16]byte // GID of who noticed

	packet Packet
}

// ParseReport reads a report of subnet administration. It is an error if the packet
// is anything else.
func ParseReport(p *Packet) (Forwarded, error) {
	s, err := ParseSA(p)
	if err != nil {
		return Forwarded{}, err
	}
	if s.Method != Report || s.Attribute != AttrNotice {
		return Forwarded{}, fmt.Errorf("mad: %s of attribute 0x%04x, expected a report of a notice", s.Method, uint16(s.Attribute))
	}
	d := Data(s.Data[:])
	return Forwarded{Notice: ParseNotice(&d), Issuer: [16]byte(s.Data[len(d):]), packet: *p}, nil
}

// Answer is the response that the manager waits for: the same packet, back. Without
// it the manager asks again, and then forgets the subscription.
func (f *Forwarded) Answer() Packet {
	out := f.packet
	h := out.Header()
	h.Method, h.Status = ReportResp, StatusOK
	out.SetHeader(h)
	return out
}
