package ethnet

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"bulkhead/examples"
	"bulkhead/lab/await"
	"bulkhead/site"
)

// The leaves that most tests are about.
const first, second = "a1-su01-front", "a1-su02-front"

// example is the site file of the lab.
func example(tb testing.TB) *site.Template {
	tb.Helper()
	data, err := examples.Files.ReadFile("rivals-eth/site.yaml")
	if err != nil {
		tb.Fatal(err)
	}
	template, err := site.ParseTemplate("rivals-eth/site.yaml", data)
	if err != nil {
		tb.Fatal(err)
	}
	return template
}

// labSite is the site as the control plane has it.
func labSite(tb testing.TB) *site.Site {
	tb.Helper()
	s, err := example(tb).Build()
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

func rivals(tb testing.TB) (units []*site.SUInventory, fabrics []string) {
	tb.Helper()
	template := example(tb)
	for _, f := range template.Header().Fabrics {
		fabrics = append(fabrics, f.ID)
	}
	if _, err := template.Compile(func(u *site.SUInventory) error { units = append(units, u); return nil }); err != nil {
		tb.Fatal(err)
	}
	return units, fabrics
}

// up starts a lab that ends with the test, or skips it with one line.
func up(t testing.TB, o Options) *Net {
	t.Helper()
	if testing.Short() {
		t.Skip("starts FRR in network namespaces: not in the inner loop")
	}
	if missing := Missing(o.LLDP); missing != "" {
		t.Skip("needs " + missing + ": as root on Debian, apt-get install frr nftables iproute2 lldpd")
	}
	began := time.Now()
	o.Say = func(s string) { t.Logf("%5.2f s  %s", time.Since(began).Seconds(), s) }
	if t, is := t.(*testing.T); is {
		t.Parallel() // labs don't see each other
	}
	units, fabrics := rivals(t)
	o.Fabrics = fabrics
	n, err := Start(t.Context(), units, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := n.Close(); err != nil {
			t.Error(err)
		}
	})
	return n
}

// sh runs a few lines of iproute2's own tools at a device.
func sh(t *testing.T, n *Net, at, script string) {
	t.Helper()
	for line := range strings.Lines(script) {
		if f := strings.Fields(line); len(f) > 0 {
			if _, err := n.Space(at).Output(t.Context(), f[0], f[1:]...); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// vni makes a VNI at a leaf by hand and puts ports into it.
func vni(t *testing.T, n *Net, leaf string, vni int, ports ...int) {
	t.Helper()
	sh(t, n, leaf, fmt.Sprintf("ip link add bd%d type bridge\nip link add vni%d type vxlan id %d local %s dstport 4789 nolearning\nip link set vni%d master bd%d up\nip link set bd%d up",
		vni, vni, vni, n.Plan.Device(leaf).Loopback, vni, vni, vni))
	for _, p := range ports {
		sh(t, n, leaf, fmt.Sprintf("ip link set swp%d master bd%d", p, vni))
	}
}

// Two VNIs by hand: hosts of the same one reach each other across leaves, those of
// another do not, though all use the same addresses. This is what everything else
// rests on: the lab's own packets, without any of Bulkhead's drivers.
func TestSameAddressesTwoTenants(t *testing.T) {
	n := up(t, Options{Only: []string{"roce"}})
	vni(t, n, "a1-su01-leaf0", 5001, 1)
	vni(t, n, "a1-su02-leaf0", 5001, 1)
	vni(t, n, "a1-su01-leaf0", 5002, 2)
	vni(t, n, "a1-su02-leaf0", 5002, 2)
	for k, host := range []string{"a1-su01-n01", "a1-su02-n01"} {
		if err := n.SetMember(host, k); err != nil {
			t.Fatal(err)
		}
	}
	// The rival has the first one's address, and one that the first has not.
	if err := n.SetMember("a1-su01-n02", 0); err != nil {
		t.Fatal(err)
	}
	if err := n.SetMember("a1-su02-n02", 7); err != nil {
		t.Fatal(err)
	}
	reaches(t, n, "a1-su01-n01", "rail0", 1)
	reaches(t, n, "a1-su01-n02", "rail0", 7)
	for host, k := range map[string]int{"a1-su01-n01": 7, "a1-su01-n02": 1, "a1-su02-n02": 1} {
		if got, err := n.Ping(t.Context(), host, "rail0", TenantAddress(0, k), 3); err != nil || got > 0 {
			t.Errorf("%s gets %d answers from member %d, who is the rival's: %v", host, got, k, err)
		}
	}
}

// reaches waits until a host reaches a member of its slice.
func reaches(t *testing.T, n *Net, host, nic string, k int) {
	t.Helper()
	err := await.Until(await.Context(t), host+" to reach its own", func() (string, bool) {
		got, err := n.Ping(t.Context(), host, nic, TenantAddress(nicNumber(nic), k), 1)
		return fmt.Sprintf("%d answers, %v", got, err), got > 0
	})
	if err != nil {
		t.Fatal(err)
	}
}

// Nothing stays behind: no folder, no path space, no process, no namespace.
func TestDown(t *testing.T) {
	n := up(t, Options{Only: []string{"frontend"}})
	var pids []int
	for _, c := range n.daemons {
		pids = append(pids, c.Process.Pid)
	}
	if left := leftovers(n.ID, pids); len(left) < 3 || len(pids) != 3*len(n.Plan.Devices) {
		t.Fatalf("a lab of %d devices that is up has %d daemons, and %v", len(n.Plan.Devices), len(pids), left)
	}
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}
	if left := leftovers(n.ID, pids); len(left) > 0 {
		t.Fatalf("after Close there is still %v", left)
	}
	if err := n.Close(); err != nil {
		t.Fatalf("the second Close: %v", err)
	}
}

// A lab whose context ends while it comes up leaves nothing either.
func TestInterrupted(t *testing.T) {
	if testing.Short() || Missing(false) != "" {
		t.Skip("needs root, FRR and time")
	}
	ctx, cancel := context.WithCancel(t.Context())
	units, fabrics := rivals(t)
	_, err := Start(ctx, units, Options{Fabrics: fabrics, Only: []string{"frontend"}, Say: func(s string) {
		if strings.HasPrefix(s, "FRR") {
			cancel()
		}
	}})
	if err == nil {
		t.Fatal("a lab whose context had ended came up")
	}
}
