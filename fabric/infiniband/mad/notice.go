package mad

import "encoding/binary"

// Trap numbers of subnet management (14.2.5.1).
const (
	TrapLinkStateChange = 128 // a port of the switch that sends it
	TrapCapability      = 144 // capability mask or another local change
	TrapBadMKey         = 256
	TrapBadPKey         = 257 // at an end port
	TrapBadQKey         = 258
	TrapBadPKeySwitch   = 259 // at an external port of a switch
)

// Severity of a generic notice (13.4.8.2).
const (
	NoticeUrgent        = 1
	NoticeSecurity      = 2
	NoticeInformational = 4
)

// noticeDetails is how many bytes of details a notice has.
const noticeDetails = 54

// Details is what a notice says beyond its number; BadMKey, BadKey and so on
// write it.
type Details [noticeDetails]byte

// Notice is the attribute of a trap (13.4.8.2). Only generic notices have a trap
// number; others have a device and a vendor.
type Notice struct {
	Generic  bool
	Type     uint8  // 7 bits: severity
	Producer uint32 // 24 bits: the node type if generic, else the vendor
	Number   uint16 // the trap number if generic, else the device
	Issuer   uint16 // LID of who noticed
	Toggle   bool
	Count    uint16 // 15 bits
	Details  Details
}

// ParseNotice reads a notice.
func ParseNotice(d *Data) Notice {
	toggle := binary.BigEndian.Uint16(d[8:])
	return Notice{
		Generic: bit(d[0], 7), Type: d[0] & 0x7f, Producer: uint24(d[1:]),
		Number: binary.BigEndian.Uint16(d[4:]),
		Issuer: binary.BigEndian.Uint16(d[6:]),
		Toggle: toggle&0x8000 != 0, Count: toggle & 0x7fff,
		Details: Details(d[10:]),
	}
}

// Encode writes a notice.
func (n *Notice) Encode() Data {
	var d Data
	d[0] = flag(n.Generic, 7) | n.Type&0x7f
	putUint24(d[1:], n.Producer)
	binary.BigEndian.PutUint16(d[4:], n.Number)
	binary.BigEndian.PutUint16(d[6:], n.Issuer)
	binary.BigEndian.PutUint16(d[8:], uint16(flag(n.Toggle, 7))<<8|n.Count&0x7fff)
	copy(d[10:], n.Details[:])
	return d
}

// LinkChange is the details of trap 128: a link of that switch changed state.
type LinkChange struct {
	LID uint16
}

// Encode writes the details of trap 128.
func (c *LinkChange) Encode() Details {
	var d Details
	binary.BigEndian.PutUint16(d[0:], c.LID)
	return d
}

// LocalChange is the details of trap 144: the port's capability mask, its node
// description or its link settings changed.
type LocalChange struct {
	LID            uint16
	Other          bool // OtherLocalChanges: ChangeFlags hold
	CapabilityMask uint32
	ChangeFlags    uint16 // 6 bits: 0 node description, 1 link width, 2 link speed enabled
}

// Encode writes the details of trap 144.
func (c *LocalChange) Encode() Details {
	var d Details
	binary.BigEndian.PutUint16(d[2:], c.LID)
	d[5] = flag(c.Other, 0)
	binary.BigEndian.PutUint32(d[6:], c.CapabilityMask)
	binary.BigEndian.PutUint16(d[10:], c.ChangeFlags&0x3f)
	return d
}

// BadMKey is the details of trap 256: somebody used a wrong M_Key on the issuer.
type BadMKey struct {
	LID       uint16 // of who sent it
	DrSLID    uint16 // of who sent it, by directed route
	Method    Method
	Attribute Attribute
	Modifier  uint32
	MKey      uint64 // the wrong one
	Directed  bool   // it came by directed route, and Return holds
	Truncated bool   // the route was longer than Return
	HopCount  uint8  // 6 bits
	Return    [30]byte
}

// Encode writes the details of trap 256.
func (b *BadMKey) Encode() Details {
	var d Details
	binary.BigEndian.PutUint16(d[2:], b.LID)
	binary.BigEndian.PutUint16(d[4:], b.DrSLID)
	d[6] = byte(b.Method)
	binary.BigEndian.PutUint16(d[8:], uint16(b.Attribute))
	binary.BigEndian.PutUint32(d[10:], b.Modifier)
	binary.BigEndian.PutUint64(d[14:], b.MKey)
	d[23] = flag(b.Directed, 7) | flag(b.Truncated, 6) | b.HopCount&0x3f
	copy(d[24:], b.Return[:])
	return d
}

// BadKey is the details of trap 257 (P_Key) and 258 (Q_Key): a packet came with
// a key that does not match.
type BadKey struct {
	LID1, LID2 uint16 // source and destination
	Key        uint32 // a P_Key is in the low 16 bits
	SL         uint8  // 4 bits
	QP1, QP2   uint32 // 24 bits
	GID1, GID2 [16]byte
}

// Encode writes the details of trap 257 or 258.
func (b *BadKey) Encode() Details {
	var d Details
	binary.BigEndian.PutUint16(d[2:], b.LID1)
	binary.BigEndian.PutUint16(d[4:], b.LID2)
	binary.BigEndian.PutUint32(d[6:], b.Key)
	d[10] = b.SL << 4
	putUint24(d[11:], b.QP1)
	putUint24(d[15:], b.QP2)
	copy(d[18:], b.GID1[:])
	copy(d[34:], b.GID2[:])
	return d
}

// BadPKeySwitch is the details of trap 259: a switch dropped a packet whose
// P_Key is not in the table of one of its external ports. Valid says which of
// the fields the switch knew.
type BadPKeySwitch struct {
	Valid      uint16
	LID1, LID2 uint16
	PKey       PKey
	SL         uint8  // 4 bits
	QP1, QP2   uint32 // 24 bits
	GID1, GID2 [16]byte
	SwitchLID  uint16
	Port       uint8
}

// Encode writes the details of trap 259.
func (b *BadPKeySwitch) Encode() Details {
	var d Details
	binary.BigEndian.PutUint16(d[0:], b.Valid)
	binary.BigEndian.PutUint16(d[2:], b.LID1)
	binary.BigEndian.PutUint16(d[4:], b.LID2)
	binary.BigEndian.PutUint16(d[6:], uint16(b.PKey))
	d[8] = b.SL << 4
	putUint24(d[9:], b.QP1)
	putUint24(d[13:], b.QP2)
	copy(d[16:], b.GID1[:])
	copy(d[32:], b.GID2[:])
	binary.BigEndian.PutUint16(d[48:], b.SwitchLID)
	d[50] = b.Port
	return d
}
