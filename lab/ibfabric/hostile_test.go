package ibfabric

import (
	"encoding/binary"
	"strings"
	"testing"
	"time"

	"bulkhead/fabric/infiniband/mad"
)

const tiny = `# two hosts on a switch
switchguid=0x10(10)
Switch 4 "leaf"
[1] "a"[1]
[2] "b"[1](200) # text behind

vendid=0x2c9
caguid=0x20
Ca 1 "a"
[1] "leaf"[1]

caguid=0x30
Hca 2 "b"
[1] "leaf"[2]
`

// quiet is a fabric that nobody serves.
func quiet(t testing.TB, topology string) (*Fabric, error) {
	t.Helper()
	f := &Fabric{Name: "quiet", clock: time.Now, byName: map[string]*node{}, byLID: map[uint16]*port{}, clients: map[uint32]*client{}, awaits: map[exchange]*awaited{}}
	return f, f.read(strings.NewReader(topology))
}

func TestTopologyIsRead(t *testing.T) {
	f, err := quiet(t, tiny)
	if err != nil {
		t.Fatal(err)
	}
	leaf, b := f.byName["leaf"], f.byName["b"]
	if len(f.nodes) != 3 || leaf.ports[2].peer != b.ports[1] || b.ports[1].peer != leaf.ports[2] || leaf.ports[3].peer != nil {
		t.Errorf("%d nodes, port 2 of the leaf leads to %+v", len(f.nodes), leaf.ports[2].peer)
	}
	if b.ports[1].info.State != mad.PortInit || b.ports[2].info.State != mad.PortDown {
		t.Error("a port with a cable waits to be configured, one without is down")
	}
}

func TestBadTopologiesAreRefused(t *testing.T) {
	for _, c := range []struct{ change, to, says string }{
		{tiny, "", "no node"},
		{"switchguid=0x10(10)", "switchguid=zz", "line 2"},
		{"switchguid=0x10(10)\n", "", "line 2"},
		{`Switch 4`, `Switch 255`, "1 to 254 ports"},
		{`Switch 4`, `Switch 1`, "line 5"},
		{`Switch 4 "leaf"`, `Switch 4`, "line 3"},
		{`Ca 1 "a"`, `Ca 1 "leaf"`, "a second node"},
		{`[1] "a"[1]`, `[0] "a"[1]`, "line 4"},
		{`[1] "a"[1]`, `[1] "nobody"[1]`, `no port 1 of "nobody"`},
		{`[1] "a"[1]`, `[1] "a"[7]`, `no port 7 of "a"`},
		{`[1] "a"[1]`, `[1] "b"[1]`, "two cables"},
		{`vendid`, `nonsense`, "line 7"},
		{`caguid=0x20`, `caguid=0x10`, "a second node of this GUID"},
	} {
		if _, err := quiet(t, strings.Replace(tiny, c.change, c.to, 1)); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%q for %q: %v, expected %q", c.to, c.change, err, c.says)
		}
	}
}

func FuzzTopology(f *testing.F) {
	f.Add(tiny)
	f.Add("switchguid=0x1\nSwitch 2 \"x\"\n[1] \"x\"[2]\n")
	f.Add("caguid=0x1\nCa 1 \"x\"\n[1] \"x\"[1]\n")
	f.Fuzz(func(t *testing.T, topology string) {
		g, err := quiet(t, topology)
		if err != nil {
			return
		}
		for _, n := range g.nodes {
			for _, p := range n.ports {
				if p != nil && p.peer != nil && (p.peer.peer != p || p.peer == p) {
					t.Fatalf("a cable from port %d of %s that does not lead back", p.number, n.name)
				}
			}
		}
	})
}

// FuzzPacket feeds what a hostile program may send to a fabric, several in a row.
func FuzzPacket(f *testing.F) {
	seed := func(lid uint16, p mad.Packet) {
		var b [dataSize]byte
		binary.BigEndian.PutUint16(b[atDLID:], lid)
		copy(b[atMAD:], p[:])
		f.Add(b[:])
	}
	for _, a := range []mad.Attribute{mad.AttrNodeInfo, mad.AttrSwitchInfo, mad.AttrPortInfo, mad.AttrPKeyTable, mad.AttrLinearFDB, mad.AttrMulticastFDB, mad.AttrSLtoVL, mad.AttrGUIDInfo, mad.AttrSMInfo} {
		for _, m := range []mad.Method{mad.Get, mad.Set, mad.Trap, mad.TrapRepress, mad.GetResp} {
			for _, route := range [][]byte{nil, {1}, {1, 2}, {1, 200}} {
				s, err := mad.NewByRoute(m, a, 0xffffffff, route)
				if err != nil {
					f.Fatal(err)
				}
				seed(mad.PermissiveLID, s.Encode())
				s.Modifier = 1
				s.Data = mad.Data{16: 0xbf, 17: 0xff, 34: 0xff, 43: 0xff}
				seed(mad.PermissiveLID, s.Encode())
			}
		}
	}
	var perf mad.Packet
	perf.SetHeader(mad.Header{BaseVersion: 1, Class: mad.ClassPerf, ClassVersion: 1, Method: mad.Get, Attribute: mad.AttrClassPortInfo})
	seed(1, perf)
	f.Fuzz(func(t *testing.T, stream []byte) {
		g, err := quiet(t, tiny)
		if err != nil {
			t.Fatal(err)
		}
		g.clients[0] = &client{id: 0, name: "quiet:in0", at: g.byName["a"].ports[1], isSM: true, out: make(chan [dataSize]byte, 64)}
		g.clients[1] = &client{id: 1, name: "quiet:in1", at: g.byName["b"].ports[1], out: make(chan [dataSize]byte, 64)}
		for i := range 16 {
			if len(stream) < dataSize {
				break
			}
			b := [dataSize]byte(stream)
			stream = stream[dataSize:]
			g.packet(g.clients[uint32(i%2)], &b)
		}
		g.mu.Lock()
		defer g.mu.Unlock()
		for key := range g.awaits {
			g.answered(key)
		}
	})
}

// FuzzControl feeds control messages, connecting ones apart: they make sockets.
func FuzzControl(f *testing.F) {
	for kind := range uint32(12) {
		var b [controlSize]byte
		binary.NativeEndian.PutUint32(b[:], magic)
		binary.NativeEndian.PutUint32(b[8:], kind)
		f.Add(b[:])
	}
	f.Fuzz(func(t *testing.T, message []byte) {
		if len(message) != controlSize {
			return
		}
		b := [controlSize]byte(message)
		if k := binary.NativeEndian.Uint32(b[8:]); k == ctlConnect || k == ctlDisconnect {
			return
		}
		g, err := quiet(t, tiny)
		if err != nil {
			t.Fatal(err)
		}
		g.clients[0] = &client{id: 0, name: "quiet:in0", at: g.byName["b"].ports[1], out: make(chan [dataSize]byte, 64)}
		_ = g.command(&b)
	})
}
