package prove

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"bulkhead/fabric"
	"bulkhead/fabric/ethernet"
	"bulkhead/site"
)

// What follows asks z3 the question of an Ethernet fabric from the leaves' raw
// captures: who can exchange packets? It gets what each leaf says of its bridges,
// VXLAN devices, filters and routes, and who is plugged in; the rules are those of
// bridges and VXLAN. It knows nothing of labels' owners, of the checks, or of how
// a capture is judged.

// Frames in a bridge domain are of three kinds: 0 from an isolated port, 1 from
// another, 2 from VXLAN. VXLAN devices are isolated ports: what is of kind 0 does
// not go into the tunnel, and what comes out reaches no isolated port, nor another
// tunnel. Somebody is in the underlay, and sends VXLAN from addresses that are no
// leaf's; who reaches the underlay from an edge port sends it from any.
const overlayRules = `
enters(o,d,f) :- host(p,o), member(p,d,f), checked_in(p).
enters(o,d,1) :- host(p,o), unchecked_in(p), leafdomain(p,d).
enters(o,d,2) :- inside(o), of(d,l), carries(d,n), open(l).
enters(o,d,2) :- host(p,o), forwards(p), carries(d,n).
sends(d,v) :- imports(d,t), announces(l,t), vtep(l,v).
tunnel(d,e) :- sends(d,v), vtep(l,v), of(e,l), carries(d,n), carries(e,n), of(d,k), vtep(k,w), accepts(l,w).
reach(o,d,f) :- enters(o,d,f).
reach(o,e,2) :- enters(o,d,1), tunnel(d,e).
taken(a,q) :- reach(a,d,f), member(q,d,m), meet(f,m).
taken(a,q) :- reach(a,d,f), unchecked_out(q), leafdomain(q,d).
leak(a,b) :- taken(a,q), host(q,b), differ(a,b).
leak(a,s) :- enters(a,d,1), strays(d), inside(s), differ(a,s).
leak(a,s) :- host(p,a), mirrored(p), inside(s), differ(a,s).
`

// underlay is somebody who is no leaf, and no host.
const underlay = "underlay"

// overlay is a world whose leaves of the compute fabric say what they do.
type overlay struct {
	*world
	fabric   int // the compute fabric
	captures map[site.Leaf]*ethernet.Capture
}

const computeFabric = 1

func newOverlay(t testing.TB) *overlay {
	t.Helper()
	o := &overlay{world: newWorld(site.RoCE), fabric: computeFabric, captures: map[site.Leaf]*ethernet.Capture{}}
	carries := map[uint32][]netip.Addr{}
	for leaf := range site.Leaf(o.s.Leaves()) {
		if o.s.FabricOfLeaf(leaf) != computeFabric {
			continue
		}
		var readings []fabric.Reading
		for i := range o.ports {
			if o.ports[i].leaf == leaf {
				readings = append(readings, o.ports[i].reading())
			}
		}
		c, err := ethernet.Ideal(o.s, leaf, ethernet.VTEPRanges(o.s, computeFabric), readings, 4094)
		if err != nil {
			t.Fatal(err)
		}
		o.captures[leaf] = &c
		for _, v := range c.VNIs {
			carries[v.VNI] = append(carries[v.VNI], c.Underlay.VTEP)
		}
	}
	for _, c := range o.captures {
		own := c.Underlay.VTEP
		for i := range c.VNIs {
			v := &c.VNIs[i]
			for _, a := range carries[v.VNI] {
				if a != own {
					v.Flood = append(v.Flood, a)
				}
			}
			slices.SortFunc(v.Flood, netip.Addr.Compare)
		}
		for _, p := range c.Ports {
			for _, v := range p.VLANs {
				c.Routes = append(c.Routes, ethernet.Route{Kind: 2, VNI: v.VNI, MAC: p.FDB, Targets: []ethernet.Target{ethernet.TargetOf(v.VNI)}, Originator: own})
			}
		}
		slices.SortFunc(c.Routes, ethernet.CompareRoutes)
	}
	return o
}

// prove reads all captures back, by way of their bytes.
func (o *overlay) prove() *Prover {
	p := o.prover()
	for leaf, c := range o.captures {
		raw, err := ethernet.Encode(c)
		var readings []fabric.Reading
		if err == nil {
			readings, err = ethernet.Read(o.s, leaf, raw)
		}
		if err != nil {
			p.MarkUnknown(leaf)
			continue
		}
		p.Read(leaf, epoch, readings)
	}
	return p
}

