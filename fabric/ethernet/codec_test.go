package ethernet_test

import (
	"bytes"
	"encoding/json"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"bulkhead/fabric"
	. "bulkhead/fabric/ethernet"
	"bulkhead/fabric/fabrictest"
	"bulkhead/site"
)

const compute = 1 // index of the compute fabric in fabrictest's site

func testSite() *site.Site { return fabrictest.NewSite(2, 2, site.RoCE) }

// ideal is the capture of leaf 0, whose two ports carry values.
func ideal(t testing.TB, values ...uint32) Capture {
	t.Helper()
	s := testSite()
	var readings []fabric.Reading
	for i, v := range values {
		r := fabric.Compile(Family, v)
		readings = append(readings, fabric.Reading{LeafPort: i + 1, Leaf: r.Leaf, EnforceIn: true, EnforceOut: true, Class: r.Class,
			Neighbour: s.PortID[site.PortOf(site.Index(i), 0)]})
	}
	c, err := Ideal(s, 0, VTEPRanges(s, compute), readings, 4094)
	if err != nil {
		t.Fatal(err)
	}
	own := VTEP(compute, 0)
	for i, v := range values {
		if v == 0 {
			continue
		}
		c.Routes = append(c.Routes, Route{Kind: 2, VNI: v, MAC: s.PortID[site.PortOf(site.Index(i), 0)], Targets: []Target{TargetOf(v)}, Originator: own})
	}
	slices.SortFunc(c.Routes, CompareRoutes)
	for n := range 2 {
		r := Reflection{At: Reflector(compute, n+1)}
		for _, v := range c.VNIs {
			r.Passes = append(r.Passes, TargetOf(v.VNI))
		}
		c.Reflectors = append(c.Reflectors, r)
	}
	for i := range c.VNIs {
		c.VNIs[i].Flood = []netip.Addr{VTEP(compute, 1)}
	}
	return c
}

const example = `{"version":3,"switch":"su00-leaf0","vlan_table":{"used":2,"size":4094},` +
	`"underlay":{"vtep":"10.65.0.1","accept":["10.65.0.1-10.65.0.16"],"accept_else":false,"forwards":false,"peers":["10.65.255.1","10.65.255.2"]},` +
	`"classes":[{"class":0,"dscp":0,"pfc":false,"ecn":[0,0,0]},{"class":1,"dscp":8,"pfc":true,"ecn":[150000,1500000,100]},{"class":2,"dscp":16,"pfc":true,"ecn":[150000,1500000,100]},` +
	`{"class":3,"dscp":24,"pfc":true,"ecn":[150000,1500000,100]},{"class":4,"dscp":32,"pfc":true,"ecn":[150000,1500000,100]},{"class":5,"dscp":40,"pfc":true,"ecn":[150000,1500000,100]},` +
	`{"class":6,"dscp":48,"pfc":true,"ecn":[150000,1500000,100]},{"class":7,"dscp":56,"pfc":false,"ecn":[0,0,0]}],` +
	`"ports":[{"port":1,"filter_in":true,"filter_out":true,"locked":true,"mirrored":false,"vlans":[{"vid":2,"vni":4097,"isolated":false}],"class":6,"lldp":"02:00:00:00:00:01","fdb":"02:00:00:00:00:01","more":false,"mtu":9000},` +
	`{"port":2,"filter_in":true,"filter_out":true,"locked":true,"mirrored":false,"vlans":[{"vid":3,"vni":16777214,"isolated":true}],"class":0,"lldp":"02:00:00:00:00:0a","fdb":"02:00:00:00:00:0a","more":false,"mtu":9000}],` +
	`"vnis":[{"vni":4097,"import":["65000:4097"],"export":["65000:4097"],"flood":["10.65.0.2"],"static":[]},{"vni":16777214,"import":["65000:16777214"],"export":["65000:16777214"],"flood":["10.65.0.2"],"static":[]}],` +
	`"routes_seen":true,"routes":[{"kind":2,"vni":4097,"mac":"02:00:00:00:00:01","targets":["65000:4097"],"originator":"10.65.0.1"},{"kind":2,"vni":16777214,"mac":"02:00:00:00:00:0a","targets":["65000:16777214"],"originator":"10.65.0.1"},` +
	`{"kind":3,"vni":4097,"mac":"","targets":["65000:4097"],"originator":"10.65.0.1"},{"kind":3,"vni":16777214,"mac":"","targets":["65000:16777214"],"originator":"10.65.0.1"}],` +
	`"reflectors":[{"at":"10.65.255.1","passes":["65000:4097","65000:16777214"]},{"at":"10.65.255.2","passes":["65000:4097","65000:16777214"]}]}`

