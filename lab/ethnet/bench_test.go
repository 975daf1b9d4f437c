package ethnet

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"bulkhead/fabric"
	"bulkhead/fabric/ethernet"
	"bulkhead/fabric/ethernet/evpn"
	"bulkhead/lab/await"
	"bulkhead/site"
)

// BenchmarkConvergence is the time from a port's being given to a lease at one leaf
// until the other leaf of the lease has its address in its forwarding table, three ways
// in turn on one fabric, each the median of the rounds:
//
//   - driver: as the control plane does it, the whole order of the driver: the fence
//     shown to the leaf, the label ordered at every reflector, the leaf written.
//   - frr: FRR's own. The reflectors pass the label on already; iproute2 makes the same
//     bridge, VXLAN device and entry in one batch each, and FRR does the rest.
//   - typed: the same with the reflectors' lists as well, by FRR's shell at both at once.
//
// The budget is that driver takes at most twice as long as frr.
func BenchmarkConvergence(b *testing.B) {
	n := up(b, Options{Only: []string{"frontend"}, Agent: SelfLeaf, Reflector: SelfReflector})
	s := labSite(b)
	k, err := n.StartCollector(b.Context(), "frontend")
	if err != nil {
		b.Fatal(err)
	}
	defer k.Close()
	f, _ := s.FabricByID("frontend")
	d := &evpn.Driver{Site: s, Fabric: f, Leaves: map[site.Leaf]evpn.Device{}, Routes: k, Origin: "emulated", Reflectors: map[netip.Addr]evpn.Reflector{}}
	for at, r := range n.Reflectors("frontend") {
		d.Reflectors[at] = r
		defer r.Close()
	}
	for _, dev := range n.Plan.Leaves("frontend") {
		c, err := n.Client(dev.Name)
		if err != nil {
			b.Fatal(err)
		}
		defer c.Close()
		d.Leaves[dev.Leaf] = c
	}
	fence := fabric.Fence{Term: 1}
	give := func(leaf string, number int, value uint32) {
		b.Helper()
		port, _ := s.PortAt(n.Plan.Device(leaf).Leaf, number)
		r, err := d.Apply(b.Context(), fabric.NewChange("frontend", []fabric.PortRow{{Port: port, Row: fabric.Compile(site.RoCE, value)}}), fence)
		if err != nil || len(r.Failed) > 0 {
			b.Fatal(err, r.Failed)
		}
	}
	give(first, 1, 5001)
	give(second, 3, 0)

	own := net.HardwareAddr(mac(n.Plan.Hosts[6].NICs[0].MAC)) // port 3 of the second leaf
	vtep := n.Plan.Device(second).Loopback
	h := n.Space(first).Netlink()
	link, err := h.LinkByName("vni5001")
	if err != nil {
		b.Fatal(err)
	}
	there := func() bool {
		entries, err := h.NeighList(link.Attrs().Index, unix.AF_BRIDGE)
		if err != nil {
			b.Fatal(err)
		}
		for _, e := range entries {
			if e.IP != nil && e.HardwareAddr.String() == own.String() && e.IP.Equal(net.IP(vtep.AsSlice())) {
				return true
			}
		}
		return false
	}
	until := func(want bool) {
		b.Helper()
		for end := time.Now().Add(await.Patience); there() != want; time.Sleep(time.Millisecond) {
			if time.Now().After(end) {
				b.Fatalf("the entry is there: %t, for %s", !want, await.Patience)
			}
		}
	}
	run := func(at string, lines ...string) {
		b.Helper()
		if err := n.Run(b.Context(), at, lines...); err != nil {
			b.Fatal(err)
		}
	}

	links, entries := filepath.Join(b.TempDir(), "links"), filepath.Join(b.TempDir(), "entries")
	batch := fmt.Sprintf("link add bd5001 type bridge\nlink add vni5001 type vxlan id 5001 local %s dstport 4789 nolearning\nlink set vni5001 master bd5001 up\nlink set bd5001 up\nlink set swp3 master bd5001\n", vtep)
	if err := os.WriteFile(links, []byte(batch), 0o600); err != nil {
		b.Fatal(err)
	}
	if err := os.WriteFile(entries, fmt.Appendf(nil, "fdb add %s dev swp3 master static\n", own), 0o600); err != nil {
		b.Fatal(err)
	}
	byHand := func() { run(second, "ip -batch "+links, "bridge -batch "+entries) }
	undo := func() { run(second, "ip link del vni5001", "ip link del bd5001") }
	typed := func(no string) {
		var both sync.WaitGroup
		for _, spine := range n.Plan.Spines("frontend") {
			both.Go(func() {
				if _, err := n.Vtysh(b.Context(), spine.Name, "configure terminal", fmt.Sprintf("%sbgp extcommunity-list standard from-%s permit rt %s", no, vtep, ethernet.TargetOf(5001))); err != nil {
					b.Error(err)
				}
			})
		}
		both.Wait()
	}
	nothing := func() {}
	ways := []struct {
		name                      string
		before, give, take, after func()
		took                      []time.Duration
	}{
		{name: "driver", before: nothing, give: func() { give(second, 3, 5001) }, take: func() { give(second, 3, 0) }, after: nothing},
		{name: "frr", before: func() { typed("") }, give: byHand, take: undo, after: func() { typed("no ") }},
		{name: "typed", before: nothing, give: func() { typed(""); byHand() }, take: undo, after: func() { typed("no ") }},
	}
	round := 0
	for b.Loop() {
		for i := range ways {
			w := &ways[(round+i)%len(ways)]
			w.before()
			settle()
			began := time.Now()
			w.give()
			until(true)
			w.took = append(w.took, time.Since(began))
			w.take()
			until(false)
			w.after()
			settle()
		}
		round++
	}
	for i := range ways {
		slices.Sort(ways[i].took)
		b.ReportMetric(float64(median(ways[i].took).Microseconds())/1000, "ms/"+ways[i].name)
	}
	b.ReportMetric(float64(median(ways[0].took))/float64(median(ways[1].took)), "ratio(max2)")
	b.ReportMetric(float64(median(ways[0].took))/float64(median(ways[2].took)), "ratio-typed")
}

func median(sorted []time.Duration) time.Duration { return sorted[len(sorted)/2] }

// settle waits until reflectors have looked again at what they have, as they do a second
// after a list of theirs changed, so that it is in no measurement.
func settle() { time.Sleep(1300 * time.Millisecond) }
