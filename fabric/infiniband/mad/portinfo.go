package mad

import "encoding/binary"

// PortState is the logical state of a link (14.2.5.6).
type PortState uint8

// The port states. 0 is "no change" in a Set.
const (
	PortDown   PortState = 1
	PortInit   PortState = 2
	PortArmed  PortState = 3
	PortActive PortState = 4
)

func (s PortState) String() string {
	switch s {
	case PortDown:
		return "down"
	case PortInit:
		return "init"
	case PortArmed:
		return "armed"
	case PortActive:
		return "active"
	}
	return "reserved"
}

// PhysLinkUp is the physical port state of a link that is up (14.2.5.6).
const PhysLinkUp = 5

// Bits of the capability mask (14.2.5.6).
const (
	CapIsSM                    = 1 << 1 // a subnet manager runs behind this port
	CapTrap                    = 1 << 3
	CapMKeyNVRAM               = 1 << 8
	CapPKeySwitchExternalTrap  = 1 << 12
	CapCommunicationManagement = 1 << 16
	CapCapabilityMaskNotice    = 1 << 22
	CapClientReregistration    = 1 << 25
)

// M_Key protection levels (14.2.4.1): who may Get with a wrong M_Key. No level
// lets anybody Set with a wrong one.
const (
	MKeyGetOpen      = 0 // anyone gets all
	MKeyGetProtected = 2 // only who has the M_Key gets anything
	MKeyGetForever   = 3 // as 2, and the lease period never opens it
)

// PortInfo is the state of a port (14.2.5.6). On a switch the attribute modifier
// names the port; on a host it is 0 for the port that was asked, or its number.
type PortInfo struct {
	MKey                uint64 // 0 too where it is hidden
	GIDPrefix           uint64
	LID                 uint16
	MasterSMLID         uint16
	CapabilityMask      uint32
	DiagCode            uint16
	MKeyLeasePeriod     uint16 // seconds; 0: it never ends
	LocalPort           uint8  // the port by which the request came in
	LinkWidthEnabled    uint8
	LinkWidthSupported  uint8
	LinkWidthActive     uint8     // 1: 1x, 2: 4x, 4: 8x, 8: 12x, 16: 2x
	LinkSpeedSupported  uint8     // 4 bits
	State               PortState // 4 bits
	PhysState           uint8     // 4 bits
	LinkDownDefault     uint8     // 4 bits
	MKeyProtect         uint8     // 2 bits
	LMC                 uint8     // 3 bits
	LinkSpeedActive     uint8     // 4 bits
	LinkSpeedEnabled    uint8     // 4 bits
	NeighborMTU         uint8     // 4 bits
	MasterSMSL          uint8     // 4 bits
	VLCap               uint8     // 4 bits
	InitType            uint8     // 4 bits
	VLHighLimit         uint8
	VLArbHighCap        uint8
	VLArbLowCap         uint8
	InitTypeReply       uint8 // 4 bits
	MTUCap              uint8 // 4 bits
	VLStallCount        uint8 // 3 bits
	HOQLife             uint8 // 5 bits
	OperationalVLs      uint8 // 4 bits
	EnforceIn           bool  // PartitionEnforcementInbound, of a switch's external port
	EnforceOut          bool  // PartitionEnforcementOutbound
	FilterRawIn         bool
	FilterRawOut        bool
	MKeyViolations      uint16 // stays at 65,535 when reached
	PKeyViolations      uint16
	QKeyViolations      uint16
	GUIDCap             uint8
	ClientReregister    bool
	MulticastPKeyTrap   uint8 // 2 bits: suppression enabled
	SubnetTimeout       uint8 // 5 bits
	RespTime            uint8 // 5 bits
	LocalPhyErrors      uint8 // 4 bits
	OverrunErrors       uint8 // 4 bits
	MaxCreditHint       uint16
	LinkRoundTrip       uint32 // 24 bits
	CapabilityMask2     uint16
	LinkSpeedExtActive  uint8 // 4 bits
	LinkSpeedExtSupport uint8 // 4 bits
	LinkSpeedExtEnabled uint8 // 5 bits
}

// Narrower reports whether a port sends smaller packets only than both ends of its link
// take: a subnet manager sets NeighborMTU to the lesser MTUCap of the two (14.2.5.6), and
// what is greater the port discards.
func (i *PortInfo) Narrower(than *PortInfo) bool {
	return i.NeighborMTU < min(i.MTUCap, than.MTUCap)
}

