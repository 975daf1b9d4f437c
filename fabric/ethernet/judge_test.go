package ethernet_test

import (
	"net/netip"
	"slices"
	"testing"

	"bulkhead/fabric"
	. "bulkhead/fabric/ethernet"
	"bulkhead/fabric/fabrictest"
	"bulkhead/site"
)

// TestJudging: what a leaf says beside its ports' labels becomes faults at the
// ports that it concerns.
func TestJudging(t *testing.T) {
	s := testSite()
	stranger := netip.MustParseAddr("10.65.0.17") // one beyond the last leaf
	const first, second = 4097, 4099
	for name, c := range map[string]struct {
		change func(c *Capture)
		want   [2]fabric.Faults
	}{
		"nothing":                       {func(c *Capture) {}, [2]fabric.Faults{}},
		"accepts anything":              {func(c *Capture) { c.Underlay.AcceptElse = true }, both(fabric.FaultUnderlay)},
		"accepts a stranger":            {func(c *Capture) { c.Underlay.Accept = []Range{{VTEP(compute, 0), stranger}} }, both(fabric.FaultUnderlay)},
		"accepts another fabric's":      {func(c *Capture) { c.Underlay.Accept = []Range{{VTEP(0, site.Frontend), VTEP(0, site.Frontend)}} }, both(fabric.FaultUnderlay)},
		"accepts nothing":               {func(c *Capture) { c.Underlay.Accept = nil }, [2]fabric.Faults{}},
		"edge ports reach the underlay": {func(c *Capture) { c.Underlay.Forwards = true }, both(fabric.FaultUnderlay)},
		"another leaf's address":        {func(c *Capture) { c.Underlay.VTEP = VTEP(compute, 1) }, both(fabric.FaultRoutes)},
		"a rogue peer":                  {func(c *Capture) { c.Underlay.Peers = append(c.Underlay.Peers, stranger) }, both(fabric.FaultRoutes)},
		"a leaf as a peer":              {func(c *Capture) { c.Underlay.Peers = []netip.Addr{VTEP(compute, 1)} }, both(fabric.FaultRoutes)},
		"imports across":                {func(c *Capture) { c.VNIs[0].Import = append(c.VNIs[0].Import, TargetOf(second)) }, [2]fabric.Faults{fabric.FaultRoutes}},
		"exports across":                {func(c *Capture) { c.VNIs[1].Export = []Target{TargetOf(first)} }, [2]fabric.Faults{0, fabric.FaultRoutes}},
		"imports nothing":               {func(c *Capture) { c.VNIs[0].Import = nil }, [2]fabric.Faults{fabric.FaultRoutes}},
		"nothing is said of a VNI":      {func(c *Capture) { c.VNIs = c.VNIs[1:] }, [2]fabric.Faults{fabric.FaultRoutes | fabric.FaultPath}},
		"floods to a stranger":          {func(c *Capture) { c.VNIs[1].Flood = append(c.VNIs[1].Flood, stranger) }, [2]fabric.Faults{0, fabric.FaultPath}},
		"a static entry to a stranger":  {func(c *Capture) { c.VNIs[0].Static = []netip.Addr{stranger} }, [2]fabric.Faults{fabric.FaultPath}},
		"a static entry to a leaf":      {func(c *Capture) { c.VNIs[0].Static = []netip.Addr{VTEP(compute, 1)} }, [2]fabric.Faults{}},
		"an unused VNI to a stranger": {func(c *Capture) {
			c.VNIs = append(c.VNIs, VNI{VNI: 9000, Import: []Target{TargetOf(9000)}, Export: []Target{TargetOf(9000)}, Flood: []netip.Addr{stranger}})
		}, both(fabric.FaultPath)},
		"a mirror":                       {func(c *Capture) { c.Ports[1].Mirrored = true }, [2]fabric.Faults{0, fabric.FaultMirror}},
		"a class without its pauses":     {func(c *Capture) { c.Classes = Classes(); c.Classes[3].PFC = false }, both(fabric.FaultClass)},
		"small packets only":             {func(c *Capture) { c.Ports[1].MTU = MTU - 1 }, [2]fabric.Faults{0, fabric.FaultClass}},
		"greater packets":                {func(c *Capture) { c.Ports[1].MTU = MTU + 216 }, [2]fabric.Faults{}},
		"says nothing of packets":        {func(c *Capture) { c.Ports[0].MTU = 0 }, [2]fabric.Faults{fabric.FaultClass}},
		"no classes":                     {func(c *Capture) { c.Classes = nil }, both(fabric.FaultClass)},
		"announces what is not there":    {func(c *Capture) { c.Routes[0].MAC = s.PortID[site.PortOf(0, 1)] }, [2]fabric.Faults{fabric.FaultForged}},
		"announces for another":          {func(c *Capture) { c.Routes[0].Originator = VTEP(compute, 1) }, [2]fabric.Faults{fabric.FaultRoutes}},
		"announces under another target": {func(c *Capture) { c.Routes[1].Targets = append([]Target{TargetOf(first)}, c.Routes[1].Targets...) }, [2]fabric.Faults{0, fabric.FaultRoutes}},
		"a reflector stops a VNI":        {func(c *Capture) { c.Reflectors[1].Passes = c.Reflectors[1].Passes[:1] }, [2]fabric.Faults{0, fabric.FaultPolicy}},
		"a reflector stops everything":   {func(c *Capture) { c.Reflectors[0].Passes = nil }, both(fabric.FaultPolicy)},
		"a reflector passes more":        {func(c *Capture) { c.Reflectors[0].Passes = append(c.Reflectors[0].Passes, TargetOf(9000)) }, [2]fabric.Faults{}},
		"nobody asked a reflector":       {func(c *Capture) { c.Reflectors = nil }, [2]fabric.Faults{}},
		"a stranger as a reflector":      {func(c *Capture) { c.Reflectors[1].At = stranger }, both(fabric.FaultPolicy)},
		"announces a VNI no more":        {func(c *Capture) { c.Routes = slices.Delete(c.Routes, 2, 3) }, [2]fabric.Faults{fabric.FaultUnannounced}},
		"knows not another leaf":         {func(c *Capture) { c.VNIs[1].Unlearnt = []netip.Addr{VTEP(compute, 1)} }, [2]fabric.Faults{0, fabric.FaultUnlearnt}},
		"announces nothing":              {func(c *Capture) { c.Routes = nil }, both(fabric.FaultUnannounced)},
		"its announcement is another's":  {func(c *Capture) { c.Routes[3].Originator = VTEP(compute, 1) }, [2]fabric.Faults{0, fabric.FaultRoutes | fabric.FaultUnannounced}},
		"announces a prefix":             {func(c *Capture) { c.Routes[0].Kind = 5 }, [2]fabric.Faults{fabric.FaultRoutes}},
	} {
		got := ideal(t, first, second)
		c.change(&got)
		readings, err := Readings(s, 0, &got)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if f := [2]fabric.Faults{readings[0].Faults, readings[1].Faults}; f != c.want {
			t.Errorf("%s: faults %05b and %05b, expected %05b and %05b", name, f[0], f[1], c.want[0], c.want[1])
		}
	}
}