// who is behind a port, by the MACs that the leaf saw there.
func (o *overlay) who(p *ethernet.Port) string {
	mac := max(p.LLDP, p.FDB)
	if mac == 0 {
		return ""
	}
	if port := slices.Index(o.s.PortID, mac); port >= 0 {
		return fmt.Sprint("holder ", o.holder[port])
	}
	return fmt.Sprint("stranger ", mac)
}

// datalog writes the captures for z3.
func (o *overlay) datalog() (program string, names []string) {
	index := func() (map[string]int, func(string) int) {
		m := map[string]int{}
		return m, func(k string) int {
			if _, known := m[k]; !known {
				m[k] = len(m)
			}
			return m[k]
		}
	}
	owners, owner := index()
	ports, port := index()
	domains, domain := index()
	vnis, vni := index()
	leaves, leafOf := index()
	vteps, vtep := index()
	targets, target := index()
	var facts strings.Builder
	fact := func(format string, args ...any) { fmt.Fprintf(&facts, format+".\n", args...) }
	fact("inside(%d)", owner(underlay))
	known := map[netip.Addr]bool{} // addresses that the inventory gives to leaves
	for l := range site.Leaf(o.s.Leaves()) {
		if o.s.FabricOfLeaf(l) == o.fabric {
			known[ethernet.VTEP(o.fabric, l)] = true
		}
	}
	all := slices.Sorted(func(yield func(site.Leaf) bool) {
		for l := range o.captures {
			if !yield(l) {
				return
			}
		}
	})
	for _, id := range all {
		c := o.captures[id]
		l := leafOf(c.Switch)
		here := map[int]bool{}
		at := func(vid int) int { return domain(fmt.Sprint(c.Switch, " vlan ", vid)) }
		byVNI := map[uint32]int{}
		for i := range c.Ports {
			p := &c.Ports[i]
			n := port(fmt.Sprint(c.Switch, " port ", p.Number))
			if w := o.who(p); w != "" {
				fact("host(%d,%d)", n, owner(w))
			}
			way := func(on bool, in string) {
				if on {
					fact("checked_%s(%d)", in, n)
				} else {
					fact("unchecked_%s(%d)", in, n)
				}
			}
			way(p.FilterIn && p.Locked, "in")
			way(p.FilterOut, "out")
			if p.Mirrored {
				fact("mirrored(%d)", n)
			}
			if c.Underlay.Forwards {
				fact("forwards(%d)", n)
			}
			for _, v := range p.VLANs {
				kind := 1
				if v.Isolated {
					kind = 0
				}
				here[v.VID] = true
				fact("member(%d,%d,%d)", n, at(v.VID), kind)
				if v.VNI != 0 {
					byVNI[v.VNI] = at(v.VID)
					fact("carries(%d,%d)", at(v.VID), vni(fmt.Sprint(v.VNI)))
				}
			}
		}
		for vid := range here {
			fact("of(%d,%d)", at(vid), l)
			for i := range c.Ports {
				fact("leafdomain(%d,%d)", port(fmt.Sprint(c.Switch, " port ", c.Ports[i].Number)), at(vid))
			}
		}
		fact("vtep(%d,%d)", l, vtep(c.Underlay.VTEP.String()))
		strange := c.Underlay.AcceptElse
		for a := range known {
			if c.Underlay.AcceptElse || slices.ContainsFunc(c.Underlay.Accept, func(r ethernet.Range) bool { return r.From.Compare(a) <= 0 && a.Compare(r.To) <= 0 }) {
				fact("accepts(%d,%d)", l, vtep(a.String()))
			}
		}
		for _, r := range c.Underlay.Accept {
			for a := r.From; a.Compare(r.To) <= 0; a = a.Next() {
				strange = strange || !known[a]
			}
		}
		if strange {
			fact("open(%d)", l)
		}
		for i := range c.VNIs {
			v := &c.VNIs[i]
			d, bridged := byVNI[v.VNI]
			if !bridged {
				continue // nobody is in it
			}
			for _, a := range slices.Concat(v.Flood, v.Static) {
				if known[a] {
					fact("sends(%d,%d)", d, vtep(a.String()))
				} else {
					fact("strays(%d)", d)
				}
			}
			for _, t := range v.Import {
				fact("imports(%d,%d)", d, target(t.String()))
			}
		}
		for _, r := range c.Routes {
			for _, t := range r.Targets {
				fact("announces(%d,%d)", l, target(t.String()))
			}
		}
	}
	names = make([]string, len(owners))
	for n, i := range owners {
		names[i] = n
	}
	var b strings.Builder
	for _, s := range []struct {
		name string
		m    map[string]int
	}{{"P", ports}, {"D", domains}, {"N", vnis}, {"L", leaves}, {"V", vteps}, {"T", targets}, {"O", owners}} {
		fmt.Fprintf(&b, "%s %d\n", s.name, max(2, len(s.m)))
	}
	b.WriteString("F 3\n\n")
	for _, relation := range []string{
		"host(p:P,o:O) input", "member(p:P,d:D,f:F) input", "leafdomain(p:P,d:D) input", "checked_in(p:P) input", "unchecked_in(p:P) input",
		"checked_out(p:P) input", "unchecked_out(p:P) input", "mirrored(p:P) input", "forwards(p:P) input", "inside(o:O) input", "of(d:D,l:L) input",
		"carries(d:D,n:N) input", "open(l:L) input", "vtep(l:L,v:V) input", "accepts(l:L,v:V) input", "strays(d:D) input", "imports(d:D,t:T) input",
		"announces(l:L,t:T) input", "meet(f:F,m:F) input", "differ(a:O,b:O) input", "sends(d:D,v:V)", "tunnel(d:D,e:D)",
		"enters(o:O,d:D,f:F)", "reach(o:O,d:D,f:F)", "taken(o:O,q:P)", "leak(a:O,b:O) printtuples",
	} {
		fmt.Fprintln(&b, relation)
	}
	b.WriteString("meet(0,1).\nmeet(1,0).\nmeet(1,1).\nmeet(2,1).\n")
	for i := range names {
		for j := range names {
			if i != j {
				fmt.Fprintf(&b, "differ(%d,%d).\n", i, j)
			}
		}
	}
	b.WriteString(facts.String())
	b.WriteString(overlayRules)
	return b.String(), names
}

