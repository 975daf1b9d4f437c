// Package packet sends and receives raw Ethernet frames at a NIC of this machine, for
// probes. It makes the few frames that they need: ARP, neighbour discovery, ICMP echoes,
// UDP, and VXLAN around any of them.
//
// Sources: RFC 826 (ARP), RFC 791 and 792 (IPv4, ICMP), RFC 768 (UDP), RFC 4861
// (neighbour discovery), RFC 7348 (VXLAN), IEEE 802.1Q (VLAN tags).
package packet

import (
	"encoding/binary"
	"net/netip"
)

// MAC is an address of six bytes.
type MAC [6]byte

// Broadcast is everybody.
var Broadcast = MAC{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}

// EtherTypes.
const (
	TypeIPv4 = 0x0800
	TypeARP  = 0x0806
	TypeVLAN = 0x8100
	TypeIPv6 = 0x86dd
)

// VXLANPort is the UDP port of VXLAN.
const VXLANPort = 4789

// Ethernet puts a header before a payload.
func Ethernet(to, from MAC, kind uint16, payload []byte) []byte {
	b := make([]byte, 0, 14+len(payload))
	b = append(b, to[:]...)
	b = append(b, from[:]...)
	b = binary.BigEndian.AppendUint16(b, kind)
	return append(b, payload...)
}

// Tagged puts a VLAN tag into a frame.
func Tagged(frame []byte, vid uint16) []byte {
	b := append([]byte(nil), frame[:12]...)
	b = binary.BigEndian.AppendUint16(b, TypeVLAN)
	b = binary.BigEndian.AppendUint16(b, vid)
	return append(b, frame[12:]...)
}

// ARP asks who has an IPv4 address, or says so.
type ARP struct {
	Reply     bool
	SenderMAC MAC
	Sender    netip.Addr
	TargetMAC MAC
	Target    netip.Addr
}

// Encode returns the payload of type TypeARP.
func (a ARP) Encode() []byte {
	b := []byte{0, 1, 8, 0, 6, 4, 0, 1}
	if a.Reply {
		b[7] = 2
	}
	b = append(b, a.SenderMAC[:]...)
	b = append(b, four(a.Sender)...)
	b = append(b, a.TargetMAC[:]...)
	return append(b, four(a.Target)...)
}

// DecodeARP reads a whole frame; ok is false for another one.
func DecodeARP(frame []byte) (a ARP, ok bool) {
	if len(frame) < 42 || binary.BigEndian.Uint16(frame[12:]) != TypeARP || frame[18] != 6 || frame[19] != 4 {
		return a, false
	}
	b := frame[14:]
	a.Reply = b[7] == 2
	copy(a.SenderMAC[:], b[8:])
	copy(a.TargetMAC[:], b[18:])
	a.Sender, a.Target = netip.AddrFrom4([4]byte(b[14:18])), netip.AddrFrom4([4]byte(b[24:28]))
	return a, true
}

func four(a netip.Addr) []byte {
	b := a.As4()
	return b[:]
}

// IPv4 puts a header before a payload of a protocol.
func IPv4(from, to netip.Addr, protocol byte, payload []byte) []byte {
	b := make([]byte, 20, 20+len(payload))
	b[0], b[8], b[9] = 0x45, 64, protocol
	binary.BigEndian.PutUint16(b[2:], uint16(20+len(payload)))
	copy(b[12:], four(from))
	copy(b[16:], four(to))
	binary.BigEndian.PutUint16(b[10:], Checksum(b))
	return append(b, payload...)
}

// Protocols of IPv4.
const (
	ICMP = 1
	UDP  = 17
)

// Echo is an ICMP echo request.
func Echo(id, sequence uint16) []byte {
	b := make([]byte, 16)
	b[0] = 8
	binary.BigEndian.PutUint16(b[4:], id)
	binary.BigEndian.PutUint16(b[6:], sequence)
	copy(b[8:], "bulkhead")
	binary.BigEndian.PutUint16(b[2:], Checksum(b))
	return b
}

// DecodeEchoReply reads a whole frame; ok is false for another one.
func DecodeEchoReply(frame []byte) (from netip.Addr, id, sequence uint16, ok bool) {
	if len(frame) < 42 || binary.BigEndian.Uint16(frame[12:]) != TypeIPv4 || frame[14] != 0x45 || frame[23] != ICMP || frame[34] != 0 {
		return from, 0, 0, false
	}
	return netip.AddrFrom4([4]byte(frame[26:30])), binary.BigEndian.Uint16(frame[38:]), binary.BigEndian.Uint16(frame[40:]), true
}

// Datagram is a UDP datagram without a checksum, which IPv4 allows.
func Datagram(from, to uint16, payload []byte) []byte {
	b := binary.BigEndian.AppendUint16(nil, from)
	b = binary.BigEndian.AppendUint16(b, to)
	b = binary.BigEndian.AppendUint16(b, uint16(8+len(payload)))
	return append(append(b, 0, 0), payload...)
}

// VXLAN is the payload of a datagram to VXLANPort.
func VXLAN(vni uint32, frame []byte) []byte {
	b := []byte{8, 0, 0, 0, byte(vni >> 16), byte(vni >> 8), byte(vni), 0}
	return append(b, frame...)
}

// Checksum is that of the Internet (RFC 1071).
func Checksum(b []byte) uint16 {
	var sum uint32
	for i := 0; i+1 < len(b); i += 2 {
		sum += uint32(b[i])<<8 | uint32(b[i+1])
	}
	if len(b)%2 == 1 {
		sum += uint32(b[len(b)-1]) << 8
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}

// LinkLocal is the IPv6 address that a MAC makes (RFC 4291, appendix A).
func LinkLocal(m MAC) netip.Addr {
	return netip.AddrFrom16([16]byte{0: 0xfe, 1: 0x80, 8: m[0] ^ 2, 9: m[1], 10: m[2], 11: 0xff, 12: 0xfe, 13: m[3], 14: m[4], 15: m[5]})
}

// Solicit is a whole frame that asks for the neighbour of an IPv6 address: from a
// MAC, in the name of sender at link address said.
func Solicit(from MAC, sender netip.Addr, said MAC, target netip.Addr) []byte {
	t, s := target.As16(), sender.As16()
	group := [16]byte{0: 0xff, 1: 2, 11: 1, 12: 0xff, 13: t[13], 14: t[14], 15: t[15]}
	body := append([]byte{135, 0, 0, 0, 0, 0, 0, 0}, t[:]...)
	body = append(append(body, 1, 1), said[:]...)
	pseudo := append(append(append([]byte{}, s[:]...), group[:]...), 0, 0, 0, byte(len(body)), 0, 0, 0, 58)
	binary.BigEndian.PutUint16(body[2:], Checksum(append(pseudo, body...)))
	ip := append([]byte{0x60, 0, 0, 0, 0, byte(len(body)), 58, 255}, s[:]...)
	ip = append(append(ip, group[:]...), body...)
	return Ethernet(MAC{0x33, 0x33, 0xff, t[13], t[14], t[15]}, from, TypeIPv6, ip)
}

// DecodeAdvertisement reads a whole frame: a neighbour advertisement and what it is
// of; ok is false for another one.
func DecodeAdvertisement(frame []byte) (of netip.Addr, ok bool) {
	if len(frame) < 14+40+24 || binary.BigEndian.Uint16(frame[12:]) != TypeIPv6 || frame[20] != 58 || frame[54] != 136 {
		return of, false
	}
	return netip.AddrFrom16([16]byte(frame[62:78])), true
}
