package linux

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"

	"bulkhead/fabric/ethernet"
)

// This file writes bridges, VXLAN devices and what ports are of them, by netlink.

func bridgeName(vni uint32) string { return "bd" + strconv.FormatUint(uint64(vni), 10) }
func vxlanName(vni uint32) string  { return "vni" + strconv.FormatUint(uint64(vni), 10) }

// vniOf is the inverse of bridgeName.
func vniOf(bridge string) (uint32, bool) {
	digits, ours := strings.CutPrefix(bridge, "bd")
	v, err := strconv.ParseUint(digits, 10, 24)
	return uint32(v), ours && err == nil && bridgeName(uint32(v)) == bridge
}

// flag is a yes-or-no attribute of a bridge port.
type flag struct {
	attr int
	on   bool
}

// setPort sets attributes of a bridge port, all at once.
func setPort(index int, flags ...flag) error {
	req := nl.NewNetlinkRequest(unix.RTM_SETLINK, unix.NLM_F_ACK)
	msg := nl.NewIfInfomsg(unix.AF_BRIDGE)
	msg.Index = int32(index)
	req.AddData(msg)
	info := nl.NewRtAttr(unix.IFLA_PROTINFO|unix.NLA_F_NESTED, nil)
	for _, f := range flags {
		v := byte(0)
		if f.on {
			v = 1
		}
		info.AddRtAttr(f.attr, []byte{v})
	}
	req.AddData(info)
	_, err := req.Execute(unix.NETLINK_ROUTE, 0)
	return err
}

// makeVNI makes a VNI's bridge and VXLAN device, or mends what is there: a device
// that differs in what can't be changed is made anew.
func makeVNI(conf *Config, vni uint32) error {
	bridge, err := netlink.LinkByName(bridgeName(vni))
	if err != nil {
		attrs := netlink.NewLinkAttrs()
		attrs.Name = bridgeName(vni)
		no := false
		if err := netlink.LinkAdd(&netlink.Bridge{LinkAttrs: attrs, MulticastSnooping: &no}); err != nil {
			return fmt.Errorf("bridge %s: %w", attrs.Name, err)
		}
		if bridge, err = netlink.LinkByName(attrs.Name); err != nil {
			return fmt.Errorf("bridge %s: %w", attrs.Name, err)
		}
	}
	if bridge.Type() != "bridge" {
		return fmt.Errorf("%s is a %s: expected a bridge; remove it", bridgeName(vni), bridge.Type())
	}
	link, err := netlink.LinkByName(vxlanName(vni))
	if err == nil && !fits(link, conf, vni) {
		if err := netlink.LinkDel(link); err != nil {
			return fmt.Errorf("%s, which is not as it should be: %w", vxlanName(vni), err)
		}
		err = errors.New("made anew")
	}
	if err != nil {
		attrs := netlink.NewLinkAttrs()
		attrs.Name, attrs.MasterIndex = vxlanName(vni), bridge.Attrs().Index
		// TOS 1 is "inherit": what is in the class of its port is so in the underlay.
		err := netlink.LinkAdd(&netlink.Vxlan{LinkAttrs: attrs, VxlanId: int(vni), SrcAddr: net.IP(conf.VTEP.AsSlice()), Port: ethernet.VXLANPort, Learning: false, TOS: 1})
		if err != nil {
			return fmt.Errorf("%s: %w", attrs.Name, err)
		}
		if link, err = netlink.LinkByName(attrs.Name); err != nil {
			return fmt.Errorf("%s: %w", attrs.Name, err)
		}
	}
	index := link.Attrs().Index
	if link.Attrs().MasterIndex != bridge.Attrs().Index {
		if err := netlink.LinkSetMaster(link, bridge); err != nil {
			return fmt.Errorf("%s into %s: %w", vxlanName(vni), bridgeName(vni), err)
		}
	}
	if err := setPort(index, flag{nl.IFLA_BRPORT_LEARNING, false}, flag{nl.IFLA_BRPORT_ISOLATED, true}); err != nil {
		return fmt.Errorf("%s: %w", vxlanName(vni), err)
	}
	if err := widen(link); err != nil {
		return err
	}
	for _, l := range []netlink.Link{link, bridge} {
		if l.Attrs().Flags&net.FlagUp == 0 {
			if err := netlink.LinkSetUp(l); err != nil {
				return fmt.Errorf("%s up: %w", l.Attrs().Name, err)
			}
		}
	}
	if err := evict(conf, bridge.Attrs().Index, index); err != nil {
		return err
	}
	if err := errors.Join(strip(bridge), strip(link)); err != nil {
		return err
	}
	return dropForeign(index, conf)
}

