package mad

import (
	"encoding/binary"
	"fmt"
)

// PKey is a partition key (10.9.1): 15 bits of key, and FullMember. A key of 0
// is invalid: the entry is empty, whatever its membership bit says.
type PKey uint16

// FullMember is the membership bit. A limited member talks to full ones only.
const FullMember PKey = 0x8000

// DefaultPKey is the default partition as a full member (10.9.1.2).
const DefaultPKey PKey = 0xffff

// Key returns the 15 bits without membership.
func (k PKey) Key() uint16 { return uint16(k &^ FullMember) }

// IsFull reports full membership.
func (k PKey) IsFull() bool { return k&FullMember != 0 }

// Valid reports whether the entry is one.
func (k PKey) Valid() bool { return k.Key() != 0 }

func (k PKey) String() string { return fmt.Sprintf("0x%04x", uint16(k)) }

// BlockKeys is how many entries one P_KeyTable block has (14.2.5.7).
const BlockKeys = 32

// PKeyBlock is one block of a P_KeyTable.
type PKeyBlock [BlockKeys]PKey

// ParsePKeyBlock reads a P_KeyTable block.
func ParsePKeyBlock(d *Data) PKeyBlock {
	var b PKeyBlock
	for i := range b {
		b[i] = PKey(binary.BigEndian.Uint16(d[2*i:]))
	}
	return b
}

// Encode writes a P_KeyTable block.
func (b *PKeyBlock) Encode() Data {
	var d Data
	for i, k := range b {
		binary.BigEndian.PutUint16(d[2*i:], uint16(k))
	}
	return d
}

// PKeyModifier is the attribute modifier that names a block: the port in the
// upper 16 bits, 0 but for external ports of a switch, the block in the lower
// (14.2.5.7).
func PKeyModifier(switchPort uint8, block uint16) uint32 {
	return uint32(switchPort)<<16 | uint32(block)
}

// ParsePKeyModifier is the inverse of PKeyModifier. The port is 16 bits on the
// wire; more than 255 is an error.
func ParsePKeyModifier(modifier uint32) (switchPort uint8, block uint16, err error) {
	if port := modifier >> 16; port > 255 {
		return 0, 0, fmt.Errorf("mad: P_KeyTable modifier 0x%08x: port %d, at most 255", modifier, port)
	}
	return uint8(modifier >> 16), uint16(modifier), nil
}

// Blocks is how many blocks a table of so many entries has.
func Blocks(entries uint16) int { return (int(entries) + BlockKeys - 1) / BlockKeys }
