//go:build labs

package ethnet

import (
	"errors"
	"fmt"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"

	"bulkhead/fabric"
	"bulkhead/fabric/ethernet"
	"bulkhead/fabric/ethernet/linux"
	"bulkhead/lab/await"
)

// A leaf that announces its VNI under the rival's target as well is not passed on to
// other leaves; what it announces under its own alone is, before and after. The route
// collector hears it all the same.
func TestTwoTargetsAreNotReflected(t *testing.T) {
	n := up(t, Options{Only: []string{"frontend"}, Agent: SelfLeaf})
	carries(t, n, first, map[int]uint32{1: 5001})
	carries(t, n, second, map[int]uint32{1: 5001, 2: 5002})
	k, err := n.StartCollector(t.Context(), "frontend")
	if err != nil {
		t.Fatal(err)
	}
	defer k.Close()
	own := text(n.Plan.Hosts[0].NICs[0].MAC)
	known := func(want bool) {
		t.Helper()
		err := await.Until(await.Context(t), "the other leaf's routes", func() (string, bool) {
			out, err := n.Vtysh(t.Context(), second, "show bgp l2vpn evpn route json")
			return out, err == nil && strings.Contains(out, own) == want
		})
		if err != nil {
			t.Fatalf("routes of %s known: expected %t: %.300s", own, want, err)
		}
	}
	export := func(lines ...string) {
		t.Helper()
		path := frrFile(t, "router bgp 65000\naddress-family l2vpn evpn\nvni 5001\n"+strings.Join(lines, "\n")+"\nexit-vni\nexit-address-family\nexit\n")
		if err := n.Run(t.Context(), first, "vtysh -N "+n.PathSpace(first)+" -f "+path); err != nil {
			t.Fatal(err)
		}
	}
	known(true)
	export("route-target export 65000:5002", "route-target export 65000:5001")
	known(false)
	// The collector is no leaf: it hears what the leaf announces.
	vtep := n.Plan.Device(first).Loopback
	err = await.Until(await.Context(t), "the collector to hear two targets", func() (string, bool) {
		routes, _ := k.Routes(vtep)
		return fmt.Sprint(routes), slices.ContainsFunc(routes, func(r ethernet.Route) bool { return len(r.Targets) == 2 })
	})
	if err != nil {
		t.Error(err)
	}
	export("no route-target export 65000:5002")
	known(true)
}

