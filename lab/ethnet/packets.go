package ethnet

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"

	"bulkhead/lab/await"
)

// This file sends packets that no honest host sends, and listens for them.

// Inject sends a frame as it is out of an interface of a host or other namespace.
func (n *Net) Inject(at, name string, frame []byte) error {
	s := n.Space(at)
	if s == nil {
		return fmt.Errorf("ethnet: no namespace %q in this lab", at)
	}
	fd, index, err := s.packetSocket(name, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	if err := unix.Sendto(fd, frame, 0, &unix.SockaddrLinklayer{Ifindex: index, Halen: 6}); err != nil {
		return fmt.Errorf("ethnet: %s %s: send a frame of %d bytes: %w", at, name, len(frame), err)
	}
	return nil
}

// packetSocket opens a socket for frames at an interface.
func (s *Space) packetSocket(name string, protocol uint16) (fd, index int, err error) {
	link, err := s.handle.LinkByName(name)
	if err != nil {
		return 0, 0, fmt.Errorf("ethnet: %s %s: %w", s.Name, name, err)
	}
	index = link.Attrs().Index
	order := protocol<<8 | protocol>>8 // as the network has it
	err = s.Do(func() error {
		fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, int(order))
		return err
	})
	if err == nil && protocol != 0 {
		if err = unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: order, Ifindex: index}); err != nil {
			unix.Close(fd)
		}
	}
	if err != nil {
		return 0, 0, fmt.Errorf("ethnet: %s %s: packet socket: %w", s.Name, name, err)
	}
	return fd, index, nil
}

// Sniffer hears every frame that comes to an interface.
type Sniffer struct{ fd int }

// Sniff begins to listen at an interface.
func (n *Net) Sniff(at, name string) (*Sniffer, error) {
	s := n.Space(at)
	if s == nil {
		return nil, fmt.Errorf("ethnet: no namespace %q in this lab", at)
	}
	fd, _, err := s.packetSocket(name, unix.ETH_P_ALL)
	if err != nil {
		return nil, err
	}
	return &Sniffer{fd}, nil
}

// Hears waits until a frame comes that was sent behind others, and reports whether one
// of those came before it: that has a mark in it. To wait for a frame alone, it is both.
// It gives up after await.Patience.
func (s *Sniffer) Hears(mark, behind []byte) (lldp bool, err error) {
	buf := make([]byte, 64<<10)
	for end := time.Now().Add(await.Patience); time.Now().Before(end); {
		tv := unix.NsecToTimeval(time.Second.Nanoseconds())
		if err := unix.SetsockoptTimeval(s.fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &tv); err != nil {
			return false, err
		}
		size, from, err := unix.Recvfrom(s.fd, buf, 0)
		switch {
		case errors.Is(err, unix.EAGAIN), errors.Is(err, unix.EINTR):
			continue
		case err != nil:
			return false, err
		}
		if ll, ok := from.(*unix.SockaddrLinklayer); ok && ll.Pkttype == unix.PACKET_OUTGOING {
			continue
		}
		lldp = lldp || bytes.Contains(buf[:size], mark)
		if bytes.Contains(buf[:size], behind) {
			return lldp, nil
		}
	}
	return lldp, fmt.Errorf("waited %s for the frame %q", await.Patience, behind)
}

// Arrived reports whether a frame has come by now that has a mark in it.
func (s *Sniffer) Arrived(mark []byte) (lldp bool, err error) {
	buf := make([]byte, 64<<10)
	for {
		size, from, err := unix.Recvfrom(s.fd, buf, unix.MSG_DONTWAIT)
		switch {
		case errors.Is(err, unix.EINTR):
			continue
		case errors.Is(err, unix.EAGAIN):
			return lldp, nil
		case err != nil:
			return false, err
		}
		ll, ok := from.(*unix.SockaddrLinklayer)
		lldp = lldp || !(ok && ll.Pkttype == unix.PACKET_OUTGOING) && bytes.Contains(buf[:size], mark)
	}
}

// Close ends listening.
func (s *Sniffer) Close() { unix.Close(s.fd) }