// overlayAttack is one thing that is wrong with a fabric. leaks: pairs of owners
// between which packets then pass; none: nothing passes, and the prover must object
// all the same, unless it is harmless.
type overlayAttack struct {
	name     string
	do       func(o *overlay)
	leaks    []string
	harmless bool
}

var (
	holderA, holderB, holderC = fmt.Sprint("holder ", tenantA), fmt.Sprint("holder ", tenantB), fmt.Sprint("holder ", tenantC)
	strangeVTEP               = netip.MustParseAddr("10.65.9.9")
)

func between(a, b string) []string { return []string{a + " -> " + b, b + " -> " + a} }

// first is rail 0's leaf of the first SU, under which nodes 0 to 3 are: A, A, B, B;
// second is that of the second SU: C, quarantined and two that change hands.
func (o *overlay) first() *ethernet.Capture  { return o.captures[o.s.LeafOf(site.PortOf(0, 0))] }
func (o *overlay) second() *ethernet.Capture { return o.captures[o.s.LeafOf(site.PortOf(4, 0))] }

func vlanOf(c *ethernet.Capture, vni uint32) ethernet.VLAN {
	for _, p := range c.Ports {
		for _, v := range p.VLANs {
			if v.VNI == vni {
				return v
			}
		}
	}
	panic("no such VNI")
}

func vniOf(c *ethernet.Capture, vni uint32) *ethernet.VNI {
	for i := range c.VNIs {
		if c.VNIs[i].VNI == vni {
			return &c.VNIs[i]
		}
	}
	panic("no such VNI")
}

