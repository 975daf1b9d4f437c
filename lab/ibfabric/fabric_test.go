package ibfabric_test

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"bulkhead/fabric/infiniband/mad"
	"bulkhead/fabric/infiniband/smp"
	"bulkhead/lab/await"
	"bulkhead/lab/ibfabric"
	"bulkhead/lab/ibnet"
)

// start emulates a tree until the test ends.
func start(t testing.TB, tree ibnet.Tree) (*ibfabric.Fabric, *ibnet.Sim) {
	t.Helper()
	return startWith(t, tree, ibfabric.Options{})
}

func startWith(t testing.TB, tree ibnet.Tree, o ibfabric.Options) (*ibfabric.Fabric, *ibnet.Sim) {
	t.Helper()
	var b bytes.Buffer
	if err := tree.Write(&b); err != nil {
		t.Fatal(err)
	}
	o.Name = fmt.Sprintf("bulkhead-emu-%d-%x", os.Getpid(), rand.Uint64())
	f, err := ibfabric.Start(context.Background(), &b, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.Close)
	return f, &ibnet.Sim{Name: o.Name, Dir: t.TempDir()}
}

var small = ibnet.Tree{Hosts: 8, PerLeaf: 4, Spines: 2}

// partitions gives hosts 1 to 3 to one tenant and 4 to 6 to another.
func partitions() string {
	return fmt.Sprintf("Default=0x7fff : ALL=limited, ALL_SWITCHES=full, SELF=full ;\nA=0x1 : 0x%x=full, 0x%x=full, 0x%x=full ;\nB=0x2 : 0x%x=full, 0x%x=full, 0x%x=full ;\n",
		ibnet.HostPortGUID(1), ibnet.HostPortGUID(2), ibnet.HostPortGUID(3), ibnet.HostPortGUID(4), ibnet.HostPortGUID(5), ibnet.HostPortGUID(6))
}

func host(i int) string { return ibnet.HostName(i) }

// Unmodified OpenSM brings the emulated fabric up, and infiniband-diags read it.
func TestOpenSMAndDiags(t *testing.T) {
	f, s := start(t, small)
	s.StartOpenSM(t, host(0), partitions())
	for i := range 8 {
		await.Must(t, host(i)+" to be active", func() bool { p, err := f.Port(host(i), 1); return err == nil && p.State == mad.PortActive })
	}
	await.Must(t, "the tenants' keys", func() bool { k, _ := f.Keys(host(6), 1); return len(k) == 2 })
	for program, args := range map[string][]string{
		"ibnetdiscover": {}, "sminfo": {}, "smpquery": {"nodeinfo", "-D", "0"},
	} {
		out, err := s.Tool(t, host(0), program, args...)
		if err != nil || out == "" {
			t.Errorf("%s: %v\n%s", program, err, out)
		}
	}
	out, err := s.Tool(t, host(0), "smpquery", "-G", "pkeys", fmt.Sprintf("0x%x", ibnet.HostPortGUID(4)))
	if err != nil || !strings.Contains(out, "0x8002") {
		t.Errorf("smpquery pkeys: %v\n%s", err, out)
	}
	// The leaf enforces, both ways, with the same keys.
	leaf, err := f.Port(ibnet.LeafName(1), 1)
	if err != nil || !leaf.EnforceIn || !leaf.EnforceOut {
		t.Errorf("the leaf port of host 4 does not enforce: %+v, %v", leaf, err)
	}
	for _, c := range []struct {
		from, to int
		key      mad.PKey
		hostile  bool
		want     bool
		where    string
	}{
		{1, 2, 0x8001, false, true, ""},
		{4, 5, 0x8002, false, true, ""},
		{1, 4, 0x8001, false, false, "leaf out"},
		{1, 4, 0x8002, false, false, "sender"},
		{1, 4, 0x8002, true, false, "leaf in"},
		{1, 4, 0x7fff, false, false, "receiver"}, // two limited members
		{1, 0, 0x7fff, false, true, ""},          // the manager's host is a full one
	} {
		d := f.Probe(host(c.from), host(c.to), c.key, c.hostile)
		if d.Delivered != c.want || d.Where != c.where {
			t.Errorf("%d -> %d under %s (hostile %t): %+v, expected %t at %q", c.from, c.to, c.key, c.hostile, d, c.want, c.where)
		}
	}
}

// More clients than ibsim has room for.
func TestManyClients(t *testing.T) {
	_, s := start(t, ibnet.Tree{Hosts: 24, PerLeaf: 12, Spines: 2})
	for i := range 24 {
		c := client(t, s, host(i))
		if _, _, err := c.NodeInfo(t.Context(), smp.Address{}, 0); err != nil {
			t.Errorf("client %d: %v", i, err)
		}
	}
}
