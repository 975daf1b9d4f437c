package ethlab

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"

	"bulkhead/fabric/ethernet"
)

// What a frame carries to its receiver: who sent it, in which round. Nothing else
// on the lab's networks begins like this.
type token struct {
	round  uint32
	sender uint16
	kind   uint8
}

var magic = []byte("bulkhead-probe\x00\x01")

// The kinds of frame that probes send.
const (
	kindICMP  = iota // echo request
	kindRoCE         // UDP 4791, RoCEv2
	kindTCP          // SYN
	kindFlood        // UDP 4791 to everybody
	kinds
)

var kindNames = [kinds]string{"ICMP", "UDP 4791", "TCP", "broadcast"}

func (t token) bytes() []byte {
	b := append([]byte(nil), magic...)
	b = binary.BigEndian.AppendUint32(b, t.round)
	b = binary.BigEndian.AppendUint16(b, t.sender)
	return append(b, t.kind)
}

// readToken finds a token in a frame.
func readToken(frame []byte) (t token, ok bool) {
	at := bytes.Index(frame, magic)
	if at < 0 || len(frame)-at < len(magic)+7 {
		return t, false
	}
	b := frame[at+len(magic):]
	return token{binary.BigEndian.Uint32(b), binary.BigEndian.Uint16(b[4:]), b[6]}, true
}

// address is one end of a probe.
type address struct {
	mac net.HardwareAddr
	ip  netip.Addr
}

var everybody = net.HardwareAddr{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}

const rocePort = 4791 // RoCEv2 (InfiniBand Architecture Specification, annex A17)

// frame makes the Ethernet frame of a probe.
func frame(from, to address, t token) []byte {
	payload := t.bytes()
	protocol, l4 := byte(17), udp(49152, rocePort, payload)
	switch t.kind {
	case kindICMP:
		protocol, l4 = 1, icmpEcho(payload)
	case kindTCP:
		protocol, l4 = 6, tcpSYN(49152, 22, from.ip, to.ip, payload)
	}
	return ethernetFrame(from.mac, to.mac, ipv4(from.ip, to.ip, protocol, l4))
}

// greatest makes the frame of a probe, of RoCEv2 as great as a leaf takes.
func greatest(from, to address, t token) []byte {
	if t.kind != kindRoCE {
		return frame(from, to, t)
	}
	const headers = 20 + 8 // of IPv4 and UDP
	payload := make([]byte, ethernet.MTU-headers)
	copy(payload, t.bytes())
	return ethernetFrame(from.mac, to.mac, ipv4(from.ip, to.ip, 17, udp(49152, rocePort, payload)))
}

func ethernetFrame(from, to net.HardwareAddr, packet []byte) []byte {
	b := append(append([]byte(nil), to...), from...)
	b = append(b, 0x08, 0x00)
	b = append(b, packet...)
	for len(b) < 60 {
		b = append(b, 0)
	}
	return b
}

// ipv4 is RFC 791, without options.
func ipv4(from, to netip.Addr, protocol byte, payload []byte) []byte {
	b := []byte{0x45, 0, 0, 0, 0, 1, 0x40, 0, 64, protocol, 0, 0}
	b = append(append(b, from.AsSlice()...), to.AsSlice()...)
	binary.BigEndian.PutUint16(b[2:], uint16(20+len(payload)))
	binary.BigEndian.PutUint16(b[10:], checksum(b))
	return append(b, payload...)
}

// udp is RFC 768; a checksum of 0 means none.
func udp(from, to uint16, payload []byte) []byte {
	b := binary.BigEndian.AppendUint16(nil, from)
	b = binary.BigEndian.AppendUint16(b, to)
	b = binary.BigEndian.AppendUint16(b, uint16(8+len(payload)))
	return append(append(b, 0, 0), payload...)
}

func icmpEcho(payload []byte) []byte {
	b := append([]byte{8, 0, 0, 0, 0, 1, 0, 1}, payload...)
	binary.BigEndian.PutUint16(b[2:], checksum(b))
	return b
}

// tcpSYN is a segment of RFC 9293 with SYN set.
func tcpSYN(from, to uint16, source, target netip.Addr, payload []byte) []byte {
	b := binary.BigEndian.AppendUint16(nil, from)
	b = binary.BigEndian.AppendUint16(b, to)
	b = append(b, 0, 0, 0, 1, 0, 0, 0, 0, 0x50, 0x02, 0xff, 0xff, 0, 0, 0, 0)
	b = append(b, payload...)
	pseudo := append(append([]byte(nil), source.AsSlice()...), target.AsSlice()...)
	pseudo = append(pseudo, 0, 6)
	pseudo = binary.BigEndian.AppendUint16(pseudo, uint16(len(b)))
	binary.BigEndian.PutUint16(b[16:], checksum(append(pseudo, b...)))
	return b
}

// vxlan wraps a frame for a VNI (RFC 7348).
func vxlan(vni uint32, inner []byte) []byte {
	b := []byte{0x08, 0, 0, 0, byte(vni >> 16), byte(vni >> 8), byte(vni), 0}
	return append(b, inner...)
}

// checksum is the Internet checksum (RFC 1071).
func checksum(b []byte) uint16 {
	var sum uint32
	for ; len(b) > 1; b = b[2:] {
		sum += uint32(binary.BigEndian.Uint16(b))
	}
	if len(b) == 1 {
		sum += uint32(b[0]) << 8
	}
	for sum > 0xffff {
		sum = sum&0xffff + sum>>16
	}
	return ^uint16(sum)
}

func hardware(mac uint64) net.HardwareAddr {
	b := make([]byte, 8)
	binary.BigEndian.PutUint64(b, mac)
	return b[2:]
}

func (t token) String() string {
	return fmt.Sprintf("%s from sender %d", kindNames[t.kind%kinds], t.sender)
}
