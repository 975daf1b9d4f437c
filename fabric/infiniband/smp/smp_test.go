package smp

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"bulkhead/fabric/infiniband/mad"
)

// The fabric in memory says which requests are lost, so few tests wait for time
// to pass. Those that do are impatient.
var (
	quick     = Options{Timeout: time.Minute, Tries: 2}
	impatient = Options{Timeout: 100 * time.Millisecond, Tries: 2}
)

func client(t *testing.T, m *memory, o Options) *Client {
	t.Helper()
	c, err := New(m, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// picture says all that a sweep and a read-back found, less times and routes,
// which may differ from one run to the next.
func picture(f *Fabric, tables *Tables) string {
	var lines []string
	for _, n := range f.Nodes {
		for _, p := range n.Ports {
			lines = append(lines, fmt.Sprintf("%x.%d %x %v", n.GUID, p.Number, p.Neighbour, p.Up()))
		}
	}
	for i := range tables.Ports {
		e := &tables.Ports[i]
		line := fmt.Sprintf("edge %x %v %v", e.Switch, PKeys(e.Keys, e.KeyCap), len(e.Missing))
		if e.Host != nil {
			node := mad.ParseNodeInfo(&e.Host.NodeInfo)
			line += fmt.Sprintf(" %x %x %v", e.HostEnd, node.NodeGUID, PKeys(e.Host.Keys, e.HostCap))
		}
		lines = append(lines, line)
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

func readAll(t *testing.T, c *Client, keys Keys) (*Fabric, *Tables) {
	t.Helper()
	f, err := c.Sweep(t.Context(), keys)
	if err != nil {
		t.Fatal(err)
	}
	tables, err := c.ReadTables(t.Context(), f, TableOptions{Keys: keys})
	if err != nil {
		t.Fatal(err)
	}
	return f, tables
}

func TestReadsWhatIsThere(t *testing.T) {
	m := small()
	m.devices[0x20].manager = true
	c := client(t, m, Options{})
	f, tables := readAll(t, c, Keys{})
	if len(f.Nodes) != 9 || len(f.Missing) > 0 || len(f.Conflicts) > 0 || f.Local != 0x10 {
		t.Fatalf("%+v", f)
	}
	for _, n := range f.Nodes {
		for _, p := range n.Ports {
			if want := m.devices[n.GUID].cables[p.Number]; p.Neighbour != want {
				t.Errorf("%x port %d leads to %x, expected %x", n.GUID, p.Number, p.Neighbour, want)
			}
		}
	}
	if two := f.Node(0x50); len(two.Ports) != 2 || two.Ports[1].GUID != 0x52 || two.Ports[0].Route == two.Ports[1].Route {
		t.Errorf("host with two ports: %+v", two)
	}
	if len(f.Managers) != 1 || f.Managers[0].At != (End{0x20, 1}) || f.Managers[0].Info.Priority != 9 {
		t.Errorf("managers %+v", f.Managers)
	}
	// 8 ports a leaf less 2 to spines, and of each spine the 2 that are empty.
	if len(tables.Ports) != 2*6+2*2 {
		t.Errorf("%d edge ports", len(tables.Ports))
	}
	hosts := 0
	for i := range tables.Ports {
		e := &tables.Ports[i]
		if !e.Complete() {
			t.Errorf("%+v", e)
		}
		if got, want := PKeys(e.Keys, e.KeyCap), m.devices[e.Switch.Node].keys[e.Switch.Port]; !slices.Equal(got, want) {
			t.Errorf("%x: %v, expected %v", e.Switch, got, want)
		}
		if mad.ParsePortInfo(&e.PortInfo).PKeyViolations != uint16(e.Switch.Port) {
			t.Errorf("%x: PortInfo of another port", e.Switch)
		}
		if e.Host == nil {
			continue
		}
		hosts++
		if mad.ParsePortInfo(&e.Host.PortInfo).PKeyViolations != uint16(e.HostEnd.Port) {
			t.Errorf("%x: PortInfo of another host port", e.HostEnd)
		}
		if got, want := PKeys(e.Host.Keys, e.HostCap), m.devices[e.HostEnd.Node].keys[0]; !slices.Equal(got, want) {
			t.Errorf("host %x: %v, expected %v", e.HostEnd, got, want)
		}
		if info := mad.ParseNodeInfo(&e.Host.NodeInfo); info.NodeGUID != e.HostEnd.Node || info.PortGUID != e.HostGUID {
			t.Errorf("host %x: %+v", e.HostEnd, info)
		}
	}
	if hosts != 6 {
		t.Errorf("%d host ports", hosts)
	}
	one, err := c.ReadTables(t.Context(), f, TableOptions{Only: func(guid uint64) bool { return guid == 0x2000 }})
	if err != nil || len(one.Ports) != 6 || one.Ports[0].Switch.Node != 0x2000 {
		t.Errorf("%v: %d ports of one leaf", err, len(one.Ports))
	}
}

// TestBadNetworkGivesTheSame: whatever gets lost, doubled or overtaken, the
// result is the same, because each question is asked until it is answered.
func TestBadNetworkGivesTheSame(t *testing.T) {
	f, tables := readAll(t, client(t, small(), Options{}), Keys{})
	want := picture(f, tables)
	for seed := range uint64(6) {
		m := small()
		m.random = rand.New(rand.NewPCG(seed, 9))
		m.lose, m.double, m.tell = 0.2, 0.2, seed%2 == 0
		c := client(t, m, Options{Timeout: 30 * time.Millisecond, Tries: 30, Window: 1 + int(seed)*7})
		f, tables := readAll(t, c, Keys{})
		if got := picture(f, tables); got != want {
			t.Errorf("seed %d:\n%s\nexpected\n%s", seed, got, want)
		}
		if s := c.Stats(); s.Repeated == 0 || s.Unmatched == 0 || s.Unanswered > 0 {
			t.Errorf("seed %d: nothing was lost or doubled: %+v", seed, s)
		}
	}
}

// TestLostIsAskedAgainAtOnce: what the device gave up does not wait for the
// timeout, which would be longer than the test may run.
func TestLostIsAskedAgainAtOnce(t *testing.T) {
	m := small()
	m.lose = 0.5
	c := client(t, m, Options{Timeout: time.Hour, Tries: 40})
	if f, err := c.Sweep(t.Context(), Keys{}); err != nil || len(f.Nodes) != 9 {
		t.Error(err)
	}
	m.devices[0x10].silent = true
	if _, _, err := c.NodeInfo(t.Context(), Address{}, 0); !errors.Is(err, ErrNoAnswer) {
		t.Error(err)
	}
}

func TestSilenceIsListed(t *testing.T) {
	m := small()
	f, err := client(t, m, quick).Sweep(t.Context(), Keys{})
	if err != nil {
		t.Fatal(err)
	}
	m.devices[0x20].silent = true // after the sweep
	c := client(t, reopened(m), quick)
	tables, err := c.ReadTables(t.Context(), f, TableOptions{})
	if err != nil {
		t.Fatal(err)
	}
	silent := 0
	for i := range tables.Ports {
		e := &tables.Ports[i]
		if e.HostEnd.Node == 0x20 {
			silent++
			if len(e.Missing) != 4 { // NodeInfo, PortInfo, two blocks
				t.Errorf("missing %v", e.Missing)
			}
			for _, miss := range e.Missing {
				if !errors.Is(miss.Err, ErrNoAnswer) || miss.Route != e.HostRoute || !strings.Contains(miss.Err.Error(), "route 0,1,2") {
					t.Errorf("%+v", miss)
				}
			}
			if PKeys(e.Keys, e.KeyCap) == nil {
				t.Error("the switch port behind it was not read")
			}
		} else if !e.Complete() {
			t.Errorf("%x: %v", e.Switch, e.Missing)
		}
	}
	if silent != 1 {
		t.Errorf("%d silent ports", silent)
	}
	f, err = client(t, reopened(m), quick).Sweep(t.Context(), Keys{}) // and during one
	if err != nil {
		t.Fatal(err)
	}
	if len(f.Missing) != 1 || f.Missing[0].From != (End{0x1000, 2}) || f.Missing[0].What != "NodeInfo" || f.Node(0x20) != nil {
		t.Errorf("missing %+v", f.Missing)
	}
	edges := f.Edges()
	if !slices.ContainsFunc(edges, func(e EdgePort) bool { return e.Switch == End{0x1000, 2} && e.Host == nil }) {
		t.Error("the switch port before the silent host is no edge port")
	}
}

// reopened is the same fabric with a new connection.
func reopened(m *memory) *memory {
	n := newMemory(m.local)
	n.devices, n.tell = m.devices, m.tell
	return n
}

func TestMKeys(t *testing.T) {
	m := small()
	of := map[uint64]uint64{}
	for guid, d := range m.devices {
		d.mkey = guid * 3
		of[guid] = d.mkey
		if d.kind == mad.ChannelAdapter { // by port GUID
			of[guid+1], of[guid+2] = d.mkey, d.mkey
		}
	}
	keys := Keys{
		Of: func(guid uint64) uint64 { return of[guid] },
		Behind: func(guid uint64, port uint8) uint64 {
			if guid == 0 {
				return of[m.local]
			}
			return of[m.devices[guid].cables[port].Node]
		},
	}
	f, tables := readAll(t, client(t, m, quick), keys)
	if len(f.Nodes) != 9 || len(f.Missing) > 0 {
		t.Errorf("%+v", f.Missing)
	}
	for i := range tables.Ports {
		if !tables.Ports[i].Complete() {
			t.Error(tables.Ports[i].Missing)
		}
	}
	m = reopened(m)
	m.devices[0x30].mkey = 1 // somebody else's device, or key
	f, err := client(t, m, quick).Sweep(t.Context(), keys)
	if err != nil || len(f.Missing) != 1 || f.Missing[0].From != (End{0x2000, 1}) {
		t.Errorf("%v, missing %+v", err, f.Missing)
	}
	if _, err := client(t, reopened(m), quick).Sweep(t.Context(), OneKey(5)); !errors.Is(err, ErrNoAnswer) {
		t.Errorf("with a wrong key: %v", err)
	}
}

func TestTwoDevicesWithOneGUID(t *testing.T) {
	m := small()
	// 0x40 says that it is 0x30; its cable is its own.
	m.devices[0x40].guid = 0x30
	f, err := client(t, m, quick).Sweep(t.Context(), Keys{})
	if err != nil {
		t.Fatal(err)
	}
	if len(f.Conflicts) != 1 || f.Conflicts[0].GUID != 0x30 {
		t.Errorf("conflicts %+v", f.Conflicts)
	}
	m = small()
	liar := m.devices[0x40] // and one a switch that is a router
	liar.guid, liar.kind, liar.ports = 0x1000, mad.Router, 8
	if f, err = client(t, m, quick).Sweep(t.Context(), Keys{}); err != nil || len(f.Conflicts) != 1 || f.Conflicts[0].GUID != 0x1000 {
		t.Errorf("%v %+v", err, f.Conflicts)
	}
}

func TestNoNodeIsLikeThat(t *testing.T) {
	for name, spoil := range map[string]func(*mad.NodeInfo){
		"GUID 0":               func(n *mad.NodeInfo) { n.NodeGUID = 0 },
		"no ports":             func(n *mad.NodeInfo) { n.NumPorts = 0 },
		"a port that it lacks": func(n *mad.NodeInfo) { n.LocalPort = n.NumPorts + 1 },
		"port 0 of a host":     func(n *mad.NodeInfo) { n.LocalPort = 0 },
		"type 0":               func(n *mad.NodeInfo) { n.Type = 0 },
	} {
		m := small()
		m.change = func(p *mad.Packet) {
			s, _ := mad.ParseSMP(p)
			if info := mad.ParseNodeInfo(&s.Data); s.Attribute == mad.AttrNodeInfo && info.NodeGUID == 0x30 {
				spoil(&info)
				s.Data = info.Encode()
				*p = s.Encode()
			}
		}
		f, err := client(t, m, quick).Sweep(t.Context(), Keys{})
		if err != nil || len(f.Missing) != 1 || len(f.Nodes) != 8 {
			t.Errorf("%s: %v, missing %+v", name, err, f.Missing)
		}
	}
}

// TestForgedAnswersAreNotTaken: what differs from the request in any field that
// it must carry is no answer.
func TestForgedAnswersAreNotTaken(t *testing.T) {
	for name, forge := range map[string]func(*mad.Packet){
		"another transaction": func(p *mad.Packet) { p.SetTID(p.TID() ^ 1<<20) },
		"another slot":        func(p *mad.Packet) { p.SetTID(p.TID() ^ 1) },
		"another class":       func(p *mad.Packet) { p[1] = byte(mad.ClassSubnLID) },
		"a request":           func(p *mad.Packet) { p[3] = byte(mad.Get) },
		"another attribute":   func(p *mad.Packet) { p[17]++ },
		"another modifier":    func(p *mad.Packet) { p[23]++ },
		"another route":       func(p *mad.Packet) { p[129]++ },
		"a longer route":      func(p *mad.Packet) { p[7]++ },
		"another version":     func(p *mad.Packet) { p[0]++ },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := small()
			m.change = forge
			c := client(t, m, impatient)
			if _, _, err := c.NodeInfo(t.Context(), Address{Route: "\x01"}, 0); !errors.Is(err, ErrNoAnswer) {
				t.Error(err)
			}
			if s := c.Stats(); s.Unmatched == 0 || s.Answered > 0 {
				t.Errorf("%+v", s)
			}
		})
	}
	m := small() // the upper half belongs to the transport
	m.change = func(p *mad.Packet) { p.SetTID(p.TID() | 0xabcd<<32) }
	if _, _, err := client(t, m, quick).NodeInfo(t.Context(), Address{Route: "\x01"}, 0); err != nil {
		t.Error(err)
	}
}

func TestStatusIsAnError(t *testing.T) {
	m := small()
	m.devices[0x20].refuses = mad.StatusAttributeUnsupported
	c := client(t, m, quick)
	_, _, err := c.PKeyBlock(t.Context(), Address{Route: "\x01\x02"}, 0, 1, 0)
	var status *StatusError
	if !errors.As(err, &status) || status.Status != mad.StatusAttributeUnsupported || status.Modifier != 1 || status.To.Route != "\x01\x02" || errors.Is(err, ErrNoAnswer) {
		t.Errorf("%v", err)
	}
	_, tables := readAll(t, c, Keys{})
	for i := range tables.Ports {
		if e := &tables.Ports[i]; e.Complete() == (e.HostEnd.Node == 0x20) {
			t.Errorf("%x: %v", e.HostEnd, e.Missing)
		}
	}
	busy := small() // busy is asked again
	times := 0
	busy.change = func(p *mad.Packet) {
		if times++; times == 1 {
			p[5] |= byte(mad.StatusBusy)
		}
	}
	if info, _, err := client(t, busy, impatient).NodeInfo(t.Context(), Address{}, 0); err != nil || info.NodeGUID != 0x10 || times < 2 {
		t.Errorf("busy: %v, %d tries", err, times)
	}
}

// TestHugeTableIsMissing: a device that says that its table is huge costs a
// bounded number of packets, and its port is not complete.
func TestHugeTableIsMissing(t *testing.T) {
	m := small()
	m.devices[0x20].cap = 65535
	_, tables := readAll(t, client(t, m, Options{}), Keys{})
	for i := range tables.Ports {
		if e := &tables.Ports[i]; e.HostEnd.Node == 0x20 && (e.Complete() || len(e.Host.Keys) != maxBlocks) {
			t.Errorf("%d blocks, missing %v", len(e.Host.Keys), e.Missing)
		}
	}
}

func TestByLID(t *testing.T) {
	c := client(t, small(), quick)
	info, answer, err := c.NodeInfo(t.Context(), Address{LID: 3}, 0)
	if err != nil || info.NodeGUID != 0x30 || answer.At.IsZero() {
		t.Errorf("%v %+v", err, info)
	}
	if _, _, err = c.SMInfo(t.Context(), Address{LID: 99}, 0); !errors.Is(err, ErrNoAnswer) || !strings.Contains(err.Error(), "LID 99") {
		t.Error(err)
	}
	f, err := c.Sweep(t.Context(), Keys{})
	if err != nil {
		t.Fatal(err)
	}
	tables, err := c.ReadTables(t.Context(), f, TableOptions{ByLID: true}) // only hosts have LIDs here
	if err != nil || !slices.ContainsFunc(tables.Ports, func(e EdgePort) bool { return e.HostEnd.Node == 0x40 && e.Complete() }) {
		t.Error(err)
	}
}

func TestEndsEarly(t *testing.T) {
	m := small()
	m.tell, m.devices[0x20].silent = false, true
	c := client(t, m, Options{Timeout: time.Minute, Window: 2})
	to := func(int) Request { return Request{To: Address{Route: "\x01\x02"}, Attribute: mad.AttrNodeInfo} }
	for range 3 { // each must give its slots back
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- c.Batch(ctx, 5, to, func(int, Answer, error) { t.Error("answered") }) }()
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Fatal(err)
		}
	}
	if _, _, err := c.NodeInfo(t.Context(), Address{}, 0); err != nil {
		t.Error(err)
	}
	done := make(chan error)
	go func() { done <- c.Batch(t.Context(), 5, to, func(int, Answer, error) { t.Error("answered") }) }()
	c.Close()
	if err := <-done; !errors.Is(err, errClosed) {
		t.Error(err)
	}
	if _, _, err := c.NodeInfo(t.Context(), Address{}, 0); !errors.Is(err, errClosed) {
		t.Error(err)
	}
}

func TestOptionsAndRoutes(t *testing.T) {
	for _, o := range []Options{{Window: -1}, {Window: maxWindow + 1}, {Timeout: 1}, {Tries: -1}} {
		if _, err := New(newMemory(1), o); err == nil {
			t.Errorf("%+v was taken", o)
		}
	}
	if s := Route("").Next(1).Next(14).String(); s != "0,1,14" {
		t.Error(s)
	}
	c := client(t, small(), quick)
	far := Route(strings.Repeat("\x01", mad.MaxHops+1))
	if _, _, err := c.NodeInfo(t.Context(), Address{Route: far}, 0); err == nil || errors.Is(err, ErrNoAnswer) {
		t.Errorf("a route of %d hops: %v", len(far), err)
	}
}