// Reflectors pass on a leaf's routes under the targets that were ordered for its ports:
// what a leaf announces under another reaches no leaf, while the collector hears it. Who
// changes a reflector by hand is seen, and the next order undoes it.
func TestReflectorsFollowOrders(t *testing.T) {
	n := up(t, Options{Only: []string{"frontend"}, Agent: SelfLeaf, Reflector: SelfReflector})
	k, err := n.StartCollector(t.Context(), "frontend")
	if err != nil {
		t.Fatal(err)
	}
	defer k.Close()
	from, to := n.Plan.Device(first).Loopback, n.Plan.Device(second).Loopback
	agents := n.Reflectors("frontend")
	for _, r := range agents {
		defer r.Close()
	}
	every := func(do func(r *linux.ReflectorClient) error) {
		t.Helper()
		for at, r := range agents {
			if err := do(r); err != nil {
				t.Fatalf("reflector %s: %v", at, err)
			}
		}
	}
	allow := func(orders ethernet.Orders, more bool, term uint64) {
		t.Helper()
		every(func(r *linux.ReflectorClient) error {
			return r.Allow(t.Context(), orders, more, fabric.Fence{Term: term})
		})
	}
	passes := func(want map[netip.Addr][]ethernet.Target, open string) {
		t.Helper()
		every(func(r *linux.ReflectorClient) error {
			p, err := r.Passes(t.Context())
			if err == nil && (!reflect.DeepEqual(p.Targets, want) || (len(p.Open) > 0) != (open != "") || !strings.Contains(fmt.Sprint(p.Open), open)) {
				err = fmt.Errorf("passes on %v, open %q; expected %v, and open %q", p.Targets, p.Open, want, open)
			}
			return err
		})
	}
	targets := func(vnis ...uint32) (out []ethernet.Target) {
		for _, v := range vnis {
			out = append(out, ethernet.TargetOf(v))
		}
		return out
	}
	routes := func(vni uint32, want bool) {
		t.Helper()
		err := await.Until(await.Context(t), "routes at the other leaf", func() (string, bool) {
			out, err := n.Vtysh(t.Context(), second, "show bgp l2vpn evpn route json")
			return fmt.Sprintf("%.2000s %v", out, err), err == nil && strings.Contains(out, fmt.Sprintf("65000:%d", vni)) == want
		})
		if err != nil {
			t.Fatalf("VNI %d, expected %t: %v", vni, want, err)
		}
	}
	passes(map[netip.Addr][]ethernet.Target{}, "")
	allow(ethernet.Orders{from: {1: {5001}}, to: {1: {5001}, 2: {5002}}}, false, 2)
	passes(map[netip.Addr][]ethernet.Target{from: targets(5001), to: targets(5001, 5002)}, "")
	carries(t, n, first, map[int]uint32{1: 5001})
	// The leaf announces the rival's VNI as well, as if it were its own.
	vni(t, n, first, 5002)
	routes(5001, true)
	err = await.Until(await.Context(t), "the collector to hear both", func() (string, bool) {
		lldp, _ := k.Routes(from)
		return fmt.Sprint(lldp), slices.ContainsFunc(lldp, func(r ethernet.Route) bool { return r.VNI == 5002 })
	})
	if err != nil {
		t.Fatal(err)
	}
	routes(5002, false)
	// A lease gives the leaf that VNI: from then on its routes are passed on.
	allow(ethernet.Orders{from: {2: {5002}}}, true, 2)
	routes(5002, true)
	allow(ethernet.Orders{from: {2: {}}}, false, 2)
	routes(5002, false)
	passes(map[netip.Addr][]ethernet.Target{from: targets(5001), to: targets(5001, 5002)}, "")
	for _, r := range agents {
		if err := r.Allow(t.Context(), ethernet.Orders{from: {2: {5002}}}, true, fabric.Fence{Term: 1}); !errors.Is(err, fabric.ErrFenced) {
			t.Fatalf("an older writer: %v", err)
		}
	}
	// By hand: another target, a leaf without its map, a map that passes everything.
	edit := func(lines ...string) {
		t.Helper()
		for _, s := range n.Plan.Spines("frontend") {
			if _, err := n.Vtysh(t.Context(), s.Name, append([]string{"configure terminal"}, lines...)...); err != nil {
				t.Fatal(err)
			}
		}
	}
	edit(fmt.Sprintf("bgp extcommunity-list standard from-%s permit rt 65000:5002", from))
	passes(map[netip.Addr][]ethernet.Target{from: targets(5001, 5002), to: targets(5001, 5002)}, "")
	routes(5002, true)
	edit("no route-map to-leaves deny 5")
	passes(map[netip.Addr][]ethernet.Target{from: targets(5001, 5002), to: targets(5001, 5002)}, "route map to-leaves")
	edit("route-map to-leaves deny 5", "match community refused", "exit", "router bgp 65000", "address-family l2vpn evpn", fmt.Sprintf("no neighbor %s route-map from-%s in", from, from))
	passes(map[netip.Addr][]ethernet.Target{from: targets(5001, 5002), to: targets(5001, 5002)}, "leaf "+from.String())
	// An order that names no port puts all of it back, and so does an agent that begins.
	// Whoever waits for a change at a reflector hears of each.
	awaits := func(change func()) {
		t.Helper()
		ctx := await.Context(t)
		numbers := map[netip.Addr]uint64{}
		for at, r := range agents {
			var err error
			if numbers[at], err = r.Changes(ctx); err != nil {
				t.Fatal(err)
			}
		}
		change()
		for at, r := range agents {
			if err := r.Await(ctx, numbers[at]); err != nil {
				t.Errorf("reflector %s changed, and who waits hears: %v", at, err)
			}
		}
	}
	mended := func() {
		t.Helper()
		passes(map[netip.Addr][]ethernet.Target{from: targets(5001), to: targets(5001, 5002)}, "")
		routes(5002, false)
		routes(5001, true)
	}
	awaits(func() { allow(nil, true, 2) })
	mended()
	for _, lines := range [][]string{
		{"no route-map to-leaves"},
		{fmt.Sprintf("no route-map from-%s permit 10", from), fmt.Sprintf("route-map from-%s permit 1", from)},
		{"route-map to-leaves permit 1"},
		{"no bgp community-list standard refused"},
		{"bgp community-list standard refused seq 1 deny 65000:666", "bgp community-list standard refused seq 9 permit 65000:1"},
		{"no bgp extcommunity-list expanded one-target"},
		{"bgp extcommunity-list expanded one-target seq 1 permit .*"},
		{"router bgp 65000", "address-family l2vpn evpn", fmt.Sprintf("no neighbor %s route-map from-%s in", to, to)},
	} {
		edit(lines...)
		every(func(r *linux.ReflectorClient) error {
			if p, err := r.Passes(t.Context()); err != nil || len(p.Open) == 0 {
				return fmt.Errorf("after %q nothing is open: %v", lines, err)
			}
			return nil
		})
		allow(nil, true, 2)
		mended()
	}
	edit("no route-map to-leaves deny 5")
	for _, s := range n.Plan.Spines("frontend") {
		if err := n.RestartAgent(t.Context(), s.Name); err != nil {
			t.Fatal(err)
		}
	}
	mended()
}