func both(f fabric.Faults) [2]fabric.Faults { return [2]fabric.Faults{f, f} }

func TestMeaning(t *testing.T) {
	s := testSite()
	read := func(change func(c *Capture)) []fabric.Reading {
		t.Helper()
		c := ideal(t, 4097, 0xfffffe)
		change(&c)
		r, err := Readings(s, 0, &c)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	if r := read(func(*Capture) {}); !r[0].Row().Equal(fabric.Compile(Family, 4097)) || !r[1].Row().Equal(fabric.Compile(Family, 0xfffffe)) {
		t.Errorf("read %+v, expected what was compiled", r)
	}
	if r := read(func(c *Capture) { c.TableUsed = c.TableSize }); !r[0].Full || !r[1].Full {
		t.Error("a full VLAN table was not seen")
	}
	if r := read(func(c *Capture) { c.Ports[0].FDB = 0xff }); r[0].Neighbour != fabric.NeighbourConflict {
		t.Errorf("neighbours that contradict each other gave %#x", r[0].Neighbour)
	}
	if r := read(func(c *Capture) { c.Ports[0].More = true }); r[0].Neighbour != fabric.NeighbourConflict {
		t.Errorf("two neighbours gave %#x", r[0].Neighbour)
	}
	if r := read(func(c *Capture) { c.Ports[0].FDB = 0 }); r[0].Neighbour != s.PortID[0] {
		t.Errorf("LLDP alone gave %#x", r[0].Neighbour)
	}
	if r := read(func(c *Capture) { c.Ports[0].LLDP = 0 }); r[0].Neighbour != s.PortID[0] {
		t.Errorf("the forwarding table alone gave %#x", r[0].Neighbour)
	}
	if r := read(func(c *Capture) { c.Ports[0].VLANs[0].VNI = 0 }); r[0].Leaf[0] != fabric.Full(2) {
		t.Errorf("a VLAN without a VNI gave %s", r[0].Leaf[0])
	}
	for name, change := range map[string]func(*Capture){
		"without a filter": func(c *Capture) { c.Ports[0].FilterIn = false },
		"unlocked":         func(c *Capture) { c.Ports[0].Locked = false },
	} {
		if r := read(change); r[0].EnforceIn || !r[0].EnforceOut || !r[1].EnforceIn {
			t.Errorf("%s: read %+v", name, r[0])
		}
	}
	c := ideal(t, 4097)
	if _, err := Readings(s, 1, &c); err == nil {
		t.Error("the capture of another leaf was taken")
	}
	c.RoutesSeen, c.Routes = false, nil
	if _, err := Readings(s, 0, &c); err == nil {
		t.Error("a capture without the collector's word was taken")
	}
}

// TestAddressPlan: every leaf has an address of its own from which it is found.
func TestAddressPlan(t *testing.T) {
	s := fabrictest.NewSite(40, 1, site.RoCE)
	seen := map[netip.Addr]bool{}
	for leaf := range site.Leaf(s.Leaves()) {
		f := s.FabricOfLeaf(leaf)
		a := VTEP(f, leaf)
		if back, known := LeafOf(s, f, a); !known || back != leaf || seen[a] || !a.IsValid() {
			t.Fatalf("leaf %d: %s is leaf %d (%t), seen before: %t", leaf, a, back, known, seen[a])
		}
		if _, known := LeafOf(s, 1-f, a); known {
			t.Fatalf("%s is a leaf of the other fabric too", a)
		}
		seen[a] = true
	}
	for _, text := range []string{"10.65.0.0", "10.65.1.65", "10.65.255.1", "10.66.0.1", "11.65.0.1", "::1"} {
		if leaf, known := LeafOf(s, compute, netip.MustParseAddr(text)); known {
			t.Errorf("%s counts as leaf %d", text, leaf)
		}
	}
	if r := VTEPRanges(s, compute); len(r) != 1 || r[0].String() != "10.65.0.1-10.65.1.64" {
		t.Errorf("ranges %v", r)
	}
	if VTEP(64, 0).IsValid() || VTEP(0, 1<<20).IsValid() || Reflector(0, 0).IsValid() || Reflector(0, 255).IsValid() {
		t.Error("an address beyond the plan")
	}
}