// widen makes an interface take packets as great as every leaf carries. The uplinks are not
// this agent's to set.
func widen(l netlink.Link) error {
	if l.Attrs().MTU >= ethernet.MTU {
		return nil
	}
	if err := netlink.LinkSetMTU(l, ethernet.MTU); err != nil {
		return fmt.Errorf("MTU of %s, which is %d: expected it to take %d: %w", l.Attrs().Name, l.Attrs().MTU, ethernet.MTU, err)
	}
	return nil
}

// evict takes whatever is in a VNI's bridge out of it, but its VXLAN device and the
// leaf's edge ports.
func evict(conf *Config, bridge, vxlan int) error {
	links, err := netlink.LinkList()
	if err != nil {
		return fmt.Errorf("links: %w", err)
	}
	for _, l := range links {
		a := l.Attrs()
		edge := slices.ContainsFunc(conf.Ports, func(p PortConfig) bool { return p.Interface == a.Name })
		if a.MasterIndex != bridge || a.Index == vxlan || edge {
			continue
		}
		if err := netlink.LinkSetNoMaster(l); err != nil {
			return fmt.Errorf("take %s, which nobody expects there, out of its bridge: %w", a.Name, err)
		}
	}
	return nil
}

// strip takes addresses off an interface that is to have none, and what copies or
// steers its packets.
func strip(l netlink.Link) error {
	name := l.Attrs().Name
	addrs, err := netlink.AddrList(l, netlink.FAMILY_ALL)
	if err != nil {
		return fmt.Errorf("addresses of %s: %w", name, err)
	}
	for _, a := range addrs {
		if err := netlink.AddrDel(l, &a); err != nil {
			return fmt.Errorf("address %s of %s: %w", a.IPNet, name, err)
		}
	}
	queues, err := netlink.QdiscList(l)
	if err != nil {
		return fmt.Errorf("queueing disciplines of %s: %w", name, err)
	}
	for _, q := range queues {
		switch q.Type() {
		case "noqueue", "mq", "pfifo_fast", "pfifo", "bfifo":
			continue
		}
		if err := netlink.QdiscDel(q); err != nil {
			return fmt.Errorf("queueing discipline %s of %s: %w", q.Type(), name, err)
		}
	}
	return nil
}

func fits(l netlink.Link, conf *Config, vni uint32) bool {
	v, ok := l.(*netlink.Vxlan)
	return ok && v.VxlanId == int(vni) && v.Port == ethernet.VXLANPort && v.SrcAddr.Equal(net.IP(conf.VTEP.AsSlice())) &&
		v.Group == nil && !v.Learning && !v.FlowBased && !v.Proxy && !v.L2miss && !v.L3miss && !v.RSC && !v.GBP
}

// dropForeign removes forwarding entries of a VXLAN device that lead out of the
// fabric. Those that lead to its leaves are FRR's, as far as the kernel tells.
func dropForeign(index int, conf *Config) error {
	entries, err := netlink.NeighList(index, unix.AF_BRIDGE)
	if err != nil {
		return fmt.Errorf("forwarding entries: %w", err)
	}
	for _, e := range entries {
		if e.IP == nil {
			continue
		}
		known := slices.ContainsFunc(conf.Accept, func(r ethernet.Range) bool {
			return string(e.IP.To4()) >= string(r.From.AsSlice()) && string(e.IP.To4()) <= string(r.To.AsSlice())
		})
		if known {
			continue
		}
		if err := netlink.NeighDel(&e); err != nil {
			return fmt.Errorf("forwarding entry to %s: %w", e.IP, err)
		}
	}
	return nil
}

// dropVNI removes a VNI's devices.
func dropVNI(vni uint32) error {
	for _, name := range []string{vxlanName(vni), bridgeName(vni)} {
		link, err := netlink.LinkByName(name)
		if err != nil {
			continue
		}
		if err := netlink.LinkDel(link); err != nil {
			return fmt.Errorf("remove %s: %w", name, err)
		}
	}
	return nil
}