// What differs of a leaf's configuration is said when it is read, whoever waits hears of
// it, and the next write puts it back, whichever port it is of. Nobody of the VNIs' own
// loses the others meanwhile. Read by what bgpd prints, written by what it is told.
func TestLeafPutsBackWhatDiffers(t *testing.T) {
	n, at := twoRivals(t)
	c := at[first]
	if got := readNow(t, c); len(got.Differs) > 0 {
		t.Fatalf("as it was written it differs: %q", got.Differs)
	}
	const bgp, evpn = "router bgp 65000", "address-family l2vpn evpn"
	at1 := []string{bgp, evpn, "vni 5001"}
	spine := n.Plan.Device(n.Plan.Device(first).Uplinks[0].Peer).Loopback
	for _, lines := range [][]string{
		append(at1, "no route-target import 65000:5001", "no route-target export 65000:5001"),
		append(at1, "no route-target export 65000:5001"),
		{bgp, evpn, "no vni 5002"},
		{bgp, evpn, "vni 5007"},
		{bgp, evpn, "autort rfc8365-compatible"},
		{bgp, evpn, "no neighbor fabric route-map one-target in"},
		{"route-map open permit 1", "exit", bgp, evpn, fmt.Sprintf("neighbor %s route-map open in", spine)},
		{"no route-map one-target permit 20"},
		{"route-map one-target permit 1"},
		{"route-map one-target permit 10", "set community 65000:1"},
		{"no bgp extcommunity-list expanded one-target seq 5 deny RT:.*RT:"},
		{"bgp extcommunity-list expanded one-target seq 1 permit .*"},
		{"no bgp extcommunity-list expanded one-target"},
	} {
		number, err := c.Changes(t.Context())
		if err == nil {
			_, err = n.Vtysh(t.Context(), first, append([]string{"configure terminal"}, lines...)...)
		}
		if err == nil {
			err = c.Await(await.Context(t), number)
		}
		if err != nil {
			t.Fatalf("%q: %v", lines, err)
		}
		said := readNow(t, c).Differs
		if len(said) == 0 {
			t.Errorf("after %q nothing differs", lines)
		}
		t.Logf("%q: %q", lines[len(lines)-1], said)
		carries(t, n, first, map[int]uint32{3: 0xfffffe})
		if left := readNow(t, c).Differs; len(left) > 0 {
			t.Errorf("after %q and a write there differs %q", lines, left)
		}
	}
	reaches(t, n, "a1-su01-n01", "frontend", 1)
	reaches(t, n, "a1-su01-n02", "frontend", 7)
	neverMeet(t, n, "after all of it")
}