func overlayAttacks() []overlayAttack {
	label := func(o *overlay, holder uint32) uint32 { return o.label(computeFabric, holder) }
	return []overlayAttack{
		{name: "a port on the wrong bridge", leaks: between(holderA, holderB), do: func(o *overlay) {
			c := o.first()
			c.Ports[2].VLANs = []ethernet.VLAN{vlanOf(c, label(o, tenantA))}
		}},
		{name: "a port on two bridges", leaks: between(holderA, holderB), do: func(o *overlay) {
			c := o.first()
			c.Ports[2].VLANs = append(c.Ports[2].VLANs, vlanOf(c, label(o, tenantA)))
			slices.SortFunc(c.Ports[2].VLANs, func(a, b ethernet.VLAN) int { return a.VID - b.VID })
		}},
		{name: "a bridge on another's VNI", leaks: between(holderC, holderA), do: func(o *overlay) {
			c, own, other := o.second(), label(o, tenantC), label(o, tenantA)
			for i := range c.Ports {
				for j := range c.Ports[i].VLANs {
					if c.Ports[i].VLANs[j].VNI == own {
						c.Ports[i].VLANs[j].VNI = other
					}
				}
			}
			v := vniOf(c, own)
			v.VNI, v.Import, v.Export = other, []ethernet.Target{ethernet.TargetOf(other)}, []ethernet.Target{ethernet.TargetOf(other)}
			v.Flood = []netip.Addr{o.first().Underlay.VTEP}
			slices.SortFunc(c.VNIs, func(a, b ethernet.VNI) int { return int(a.VNI) - int(b.VNI) })
			f := vniOf(o.first(), other)
			f.Flood = append(f.Flood, c.Underlay.VTEP)
			slices.SortFunc(f.Flood, netip.Addr.Compare)
		}},
		{name: "a VLAN of the leaf's own for two", leaks: between(holderA, holderB), do: func(o *overlay) {
			c := o.first()
			c.Ports[0].VLANs, c.Ports[3].VLANs = []ethernet.VLAN{{VID: 90}}, []ethernet.VLAN{{VID: 90}}
		}},
		{name: "route targets imported across", do: func(o *overlay) {
			v := vniOf(o.first(), label(o, tenantA))
			v.Import = append(v.Import, ethernet.TargetOf(label(o, tenantB)))
			slices.Sort(v.Import)
		}},
		{name: "another's MAC announced", do: func(o *overlay) {
			c := o.second()
			for i := range c.Routes {
				if c.Routes[i].Kind == 2 && c.Routes[i].VNI == label(o, tenantC) {
					c.Routes[i].MAC = o.s.PortID[site.PortOf(0, 0)]
				}
			}
		}},
		{name: "a rogue BGP peer", do: func(o *overlay) {
			c := o.first()
			c.Underlay.Peers = append(c.Underlay.Peers, strangeVTEP)
			slices.SortFunc(c.Underlay.Peers, netip.Addr.Compare)
		}},
		{name: "VXLAN taken from anywhere", leaks: []string{underlay + " -> " + holderA, underlay + " -> " + holderB}, do: func(o *overlay) { o.first().Underlay.AcceptElse = true }},
		{name: "VXLAN taken from one stranger", leaks: []string{underlay + " -> " + holderA, underlay + " -> " + holderB}, do: func(o *overlay) {
			c := o.first()
			c.Underlay.Accept = append(slices.Clone(c.Underlay.Accept), ethernet.Range{From: strangeVTEP, To: strangeVTEP})
		}},
		{name: "VXLAN taken from nobody", harmless: true, do: func(o *overlay) { o.first().Underlay.Accept = nil }},
		{name: "edge ports in the underlay", leaks: []string{holderA + " -> " + holderC, holderB + " -> " + holderA, holderB + " -> " + holderC}, do: func(o *overlay) { o.first().Underlay.Forwards = true }},
		{name: "flooded to a stranger", leaks: []string{holderA + " -> " + underlay}, do: func(o *overlay) {
			v := vniOf(o.first(), label(o, tenantA))
			v.Flood = append(v.Flood, strangeVTEP)
			slices.SortFunc(v.Flood, netip.Addr.Compare)
		}},
		{name: "a static entry to a stranger", leaks: []string{holderB + " -> " + underlay}, do: func(o *overlay) {
			vniOf(o.first(), label(o, tenantB)).Static = []netip.Addr{strangeVTEP}
		}},
		{name: "a static entry to a leaf of the fabric", harmless: true, do: func(o *overlay) {
			vniOf(o.first(), label(o, tenantB)).Static = []netip.Addr{o.second().Underlay.VTEP}
		}},
		{name: "a mirror session", leaks: []string{holderB + " -> " + underlay}, do: func(o *overlay) { o.first().Ports[2].Mirrored = true }},
		{name: "no filter on what comes in", leaks: []string{holderA + " -> " + holderB}, do: func(o *overlay) { o.first().Ports[0].FilterIn = false }},
		{name: "a port that is not locked", leaks: []string{holderA + " -> " + holderB}, do: func(o *overlay) { o.first().Ports[0].Locked = false }},
		{name: "no filter on what goes out", leaks: []string{holderB + " -> " + holderA}, do: func(o *overlay) { o.first().Ports[0].FilterOut = false }},
		{name: "another's address in the underlay", do: func(o *overlay) { o.second().Underlay.VTEP = o.first().Underlay.VTEP }},
		{name: "a cable that was moved", leaks: between(holderA, holderC), do: func(o *overlay) {
			p := &o.first().Ports[0]
			p.LLDP, p.FDB = o.s.PortID[site.PortOf(4, 0)], o.s.PortID[site.PortOf(4, 0)]
		}},
		{name: "a stranger plugged in", leaks: between(holderA, "stranger 1"), do: func(o *overlay) { o.first().Ports[0].LLDP, o.first().Ports[0].FDB = 1, 1 }},
		{name: "quarantine that is not isolated", do: func(o *overlay) {
			for i := range o.second().Ports {
				for j := range o.second().Ports[i].VLANs {
					o.second().Ports[i].VLANs[j].Isolated = false
				}
			}
		}},
	}
}

