package prove

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"bulkhead/fabric"
	"bulkhead/fabric/ethernet"
	"bulkhead/fabric/infiniband"
	"bulkhead/site"
)

// TestIncremental plays random readings and facts to one prover and compares it,
// at every step, with one that is given the outcome only.
func TestIncremental(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(rapid.SampledFrom(families).Draw(t, "family"))
		p := w.prover()
		owned := map[uint32]uint32{} // compute label values that are given out beside the projects'
		t.Repeat(map[string]func(*rapid.T){
			"disturb and read": func(t *rapid.T) {
				disturb(t, w)
				for i, h := range w.holder {
					p.Hold(site.Port(i), h)
				}
				for leaf := range site.Leaf(w.s.Leaves()) {
					w.read(leaf)
				}
			},
			"set one port": func(t *rapid.T) {
				i := rapid.IntRange(0, len(w.holder)-1).Draw(t, "port")
				if w.unread[w.ports[i].leaf] {
					return
				}
				addLabel(&w.ports[i].row, fabric.Full(rapid.Uint32Range(70, 75).Draw(t, "value")))
				r := w.ports[i].reading()
				r.Port = site.Port(i)
				w.t.Set(&r)
				p.Update(r.Port)
			},
			"hold": func(t *rapid.T) {
				i := rapid.IntRange(0, len(w.holder)-1).Draw(t, "port")
				w.holder[i] = rapid.SampledFrom([]uint32{Nobody, Quarantined, tenantA, tenantB, TurnoverHolder(1)}).Draw(t, "holder")
				p.Hold(site.Port(i), w.holder[i])
			},
			"own": func(t *rapid.T) {
				value := rapid.Uint32Range(70, 75).Draw(t, "value")
				holder := rapid.SampledFrom([]uint32{Nobody, tenantA, tenantB}).Draw(t, "holder")
				err := p.Own(1, value, holder)
				if was := owned[value]; was != Nobody && holder != Nobody && was != holder {
					if err == nil {
						t.Fatalf("value %d passed from %d to %d without being freed", value, was, holder)
					}
					return
				}
				if err != nil {
					t.Fatal(err)
				}
				owned[value] = holder
			},
			"leaf": func(t *rapid.T) {
				leaf := site.Leaf(rapid.IntRange(0, w.s.Leaves()-1).Draw(t, "leaf"))
				w.unread[leaf] = rapid.Bool().Draw(t, "unread")
				w.read(leaf)
			},
			"": func(t *rapid.T) {
				fresh := freshly(w, owned)
				for port := range site.Port(w.s.Ports()) {
					v, c := p.Verdict(port)
					if fv, fc := fresh.Verdict(port); v != fv || c != fc {
						t.Fatalf("port %d: %s after steps, %s from nothing", port, c, fc)
					}
				}
				if p.Tally() != fresh.Tally() {
					t.Fatalf("tally %+v after steps, %+v from nothing", p.Tally(), fresh.Tally())
				}
				sum := p.CheckRange(0, 17)
				sum.Add(p.CheckRange(17, site.Port(w.s.Ports()+5)))
				if sum != p.Tally() {
					t.Fatalf("shards add up to %+v, kept is %+v", sum, p.Tally())
				}
				if n := len(slices.Collect(p.Red())); n != sum.Red {
					t.Fatalf("%d red ports listed, %d counted", n, sum.Red)
				}
				if n := len(slices.Collect(p.Unknown())); n != sum.Unknown {
					t.Fatalf("%d unknown ports listed, %d counted", n, sum.Unknown)
				}
				if n := len(slices.Collect(p.Cut())); n != sum.Cut {
					t.Fatalf("%d cut ports listed, %d counted", n, sum.Cut)
				}
				countByHand(t, w, p)
			},
		})
	})
}

