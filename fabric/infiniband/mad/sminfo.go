package mad

import (
	"encoding/binary"
	"fmt"
)

// SMState is the state of a subnet manager (14.2.5.13, 14.4.1).
type SMState uint8

// The states of a subnet manager.
const (
	SMNotActive   SMState = 0
	SMDiscovering SMState = 1
	SMStandby     SMState = 2
	SMMaster      SMState = 3
)

func (s SMState) String() string {
	switch s {
	case SMNotActive:
		return "not active"
	case SMDiscovering:
		return "discovering"
	case SMStandby:
		return "standby"
	case SMMaster:
		return "master"
	}
	return fmt.Sprintf("state %d", uint8(s))
}

// SMInfo is what a subnet manager says of itself (14.2.5.13). A request carries
// the asker's own.
type SMInfo struct {
	GUID     uint64  // of the port that it runs on
	SMKey    uint64  // 0 towards who is not trusted
	ActCount uint32  // rises while it lives
	Priority uint8   // 4 bits, the highest wins
	State    SMState // 4 bits
}

// ParseSMInfo reads an SMInfo.
func ParseSMInfo(d *Data) SMInfo {
	return SMInfo{
		GUID:     binary.BigEndian.Uint64(d[0:]),
		SMKey:    binary.BigEndian.Uint64(d[8:]),
		ActCount: binary.BigEndian.Uint32(d[16:]),
		Priority: d[20] >> 4,
		State:    SMState(d[20] & 15),
	}
}

// Encode writes an SMInfo.
func (s *SMInfo) Encode() Data {
	var d Data
	binary.BigEndian.PutUint64(d[0:], s.GUID)
	binary.BigEndian.PutUint64(d[8:], s.SMKey)
	binary.BigEndian.PutUint32(d[16:], s.ActCount)
	d[20] = s.Priority<<4 | byte(s.State)&15
	return d
}
