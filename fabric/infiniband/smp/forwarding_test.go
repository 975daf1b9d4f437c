package smp

import (
	"strings"
	"testing"

	"bulkhead/fabric/infiniband/mad"
)

// routed is the fabric of most tests with its hosts' LIDs 1 to 4 led by the first spine.
func routed() *memory {
	m := small()
	leaf, spine := []*device{m.devices[0x1000], m.devices[0x2000]}, m.devices[0x3000]
	for _, d := range []*device{leaf[0], leaf[1], spine} {
		d.sends = map[uint16]uint8{}
	}
	for host := range uint16(4) {
		lid, at := host+1, int(host/2)
		leaf[at].sends[lid], leaf[1-at].sends[lid], spine.sends[lid] = uint8(host%2+1), 6, uint8(at+1)
	}
	return m
}

// follow says what becomes of a packet from a leaf for the host 0x10 * lid.
func follow(t *testing.T, c *Client, leaf uint64, lid uint16) Outcome {
	t.Helper()
	f, err := c.Sweep(t.Context(), Keys{})
	if err != nil {
		t.Fatal(err)
	}
	out, err := c.Forwarding(f, Keys{}).Follow(t.Context(), []Flow{{Switch: leaf, LID: lid, To: End{0x10 * uint64(lid), 1}}})
	if err != nil {
		t.Fatal(err)
	}
	return out[0]
}

func TestPacketsAreFollowed(t *testing.T) {
	for name, c := range map[string]struct {
		change func(m *memory)
		at     End
		says   string // of a way that nobody knows
	}{
		"a leaf has no port for it":         {func(m *memory) { delete(m.devices[0x1000].sends, 4) }, End{0x1000, 0}, ""},
		"a spine has no port for it":        {func(m *memory) { delete(m.devices[0x3000].sends, 4) }, End{0x3000, 0}, ""},
		"it is sent to another host":        {func(m *memory) { m.devices[0x2000].sends[4] = 1 }, End{0x2000, 1}, ""},
		"it is sent to an empty port":       {func(m *memory) { m.devices[0x1000].sends[4] = 8 }, End{0x1000, 8}, ""},
		"it is sent to a port there is not": {func(m *memory) { m.devices[0x1000].sends[4] = 200 }, End{0x1000, 0}, ""},
		"a switch keeps it":                 {func(m *memory) { m.devices[0x1000].sends[4] = 0 }, End{0x1000, 0}, ""},
		"two send it to each other":         {func(m *memory) { m.devices[0x2000].sends[4] = 6; m.devices[0x3000].sends[4] = 2 }, End{0x2000, 0}, ""},
		"a link is not active":              {func(m *memory) { m.devices[0x3000].inactive = map[uint8]bool{2: true} }, End{0x3000, 2}, ""},
		"a link is narrower than its ends":  {func(m *memory) { m.devices[0x3000].narrow = map[uint8]bool{2: true} }, End{0x3000, 2}, ""},
		"a spine does not say":              {func(m *memory) { m.devices[0x3000].hides = true }, End{0x3000, 0}, "does not say where it sends LID 4"},
	} {
		m := routed()
		asker := client(t, m, quick)
		if out := follow(t, asker, 0x1000, 4); !out.Arrives {
			t.Fatalf("at first: %+v", out)
		}
		c.change(m)
		out := follow(t, asker, 0x1000, 4)
		if out.Arrives || out.At.Node != c.at.Node && name != "two send it to each other" || name != "two send it to each other" && out.At != c.at {
			t.Errorf("%s: %+v, expected it to end at %v", name, out, c.at)
		}
		if said := ""; c.says != "" {
			if out.Err != nil {
				said = out.Err.Error()
			}
			if !strings.Contains(said, c.says) {
				t.Errorf("%s: %q, expected %q", name, said, c.says)
			}
		} else if out.Err != nil {
			t.Errorf("%s: %v", name, out.Err)
		}
	}
	m := routed()
	m.devices[0x1000].sends[topLID+1] = 1
	asker := client(t, m, quick)
	if out := follow(t, asker, 0x1000, topLID+1); out.Arrives || out.At.Port != 0 {
		t.Errorf("above the greatest LID that a switch sends on: %+v", out)
	}
	m.devices[0x1000].hides = true // an adapter that says such a LID makes nobody look silent
	if out := follow(t, asker, 0x1000, 0xbfff); out.Arrives || out.Err != nil {
		t.Errorf("a LID that no switch has a block for: %+v", out)
	}
	if out := follow(t, asker, 0x10, 4); out.Err == nil {
		t.Errorf("from a host: %+v", out)
	}
}

