package ethnet

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"bulkhead/fabric/ethernet"
)

// A leaf that announces its VNI under the rival's target as well is not passed on to
// other leaves; what it announces under its own alone is, before and after. The route
// collector hears it all the same.
func TestTwoTargetsAreNotReflected(t *testing.T) {
	n := up(t, Options{Only: []string{"frontend"}, Agent: agent})
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
		err := wait(t.Context(), 20*time.Second, "the other leaf's routes", func() (string, bool) {
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
	err = wait(t.Context(), 20*time.Second, "the collector to hear two targets", func() (string, bool) {
		routes, _ := k.Routes(vtep)
		return fmt.Sprint(routes), slices.ContainsFunc(routes, func(r ethernet.Route) bool { return len(r.Targets) == 2 })
	})
	if err != nil {
		t.Error(err)
	}
	export("no route-target export 65000:5002")
	known(true)
}
