package packet

import (
	"errors"
	"fmt"
	"net"
	"time"

	"golang.org/x/sys/unix"
)

// Port is a NIC at which all frames are seen.
type Port struct {
	fd  int
	mac MAC
}

// Open opens a NIC; it needs root, or CAP_NET_RAW.
func Open(name string) (*Port, error) {
	nic, err := net.InterfaceByName(name)
	if err != nil {
		return nil, fmt.Errorf("interface %s: %w", name, err)
	}
	if len(nic.HardwareAddr) != 6 {
		return nil, fmt.Errorf("interface %s: no Ethernet address", name)
	}
	all := int(htons(unix.ETH_P_ALL))
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, all)
	if err != nil {
		return nil, fmt.Errorf("interface %s: raw socket: %w (root, or CAP_NET_RAW)", name, err)
	}
	p := &Port{fd: fd, mac: MAC(nic.HardwareAddr)}
	for _, step := range []func() error{
		func() error {
			return unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: htons(unix.ETH_P_ALL), Ifindex: nic.Index})
		},
		// Answers that go to an address that was made up are of interest.
		func() error {
			return unix.SetsockoptPacketMreq(fd, unix.SOL_PACKET, unix.PACKET_ADD_MEMBERSHIP, &unix.PacketMreq{Ifindex: int32(nic.Index), Type: unix.PACKET_MR_PROMISC})
		},
	} {
		if err := step(); err != nil {
			unix.Close(fd)
			return nil, fmt.Errorf("interface %s: %w", name, err)
		}
	}
	return p, nil
}

func htons(v uint16) uint16 { return v<<8 | v>>8 }

// MAC is the NIC's own.
func (p *Port) MAC() MAC { return p.mac }

// Close gives the NIC back.
func (p *Port) Close() error { return unix.Close(p.fd) }

// Send sends a whole frame; short ones are padded.
func (p *Port) Send(frame []byte) error {
	if len(frame) < 60 {
		frame = append(append([]byte(nil), frame...), make([]byte, 60-len(frame))...)
	}
	_, err := unix.Write(p.fd, frame)
	return err
}

// Await reads frames that come in until one is wanted, or until patience ends.
func (p *Port) Await(patience time.Duration, wanted func(frame []byte) bool) (bool, error) {
	end := time.Now().Add(patience)
	buffer := make([]byte, 9216)
	for {
		left := time.Until(end)
		if left <= 0 {
			return false, nil
		}
		tv := unix.NsecToTimeval(max(left, time.Millisecond).Nanoseconds())
		if err := unix.SetsockoptTimeval(p.fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &tv); err != nil {
			return false, err
		}
		n, from, err := unix.Recvfrom(p.fd, buffer, 0)
		switch {
		case errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EINTR):
			continue
		case err != nil:
			return false, err
		}
		if l, is := from.(*unix.SockaddrLinklayer); is && l.Pkttype == unix.PACKET_OUTGOING {
			continue
		}
		if wanted(buffer[:n]) {
			return true, nil
		}
	}
}