// Frame is an Ethernet frame; MACs as the inventory has them.
func Frame(to, from uint64, etherType uint16, payload []byte) []byte {
	b := append(append([]byte(nil), mac(to)...), mac(from)...)
	return append(binary.BigEndian.AppendUint16(b, etherType), payload...)
}

// Broadcast is the MAC of all.
const Broadcast = 1<<48 - 1

// IPv4 is a packet of IPv4 with its checksum.
func IPv4(from, to netip.Addr, protocol byte, payload []byte) []byte {
	h := []byte{0x45, 0, 0, 0, 0, 1, 0, 0, 64, protocol, 0, 0}
	h = append(append(h, from.AsSlice()...), to.AsSlice()...)
	binary.BigEndian.PutUint16(h[2:], uint16(len(h)+len(payload)))
	binary.BigEndian.PutUint16(h[10:], checksum(h))
	return append(h, payload...)
}

func checksum(b []byte) uint16 {
	var sum uint32
	for i := 0; i+1 < len(b); i += 2 {
		sum += uint32(binary.BigEndian.Uint16(b[i:]))
	}
	if len(b)%2 == 1 {
		sum += uint32(b[len(b)-1]) << 8
	}
	for sum>>16 != 0 {
		sum = sum&0xffff + sum>>16
	}
	return ^uint16(sum)
}

// UDP is a datagram without a checksum, which IPv4 allows.
func UDP(from, to uint16, payload []byte) []byte {
	b := binary.BigEndian.AppendUint16(nil, from)
	b = binary.BigEndian.AppendUint16(b, to)
	b = binary.BigEndian.AppendUint16(b, uint16(8+len(payload)))
	return append(append(b, 0, 0), payload...)
}

// TCP is the head of a segment that opens a connection; whoever gets it counts its
// checksum wrong.
func TCP(from, to uint16) []byte {
	b := binary.BigEndian.AppendUint16(nil, from)
	b = binary.BigEndian.AppendUint16(b, to)
	return append(b, 0, 0, 0, 1, 0, 0, 0, 0, 0x50, 0x02, 0xff, 0xff, 0, 0, 0, 0)
}

// VXLAN is a frame as a leaf sends it to another (RFC 7348), without the UDP around it.
func VXLAN(vni uint32, frame []byte) []byte {
	return append([]byte{8, 0, 0, 0, byte(vni >> 16), byte(vni >> 8), byte(vni), 0}, frame...)
}

// ARP is an answer that says that an address is at a MAC.
func ARP(sender uint64, address netip.Addr, target netip.Addr) []byte {
	b := append([]byte{0, 1, 8, 0, 6, 4, 0, 2}, mac(sender)...)
	b = append(b, address.AsSlice()...)
	b = append(b, mac(Broadcast)...)
	return append(b, target.AsSlice()...)
}

// ICMPv6 is a packet of IPv6 to all nodes of a link, with its checksum.
func ICMPv6(from netip.Addr, message []byte) []byte {
	const next = 58
	to := netip.MustParseAddr("ff02::1")
	pseudo := append(append([]byte(nil), from.AsSlice()...), to.AsSlice()...)
	pseudo = binary.BigEndian.AppendUint32(pseudo, uint32(len(message)))
	pseudo = append(pseudo, 0, 0, 0, next)
	body := append([]byte(nil), message...)
	body[2], body[3] = 0, 0
	binary.BigEndian.PutUint16(body[2:], checksum(append(pseudo, body...)))
	h := binary.BigEndian.AppendUint16([]byte{0x60, 0, 0, 0}, uint16(len(body)))
	h = append(append(append(h, next, 255), from.AsSlice()...), to.AsSlice()...)
	return append(h, body...)
}

// SendUDP sends one datagram from a namespace by its own routes, as its owner would.
func (n *Net) SendUDP(at string, to netip.AddrPort, payload []byte) error {
	s := n.Space(at)
	if s == nil {
		return fmt.Errorf("ethnet: no namespace %q in this lab", at)
	}
	var c *net.UDPConn
	err := s.Do(func() (err error) {
		c, err = net.DialUDP("udp4", nil, net.UDPAddrFromAddrPort(to))
		return err
	})
	if err != nil {
		return err
	}
	defer c.Close()
	_, err = c.Write(payload)
	return err
}