func TestForm(t *testing.T) {
	c := ideal(t, 4097, 0xfffffe)
	raw, err := Encode(&c)
	if err != nil {
		t.Fatal(err)
	}
	if string(raw) != example {
		t.Fatalf("wrote\n%s, expected\n%s", raw, example)
	}
	if !json.Valid(raw) {
		t.Fatal("not JSON")
	}
}

// drawn is any capture that can be written.
func drawn(t *rapid.T) Capture {
	s := testSite()
	address := rapid.Custom(func(t *rapid.T) netip.Addr {
		return netip.AddrFrom4([4]byte{10, byte(rapid.IntRange(63, 66).Draw(t, "a")), byte(rapid.IntRange(0, 255).Draw(t, "b")), byte(rapid.IntRange(0, 255).Draw(t, "c"))})
	})
	addresses := func(name string) (out []netip.Addr) {
		out = rapid.SliceOfNDistinct(address, 0, 3, rapid.ID[netip.Addr]).Draw(t, name)
		slices.SortFunc(out, netip.Addr.Compare)
		return nilIfEmpty(out)
	}
	targets := func(name string) []Target {
		out := rapid.SliceOfNDistinct(rapid.Map(rapid.Uint32(), func(v uint32) Target { return TargetOf(v) }), 0, 3, rapid.ID[Target]).Draw(t, name)
		slices.Sort(out)
		return nilIfEmpty(out)
	}
	values := rapid.SliceOfN(rapid.SampledFrom([]uint32{4097, 4098, 5000, 0xfffffe, 10}), 0, 4).Draw(t, "values")
	var readings []fabric.Reading
	for i, v := range values {
		r := fabric.Compile(Family, v)
		readings = append(readings, fabric.Reading{LeafPort: 1 + 3*i, Leaf: r.Leaf, Class: r.Class, EnforceIn: rapid.Bool().Draw(t, "in"),
			EnforceOut: rapid.Bool().Draw(t, "out"), Neighbour: rapid.Uint64Range(0, 1<<48-1).Draw(t, "mac")})
	}
	c, err := Ideal(s, 0, VTEPRanges(s, compute), readings, 4094)
	if err != nil {
		t.Fatal(err)
	}
	c.Ports, c.VNIs = nilIfEmpty(c.Ports), nilIfEmpty(c.VNIs)
	for i := range c.Ports {
		p := &c.Ports[i]
		p.VLANs = nilIfEmpty(p.VLANs)
		p.More, p.Mirrored, p.Locked = rapid.Bool().Draw(t, "more"), rapid.Bool().Draw(t, "mirrored"), rapid.Bool().Draw(t, "locked")
		p.FDB, p.MTU = rapid.Uint64Range(0, 1<<48-1).Draw(t, "fdb"), rapid.IntRange(0, 1<<16-1).Draw(t, "mtu")
	}
	for i := range c.VNIs {
		v := &c.VNIs[i]
		v.Import, v.Export, v.Flood, v.Static = targets("import"), targets("export"), addresses("flood"), addresses("static")
		v.Unlearnt = addresses("unlearnt")
	}
	u := &c.Underlay
	u.AcceptElse, u.Forwards, u.Peers = rapid.Bool().Draw(t, "else"), rapid.Bool().Draw(t, "forwards"), addresses("peers")
	c.Routes = nil
	if c.RoutesSeen = rapid.Bool().Draw(t, "seen"); c.RoutesSeen {
		for range rapid.IntRange(0, 3).Draw(t, "routes") {
			c.Routes = append(c.Routes, Route{Kind: rapid.Uint8().Draw(t, "kind"), VNI: rapid.Uint32Range(0, 1<<24-1).Draw(t, "vni"),
				MAC: rapid.Uint64Range(0, 1<<48-1).Draw(t, "mac"), Targets: targets("targets"), Originator: address.Draw(t, "originator")})
		}
		slices.SortFunc(c.Routes, CompareRoutes)
		c.Routes = slices.CompactFunc(c.Routes, func(a, b Route) bool { return CompareRoutes(a, b) == 0 })
	}
	return c
}

