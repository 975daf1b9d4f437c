package ethnet

import (
	"context"
	"fmt"
	"net"
	"net/netip"

	"github.com/vishvananda/netlink"

	"bulkhead/fabric/ethernet"
)

// makeSpaces makes the namespaces of leaves and spines: routers without IPv6, which
// answer for their own addresses only.
func (n *Net) makeSpaces(context.Context) error {
	for _, d := range n.Plan.Devices {
		s, err := n.addSpace(d.Name)
		if err != nil {
			return err
		}
		err = s.set([2]string{"net/ipv4/ip_forward", "1"}, [2]string{"net/ipv4/fib_multipath_hash_policy", "1"},
			[2]string{"net/ipv4/conf/all/rp_filter", "0"}, [2]string{"net/ipv4/conf/default/rp_filter", "0"},
			[2]string{"net/ipv4/conf/all/arp_ignore", "1"}, [2]string{"net/ipv4/conf/all/send_redirects", "0"},
			[2]string{"net/ipv6/conf/all/disable_ipv6", "1"}, [2]string{"net/ipv6/conf/default/disable_ipv6", "1"})
		if err != nil {
			return err
		}
		if err := s.address("lo", netip.PrefixFrom(d.Loopback, 32)); err != nil {
			return err
		}
	}
	return nil
}

// mac writes a MAC as net has it.
func mac(v uint64) net.HardwareAddr {
	return net.HardwareAddr{byte(v >> 40), byte(v >> 32), byte(v >> 24), byte(v >> 16), byte(v >> 8), byte(v)}
}

// end is one end of a cable.
type end struct {
	space *Space
	name  string
	mac   net.HardwareAddr // nil: any
	mtu   int
	ip    netip.Prefix // zero: none
}

// cable joins two namespaces, and brings both ends up.
func cable(a, b end) error {
	if a.mtu == 0 {
		a.mtu, b.mtu = 1500, 1500
	}
	attrs := netlink.NewLinkAttrs()
	attrs.Name, attrs.MTU, attrs.HardwareAddr, attrs.Namespace = a.name, a.mtu, a.mac, netlink.NsFd(a.space.file.Fd())
	veth := &netlink.Veth{LinkAttrs: attrs, PeerName: b.name, PeerHardwareAddr: b.mac, PeerNamespace: netlink.NsFd(b.space.file.Fd())}
	if err := netlink.LinkAdd(veth); err != nil {
		return fmt.Errorf("ethnet: cable from %s %s to %s %s: %w", a.space.Name, a.name, b.space.Name, b.name, err)
	}
	for _, e := range []end{a, b} {
		link, err := e.space.handle.LinkByName(e.name)
		if err == nil && e.mtu != 1500 {
			err = e.space.handle.LinkSetMTU(link, e.mtu)
		}
		if err == nil && e.ip.IsValid() {
			err = e.space.handle.AddrAdd(link, &netlink.Addr{IPNet: ipNet(e.ip)})
		}
		if err == nil {
			err = e.space.handle.LinkSetUp(link)
		}
		if err != nil {
			return fmt.Errorf("ethnet: %s %s: %w", e.space.Name, e.name, err)
		}
	}
	return nil
}

// hostCable joins a host to a leaf. The host sends packets as great as leaves carry; that the
// leaf's port takes them its agent sees to.
func hostCable(host, leaf end) error {
	host.mtu, leaf.mtu = ethernet.MTU, 1500
	return cable(host, leaf)
}

func ipNet(p netip.Prefix) *net.IPNet {
	return &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}

// address gives an interface an address.
func (s *Space) address(name string, p netip.Prefix) error {
	link, err := s.handle.LinkByName(name)
	if err == nil {
		err = s.handle.AddrAdd(link, &netlink.Addr{IPNet: ipNet(p)})
	}
	if err != nil {
		return fmt.Errorf("ethnet: %s %s: address %s: %w", s.Name, name, p, err)
	}
	return nil
}

