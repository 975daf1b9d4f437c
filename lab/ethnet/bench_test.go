package ethnet

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"bulkhead/fabric"
	"bulkhead/lab/ethnet/agenttest"
	"bulkhead/site"
)

// BenchmarkConvergence is the time from a port's being given to a lease at one leaf
// until the other leaf of the lease has its address in its forwarding table: by
// Bulkhead's agent, beside FRR's own, where iproute2 makes the same bridge, VXLAN
// device and entry in one batch each and FRR does the rest. The budget is a ratio of 2.
func BenchmarkConvergence(b *testing.B) {
	n := up(b, Options{Only: []string{"frontend"}, Agent: agenttest.Leaf})
	carries(b, n, first, map[int]uint32{1: 5001})
	c := carries(b, n, second, map[int]uint32{3: 0})
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
		for end := time.Now().Add(20 * time.Second); there() != want; time.Sleep(time.Millisecond) {
			if time.Now().After(end) {
				b.Fatalf("the entry is there: %t, for 20 s", !want)
			}
		}
	}
	write := func(value uint32) {
		if failed, err := c.Write(b.Context(), map[int]fabric.Row{3: fabric.Compile(site.RoCE, value)}, fabric.Fence{Term: 1}); err != nil || len(failed) > 0 {
			b.Fatal(err, failed)
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
	var by [2]time.Duration
	for b.Loop() {
		began := time.Now()
		write(5001)
		until(true)
		by[0] += time.Since(began)
		write(0)
		until(false)
		began = time.Now()
		if err := n.Run(b.Context(), second, "ip -batch "+links, "bridge -batch "+entries); err != nil {
			b.Fatal(err)
		}
		until(true)
		by[1] += time.Since(began)
		if err := n.Run(b.Context(), second, "ip link del vni5001", "ip link del bd5001"); err != nil {
			b.Fatal(err)
		}
		until(false)
	}
	b.ReportMetric(float64(by[0].Microseconds())/1000/float64(b.N), "ms/agent")
	b.ReportMetric(float64(by[1].Microseconds())/1000/float64(b.N), "ms/frr")
	b.ReportMetric(float64(by[0])/float64(by[1]), "ratio(max2)")
}
