package ethlab

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"bulkhead/fabric"
	"bulkhead/fabric/ethernet"
	"bulkhead/lab/await"
	"bulkhead/lab/stage"
	"bulkhead/site"
)

// victim is the first node of a rival on rail 0, with its leaf port.
type victim struct {
	host string
	leaf string // its leaf on rail 0
	port int
	at   site.Port // the same
	vni  uint32
	mac  uint64
}

func (v *victim) swp() string { return fmt.Sprintf("swp%d", v.port) }

// victims are a node of each rival behind the same leaf, where there are two such.
func (l *Lab) victims() (v [2]victim) {
	ours, theirs := l.Nodes(stage.Tenants[0]), l.Nodes(stage.Tenants[1])
	for _, a := range ours {
		for _, b := range theirs {
			v = [2]victim{l.victim(a, stage.Tenants[0]), l.victim(b, stage.Tenants[1])}
			if v[0].leaf == v[1].leaf {
				return v
			}
		}
	}
	return v
}

func (l *Lab) victim(n site.Index, tenant string) victim {
	p := site.PortOf(n, 0)
	return victim{host: l.Site.NodeID[n], leaf: l.Site.LeafID(l.Site.LeafOf(p)), port: l.Site.LeafPort(p), at: p, vni: l.Label(tenant), mac: l.Site.PortID[p]}
}

// at runs a command on a device, as somebody who has taken it over.
func (l *Lab) at(ctx context.Context, device, format string, args ...any) error {
	words := strings.Fields(fmt.Sprintf(format, args...))
	_, err := l.Net.Space(device).Output(ctx, words[0], words[1:]...)
	return err
}

func nothing(context.Context) error { return nil }

// undo takes back what lockdown and the writing after it may have swept away
// already: that it can't be found is no error. Whether the fabric is as it should be
// is proven, not assumed.
func (l *Lab) undo(device, words string) func(context.Context) error {
	return func(ctx context.Context) error {
		_ = l.at(ctx, device, "%s", words)
		return ctx.Err()
	}
}

// join puts a port into a bridge as somebody would who wants it to look right.
func (l *Lab) join(ctx context.Context, v victim, bridge string) error {
	for _, words := range []string{
		fmt.Sprintf("ip link set %s master %s", v.swp(), bridge),
		fmt.Sprintf("bridge link set dev %s locked on learning off", v.swp()),
		fmt.Sprintf("bridge fdb replace %s dev %s master static", text(v.mac), v.swp()),
	} {
		if err := l.at(ctx, v.leaf, "%s", words); err != nil {
			return err
		}
	}
	return nil
}

// What attacks must show at, and what they may touch.

// ourPort: the first rival's port must show it, and what is at its leaf may be red.
func (l *Lab) ourPort() (at, touched []site.Port) {
	v := l.victims()[0]
	return []site.Port{v.at}, l.LeafPorts(v.at)
}

// bothPorts: those of both rivals.
func (l *Lab) bothPorts() (at, touched []site.Port) {
	v := l.victims()
	return []site.Port{v[0].at, v[1].at}, l.LeafPorts(v[0].at, v[1].at)
}

// ourPortAlone: nothing leaks, so nothing may be red.
func (l *Lab) ourPortAlone() (at, touched []site.Port) {
	return []site.Port{l.victims()[0].at}, nil
}

// nearPort: a leaf that speaks in the name of another one, which may be red as well.
func (l *Lab) nearPort() (at, touched []site.Port) {
	near, far, err := l.twoLeaves()
	if err != nil {
		return nil, nil // to mount it is an error as well
	}
	return []site.Port{near.at}, l.LeafPorts(near.at, far.at)
}

// mac in the form that tools want.
func text(mac uint64) string { return hardware(mac).String() }

// stranger is an address in the underlay that is no leaf's.
const stranger = "10.64.250.200"

// Attacks is the corpus, in an order in which each leaves the fabric as it was.
func (l *Lab) Attacks() []stage.Attack {
	return slices.Concat(l.leafAttacks(), l.routeAttacks(), l.policyAttacks(), l.hostAttacks(), []stage.Attack{l.swappedCables()})
}