// route sends packets for a prefix to a gateway.
func (s *Space) route(to netip.Prefix, via netip.Addr) error {
	if err := s.handle.RouteAdd(&netlink.Route{Dst: ipNet(to), Gw: via.AsSlice()}); err != nil {
		return fmt.Errorf("ethnet: %s: route to %s: %w", s.Name, to, err)
	}
	return nil
}

// bridge makes a switch of the lab's own, which is not part of the fabric.
func (s *Space) bridge(name string) error {
	attrs := netlink.NewLinkAttrs()
	attrs.Name = name
	br := &netlink.Bridge{LinkAttrs: attrs}
	if err := s.handle.LinkAdd(br); err != nil {
		return fmt.Errorf("ethnet: %s: bridge %s: %w", s.Name, name, err)
	}
	return s.handle.LinkSetUp(br)
}

// plug puts an interface into a switch of the lab's own.
func (s *Space) plug(name, bridge string, isolated bool) error {
	br, err := s.handle.LinkByName(bridge)
	if err != nil {
		return err
	}
	link, err := s.handle.LinkByName(name)
	if err == nil {
		err = s.handle.LinkSetMaster(link, br)
	}
	if err == nil && isolated {
		err = s.handle.LinkSetIsolated(link, true)
	}
	if err != nil {
		return fmt.Errorf("ethnet: %s: %s into %s: %w", s.Name, name, bridge, err)
	}
	return nil
}

// uplinkMTU leaves room for VXLAN around what hosts send.
const uplinkMTU = 9216

// makeCables joins leaves and spines.
func (n *Net) makeCables(context.Context) error {
	links := 0
	for _, d := range n.Plan.Devices {
		if d.Spine {
			continue
		}
		for _, c := range d.Uplinks {
			err := cable(end{space: n.spaces[d.Name], name: c.Port, mtu: uplinkMTU, ip: netip.PrefixFrom(c.Local, 31)},
				end{space: n.spaces[c.Peer], name: c.PeerPort, mtu: uplinkMTU, ip: netip.PrefixFrom(c.PeerAddr, 31)})
			if err != nil {
				return err
			}
			links++
		}
	}
	n.options.Say(fmt.Sprintf("%d leaves and %d spines, with %d cables between them", len(n.Plan.Leaves("")), len(n.Plan.Spines("")), links))
	return nil
}

// makeHosts makes the hosts and plugs their NICs in. The leaves' ports are closed:
// they are in no bridge.
func (n *Net) makeHosts(context.Context) error {
	nics := 0
	for _, h := range n.Plan.Hosts {
		s, err := n.addSpace(h.Name)
		if err != nil {
			return err
		}
		err = s.set([2]string{"net/ipv4/conf/all/arp_ignore", "1"}, [2]string{"net/ipv4/conf/all/arp_announce", "2"},
			[2]string{"net/ipv4/conf/all/rp_filter", "0"}, [2]string{"net/ipv4/conf/default/rp_filter", "0"},
			[2]string{"net/ipv6/conf/all/accept_dad", "0"}, [2]string{"net/ipv6/conf/default/accept_dad", "0"},
			[2]string{"net/ipv6/conf/all/router_solicitations", "0"}, [2]string{"net/ipv6/conf/default/router_solicitations", "0"},
			[2]string{"net/ipv4/ping_group_range", "0 2147483647"})
		if err != nil {
			return err
		}
		for _, nic := range h.NICs {
			err := hostCable(end{space: s, name: nic.Name, mac: mac(nic.MAC)}, end{space: n.spaces[nic.Leaf], name: fmt.Sprintf("swp%d", nic.Port)})
			if err != nil {
				return err
			}
			nics++
		}
		if err := n.hostNetworks(h, s); err != nil {
			return err
		}
	}
	n.options.Say(fmt.Sprintf("%d hosts with %d NICs", len(n.Plan.Hosts), nics))
	return nil
}