// TestZ3AgreesOnOverlays: clean, and under every attack, z3 finds between whom
// packets pass; where it finds anybody, the prover does not call the fabric
// isolated, and where nothing is wrong neither finds anything.
func TestZ3AgreesOnOverlays(t *testing.T) {
	needZ3(t)
	list := append([]overlayAttack{{name: "nothing is wrong", harmless: true, do: func(*overlay) {}}}, overlayAttacks()...)
	for _, a := range list {
		t.Run(a.name, func(t *testing.T) {
			t.Parallel()
			o := newOverlay(t)
			a.do(o)
			p := o.prove()
			program, names := o.datalog()
			pairs := z3(t, program, names)
			for _, want := range a.leaks {
				if !slices.Contains(pairs, want) {
					t.Errorf("z3 does not find %q: %v", want, pairs)
				}
			}
			switch {
			case len(a.leaks) == 0 && len(pairs) > 0:
				t.Errorf("nothing passes, and z3 finds %v", pairs)
			case len(pairs) > 0 && isolated(p):
				t.Errorf("z3 finds %v, the prover nothing: %+v", pairs, p.Tally())
			case a.harmless != isolated(p):
				t.Errorf("harmless %t, and the prover says %+v", a.harmless, p.Tally())
			}
		})
	}
}

// TestZ3AgreesOnSpoiledOverlays does several things at once, at random leaves.
func TestZ3AgreesOnSpoiledOverlays(t *testing.T) {
	needZ3(t)
	if testing.Short() {
		t.Skip("40 runs of z3: not in short mode")
	}
	found := 0
	for seed := range uint64(40) {
		random := rand.New(rand.NewPCG(seed, 4))
		o := newOverlay(t)
		var did []string
		all := slices.Sorted(func(yield func(site.Leaf) bool) {
			for l := range o.captures {
				if !yield(l) {
					return
				}
			}
		})
		for range random.IntN(3) {
			c := o.captures[all[random.IntN(len(all))]]
			p, q := &c.Ports[random.IntN(len(c.Ports))], &c.Ports[random.IntN(len(c.Ports))]
			v := &c.VNIs[random.IntN(len(c.VNIs))]
			other := o.captures[all[random.IntN(len(all))]].Underlay.VTEP
			n := random.IntN(8)
			switch n {
			case 0:
				p.VLANs = slices.Clone(q.VLANs)
			case 1:
				p.FilterIn = false
			case 2:
				p.FilterOut = false
			case 3:
				p.LLDP, p.FDB = q.LLDP, q.FDB
			case 4:
				c.Underlay.AcceptElse = true
			case 5:
				c.Underlay.Forwards = true
			case 6:
				v.Static = []netip.Addr{other}
			case 7:
				v.Flood = []netip.Addr{strangeVTEP}
			}
			did = append(did, fmt.Sprint(n, " at ", c.Switch))
		}
		p := o.prove()
		program, names := o.datalog()
		pairs := z3(t, program, names)
		if len(pairs) > 0 {
			found++
			if isolated(p) {
				t.Errorf("seed %d, %v: z3 finds %v, the prover nothing", seed, did, pairs)
			}
		}
		if len(did) == 0 && (len(pairs) > 0 || !isolated(p)) {
			t.Errorf("seed %d: nothing is wrong, z3 finds %v, the prover %+v", seed, pairs, p.Tally())
		}
	}
	if found < 10 {
		t.Errorf("only %d of 40 worlds leak: nothing was compared", found)
	}
}