// leafAttacks are by somebody who can change a leaf, or by a leaf that is broken.
func (l *Lab) leafAttacks() []stage.Attack {
	return []stage.Attack{
		{Name: "a port moved into the rival's bridge", By: "an administrator of the leaf", Ends: stage.Detected, Check: "foreign-label", Action: "locked down", Where: l.ourPort,
			Mount: func(ctx context.Context) (func(context.Context) error, error) {
				v := l.victims()
				if err := l.ensureBridge(ctx, v[0].leaf, v[1].vni); err != nil {
					return nil, err
				}
				return nothing, l.join(ctx, v[0], fmt.Sprintf("bd%d", v[1].vni))
			}},
		{Name: "a port bridged to the rival on the leaf alone, without a VNI", By: "an administrator of the leaf", Ends: stage.Detected, Check: "unowned-label", Action: "locked down", Where: l.ourPort,
			Mount: func(ctx context.Context) (func(context.Context) error, error) {
				v := l.victims()
				for _, words := range []string{"ip link add local0 type bridge", "ip link set local0 up"} {
					if err := l.at(ctx, v[0].leaf, "%s", words); err != nil {
						return nil, err
					}
				}
				return l.undo(v[0].leaf, "ip link del local0"), l.join(ctx, v[0], "local0")
			}},
		{Name: "a static forwarding entry to a stranger in the underlay", By: "an administrator of the leaf", Ends: stage.Detected, Check: "stray-path", Action: "locked down until the entry is gone", Where: l.ourPort,
			Mount: func(ctx context.Context) (func(context.Context) error, error) {
				v := l.victims()[0]
				entry := fmt.Sprintf("02:66:00:00:00:01 dev vni%d dst %s self static", v.vni, stranger)
				return l.undo(v.leaf, "bridge fdb del "+entry), l.at(ctx, v.leaf, "bridge fdb add %s", entry)
			}},
		{Name: "a flood entry to a stranger in the underlay", By: "an administrator of the leaf", Ends: stage.Detected, Check: "stray-path", Action: "locked down until the entry is gone", Where: l.ourPort,
			Mount: func(ctx context.Context) (func(context.Context) error, error) {
				v := l.victims()[0]
				entry := fmt.Sprintf("00:00:00:00:00:00 dev vni%d dst %s self permanent", v.vni, stranger)
				return l.undo(v.leaf, "bridge fdb del "+entry), l.at(ctx, v.leaf, "bridge fdb append %s", entry)
			}},
		{Name: "a mirror session on a tenant's port", By: "an administrator of the leaf", Ends: stage.Detected, Check: "mirrored", Action: "locked down until the session is gone", Where: l.ourPort,
			Mount: func(ctx context.Context) (func(context.Context) error, error) {
				v := l.victims()[0]
				to := l.Net.Plan.Device(v.leaf).Uplinks[0].Port
				if err := l.at(ctx, v.leaf, "tc qdisc add dev %s clsact", v.swp()); err != nil {
					return nil, err
				}
				return l.undo(v.leaf, fmt.Sprintf("tc qdisc del dev %s clsact", v.swp())),
					l.at(ctx, v.leaf, "tc filter add dev %s ingress protocol all u32 match u32 0 0 action mirred egress mirror dev %s", v.swp(), to)
			}},
		{Name: "the underlay filter is removed", By: "an administrator of the leaf", Ends: stage.Detected, Check: "underlay-open", Action: "locked down; the filter is put back with the next write", Where: l.ourPort,
			Mount: func(ctx context.Context) (func(context.Context) error, error) {
				v := l.victims()[0]
				return func(ctx context.Context) error { return l.Net.RestartAgent(ctx, v.leaf) }, l.at(ctx, v.leaf, "nft delete table inet bulkhead")
			}},
		{Name: "a rule that accepts everything before the underlay filter", By: "an administrator of the leaf", Ends: stage.Detected, Check: "underlay-open", Action: "locked down; the filter is put back with the next write", Where: l.ourPort,
			Mount: func(ctx context.Context) (func(context.Context) error, error) {
				v := l.victims()[0]
				return func(ctx context.Context) error { return l.Net.RestartAgent(ctx, v.leaf) }, l.at(ctx, v.leaf, "nft insert rule inet bulkhead input accept")
			}},
		{Name: "a tenant's bridge gets an address and routes", By: "an administrator of the leaf (a leak into the default VRF)", Ends: stage.Detected, Check: "underlay-open", Action: "locked down until the address is gone", Where: l.ourPort,
			Mount: func(ctx context.Context) (func(context.Context) error, error) {
				v := l.victims()[0]
				if err := l.at(ctx, v.leaf, "sysctl -q -w net.ipv4.conf.bd%d.forwarding=1", v.vni); err != nil {
					return nil, err
				}
				return l.undo(v.leaf, fmt.Sprintf("ip addr del 10.0.0.254/24 dev bd%d", v.vni)), l.at(ctx, v.leaf, "ip addr add 10.0.0.254/24 dev bd%d", v.vni)
			}},
		{Name: "a port takes any source address", By: "an administrator of the leaf", Ends: stage.Detected, Check: "enforcement-off", Action: "locked down", Where: l.ourPort,
			Mount: func(ctx context.Context) (func(context.Context) error, error) {
				v := l.victims()[0]
				return nothing, l.at(ctx, v.leaf, "bridge link set dev %s locked off", v.swp())
			}},
		{Name: "a tenant is put into its neighbour's traffic class", By: "an administrator of the leaf", Ends: stage.Detected, Check: "wrong-class", Action: "written again; nothing leaks, so nothing is locked down", Where: l.ourPortAlone,
			Mount: func(ctx context.Context) (func(context.Context) error, error) {
				v := l.victims()[0]
				return nothing, l.setClass(ctx, v)
			}},
		{Name: "an unknown host is plugged into a leaf, and says so by LLDP", By: "somebody in the hall", Ends: stage.Detected, Check: "uncounted-port", Action: "the leaf counts as unknown until it is gone", Where: l.ourPortAlone,
			Mount: func(ctx context.Context) (func(context.Context) error, error) {
				v := l.victims()[0]
				v.port, v.mac = 12, 0x026600000012 // no node of the inventory is there
				if err := l.Net.Plug("stranger", v.leaf, v.port, netip.MustParsePrefix("10.0.0.200/24")); err != nil {
					return nil, err
				}
				// One that says nothing, at a port that is shut, is not counted: it reaches nothing.
				if err := l.at(ctx, "stranger", "ip link set eth0 address %s", text(v.mac)); err != nil {
					return nil, err
				}
				if err := l.Net.StartLLDP("stranger", "eth0"); err != nil {
					return nil, err
				}
				return func(context.Context) error { return l.Net.Unplug(v.leaf, v.swp()) },
					await.True(ctx, "LLDP to hear the stranger", func() bool { return l.announced(ctx, v, v.mac) })
			}},
		{Name: "a leaf falls silent", By: "a fault, or whoever wants to hide something", Ends: stage.Detected, Check: "unreadable", Action: "unknown after the window; nothing is locked down", Where: l.ourPortAlone,
			Mount: func(ctx context.Context) (func(context.Context) error, error) {
				v := l.victims()[0]
				return func(context.Context) error { return l.Net.SetManaged(v.leaf, true) }, l.Net.SetManaged(v.leaf, false)
			}},
		{Name: "a leaf starts again with a stale configuration", By: "a restored backup", Ends: stage.Detected, Check: "foreign-label", Action: "locked down, then written as it is to be", Where: l.ourPort,
			Mount: func(ctx context.Context) (func(context.Context) error, error) {
				v := l.victims()
				// Of the lease before, when the port was the rival's.
				return nothing, l.restart(ctx, v[0].leaf, map[int]fabric.Row{v[0].port: fabric.Compile(site.RoCE, v[1].vni)})
			}},
	}
}