// One packet asks a switch about 64 LIDs, and each is asked once a sweep.
func TestBlocksAreReadOnce(t *testing.T) {
	m := routed()
	c := client(t, m, quick)
	f, err := c.Sweep(t.Context(), Keys{})
	if err != nil {
		t.Fatal(err)
	}
	var flows []Flow
	for lid := range uint16(4) {
		for _, leaf := range []uint64{0x1000, 0x2000} {
			flows = append(flows, Flow{leaf, lid + 1, End{0x10 * uint64(lid+1), 1}})
		}
	}
	forwarding, before := c.Forwarding(f, Keys{}), m.sent
	for range 2 {
		out, err := forwarding.Follow(t.Context(), flows)
		if err != nil {
			t.Fatal(err)
		}
		for i, o := range out {
			if !o.Arrives {
				t.Errorf("%+v: %+v", flows[i], o)
			}
		}
	}
	if asked := m.sent - before; asked != 3 {
		t.Errorf("%d packets for three switches", asked)
	}
	if mad.LIDsABlock != len(mad.Data{}) {
		t.Error("a block is not an attribute")
	}
}

// wide is a fabric of leaves of 32 hosts below 16 spines, one partition of all, with every
// table read.
func wide(leaves int) (*Forwarding, []Flow) {
	const hosts, spines, firstSpine = 32, 16, 1 << 40
	f := &Fabric{byGUID: map[uint64]*Node{}}
	info := mad.SwitchInfo{LinearFDBTop: 0xbfff}
	active := (&mad.PortInfo{State: mad.PortActive, PhysState: mad.PhysLinkUp}).Encode()
	add := func(guid uint64, ports int) *Node {
		who := mad.NodeInfo{Type: mad.Switch, NodeGUID: guid, NumPorts: uint8(ports)}
		n := &Node{GUID: guid, Info: who.Encode(), SwitchInfo: info.Encode()}
		for i := range ports + 1 {
			n.Ports = append(n.Ports, &Port{Number: uint8(i), Info: active, Read: true})
		}
		f.byGUID[guid] = n
		return n
	}
	leaf := func(i int) uint64 { return uint64(i+1) << 16 }
	for i := range leaves {
		add(leaf(i), hosts+spines)
	}
	w := &Forwarding{fabric: f, tables: map[*Node]*table{}}
	blocks := (leaves*hosts + mad.LIDsABlock) / mad.LIDsABlock
	fill := func(n *Node, port func(lid int) byte) {
		for b := range blocks {
			var data mad.Data
			for i := range data {
				data[i] = port(b*mad.LIDsABlock + i)
			}
			w.of(n).blocks = append(w.of(n).blocks, &block{ports: data})
		}
	}
	for s := range spines {
		// A switch has 254 ports at most: more leaves than that share one here, which is as much work.
		n := add(firstSpine+uint64(s), 254)
		fill(n, func(lid int) byte { return byte(1 + lid/hosts%254) })
	}
	var flows []Flow
	for i := range leaves {
		n := f.byGUID[leaf(i)]
		fill(n, func(lid int) byte {
			if lid/hosts == i {
				return byte(1 + lid%hosts)
			}
			return byte(1 + hosts + lid%spines)
		})
		for h := range hosts {
			end := End{leaf(i) + 1 + uint64(h), 1}
			n.Ports[1+h].Neighbour = end
			flows = append(flows, Flow{leaf(0), uint16(i*hosts + h), end})
		}
		for s := range spines {
			n.Ports[1+hosts+s].Neighbour = End{firstSpine + uint64(s), uint8(1 + i%254)}
			f.byGUID[firstSpine+uint64(s)].Ports[1+i%254].Neighbour = End{leaf(i), uint8(1 + hosts + s)}
		}
	}
	return w, flows
}

// From one leaf to all 8,128 ports of a partition: what a look at a leaf costs beside its
// packets.
func BenchmarkFollow(b *testing.B) {
	w, flows := wide(254)
	w.client = &Client{}
	b.ReportAllocs()
	for b.Loop() {
		out, err := w.Follow(b.Context(), flows)
		if err != nil || !out[len(out)-1].Arrives || !out[0].Arrives {
			b.Fatal(err, out[len(out)-1])
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(flows)), "ns/flow")
}