// freshly gives a new prover the tables and facts as they are now. Leaves that
// cannot be read have kept what was read of them before, so the tables are
// copied, not read again.
func freshly(w *world, owned map[uint32]uint32) *Prover {
	tables := fabric.NewTables(w.s.Ports())
	fresh := NewProver(w.s, tables)
	for h, values := range w.project {
		for f, v := range values {
			if err := fresh.Own(f, v, h); err != nil {
				panic(err)
			}
		}
	}
	for v, h := range owned {
		if h != Nobody {
			if err := fresh.Own(1, v, h); err != nil {
				panic(err)
			}
		}
	}
	for i, h := range w.holder {
		fresh.Hold(site.Port(i), h)
	}
	for port := range site.Port(w.s.Ports()) {
		if r, read := w.t.Get(port); read {
			tables.Set(&r)
		}
	}
	for leaf := range site.Leaf(w.s.Leaves()) {
		if !w.unread[leaf] {
			fresh.MarkRead(leaf, epoch)
		}
		fresh.strays[leaf] = w.p.strays[leaf]
		if len(fresh.strays[leaf]) == 0 {
			delete(fresh.strays, leaf)
		}
	}
	fresh.Sweep()
	return fresh
}

// countByHand counts where each value occurs by looking at every table.
func countByHand(t *rapid.T, w *world, p *Prover) {
	for f := range w.s.Fabrics {
		count, misplaced := map[uint32]int{}, map[uint32]int{}
		open := 0
		for port := range site.Port(w.s.Ports()) {
			if w.s.FabricOf(port) != f {
				continue
			}
			r, read := w.t.Get(port)
			var has, wrong []uint32
			full := r.Full
			for _, m := range slices.Concat(r.NIC, r.Leaf) {
				if !slices.Contains(has, m.Value()) {
					has = append(has, m.Value())
					count[m.Value()]++
				}
				shared := fabric.IsShared(w.s.Fabrics[f].Family, m.Value())
				full = full || m.IsFull() && shared
				owner, oneHolder := p.Facts().OwnerOf(f, m.Value()), true
				for nic := range site.NICs {
					oneHolder = oneHolder && w.holder[site.PortOf(port.Node(), nic)] == w.holder[port]
				}
				lent := owner == TurnoverHolder(port.Node()) && oneHolder
				if is := shared && m.IsFull() || !shared && owner != w.holder[port] && !lent; is && !slices.Contains(wrong, m.Value()) {
					wrong = append(wrong, m.Value())
					misplaced[m.Value()]++
				}
			}
			if read && (full || !r.EnforceIn || !r.EnforceOut) {
				open++
			}
		}
		for leaf, strays := range p.strays {
			if w.s.FabricOfLeaf(leaf) != f {
				continue
			}
			for _, s := range strays {
				for _, v := range s.values {
					count[v&^misplacedBit]++
					misplaced[v&^misplacedBit] += int(v >> 31)
				}
				open += bit(s.open)
			}
		}
		for value := range uint32(200) {
			if got := p.Occurrences(f, value); got != count[value] {
				t.Fatalf("fabric %d value %d occurs at %d ports, counted %d", f, value, count[value], got)
			}
		}
		for value, n := range count {
			if got := p.Occurrences(f, value); got != n {
				t.Fatalf("fabric %d value %d occurs at %d ports, counted %d", f, value, n, got)
			}
			if got := p.Misplaced(f, value); got != misplaced[value] {
				t.Fatalf("fabric %d value %d is misplaced at %d ports, counted %d", f, value, misplaced[value], got)
			}
		}
		if got := p.facts.owners[f].open; got != open {
			t.Fatalf("fabric %d: %d open ports, counted %d", f, open, got)
		}
	}
}

// TestThroughTheWire proves a site through the devices' own bytes.
func TestThroughTheWire(t *testing.T) {
	for _, family := range families {
		w := newWorld(family)
		p := w.prover()
		for leaf := range site.Leaf(w.s.Leaves()) {
			p.MarkUnknown(leaf)
		}
		if got := p.Tally(); got.Unknown != w.s.Ports() {
			t.Fatalf("%+v, expected all unknown", got)
		}
		for leaf := range site.Leaf(w.s.Leaves()) {
			var readings []fabric.Reading
			for i := range w.ports {
				if w.ports[i].leaf == leaf {
					readings = append(readings, w.ports[i].reading())
				}
			}
			decoded, err := overTheWire(w.s, leaf, readings)
			if err != nil {
				t.Fatal(err)
			}
			p.Read(leaf, epoch, decoded)
		}
		if got := p.Tally(); got.Proven != w.s.Ports() {
			t.Fatalf("%s: %+v, expected all proven", family, got)
		}
	}
}