// swappedCables is by a technician. It comes last: lldpd is started again for it.
func (l *Lab) swappedCables() stage.Attack {
	return stage.Attack{Name: "the cables of two rivals are swapped", By: "a technician", Ends: stage.Detected, Check: "wrong-neighbour", Action: "locked down, and shut until the right cables are back", Where: l.bothPorts,
		Mount: func(ctx context.Context) (func(context.Context) error, error) {
			v := l.victims()
			swapped := func(ctx context.Context) error {
				if err := l.Net.SwapCables(v[0].host, v[1].host, site.NICName(0)); err != nil {
					return err
				}
				v[0].mac, v[1].mac = v[1].mac, v[0].mac
				return l.relearn(ctx, v)
			}
			return func(ctx context.Context) error {
				v[0].mac, v[1].mac = v[1].mac, v[0].mac
				if err := l.Net.RestoreCables(v[0].host, v[1].host, site.NICName(0)); err != nil {
					return err
				}
				return l.relearn(ctx, v)
			}, swapped(ctx)
		}}
}

// relearn lets a leaf hear anew who is at its ports. A switch forgets who was there
// when a link goes; lldpd keeps what it heard until its time is over.
func (l *Lab) relearn(ctx context.Context, v [2]victim) error {
	for _, at := range [][2]string{{v[0].leaf, "swp*"}, {v[0].host, "rail*,frontend"}, {v[1].host, "rail*,frontend"}} {
		if err := l.Net.StopLLDP(ctx, at[0]); err != nil {
			return err
		}
		if err := l.Net.StartLLDP(at[0], at[1]); err != nil {
			return err
		}
	}
	return await.True(ctx, "LLDP to hear who is there now", func() bool { return l.announced(ctx, v[0], v[0].mac) && l.announced(ctx, v[1], v[1].mac) })
}