func nilIfEmpty[T any](list []T) []T {
	if len(list) == 0 {
		return nil
	}
	return list
}

func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := drawn(t)
		raw, err := Encode(&c)
		if err != nil {
			t.Fatal(err)
		}
		if !json.Valid(raw) {
			t.Fatalf("not JSON: %s", raw)
		}
		got, err := Decode(raw)
		if err != nil {
			t.Fatalf("%v in %s", err, raw)
		}
		if !reflect.DeepEqual(got, c) {
			t.Fatalf("read %+v\nwrote %+v", got, c)
		}
		cut := rapid.IntRange(0, len(raw)-1).Draw(t, "cut")
		if _, err := Decode(raw[:cut]); err == nil {
			t.Fatalf("%d of %d bytes were accepted", cut, len(raw))
		}
	})
}

func TestRefuses(t *testing.T) {
	for name, pair := range map[string][2]string{
		"version":               {`"version":3`, `"version":1`},
		"space":                 {`,"switch"`, `, "switch"`},
		"name":                  {`su00-leaf0`, `su00 leaf0`},
		"no name":               {`su00-leaf0`, ``},
		"used over size":        {`"used":2`, `"used":4095`},
		"long number":           {`"port":1,`, `"port":01,`},
		"negative":              {`"port":1,`, `"port":-1,`},
		"fraction":              {`"port":1,`, `"port":1.0,`},
		"port 0":                {`"port":1,`, `"port":0,`},
		"ports out of order":    {`"port":1,`, `"port":2,`},
		"huge port":             {`"port":2,`, `"port":99999999999999999999,`},
		"vid 4095":              {`"vid":2,`, `"vid":4095,`},
		"vid 1":                 {`"vid":2,`, `"vid":1,`},
		"vni of 25 bits":        {`"vni":4097`, `"vni":16777216`},
		"vni like a vid":        {`"vni":4097`, `"vni":4094`},
		"two vids for a vni":    {`"vni":4097`, `"vni":16777214`},
		"two vnis for a vid":    {`"vid":3,`, `"vid":2,`},
		"repeated vid":          {`}],"class"`, `},{"vid":2,"vni":4097,"isolated":false}],"class"`},
		"class 8":               {`"class":6,"lldp"`, `"class":8,"lldp"`},
		"class twice":           {`{"class":1,`, `{"class":0,`},
		"dscp 64":               {`"dscp":8,`, `"dscp":64,`},
		"short MAC":             {`02:00:00:00:00:01`, `02:00:00:00:01`},
		"upper-case MAC":        {`02:00:00:00:00:01`, `0A:00:00:00:00:01`},
		"MAC 0":                 {`02:00:00:00:00:01`, `00:00:00:00:00:00`},
		"null":                  {`"filter_in":true`, `"filter_in":null`},
		"unknown field":         {`"class":6`, `"x":1,"class":6`},
		"trailing comma":        {`}],"vnis"`, `},],"vnis"`},
		"bytes after the end":   {`4"]}]}`, `4"]}]} `},
		"MAC with other colons": {`"lldp":"02:00:00:00:00:01"`, `"lldp":"02-00-00-00-00-01"`},
		"nothing is unlearnt":   {`"static":[]}`, `"static":[],"unlearnt":[]}`},
		"address of 5 parts":    {`"vtep":"10.65.0.1"`, `"vtep":"10.65.0.1.1"`},
		"octet 256":             {`"vtep":"10.65.0.1"`, `"vtep":"10.65.0.256"`},
		"octet 01":              {`"vtep":"10.65.0.1"`, `"vtep":"10.65.0.01"`},
		"range upside down":     {`10.65.0.1-10.65.0.16`, `10.65.0.16-10.65.0.1`},
		"peers out of order":    {`"10.65.255.1","10.65.255.2"`, `"10.65.255.2","10.65.255.1"`},
		"target of 4-octet AS":  {`"import":["65000:4097"]`, `"import":["65536:4097"]`},
		"target twice":          {`"import":["65000:4097"]`, `"import":["65000:4097","65000:4097"]`},
		"VNIs out of order":     {`{"vni":4097,"import"`, `{"vni":16777215,"import"`},
		"routes that none saw":  {`"routes_seen":true`, `"routes_seen":false`},
		"reflector twice":       {`{"at":"10.65.255.2"`, `{"at":"10.65.255.1"`},
		"reflector of IPv6":     {`{"at":"10.65.255.2"`, `{"at":"::1"`},
		"passes out of order":   {`"passes":["65000:4097","65000:16777214"]`, `"passes":["65000:16777214","65000:4097"]`},
		"route twice":           {`"mac":"02:00:00:00:00:0a"`, `"mac":"02:00:00:00:00:01"`},
	} {
		text := strings.Replace(example, pair[0], pair[1], 1)
		if name == "route twice" {
			text = strings.Replace(text, `"kind":2,"vni":16777214`, `"kind":2,"vni":4097`, 1)
			text = strings.Replace(text, `"targets":["65000:16777214"]`, `"targets":["65000:4097"]`, 1)
		}
		if text == example {
			t.Errorf("%s: %s is not in the example", name, pair[0])
		}
		if _, err := Decode([]byte(text)); err == nil {
			t.Errorf("%s: accepted %s", name, text)
		}
	}
}

