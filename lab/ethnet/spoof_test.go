//go:build labs

package ethnet

import (
	"fmt"
	"net/netip"
	"testing"

	"bulkhead/fabric"
	"bulkhead/lab/await"
	"bulkhead/site"
)

func macOf(t *testing.T, n *Net, host, nic string) uint64 {
	t.Helper()
	for _, x := range n.Host(host).NICs {
		if x.Name == nic {
			return x.MAC
		}
	}
	t.Fatalf("no %s at %s", nic, host)
	return 0
}

// What a tenant's host must not say dies at its own port, counted there, and does not
// even reach the tenant's other hosts. What it may say goes through the same way.
func TestEdgePortsRefuse(t *testing.T) {
	n := up(t, Options{Only: []string{"frontend"}, Agent: SelfLeaf})
	const from, to, nic = "a1-su01-n01", "a1-su02-n01", "frontend"
	carries(t, n, "a1-su01-front", map[int]uint32{1: 5001})
	carries(t, n, "a1-su02-front", map[int]uint32{1: 5001})
	for k, host := range []string{from, to} {
		if err := n.SetMember(host, k); err != nil {
			t.Fatal(err)
		}
	}
	reaches(t, n, from, nic, 1)
	own, peer := macOf(t, n, from, nic), macOf(t, n, to, nic)
	const other = 0x02_00_00_00_00_99
	a, b := TenantAddress(site.Frontend, 0), TenantAddress(site.Frontend, 1)
	ll := netip.MustParseAddr("fe80::1")
	option := func(kind byte, v uint64) []byte { return append([]byte{kind, 1}, mac(v)...) }
	nd := func(kind byte, opt []byte) []byte {
		return append(append([]byte{kind, 0, 0, 0, 0, 0, 0, 0}, ll.AsSlice()...), opt...)
	}
	ears, err := n.Sniff(to, nic)
	if err != nil {
		t.Fatal(err)
	}
	defer ears.Close()
	for i, c := range []struct {
		name    string
		allowed bool
		frame   func(mark []byte) []byte
	}{
		{"UDP of its own", true, func(m []byte) []byte { return Frame(peer, own, 0x0800, IPv4(a, b, 17, UDP(5000, 4791, m))) }},
		{"ARP of its own", true, func(m []byte) []byte { return append(Frame(Broadcast, own, 0x0806, ARP(own, a, b)), m...) }},
		{"neighbour advertisement of its own", true, func(m []byte) []byte {
			return append(Frame(0x333300000001, own, 0x86dd, ICMPv6(ll, nd(136, option(2, own)))), m...)
		}},
		{"another source address", false, func(m []byte) []byte { return Frame(peer, other, 0x0800, IPv4(a, b, 17, UDP(5000, 4791, m))) }},
		{"its peer's source address", false, func(m []byte) []byte { return Frame(peer, peer, 0x0800, IPv4(a, b, 17, UDP(5000, 4791, m))) }},
		{"ARP for another", false, func(m []byte) []byte { return append(Frame(Broadcast, own, 0x0806, ARP(other, b, a)), m...) }},
		{"neighbour advertisement for another", false, func(m []byte) []byte {
			return append(Frame(0x333300000001, own, 0x86dd, ICMPv6(ll, nd(136, option(2, other)))), m...)
		}},
		{"neighbour solicitation for another", false, func(m []byte) []byte {
			return append(Frame(0x333300000001, own, 0x86dd, ICMPv6(ll, nd(135, option(1, other)))), m...)
		}},
		{"router advertisement", false, func(m []byte) []byte {
			return append(Frame(0x333300000001, own, 0x86dd, ICMPv6(ll, []byte{134, 0, 0, 0, 64, 0, 7, 8, 0, 0, 0, 0, 0, 0, 0, 0})), m...)
		}},
		{"redirect", false, func(m []byte) []byte {
			return append(Frame(0x333300000001, own, 0x86dd, ICMPv6(ll, append(nd(137, nil), ll.AsSlice()...))), m...)
		}},
		{"DHCP server", false, func(m []byte) []byte { return Frame(Broadcast, own, 0x0800, IPv4(a, b, 17, UDP(67, 68, m))) }},
		{"VXLAN", false, func(m []byte) []byte {
			return Frame(peer, own, 0x0800, IPv4(a, b, 17, UDP(5000, 4789, VXLAN(5002, Frame(peer, own, 0x0800, m)))))
		}},
		{"BGP", false, func(m []byte) []byte { return append(Frame(peer, own, 0x0800, IPv4(a, b, 6, TCP(5000, 179))), m...) }},
		{"VLAN tag", false, func(m []byte) []byte {
			return Frame(peer, own, 0x8100, append([]byte{0, 7, 8, 0}, IPv4(a, b, 17, UDP(5000, 4791, m))...))
		}},
		{"another protocol", false, func(m []byte) []byte { return Frame(peer, own, 0x8863, m) }},
	} {
		mark := fmt.Appendf(nil, "mark-%02d-of-the-test", i)
		before, err := n.Counter(t.Context(), "a1-su01-front", "swp1")
		if err != nil {
			t.Fatal(err)
		}
		if err := n.Inject(from, nic, c.frame(mark)); err != nil {
			t.Fatal(err)
		}
		behind := mark
		if !c.allowed { // an honest frame, by the same way: when it has come, the other would have
			behind = fmt.Appendf(nil, "behind-%02d-of-the-test", i)
			if err := n.Inject(from, nic, Frame(peer, own, 0x0800, IPv4(a, b, 17, UDP(5000, 4791, behind)))); err != nil {
				t.Fatal(err)
			}
		}
		lldp, err := ears.Hears(mark, behind)
		if err != nil {
			t.Fatal(err)
		}
		after, err := n.Counter(t.Context(), "a1-su01-front", "swp1")
		if err != nil {
			t.Fatal(err)
		}
		// What is no IP and no ARP is dropped by policy, which has no counter.
		byPolicy := c.name == "VLAN tag" || c.name == "another protocol"
		if lldp != c.allowed || !byPolicy && (after > before) == c.allowed {
			t.Errorf("%s: heard %t, expected %t; the port's counter went from %d to %d", c.name, lldp, c.allowed, before, after)
		}
	}
}