// configure has a device's bgpd run lines within its BGP instance.
func (l *Lab) configure(ctx context.Context, device string, lines ...string) error {
	_, err := l.Net.Vtysh(ctx, device, append([]string{"configure terminal", fmt.Sprintf("router bgp %d", ethernet.ASN)}, lines...)...)
	return err
}

// routeAttacks are by somebody who speaks BGP, or configures who does.
func (l *Lab) routeAttacks() []stage.Attack {
	return []stage.Attack{
		{Name: "the rival's route target is imported", By: "an administrator of the leaf", Ends: stage.Detected, Check: "foreign-route", Action: "locked down; VNIs differ, so addresses are disclosed and no packet leaks", Where: l.ourPort,
			Mount: func(ctx context.Context) (func(context.Context) error, error) {
				v := l.victims()
				line := fmt.Sprintf("route-target import %s", ethernet.TargetOf(v[1].vni))
				set := func(ctx context.Context, no string) error {
					return l.configure(ctx, v[0].leaf, "address-family l2vpn evpn", fmt.Sprintf("vni %d", v[0].vni), no+line)
				}
				return func(ctx context.Context) error { return set(ctx, "no ") }, set(ctx, "")
			}},
		{Name: "routes are exported under the rival's target", By: "an administrator of the leaf", Ends: stage.Detected, Check: "foreign-route", Action: "locked down", Where: l.ourPort,
			Mount: func(ctx context.Context) (func(context.Context) error, error) {
				v := l.victims()
				line := fmt.Sprintf("route-target export %s", ethernet.TargetOf(v[1].vni))
				set := func(ctx context.Context, no string) error {
					return l.configure(ctx, v[0].leaf, "address-family l2vpn evpn", fmt.Sprintf("vni %d", v[0].vni), no+line)
				}
				return func(ctx context.Context) error { return set(ctx, "no ") }, set(ctx, "")
			}},
		{Name: "a leaf announces a MAC that is not behind it", By: "a leaf that was taken over", Ends: stage.Detected, Check: "enforcement-off", Action: "locked down, for the second address that its port takes; the address is announced nowhere, because the right leaf holds it fast", Where: l.nearPort,
			Mount: func(ctx context.Context) (func(context.Context) error, error) {
				v, far, err := l.twoLeaves()
				if err != nil {
					return nil, err
				}
				entry := fmt.Sprintf("%s dev %s master static", text(far.mac), v.swp())
				return l.undo(v.leaf, "bridge fdb del "+entry), l.at(ctx, v.leaf, "bridge fdb replace %s", entry)
			}},
		{Name: "a leaf sends from another leaf's address", By: "a leaf that was taken over, or two with one configuration", Ends: stage.Detected, Check: "foreign-route", Action: "locked down at that leaf", Where: l.nearPort,
			Mount: func(ctx context.Context) (func(context.Context) error, error) {
				v, far, err := l.twoLeaves()
				if err != nil {
					return nil, err
				}
				own, other := l.Net.Plan.Device(v.leaf).Loopback, l.Net.Plan.Device(far.leaf).Loopback
				set := func(ctx context.Context, to fmt.Stringer) error {
					return l.at(ctx, v.leaf, "ip link set vni%d type vxlan local %s", v.vni, to)
				}
				return l.undo(v.leaf, fmt.Sprintf("ip link set vni%d type vxlan local %s", v.vni, own)), set(ctx, other)
			}},
		{Name: "a leaf is given a rogue BGP peer", By: "an administrator of the leaf", Ends: stage.Detected, Check: "foreign-route", Action: "locked down until the peer is gone", Where: l.ourPort,
			Mount: func(ctx context.Context) (func(context.Context) error, error) {
				v := l.victims()[0]
				peer := "neighbor " + stranger
				return func(ctx context.Context) error { return l.configure(ctx, v.leaf, "no "+peer) },
					l.configure(ctx, v.leaf, peer+" remote-as 65000", "address-family l2vpn evpn", peer+" activate")
			}},
		{Name: "a reflector announces routes of its own", By: "an administrator of a spine", Ends: stage.Detected, Check: "routes come from leaves only", Action: "nothing new is handed over while its routes are there",
			Mount: func(ctx context.Context) (func(context.Context) error, error) {
				spine, v := l.Net.Plan.Spines(FabricID)[0].Name, l.victims()[0]
				for _, words := range []string{
					fmt.Sprintf("ip link add bd%d type bridge", v.vni),
					fmt.Sprintf("ip link add vni%d type vxlan id %d local %s dstport %d nolearning", v.vni, v.vni, stranger, ethernet.VXLANPort),
					fmt.Sprintf("ip link set vni%d master bd%d up", v.vni, v.vni), fmt.Sprintf("ip link set bd%d up", v.vni),
				} {
					if err := l.at(ctx, spine, "%s", words); err != nil {
						return nil, err
					}
				}
				if err := l.configure(ctx, spine, "address-family l2vpn evpn", "advertise-all-vni"); err != nil {
					return nil, err
				}
				undo := func(ctx context.Context) error {
					if err := l.configure(ctx, spine, "address-family l2vpn evpn", "no advertise-all-vni"); err != nil {
						return err
					}
					if err := l.at(ctx, spine, "ip link del vni%d", v.vni); err != nil {
						return err
					}
					return l.at(ctx, spine, "ip link del bd%d", v.vni)
				}
				return undo, await.True(ctx, "the collector to hear the reflector's own route", func() bool {
					routes, _ := l.Collector.Routes(netip.MustParseAddr(stranger))
					return len(routes) > 0
				})
			}},
		{Name: "bgpd of a leaf is killed", By: "a fault", Ends: stage.Detected, Check: "unreadable", Action: "unknown after the window; nothing is locked down", Where: l.ourPortAlone,
			Mount: func(ctx context.Context) (func(context.Context) error, error) {
				v := l.victims()[0]
				return func(ctx context.Context) error { return l.Net.StartDaemon(ctx, v.leaf, "bgpd") }, l.Net.KillDaemon(v.leaf, "bgpd")
			}},
	}
}

