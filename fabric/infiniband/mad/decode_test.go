package mad

import (
	"encoding/binary"
	"fmt"
)

// What no program decodes, the inverse of what Encode writes: the tests hold one against
// the other.

// ParsePacket copies b. It is an error if b is not exactly Size bytes.
func ParsePacket(b []byte) (Packet, error) {
	var p Packet
	if len(b) != Size {
		return p, fmt.Errorf("mad: %d bytes, expected %d", len(b), Size)
	}
	copy(p[:], b)
	return p, nil
}

// ParseGUIDBlock reads a GUIDInfo.
func ParseGUIDBlock(d *Data) GUIDBlock {
	var g GUIDBlock
	for i := range g {
		g[i] = binary.BigEndian.Uint64(d[8*i:])
	}
	return g
}

// ParseLinkChange reads the details of trap 128.
func ParseLinkChange(d *Details) LinkChange { return LinkChange{LID: binary.BigEndian.Uint16(d[0:])} }

// ParseLocalChange reads the details of trap 144.
func ParseLocalChange(d *Details) LocalChange {
	return LocalChange{
		LID:            binary.BigEndian.Uint16(d[2:]),
		Other:          bit(d[5], 0),
		CapabilityMask: binary.BigEndian.Uint32(d[6:]),
		ChangeFlags:    binary.BigEndian.Uint16(d[10:]) & 0x3f,
	}
}

// ParseBadMKey reads the details of trap 256.
func ParseBadMKey(d *Details) BadMKey {
	return BadMKey{
		LID:       binary.BigEndian.Uint16(d[2:]),
		DrSLID:    binary.BigEndian.Uint16(d[4:]),
		Method:    Method(d[6]),
		Attribute: Attribute(binary.BigEndian.Uint16(d[8:])),
		Modifier:  binary.BigEndian.Uint32(d[10:]),
		MKey:      binary.BigEndian.Uint64(d[14:]),
		Directed:  bit(d[23], 7), Truncated: bit(d[23], 6), HopCount: d[23] & 0x3f,
		Return: [30]byte(d[24:]),
	}
}

// ParseBadKey reads the details of trap 257 or 258.
func ParseBadKey(d *Details) BadKey {
	return BadKey{
		LID1: binary.BigEndian.Uint16(d[2:]), LID2: binary.BigEndian.Uint16(d[4:]),
		Key: binary.BigEndian.Uint32(d[6:]),
		SL:  d[10] >> 4, QP1: uint24(d[11:]), QP2: uint24(d[15:]),
		GID1: [16]byte(d[18:]), GID2: [16]byte(d[34:]),
	}
}

// ParseBadPKeySwitch reads the details of trap 259.
func ParseBadPKeySwitch(d *Details) BadPKeySwitch {
	return BadPKeySwitch{
		Valid: binary.BigEndian.Uint16(d[0:]),
		LID1:  binary.BigEndian.Uint16(d[2:]), LID2: binary.BigEndian.Uint16(d[4:]),
		PKey: PKey(binary.BigEndian.Uint16(d[6:])),
		SL:   d[8] >> 4, QP1: uint24(d[9:]), QP2: uint24(d[13:]),
		GID1: [16]byte(d[16:]), GID2: [16]byte(d[32:]),
		SwitchLID: binary.BigEndian.Uint16(d[48:]), Port: d[50],
	}
}