// FuzzDecode: whatever the bytes, decoding ends; what it accepts is JSON, is the
// canonical form, and has members that are members.
func FuzzDecode(f *testing.F) {
	f.Add([]byte(example))
	f.Add([]byte(example[:200]))
	f.Add([]byte(`{"version":3,"switch":"x","vlan_table":{"used":0,"size":0},"underlay":{"vtep":"","accept":[],"accept_else":true,"forwards":true,"peers":[]},"classes":[],"ports":[],"vnis":[],"routes_seen":false,"routes":[],"reflectors":[]}`))
	s := testSite()
	f.Fuzz(func(t *testing.T, raw []byte) {
		c, err := Decode(raw)
		if err != nil {
			return
		}
		if !json.Valid(raw) {
			t.Fatalf("accepted what is not JSON: %q", raw)
		}
		again, err := Encode(&c)
		if err != nil || !bytes.Equal(again, raw) {
			t.Fatalf("read %s, written %s: %v", raw, again, err)
		}
		c.Switch, c.RoutesSeen = s.LeafID(0), true
		readings, err := Readings(s, 0, &c)
		if err != nil {
			t.Fatal(err)
		}
		for i := range readings {
			for _, m := range readings[i].Leaf {
				if !m.Valid() {
					t.Fatalf("port %d: member %#x", readings[i].LeafPort, uint32(m))
				}
			}
		}
	})
}

func BenchmarkRead6256Leaves(b *testing.B) {
	s := fabrictest.NewSite(1, 64, site.RoCE)
	var readings []fabric.Reading
	for p := range 64 {
		r := fabric.Compile(Family, 5000)
		readings = append(readings, fabric.Reading{LeafPort: p + 1, Leaf: r.Leaf, Class: r.Class, EnforceIn: true, EnforceOut: true, Neighbour: s.PortID[site.PortOf(site.Index(p), 0)]})
	}
	c, err := Ideal(s, 0, VTEPRanges(s, compute), readings, 4094)
	if err != nil {
		b.Fatal(err)
	}
	for p := range 64 {
		c.Routes = append(c.Routes, Route{Kind: 2, VNI: 5000, MAC: s.PortID[site.PortOf(site.Index(p), 0)], Targets: []Target{TargetOf(5000)}, Originator: VTEP(compute, 0)})
	}
	raw, err := Encode(&c)
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(raw)) * 6256)
	b.ReportAllocs()
	for b.Loop() {
		for range 6256 {
			if r, err := Read(s, 0, raw); err != nil || len(r) != 64 {
				b.Fatal(err)
			}
		}
	}
}
