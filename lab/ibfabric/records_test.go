package ibfabric_test

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"bulkhead/fabric/infiniband/mad"
	"bulkhead/lab/await"
	"bulkhead/lab/ibfabric"
	"bulkhead/lab/ibnet"
)

// records cuts what saquery prints at each "... dump:" line.
func records(said string) (out []string) {
	for i, r := range regexp.MustCompile(`(?m)^(Node|PKeyTable|PortInfo)Record dump:\n`).Split(said, -1) {
		if i > 0 {
			out = append(out, r)
		}
	}
	return out
}

// field reads "name......value" of a record.
func field(t *testing.T, record, name string) string {
	t.Helper()
	m := regexp.MustCompile(`(?m)^\s*` + name + `:?\.+(.*)$`).FindStringSubmatch(record)
	if m == nil {
		t.Fatalf("no %s in %.500s", name, record)
	}
	return m[1]
}

func number(t *testing.T, record, name string) uint64 {
	t.Helper()
	n, err := strconv.ParseUint(field(t, record, name), 0, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// nodesOf lists the nodes of a tree by name, hosts first.
func nodesOf(tree ibnet.Tree) (names []string) {
	for i := range tree.Hosts {
		names = append(names, ibnet.HostName(i))
	}
	for i := range tree.Leaves() {
		names = append(names, ibnet.LeafName(i))
	}
	return names
}

// TestRecordsOfManyPackets: unmodified saquery gets whole tables from unmodified OpenSM,
// in packets of the emulated fabric as many as it takes, and they are what the devices
// hold: every node, and every P_Key of every host.
func TestRecordsOfManyPackets(t *testing.T) {
	if testing.Short() {
		t.Skip("2,048 hosts: not in short mode")
	}
	tree := ibnet.Tree{Hosts: 2048, PerLeaf: 32, Spines: 4}
	f, s := start(t, tree)
	s.MultiPacket(t)
	var tenants [2][]string
	for i := 1; i < tree.Hosts; i++ {
		tenants[i%2] = append(tenants[i%2], fmt.Sprintf("0x%x=full", ibnet.HostPortGUID(i)))
	}
	text := "Default=0x7fff : ALL=limited, ALL_SWITCHES=full, SELF=full ;\n"
	for i, members := range tenants {
		for chunk := range slices.Chunk(members, 60) {
			text += fmt.Sprintf("T%d=0x%x : %s ;\n", i, 0x10+i, strings.Join(chunk, ", "))
		}
	}
	s.StartOpenSM(t, host(0), text)
	if err := await.Until(await.Context(t), "the last host", func() (string, bool) {
		k, _ := f.Keys(host(tree.Hosts-1), 1)
		p, err := f.Port(host(tree.Hosts-1), 1)
		return fmt.Sprintf("%v, %+v, %v", k, p, err), err == nil && p.State == mad.PortActive && len(k) == 2
	}); err != nil {
		t.Fatal(err)
	}
	checkNodes(t, f, s, tree)
	checkKeys(t, f, s, tree)
}

func checkNodes(t *testing.T, f *ibfabric.Fabric, s *ibnet.Sim, tree ibnet.Tree) {
	t.Helper()
	said, err := s.Tool(t, host(0), "saquery", "NR")
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]uint64{} // port GUID by name
	lids := map[string]uint64{}
	list := records(said)
	for _, r := range list {
		name := field(t, r, "NodeDescription")
		got[name], lids[name] = number(t, r, "port_guid"), number(t, r, "lid")
	}
	if len(list) != tree.Hosts+tree.Switches() || len(got) != len(list) {
		t.Errorf("%d records of %d nodes, expected %d", len(list), len(got), tree.Hosts+tree.Switches())
	}
	for _, name := range nodesOf(tree) {
		port := 1
		if strings.HasPrefix(name, "leaf") {
			port = 0
		}
		guid, err := f.GUID(name)
		if err != nil {
			t.Fatal(err)
		}
		info, err := f.Port(name, port)
		if err != nil {
			t.Fatal(err)
		}
		if got[name] != guid || lids[name] != uint64(info.LID) {
			t.Errorf("%s is 0x%x at LID %d, saquery says 0x%x at %d", name, guid, info.LID, got[name], lids[name])
		}
	}
	t.Logf("%d node records, about %d packets", len(list), len(list)*112/200)
}

func checkKeys(t *testing.T, f *ibfabric.Fabric, s *ibnet.Sim, tree ibnet.Tree) {
	t.Helper()
	said, err := s.Tool(t, host(0), "saquery", "--smkey", "1", "PKTR") // OpenSM's own default for who is trusted
	if err != nil {
		t.Fatal(err)
	}
	type lidPort struct {
		lid  uint64
		port uint64
	}
	got := map[lidPort][]mad.PKey{}
	list := records(said)
	word := regexp.MustCompile(`0x[0-9a-f]{4}\b`)
	for _, r := range list {
		at := lidPort{number(t, r, "LID"), number(t, r, "Port")}
		_, table, _ := strings.Cut(r, "PKey Table:")
		words := word.FindAllString(table, -1)
		if len(words) != mad.BlockKeys {
			t.Fatalf("%d keys in a block: %.600s", len(words), r)
		}
		for _, w := range words {
			if k, _ := strconv.ParseUint(w, 0, 16); mad.PKey(k).Valid() {
				got[at] = append(got[at], mad.PKey(k))
			}
		}
	}
	compared := 0
	check := func(name string, lid uint16, reported, port int) {
		t.Helper()
		want, err := f.Keys(name, port)
		if err != nil {
			t.Fatal(err)
		}
		if have := got[lidPort{uint64(lid), uint64(reported)}]; !slices.Equal(have, want) || len(want) == 0 {
			t.Errorf("port %d of %s holds %v, saquery says %v", port, name, want, have)
		}
		compared++
	}
	for i := range tree.Hosts {
		info, err := f.Port(host(i), 1)
		if err != nil {
			t.Fatal(err)
		}
		check(host(i), info.LID, 1, 1)
	}
	for i := range tree.Leaves() {
		info, err := f.Port(ibnet.LeafName(i), 0)
		if err != nil {
			t.Fatal(err)
		}
		for port := 1; port <= tree.PerLeaf; port++ {
			check(ibnet.LeafName(i), info.LID, port, port)
		}
	}
	t.Logf("%d blocks of P_Keys, about %d packets; %d tables compared", len(list), len(list)*80/200, compared)
}