func overTheWire(s *site.Site, leaf site.Leaf, readings []fabric.Reading) ([]fabric.Reading, error) {
	if s.Fabrics[s.FabricOfLeaf(leaf)].Family == site.InfiniBand {
		raw, err := infiniband.Encode(infiniband.Header{GUID: uint64(leaf) + 1, LeafCap: 32, NICCap: 64}, readings)
		if err != nil {
			return nil, err
		}
		return infiniband.Decode(raw)
	}
	c, err := ethernet.Ideal(s, leaf, ethernet.VTEPRanges(s, s.FabricOfLeaf(leaf)), readings, 4094)
	if err != nil {
		return nil, err
	}
	raw, err := ethernet.Encode(&c)
	if err != nil {
		return nil, err
	}
	return ethernet.Read(s, leaf, raw)
}

func TestFreshness(t *testing.T) {
	w := newWorld(site.RoCE)
	p := w.prover()
	late := site.Leaf(3)
	for leaf := range site.Leaf(w.s.Leaves()) {
		if leaf != late {
			p.MarkRead(leaf, epoch.Add(10*time.Minute))
		}
	}
	p.MarkUnknown(late)
	if got := p.Tally(); got.Unknown != len(w.s.SUs[0].Nodes) {
		t.Fatalf("%+v, expected the ports of one leaf unknown", got)
	}
	if at, counts := p.LastRead(late); counts || !at.Equal(epoch) {
		t.Fatalf("leaf %d last read %s, counts %t", late, at, counts)
	}
	// An unchanged answer makes it count again; an older answer does not turn
	// the time back.
	p.MarkRead(late, epoch.Add(20*time.Minute))
	p.MarkRead(late, epoch)
	if at, counts := p.LastRead(late); !counts || !at.Equal(epoch.Add(20*time.Minute)) {
		t.Fatalf("leaf %d last read %s, counts %t", late, at, counts)
	}
	if got := p.Tally(); got.Proven != w.s.Ports() {
		t.Fatalf("%+v, expected all proven", got)
	}
	// A leaf of which nothing was ever read cannot be unchanged.
	fresh := NewProver(w.s, fabric.NewTables(w.s.Ports()))
	fresh.MarkRead(0, epoch)
	if _, counts := fresh.LastRead(0); counts {
		t.Fatal("a leaf that was never read counts as read")
	}
	// Ports that a leaf no longer lists are unknown.
	p.Read(late, epoch.Add(time.Hour), nil)
	if got := p.Tally(); got.Unknown != len(w.s.SUs[0].Nodes) {
		t.Fatalf("%+v after a leaf that lists nothing", got)
	}
}

func TestOwnRefuses(t *testing.T) {
	for _, family := range families {
		w := newWorld(family)
		p := w.prover()
		for _, value := range []uint32{0, fabric.MaxValue + 1, fabric.QuarantineLabel("", family).Value, fabric.TurnoverLabel("", family, 3).Value} {
			if err := p.Own(1, value, tenantA); err == nil {
				t.Errorf("%s: value %#x was given to a tenant", family, value)
			}
		}
		if err := p.Own(1, w.label(1, tenantB), tenantA); err == nil {
			t.Errorf("%s: B's label was given to A", family)
		}
	}
}