// hostAttacks are by a tenant on its own leased nodes, with raw sockets.
func (l *Lab) hostAttacks() []stage.Attack {
	// Each sends frames that the rival would have to receive, or its own peers would
	// have to believe, and says what arrived.
	prevented := func(name string, forged func(own, peer, rival *canary, t token) [][]byte) stage.Attack {
		return stage.Attack{Name: name, By: "a leased node", Ends: stage.Prevented, Action: "dropped at the port",
			Mount: func(ctx context.Context) (func(context.Context) error, error) { return nothing, l.forge(ctx, forged) }}
	}
	return []stage.Attack{
		prevented("VXLAN to the own leaf, with the rival's VNI inside", func(own, peer, rival *canary, t token) [][]byte {
			inner := frame(address{own.mac, own.ip}, address{rival.mac, rival.ip}, t)
			vtep := l.Net.Plan.Device(l.victims()[1].leaf).Loopback
			return [][]byte{ethernetFrame(own.mac, everybody, ipv4(own.ip, vtep, 17, udp(50000, ethernet.VXLANPort, vxlan(l.victims()[1].vni, inner))))}
		}),
		prevented("frames from a peer's MAC address", func(own, peer, rival *canary, t token) [][]byte {
			return [][]byte{frame(address{peer.mac, own.ip}, address{everybody, peer.ip}, t)}
		}),
		prevented("frames from the rival's MAC address", func(own, peer, rival *canary, t token) [][]byte {
			return [][]byte{frame(address{rival.mac, own.ip}, address{everybody, peer.ip}, t)}
		}),
		prevented("ARP answers from a foreign MAC address", func(own, peer, rival *canary, t token) [][]byte {
			return [][]byte{arpReply(own, peer, rival, t)}
		}),
		prevented("router advertisements (IPv6 ND)", func(own, peer, rival *canary, t token) [][]byte {
			return [][]byte{routerAdvertisement(own, t)}
		}),
		prevented("answers of a DHCP server", func(own, peer, rival *canary, t token) [][]byte {
			return [][]byte{ethernetFrame(own.mac, everybody, ipv4(own.ip, peer.ip, 17, udp(67, 68, t.bytes())))}
		}),
		prevented("BGP to whoever listens", func(own, peer, rival *canary, t token) [][]byte {
			return [][]byte{ethernetFrame(own.mac, everybody, ipv4(own.ip, peer.ip, 6, tcpSYN(50000, 179, own.ip, peer.ip, t.bytes())))}
		}),
		prevented("frames with a VLAN tag", func(own, peer, rival *canary, t token) [][]byte {
			f := frame(address{own.mac, own.ip}, address{everybody, rival.ip}, t)
			return [][]byte{append(append(append([]byte(nil), f[:12]...), 0x81, 0, 0, 2), f[12:]...)}
		}),
		{Name: "VXLAN forged in the underlay, from an address that is no leaf's", By: "whoever reaches the underlay", Ends: stage.Prevented, Action: "dropped and counted at the leaf",
			Mount: func(ctx context.Context) (func(context.Context) error, error) { return nothing, l.forgeUnderlay(ctx) }},
	}
}

