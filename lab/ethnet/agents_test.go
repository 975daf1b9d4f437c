package ethnet

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"bulkhead/fabric"
	"bulkhead/fabric/ethernet"
	"bulkhead/fabric/ethernet/linux"
	"bulkhead/site"
)

const quarantine = 0xfffffe

// carries writes ports of a leaf and expects all of them to take it.
func carries(t testing.TB, n *Net, leaf string, rows map[int]uint32) *linux.Client {
	t.Helper()
	c, err := n.Client(leaf)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	compiled := map[int]fabric.Row{}
	for port, value := range rows {
		compiled[port] = fabric.Compile(site.RoCE, value)
	}
	if failed, err := c.Write(t.Context(), compiled, fabric.Fence{Term: 1}); err != nil || len(failed) > 0 {
		t.Fatalf("%s: %v, ports %v", leaf, err, failed)
	}
	return c
}

// Two rivals with the same addresses, put into VNIs of their own by the leaves'
// agents: each reaches its own across leaves, and nobody else. What the leaves say of
// themselves is what was asked.
func TestRivalsByAgents(t *testing.T) {
	n := up(t, Options{Only: []string{"frontend"}, Agent: SelfLeaf})
	for _, leaf := range []string{"a1-su01-front", "a1-su02-front"} {
		c := carries(t, n, leaf, map[int]uint32{1: 5001, 2: 5002, 3: quarantine})
		got, err := c.Read(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		judged(t, n, leaf, got, map[int]uint32{1: 5001, 2: 5002, 3: quarantine})
	}
	for host, k := range map[string]int{"a1-su01-n01": 0, "a1-su02-n01": 1, "a1-su01-n02": 0, "a1-su02-n02": 7, "a1-su01-n03": 8, "a1-su02-n03": 9} {
		if err := n.SetMember(host, k); err != nil {
			t.Fatal(err)
		}
	}
	reaches(t, n, "a1-su01-n01", "frontend", 1)
	reaches(t, n, "a1-su01-n02", "frontend", 7)
	for _, pair := range []struct {
		host string
		k    int
		why  string
	}{
		{"a1-su01-n01", 7, "who is the rival's"}, {"a1-su02-n01", 7, "who is the rival's"}, {"a1-su01-n02", 1, "who is the rival's"},
		{"a1-su01-n03", 9, "who is in quarantine like itself"}, {"a1-su01-n03", 0, "who is leased"}, {"a1-su01-n01", 8, "who is in quarantine"},
	} {
		if got, err := n.Ping(t.Context(), pair.host, "frontend", TenantAddress(site.Frontend, pair.k), 2); err != nil || got > 0 {
			t.Errorf("%s gets %d answers from member %d, %s: %v", pair.host, got, pair.k, pair.why, err)
		}
	}
}

// judged expects a leaf's ports to be read as carrying values, with nothing else about
// them.
func judged(t *testing.T, n *Net, leaf string, c ethernet.Capture, values map[int]uint32) {
	t.Helper()
	for _, why := range differences(t, n, leaf, c, values) {
		t.Error(why)
	}
}

func agrees(t *testing.T, n *Net, leaf string, c ethernet.Capture, values map[int]uint32) bool {
	t.Helper()
	return len(differences(t, n, leaf, c, values)) == 0
}

func differences(t *testing.T, n *Net, leaf string, c ethernet.Capture, values map[int]uint32) (out []string) {
	t.Helper()
	c.RoutesSeen = true // there is no collector here: what it would hear is taken as heard
	for _, v := range c.VNIs {
		c.Routes = append(c.Routes, ethernet.Route{Kind: 3, VNI: v.VNI, Targets: []ethernet.Target{ethernet.TargetOf(v.VNI)}, Originator: c.Underlay.VTEP})
	}
	readings, err := ethernet.Readings(labSite(t), n.Plan.Device(leaf).Leaf, &c)
	if err != nil {
		t.Fatal(err)
	}
	if len(readings) != 4 {
		out = append(out, fmt.Sprintf("%s has %d ports, expected 4: %+v", leaf, len(readings), readings))
	}
	for _, r := range readings {
		want := fabric.Compile(site.RoCE, values[r.LeafPort])
		if got := r.Row(); !got.Equal(want) || r.Faults != 0 || r.Full || r.Neighbour == fabric.NeighbourConflict {
			out = append(out, fmt.Sprintf("%s port %d reads %s with faults %v, neighbour %#x, expected %s and none", leaf, r.LeafPort, got, r.Faults, r.Neighbour, want))
		}
	}
	return out
}

// An agent refuses an older fence, also after it was killed and started again.
func TestAgentKeepsItsFence(t *testing.T) {
	n := up(t, Options{Only: []string{"frontend"}, Agent: SelfLeaf})
	const leaf = "a1-su01-front"
	c := carries(t, n, leaf, map[int]uint32{1: 5001})
	if err := c.Admit(t.Context(), fabric.Fence{Term: 5, Generation: 2}); err != nil {
		t.Fatal(err)
	}
	if err := n.KillDaemon(leaf, "agent"); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Read(t.Context()); err == nil {
		t.Fatal("a leaf whose agent is dead was read")
	}
	if err := n.RestartAgent(t.Context(), leaf); err != nil {
		t.Fatal(err)
	}
	for _, f := range []fabric.Fence{{Term: 4, Generation: 9}, {Term: 5, Generation: 1}} {
		if failed, err := c.Write(t.Context(), map[int]fabric.Row{1: fabric.Closed()}, f); !errors.Is(err, fabric.ErrFenced) {
			t.Errorf("fence %s after 5/2 and a restart: %v, failed %v, expected to be refused", f, err, failed)
		}
	}
	got, err := c.Read(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	judged(t, n, leaf, got, map[int]uint32{1: 5001})
}

// targetsFile is a configuration of FRR that takes the rival's routes in.
func targetsFile(t *testing.T) string {
	return frrFile(t, "router bgp 65000\naddress-family l2vpn evpn\nvni 5001\nroute-target import 65000:5002\nroute-target import 65000:5001\nexit-vni\nexit-address-family\nexit\n")
}

// frrFile is a file of lines for FRR.
func frrFile(t *testing.T, lines string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "lines")
	if err := os.WriteFile(path, []byte(lines), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func text(v uint64) string { return mac(v).String() }