// unplug takes a port out of its bridge. Its forwarding entries go with it.
func unplug(p PortConfig) error {
	link, err := netlink.LinkByName(p.Interface)
	if err != nil {
		return fmt.Errorf("interface %s: %w", p.Interface, err)
	}
	if link.Attrs().MasterIndex == 0 {
		return nil
	}
	if err := netlink.LinkSetNoMaster(link); err != nil {
		return fmt.Errorf("take %s out of its bridge: %w", p.Interface, err)
	}
	return nil
}

// plug makes a port a member of a VNI, locked to its one source address.
func plug(p PortConfig, vni uint32, isolated bool) error {
	fail := func(what string, err error) error { return fmt.Errorf("%s of %s: %w", what, p.Interface, err) }
	bridge, err := netlink.LinkByName(bridgeName(vni))
	if err != nil {
		return fail("bridge", err)
	}
	link, err := netlink.LinkByName(p.Interface)
	if err != nil {
		return fail("interface", err)
	}
	index := link.Attrs().Index
	if err := errors.Join(strip(link), widen(link)); err != nil {
		return err
	}
	if link.Attrs().MasterIndex != bridge.Attrs().Index {
		if err := netlink.LinkSetMaster(link, bridge); err != nil {
			return fail("bridge", err)
		}
	}
	if err := setPort(index, flag{nl.IFLA_BRPORT_LOCKED, true}, flag{nl.IFLA_BRPORT_LEARNING, false}, flag{nl.IFLA_BRPORT_ISOLATED, isolated}); err != nil {
		return fail("port security", err)
	}
	own := net.HardwareAddr(macBytes(uint64(p.MAC)))
	entries, err := netlink.NeighList(index, unix.AF_BRIDGE)
	if err != nil {
		return fail("forwarding entries", err)
	}
	there := false
	for _, e := range entries {
		switch {
		case e.Flags&netlink.NTF_SELF != 0 || e.State == netlink.NUD_PERMANENT: // the interface's own addresses
		case string(e.HardwareAddr) == string(own) && e.State == netlink.NUD_NOARP && e.Flags&netlink.NTF_STICKY != 0:
			there = true
		default:
			e.Flags |= netlink.NTF_MASTER
			if err := netlink.NeighDel(&e); err != nil {
				return fail("forwarding entry "+e.HardwareAddr.String(), err)
			}
		}
	}
	if !there {
		entry := &netlink.Neigh{LinkIndex: index, Family: unix.AF_BRIDGE, State: netlink.NUD_NOARP, Flags: netlink.NTF_MASTER | netlink.NTF_STICKY, HardwareAddr: own}
		if err := netlink.NeighSet(entry); err != nil {
			return fail("forwarding entry", err)
		}
	}
	if link.Attrs().Flags&net.FlagUp == 0 {
		if err := netlink.LinkSetUp(link); err != nil {
			return fail("state", err)
		}
	}
	return nil
}

// layout is what the kernel has of bridges: by port number the VNI of the bridge
// that its interface is in, and all VNIs that have a bridge.
type layout struct {
	of       map[int]uint32 // absent: in none; 0: in one that is no VNI's
	vnis     map[uint32]bool
	occupied map[uint32]bool // VNIs that something is in, besides their VXLAN device
}

func readLayout(conf *Config) (layout, error) {
	links, err := netlink.LinkList()
	if err != nil {
		return layout{}, fmt.Errorf("links: %w", err)
	}
	l := layout{of: map[int]uint32{}, vnis: map[uint32]bool{}, occupied: map[uint32]bool{}}
	names := map[int]string{}
	for _, link := range links {
		names[link.Attrs().Index] = link.Attrs().Name
		if vni, ours := vniOf(link.Attrs().Name); ours {
			l.vnis[vni] = true
		}
		if digits, ours := strings.CutPrefix(link.Attrs().Name, "vni"); ours {
			if vni, ours := vniOf("bd" + digits); ours {
				l.vnis[vni] = true
			}
		}
	}
	for _, link := range links {
		i := slices.IndexFunc(conf.Ports, func(p PortConfig) bool { return p.Interface == link.Attrs().Name })
		master := link.Attrs().MasterIndex
		if master == 0 {
			continue
		}
		vni, ours := vniOf(names[master])
		if ours && link.Attrs().Name != vxlanName(vni) {
			l.occupied[vni] = true
		}
		if i >= 0 {
			l.of[conf.Ports[i].Number] = vni
		}
	}
	return l, nil
}