// TestLeaseSeesElsewhere: a lease whose own ports are in order is red when its
// label is carried elsewhere, or a port elsewhere is open to all.
func TestLeaseSeesElsewhere(t *testing.T) {
	own := []site.Port{railPort(0), railPort(1)}
	for name, c := range map[string]struct {
		check Check
		do    func(w *world)
	}{
		"label at another tenant's port": {ForeignLabel, func(w *world) { addLabel(&w.ports[railPort(4)].row, fabric.Full(w.label(1, tenantA))) }},
		"label at an uncounted port": {ForeignLabel, func(w *world) {
			w.ports = append(w.ports, worldPort{leaf: w.s.LeafOf(railPort(4)), leafPort: 40, device: 1, row: w.ports[railPort(0)].row})
		}},
		"enforcement off":                    {EnforcementOff, func(w *world) { w.ports[railPort(4)].row.EnforceIn = false }},
		"table full":                         {EnforcementOff, func(w *world) { w.ports[railPort(4)].full = true }},
		"uncounted port without enforcement": {EnforcementOff, func(w *world) { w.ports = append(w.ports, worldPort{leaf: 3, leafPort: 40, device: 1}) }},
		"uncounted full member of the quarantine label": {SharedFull, func(w *world) {
			row := fabric.Row{Leaf: []fabric.Member{fabric.Full(fabric.QuarantineLabel("", site.RoCE).Value)}, EnforceIn: true, EnforceOut: true}
			w.ports = append(w.ports, worldPort{leaf: 3, leafPort: 40, device: 1, row: row})
		}},
		"full and limited member of the quarantine label": {SharedFull, func(w *world) {
			quarantine := fabric.QuarantineLabel("", site.RoCE).Value
			w.ports[railPort(4)].row.Leaf = []fabric.Member{fabric.Limited(quarantine), fabric.Full(quarantine)}
		}},
		"full member of the quarantine label": {SharedFull, func(w *world) {
			addLabel(&w.ports[railPort(4)].row, fabric.Full(fabric.QuarantineLabel("", site.RoCE).Value))
		}},
		"its turnover label at another's port": {ForeignLabel, func(w *world) {
			turnover := fabric.TurnoverLabel("", site.RoCE, 0).Value
			w.ports[railPort(0)].row = fabric.Compile(site.RoCE, turnover)
			addLabel(&w.ports[railPort(4)].row, fabric.Limited(turnover))
		}},
	} {
		w := newWorld(site.RoCE)
		c.do(w)
		p := w.prover()
		verdict, findings := p.Lease(own)
		if verdict != Red || !slices.ContainsFunc(findings, func(f Finding) bool {
			return f.Elsewhere && f.Check == c.check && f.Count == 1 && len(f.Ports) == 0
		}) {
			t.Errorf("%s: %s %v, expected red with %s elsewhere", name, verdict, findings, c.check)
		}
		// What concerns the compute fabric does not concern the frontend.
		if verdict, findings := p.Lease([]site.Port{site.PortOf(0, site.Frontend)}); verdict != Proven {
			t.Errorf("%s: the frontend port is %s %v", name, verdict, findings)
		}
	}
	w := newWorld(site.RoCE)
	p := w.prover()
	if verdict, findings := p.Lease(own); verdict != Proven || len(findings) > 0 {
		t.Errorf("undisturbed: %s %v", verdict, findings)
	}
	if verdict, _ := p.Lease(nil); verdict != Unknown {
		t.Errorf("no ports: %s", verdict)
	}
	if verdict, _ := p.Lease([]site.Port{site.Port(w.s.Ports())}); verdict != Unknown {
		t.Errorf("a port beyond the site: %s", verdict)
	}
}

func TestGrow(t *testing.T) {
	w := newWorld(site.RoCE)
	small := *w.s
	small.SUs = w.s.SUs[:1]
	small.NodeID = w.s.NodeID[:4]
	tables := fabric.NewTables(0)
	p := NewProver(&small, tables)
	if got := p.Tally(); got.Unknown != 4*site.NICs || got.Ports() != got.Unknown {
		t.Fatalf("%+v", got)
	}
	small.SUs, small.NodeID = w.s.SUs, w.s.NodeID
	p.Grow()
	if got := p.Tally(); got.Unknown != 8*site.NICs || tables.Len() != 8*site.NICs {
		t.Fatalf("%+v with tables of %d ports", got, tables.Len())
	}
}
