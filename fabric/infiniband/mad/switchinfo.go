package mad

import "encoding/binary"

// SwitchInfo is what only switches have (14.2.5.4).
type SwitchInfo struct {
	LinearFDBCap                   uint16
	RandomFDBCap                   uint16
	MulticastFDBCap                uint16
	LinearFDBTop                   uint16
	DefaultPort                    uint8
	DefaultMulticastPrimaryPort    uint8
	DefaultMulticastNotPrimaryPort uint8
	LifeTimeValue                  uint8 // 5 bits
	PortStateChange                bool
	OptimizedSLtoVLMapping         uint8 // 2 bits
	LIDsPerPort                    uint16
	PartitionEnforcementCap        uint16 // P_Keys in each external port's table; 0: it enforces nothing
	InboundEnforcementCap          bool
	OutboundEnforcementCap         bool
	FilterRawInboundCap            bool
	FilterRawOutboundCap           bool
	EnhancedPort0                  bool
	MulticastFDBTop                uint16
}

// LIDsABlock is how many LIDs one block of a LinearForwardingTable is about: byte i of
// block b is the port by which the switch sends on what is for LID 64 b + i (14.2.5.10).
const LIDsABlock = 64

// NoPort is the entry of a LID for which the switch has no port: it drops the packet.
const NoPort = 0xff

// ParseSwitchInfo reads a SwitchInfo.
func ParseSwitchInfo(d *Data) SwitchInfo {
	return SwitchInfo{
		LinearFDBCap:                   binary.BigEndian.Uint16(d[0:]),
		RandomFDBCap:                   binary.BigEndian.Uint16(d[2:]),
		MulticastFDBCap:                binary.BigEndian.Uint16(d[4:]),
		LinearFDBTop:                   binary.BigEndian.Uint16(d[6:]),
		DefaultPort:                    d[8],
		DefaultMulticastPrimaryPort:    d[9],
		DefaultMulticastNotPrimaryPort: d[10],
		LifeTimeValue:                  d[11] >> 3,
		PortStateChange:                bit(d[11], 2),
		OptimizedSLtoVLMapping:         d[11] & 3,
		LIDsPerPort:                    binary.BigEndian.Uint16(d[12:]),
		PartitionEnforcementCap:        binary.BigEndian.Uint16(d[14:]),
		InboundEnforcementCap:          bit(d[16], 7),
		OutboundEnforcementCap:         bit(d[16], 6),
		FilterRawInboundCap:            bit(d[16], 5),
		FilterRawOutboundCap:           bit(d[16], 4),
		EnhancedPort0:                  bit(d[16], 3),
		MulticastFDBTop:                binary.BigEndian.Uint16(d[18:]),
	}
}

// Encode writes a SwitchInfo.
func (s *SwitchInfo) Encode() Data {
	var d Data
	binary.BigEndian.PutUint16(d[0:], s.LinearFDBCap)
	binary.BigEndian.PutUint16(d[2:], s.RandomFDBCap)
	binary.BigEndian.PutUint16(d[4:], s.MulticastFDBCap)
	binary.BigEndian.PutUint16(d[6:], s.LinearFDBTop)
	d[8], d[9], d[10] = s.DefaultPort, s.DefaultMulticastPrimaryPort, s.DefaultMulticastNotPrimaryPort
	d[11] = s.LifeTimeValue<<3 | flag(s.PortStateChange, 2) | s.OptimizedSLtoVLMapping&3
	binary.BigEndian.PutUint16(d[12:], s.LIDsPerPort)
	binary.BigEndian.PutUint16(d[14:], s.PartitionEnforcementCap)
	d[16] = flag(s.InboundEnforcementCap, 7) | flag(s.OutboundEnforcementCap, 6) |
		flag(s.FilterRawInboundCap, 5) | flag(s.FilterRawOutboundCap, 4) | flag(s.EnhancedPort0, 3)
	binary.BigEndian.PutUint16(d[18:], s.MulticastFDBTop)
	return d
}
