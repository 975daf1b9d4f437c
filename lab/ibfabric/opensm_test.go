package ibfabric_test

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"bulkhead/fabric/infiniband/mad"
	"bulkhead/fabric/infiniband/opensm/conf"
	"bulkhead/fabric/infiniband/smp"
	"bulkhead/lab/await"
	"bulkhead/lab/ibfabric"
	"bulkhead/lab/ibnet"
)

// allActive fails the test unless every cabled port becomes active.
func allActive(t *testing.T, f *ibfabric.Fabric, tree ibnet.Tree) {
	t.Helper()
	for i := range tree.Hosts {
		await.Must(t, host(i)+" to be active", func() bool { p, err := f.Port(host(i), 1); return err == nil && p.State == mad.PortActive })
	}
	for i := range tree.Leaves() {
		for p := 1; p <= tree.PerLeaf+tree.Spines; p++ {
			if host := i*tree.PerLeaf + p - 1; p <= tree.PerLeaf && host >= tree.Hosts {
				continue // no cable
			}
			await.Must(t, fmt.Sprintf("port %d of %s to be active", p, ibnet.LeafName(i)), func() bool {
				info, err := f.Port(ibnet.LeafName(i), p)
				return err == nil && info.State == mad.PortActive
			})
		}
	}
}

func TestBringUp(t *testing.T) {
	for _, tree := range []ibnet.Tree{
		{Hosts: 32, PerLeaf: 8, Spines: 4},
		{Hosts: 1024, PerLeaf: 32, Spines: 8},
	} {
		t.Run(strconv.Itoa(tree.Hosts), func(t *testing.T) {
			if tree.Hosts > 100 && testing.Short() {
				t.Skip("a large fabric")
			}
			f, s := start(t, tree)
			began := time.Now()
			s.StartOpenSM(t, host(0), "", "-R", "ftree")
			allActive(t, f, tree)
			t.Logf("%d hosts, %d switches, emulated: all active after %s", tree.Hosts, tree.Switches(), time.Since(began).Round(time.Millisecond))
		})
	}
}

// reading is what both simulators must say alike, by port GUID and port number.
type reading struct {
	lid   uint16
	state mad.PortState
	keys  []mad.PKey
}

// read reads every host's port with SMPs, and where the first host's packets go.
func read(t *testing.T, s *ibnet.Sim, tree ibnet.Tree) (map[int]reading, map[string][]byte) {
	t.Helper()
	c := client(t, s, host(0))
	fabric, err := c.Sweep(t.Context(), smp.Keys{})
	if err != nil {
		t.Fatal(err)
	}
	if len(fabric.Missing) > 0 || len(fabric.Nodes) != tree.Hosts+tree.Switches() {
		t.Fatalf("%d nodes, missing %v", len(fabric.Nodes), fabric.Missing)
	}
	hosts := map[int]reading{}
	for i := range tree.Hosts {
		node := fabric.Node(ibnet.HostGUID(i))
		if node == nil {
			t.Fatalf("no %s", host(i))
		}
		to := smp.Address{Route: node.Route}
		info, _, err := c.PortInfo(t.Context(), to, 0, 0)
		if err != nil {
			t.Fatal(err)
		}
		block, _, err := c.PKeyBlock(t.Context(), to, 0, 0, 0)
		if err != nil {
			t.Fatal(err)
		}
		r := reading{lid: info.LID, state: info.State}
		for _, k := range block {
			if k.Valid() {
				r.keys = append(r.keys, k)
			}
		}
		hosts[i] = r
	}
	tables := map[string][]byte{}
	for _, n := range fabric.Nodes {
		if !n.IsSwitch() {
			continue
		}
		a, err := c.One(t.Context(), smp.Request{To: smp.Address{Route: n.Route}, Attribute: mad.AttrLinearFDB})
		if err != nil {
			t.Fatal(err)
		}
		tables[fmt.Sprintf("0x%x", n.NodeInfo().NodeGUID)] = a.Data[:]
	}
	return hosts, tables
}

// The same topology and configuration under the same OpenSM reads alike on ibsim:
// LIDs, states, P_Keys, and the switches' forwarding tables.
func TestSameAsIbsim(t *testing.T) {
	tree := ibnet.Tree{Hosts: 32, PerLeaf: 8, Spines: 4}
	theirs := ibnet.Start(t, tree)
	theirs.StartOpenSM(t, host(0), partitions(), "-R", "ftree")
	f, ours := start(t, tree)
	ours.StartOpenSM(t, host(0), partitions(), "-R", "ftree")
	allActive(t, f, tree)
	var a, b map[int]reading
	var at, bt map[string][]byte
	alike := func() bool {
		a, at = read(t, theirs, tree)
		b, bt = read(t, ours, tree)
		return maps.EqualFunc(a, b, func(x, y reading) bool { return x.lid == y.lid && x.state == y.state && slices.Equal(x.keys, y.keys) }) &&
			maps.EqualFunc(at, bt, bytes.Equal)
	}
	if err := await.True(await.Context(t), "the two to read alike", alike); err != nil {
		for i := range a {
			if fmt.Sprint(a[i]) != fmt.Sprint(b[i]) {
				t.Errorf("%s: ibsim %+v, here %+v", host(i), a[i], b[i])
			}
		}
		for guid := range at {
			if !bytes.Equal(at[guid], bt[guid]) {
				t.Errorf("forwarding of %s: ibsim %s, here %s", guid, hex.EncodeToString(at[guid]), hex.EncodeToString(bt[guid]))
			}
		}
		t.Fatal(err)
	}
	for i := range tree.Hosts {
		if a[i].state != mad.PortActive || a[i].lid == 0 || len(a[i].keys) == 0 {
			t.Errorf("%s: %+v on both, so the comparison says nothing", host(i), a[i])
		}
	}
	if len(at) != tree.Switches() {
		t.Errorf("%d forwarding tables were compared, of %d switches", len(at), tree.Switches())
	}
}

