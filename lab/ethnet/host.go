package ethnet

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/vishvananda/netlink"

	"bulkhead/site"
)

// Host finds a host; nil if there is none of that name.
func (n *Net) Host(name string) *Host {
	for _, h := range n.Plan.Hosts {
		if h.Name == name {
			return h
		}
	}
	return nil
}

// TenantAddress is the address of NIC number nic on member k of a tenant's slice:
// 10.0.nic.(k+1), in a /24 a rail. Every tenant uses the same.
func TenantAddress(nic, k int) netip.Addr {
	return netip.AddrFrom4([4]byte{10, 0, byte(nic), byte(k + 1)})
}

// nicNumber is the number of a NIC by its name.
func nicNumber(name string) int {
	for i := range site.NICs {
		if site.NICName(i) == name {
			return i
		}
	}
	return -1
}

// SetMember gives a host the addresses of member k, 0 to 253, of some tenant's
// slice, and takes those away that it had.
func (n *Net) SetMember(host string, k int) error {
	h, s := n.Host(host), n.Space(host)
	if h == nil || k < 0 || k > 253 {
		return fmt.Errorf("ethnet: member %d of host %.40q: expected a host of the lab, and 0 to 253", k, host)
	}
	for _, nic := range h.NICs {
		link, err := s.handle.LinkByName(nic.Name)
		if err != nil {
			return fmt.Errorf("ethnet: %s %s: %w", host, nic.Name, err)
		}
		old, err := s.handle.AddrList(link, netlink.FAMILY_V4)
		for _, a := range old {
			err = errors.Join(err, s.handle.AddrDel(link, &a))
		}
		if err != nil {
			return fmt.Errorf("ethnet: %s %s: %w", host, nic.Name, err)
		}
		if err := s.address(nic.Name, netip.PrefixFrom(TenantAddress(nicNumber(nic.Name), k), 24)); err != nil {
			return err
		}
	}
	return nil
}

// Ping sends echo requests from a NIC of a host, 100 ms apart, and returns how many
// answers came. An error is for what kept it from sending at all.
func (n *Net) Ping(ctx context.Context, host, nic string, to netip.Addr, count int) (int, error) {
	out, err := n.Space(host).Output(ctx, "ping", "-n", "-q", "-I", nic, "-i", "0.1", "-W", "0.5", "-c", strconv.Itoa(count), to.String())
	sent, answers := -1, 0
	for line := range slices.Values(strings.Split(out, "\n")) {
		if _, scan := fmt.Sscanf(line, "%d packets transmitted, %d received", &sent, &answers); scan == nil {
			return answers, nil
		}
	}
	return 0, fmt.Errorf("ethnet: ping said nothing that is understood: %w", err)
}