// twoLeaves returns a victim, and another node of the same tenant behind another
// leaf of rail 0.
func (l *Lab) twoLeaves() (near, far victim, err error) {
	near = l.victims()[0]
	for _, n := range l.Nodes(stage.Tenants[0]) {
		if far = l.victim(n, stage.Tenants[0]); far.leaf != near.leaf {
			return near, far, nil
		}
	}
	return near, far, fmt.Errorf("%s has all its nodes behind one leaf", stage.Tenants[0])
}

// restart is a leaf that lost its power and comes up with a configuration that some
// control plane wrote before; then its agent starts.
func (l *Lab) restart(ctx context.Context, leaf string, stale map[int]fabric.Row) error {
	if err := l.Net.KillDaemon(leaf, "agent"); err != nil {
		return err
	}
	for port := range len(l.Net.AgentConfig(leaf).Ports) {
		if err := l.at(ctx, leaf, "ip link set swp%d nomaster", port+1); err != nil {
			return err
		}
	}
	if err := l.at(ctx, leaf, "nft flush ruleset"); err != nil {
		return err
	}
	if err := l.Net.Intrude(ctx, leaf, stale); err != nil {
		return err
	}
	return l.Net.RestartAgent(ctx, leaf)
}

// announced reports whether a leaf hears one neighbour by LLDP at a port, of a MAC.
func (l *Lab) announced(ctx context.Context, v victim, mac uint64) bool {
	agent, err := l.Net.Client(v.leaf)
	if err != nil {
		return false
	}
	defer agent.Close()
	c, err := agent.Read(ctx)
	i := slices.IndexFunc(c.Ports, func(p ethernet.Port) bool { return p.Number == v.port })
	return err == nil && i >= 0 && c.Ports[i].LLDP == mac && !c.Ports[i].More
}

// ensureBridge makes a VNI's bridge at a leaf that may not have it.
func (l *Lab) ensureBridge(ctx context.Context, leaf string, vni uint32) error {
	if l.at(ctx, leaf, "ip link show bd%d", vni) == nil {
		return nil
	}
	for _, words := range []string{
		fmt.Sprintf("ip link add bd%d type bridge", vni),
		fmt.Sprintf("ip link add vni%d type vxlan id %d local %s dstport %d nolearning", vni, vni, l.Net.Plan.Device(leaf).Loopback, ethernet.VXLANPort),
		fmt.Sprintf("ip link set vni%d master bd%d up", vni, vni), fmt.Sprintf("ip link set bd%d up", vni),
	} {
		if err := l.at(ctx, leaf, "%s", words); err != nil {
			return err
		}
	}
	return nil
}