// Every program that a person would reach for works, at the manager's host and at
// a tenant's. What lies in another tenant's partition is not found: the manager
// says no path.
func TestDiags(t *testing.T) {
	f, s := start(t, small)
	opensm := s.StartOpenSM(t, host(0), partitions())
	allActive(t, f, small)
	await.Must(t, "the tenants' keys", func() bool { k, _ := f.Keys(host(6), 1); return slices.Contains(k, 0x8002) })
	// Long before it is asked: a packet that comes in before it has registered for
	// its class is lost on it, and so is what follows.
	serve(t, s, host(0), "ibping", "-S")
	manager := strconv.Itoa(int(lidOf(t, f, host(0))))
	guid := func(i int) string { return fmt.Sprintf("0x%x", ibnet.HostPortGUID(i)) }
	leaf := fmt.Sprintf("0x%x", ibnet.LeafGUID(0))
	check := func(from int, says []string, program string, args ...string) {
		t.Helper()
		out, err := s.Tool(t, host(from), program, args...)
		if err != nil {
			t.Errorf("%s %v at %s: %v\n%s", program, args, host(from), err, out)
			return
		}
		for _, want := range says {
			if !strings.Contains(out, want) {
				t.Errorf("%s %v at %s does not say %q:\n%s", program, args, host(from), want, out)
			}
		}
	}
	for from, of := range map[int]struct {
		host int
		key  string
	}{0: {5, "0x8002"}, 3: {2, "0x8001"}, 6: {5, "0x8002"}} {
		check(from, []string{"sm lid " + manager, "SMINFO_MASTER"}, "sminfo")
		check(from, []string{fmt.Sprintf("0x%016x", ibnet.HostPortGUID(of.host)), "Channel Adapter"}, "smpquery", "-G", "nodeinfo", guid(of.host))
		check(from, []string{"Active"}, "smpquery", "-G", "portinfo", guid(of.host))
		check(from, []string{"0x7fff", of.key}, "smpquery", "-G", "pkeys", guid(of.host))
		check(from, []string{"PartEnforceInb:..................1", "PartEnforceOutb:.................1"}, "smpquery", "-G", "portinfo", leaf, "1")
		check(from, []string{"0x8001"}, "smpquery", "-G", "pkeys", leaf, "2")
		check(from, []string{"InboundPartEnf"}, "smpquery", "-G", "switchinfo", leaf)
		check(from, []string{fmt.Sprintf("caguid=0x%x", ibnet.HostGUID(7)), "switchguid=" + leaf}, "ibnetdiscover")
		check(from, []string{"NodeRecord", fmt.Sprintf("0x%016x", ibnet.HostPortGUID(0))}, "saquery", "NR", manager)
		check(from, []string{"PathRecord"}, "saquery", "--src-to-dst", fmt.Sprintf("%d:%d", lidOf(t, f, host(from)), lidOf(t, f, host(of.host))))
	}
	if out, err := s.Tool(t, host(3), "smpquery", "-G", "nodeinfo", guid(5)); err == nil {
		t.Errorf("the manager gave a path from a tenant to the other's host:\n%s", out)
	}
	// ibping reaches a server in the same partition, on the general service interface.
	// Both sit in the default one as limited members, so one is the manager's host.
	await.Must(t, "ibping to be answered", func() bool {
		out, err := s.Tool(t, host(3), "ibping", "-c", "1", manager)
		return err == nil && strings.Contains(out, "Pong")
	})
	// It was not the manager that was handed the ping: it knows no such class, and
	// would end.
	check(0, []string{"SMINFO_MASTER"}, "sminfo")
	check(3, []string{"NodeRecord"}, "saquery", "NR", manager)
	if state, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", opensm.Pid)); err != nil || strings.Contains(string(state), ") Z ") {
		t.Errorf("OpenSM has ended: %.60s %v", state, err)
	}
}

// hardened starts OpenSM as the owner would: M_Keys at level 2, secret keys.
func hardened(t *testing.T, f *ibfabric.Fabric, s *ibnet.Sim, at string) conf.Settings {
	t.Helper()
	guid, err := f.GUID(at)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(s.Dir, "hardened.partitions.conf")
	if err := os.WriteFile(file, []byte(partitions()), 0o600); err != nil {
		t.Fatal(err)
	}
	settings := conf.Settings{PortGUID: guid, Partitions: file, Log: filepath.Join(s.Dir, "opensm-"+at+".log"), Dumps: s.Dir,
		MKey: 0x5e1f_0c4e_77aa_9d01, SMKey: 0x1b2c_3d4e_5f60_7182, SAKey: 0x93a4_b5c6_d7e8_f901, Priority: 14, Routing: "minhop", Sweep: 5, Console: "off"}
	text, err := conf.GenerateOptions(settings)
	if err != nil {
		t.Fatal(err)
	}
	config := filepath.Join(s.Dir, "hardened.conf")
	if err := os.WriteFile(config, text, 0o600); err != nil {
		t.Fatal(err)
	}
	s.StartOpenSM(t, at, partitions(), "-F", config)
	return settings
}