// VXLAN that does not come from a leaf is not unpacked, wherever it comes from, and is
// counted. With the filter away the same packets are delivered to a tenant: the filter
// is what stops them, and nothing else.
func TestForgedVXLAN(t *testing.T) {
	n := up(t, Options{Only: []string{"frontend"}, Agent: SelfLeaf})
	const leaf, victim, nic = "a1-su01-front", "a1-su01-n01", "frontend"
	carries(t, n, leaf, map[int]uint32{1: 5001})
	vtep := netip.AddrPortFrom(n.Plan.Device(leaf).Loopback, 4789)
	spine := n.Plan.Spines("frontend")[0]
	// Somebody is in the underlay: at a port of a spine, with an address and a route.
	rogue := netip.MustParsePrefix("172.31.0.1/30")
	if err := n.Intruder("rogue", spine.Name, 90, rogue, netip.MustParsePrefix("172.31.0.2/30")); err != nil {
		t.Fatal(err)
	}
	ears, err := n.Sniff(victim, nic)
	if err != nil {
		t.Fatal(err)
	}
	defer ears.Close()
	send := func(at string, to netip.AddrPort, mark string) {
		t.Helper()
		inner := Frame(macOf(t, n, victim, nic), 0x020000000099, 0x0800, IPv4(netip.MustParseAddr("10.0.8.66"), TenantAddress(site.Frontend, 0), 17, UDP(1, 2, []byte(mark))))
		if err := n.SendUDP(at, to, VXLAN(5001, inner)); err != nil {
			t.Fatal(err)
		}
	}
	lldp := func(mark string) bool {
		t.Helper()
		is, err := ears.Arrived([]byte(mark))
		if err != nil {
			t.Fatal(err)
		}
		return is
	}
	// refused sends until a packet is counted as refused. The first ones may be lost on
	// their way, to ARP.
	refused := func(at string, to netip.AddrPort, mark string) {
		t.Helper()
		before, err := n.Counter(t.Context(), leaf, "vxlan-refused")
		if err != nil {
			t.Fatal(err)
		}
		err = await.Until(await.Context(t), "VXLAN from "+at+" to be counted", func() (string, bool) {
			send(at, to, mark)
			after, err := n.Counter(t.Context(), leaf, "vxlan-refused")
			return fmt.Sprint(after, err), err == nil && after > before
		})
		if err != nil {
			t.Error(err)
		}
		if lldp(mark) {
			t.Errorf("VXLAN from %s was delivered", at)
		}
	}
	manage := netip.AddrPortFrom(n.Plan.Device(leaf).Manage, 4789)
	refused("rogue", vtep, "forged-0")
	refused(Manage, manage, "forged-1")
	if err := n.Run(t.Context(), leaf, "nft delete table inet bulkhead"); err != nil {
		t.Fatal(err)
	}
	if err := await.True(await.Context(t), "VXLAN from the underlay to be delivered without the filter", func() bool {
		send("rogue", vtep, "unfiltered")
		return lldp("unfiltered")
	}); err != nil {
		t.Fatalf("this test shows nothing: %v", err)
	}
	// Any write of the control plane puts the filter back.
	carries(t, n, leaf, map[int]uint32{4: 0})
	refused("rogue", vtep, "filtered-again")
}

// A limited member reaches a full one on its own leaf, and nobody through the fabric.
func TestLimitedMembers(t *testing.T) {
	n := up(t, Options{Only: []string{"frontend"}, Agent: SelfLeaf})
	full, limited := fabric.Compile(site.RoCE, 5001), fabric.Compile(site.RoCE, 5001)
	limited.Leaf = []fabric.Member{fabric.Limited(5001)}
	for _, leaf := range []string{"a1-su01-front", "a1-su02-front"} {
		c, err := n.Client(leaf)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if failed, err := c.Write(t.Context(), map[int]fabric.Row{1: full, 2: limited, 3: limited}, fabric.Fence{Term: 1}); err != nil || len(failed) > 0 {
			t.Fatal(failed, err)
		}
	}
	for k, host := range []string{"a1-su01-n01", "a1-su01-n02", "a1-su01-n03", "a1-su02-n01", "a1-su02-n02"} {
		if err := n.SetMember(host, k); err != nil {
			t.Fatal(err)
		}
	}
	reaches(t, n, "a1-su01-n01", "frontend", 3) // full to full across leaves
	reaches(t, n, "a1-su01-n02", "frontend", 0) // limited to full on one leaf
	for _, p := range []struct {
		from string
		to   int
	}{{"a1-su01-n02", 2}, {"a1-su01-n02", 3}, {"a1-su01-n02", 4}, {"a1-su02-n02", 0}} {
		if got, err := n.Ping(t.Context(), p.from, "frontend", TenantAddress(site.Frontend, p.to), 2); err != nil || got > 0 {
			t.Errorf("limited member %s gets %d answers from member %d: %v", p.from, got, p.to, err)
		}
	}
}