// ParsePortInfo reads a PortInfo.
func ParsePortInfo(d *Data) PortInfo {
	return PortInfo{
		MKey:                binary.BigEndian.Uint64(d[0:]),
		GIDPrefix:           binary.BigEndian.Uint64(d[8:]),
		LID:                 binary.BigEndian.Uint16(d[16:]),
		MasterSMLID:         binary.BigEndian.Uint16(d[18:]),
		CapabilityMask:      binary.BigEndian.Uint32(d[20:]),
		DiagCode:            binary.BigEndian.Uint16(d[24:]),
		MKeyLeasePeriod:     binary.BigEndian.Uint16(d[26:]),
		LocalPort:           d[28],
		LinkWidthEnabled:    d[29],
		LinkWidthSupported:  d[30],
		LinkWidthActive:     d[31],
		LinkSpeedSupported:  d[32] >> 4,
		State:               PortState(d[32] & 15),
		PhysState:           d[33] >> 4,
		LinkDownDefault:     d[33] & 15,
		MKeyProtect:         d[34] >> 6,
		LMC:                 d[34] & 7,
		LinkSpeedActive:     d[35] >> 4,
		LinkSpeedEnabled:    d[35] & 15,
		NeighborMTU:         d[36] >> 4,
		MasterSMSL:          d[36] & 15,
		VLCap:               d[37] >> 4,
		InitType:            d[37] & 15,
		VLHighLimit:         d[38],
		VLArbHighCap:        d[39],
		VLArbLowCap:         d[40],
		InitTypeReply:       d[41] >> 4,
		MTUCap:              d[41] & 15,
		VLStallCount:        d[42] >> 5,
		HOQLife:             d[42] & 31,
		OperationalVLs:      d[43] >> 4,
		EnforceIn:           bit(d[43], 3),
		EnforceOut:          bit(d[43], 2),
		FilterRawIn:         bit(d[43], 1),
		FilterRawOut:        bit(d[43], 0),
		MKeyViolations:      binary.BigEndian.Uint16(d[44:]),
		PKeyViolations:      binary.BigEndian.Uint16(d[46:]),
		QKeyViolations:      binary.BigEndian.Uint16(d[48:]),
		GUIDCap:             d[50],
		ClientReregister:    bit(d[51], 7),
		MulticastPKeyTrap:   d[51] >> 5 & 3,
		SubnetTimeout:       d[51] & 31,
		RespTime:            d[52] & 31,
		LocalPhyErrors:      d[53] >> 4,
		OverrunErrors:       d[53] & 15,
		MaxCreditHint:       binary.BigEndian.Uint16(d[54:]),
		LinkRoundTrip:       uint24(d[57:]),
		CapabilityMask2:     binary.BigEndian.Uint16(d[60:]),
		LinkSpeedExtActive:  d[62] >> 4,
		LinkSpeedExtSupport: d[62] & 15,
		LinkSpeedExtEnabled: d[63] & 31,
	}
}

// Encode writes a PortInfo.
func (i *PortInfo) Encode() Data {
	var d Data
	binary.BigEndian.PutUint64(d[0:], i.MKey)
	binary.BigEndian.PutUint64(d[8:], i.GIDPrefix)
	binary.BigEndian.PutUint16(d[16:], i.LID)
	binary.BigEndian.PutUint16(d[18:], i.MasterSMLID)
	binary.BigEndian.PutUint32(d[20:], i.CapabilityMask)
	binary.BigEndian.PutUint16(d[24:], i.DiagCode)
	binary.BigEndian.PutUint16(d[26:], i.MKeyLeasePeriod)
	d[28], d[29], d[30], d[31] = i.LocalPort, i.LinkWidthEnabled, i.LinkWidthSupported, i.LinkWidthActive
	d[32] = i.LinkSpeedSupported<<4 | byte(i.State)&15
	d[33] = i.PhysState<<4 | i.LinkDownDefault&15
	d[34] = i.MKeyProtect<<6 | i.LMC&7
	d[35] = i.LinkSpeedActive<<4 | i.LinkSpeedEnabled&15
	d[36] = i.NeighborMTU<<4 | i.MasterSMSL&15
	d[37] = i.VLCap<<4 | i.InitType&15
	d[38], d[39], d[40] = i.VLHighLimit, i.VLArbHighCap, i.VLArbLowCap
	d[41] = i.InitTypeReply<<4 | i.MTUCap&15
	d[42] = i.VLStallCount<<5 | i.HOQLife&31
	d[43] = i.OperationalVLs<<4 | flag(i.EnforceIn, 3) | flag(i.EnforceOut, 2) | flag(i.FilterRawIn, 1) | flag(i.FilterRawOut, 0)
	binary.BigEndian.PutUint16(d[44:], i.MKeyViolations)
	binary.BigEndian.PutUint16(d[46:], i.PKeyViolations)
	binary.BigEndian.PutUint16(d[48:], i.QKeyViolations)
	d[50] = i.GUIDCap
	d[51] = flag(i.ClientReregister, 7) | i.MulticastPKeyTrap&3<<5 | i.SubnetTimeout&31
	d[52] = i.RespTime & 31
	d[53] = i.LocalPhyErrors<<4 | i.OverrunErrors&15
	binary.BigEndian.PutUint16(d[54:], i.MaxCreditHint)
	putUint24(d[57:], i.LinkRoundTrip)
	binary.BigEndian.PutUint16(d[60:], i.CapabilityMask2)
	d[62] = i.LinkSpeedExtActive<<4 | i.LinkSpeedExtSupport&15
	d[63] = i.LinkSpeedExtEnabled & 31
	return d
}
