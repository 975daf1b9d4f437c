package prove

import (
	"slices"
	"testing"

	"pgregory.net/rapid"

	"bulkhead/fabric"
	"bulkhead/site"
)

var families = []site.Family{site.RoCE, site.InfiniBand}

// railPort is the edge port of a node on the compute fabric.
func railPort(n site.Index) site.Port { return site.PortOf(n, 3) }

func addLabel(r *fabric.Row, m fabric.Member) {
	r.Leaf = append(slices.Clone(r.Leaf), m)
	if len(r.NIC) > 0 {
		r.NIC = append(slices.Clone(r.NIC), m)
	}
}

// attack is a way in which isolation is broken in the world; port is where the
// checks must say so. Where both families are not named, it is for one only.
type attack struct {
	name  string
	check Check
	port  site.Port
	leaks bool // the oracle sees packets between owners
	do    func(w *world)
	after func(w *world) // done to the world when it has been read
}

func attacks(family site.Family) []attack {
	a, b, other, quarantined := railPort(0), railPort(2), railPort(1), railPort(5)
	free := uint32(4999)
	if family == site.InfiniBand {
		free = 99
	}
	quarantine := fabric.QuarantineLabel("", family).Value
	list := []attack{
		{"label of another tenant added out of band", ForeignLabel, a, true, func(w *world) { addLabel(&w.ports[a].row, fabric.Full(w.label(1, tenantB))) }, nil},
		{"port moved to another tenant's label", ForeignLabel, a, true, func(w *world) { w.ports[a].row = fabric.Compile(family, w.label(1, tenantB)) }, nil},
		{"label reused while another still carries it", ForeignLabel, b, true, func(w *world) {
			// C was given what B's ports had: the ledger says C, read-back says B.
			w.ports[b].row = fabric.Compile(family, w.label(1, tenantC))
		}, nil},
		{"another node's turnover label", ForeignLabel, railPort(6), true, func(w *world) { w.ports[railPort(6)].row = w.ports[railPort(7)].row }, nil},
		{"a free label joins two tenants", UnownedLabel, a, true, func(w *world) {
			addLabel(&w.ports[a].row, fabric.Full(free))
			addLabel(&w.ports[b].row, fabric.Full(free))
		}, nil},
		{"enforcement off on the way in", EnforcementOff, a, true, func(w *world) { w.ports[a].row.EnforceIn = false }, nil},
		{"enforcement off on the way out", EnforcementOff, a, true, func(w *world) { w.ports[a].row.EnforceOut = false }, nil},
		{"table full: enforcement silently off", TableFull, a, true, func(w *world) { w.ports[a].full = true }, nil},
		{"full member of the quarantine label", SharedFull, a, true, func(w *world) { addLabel(&w.ports[a].row, fabric.Full(quarantine)) }, nil},
		{"cables of two tenants swapped", WrongNeighbour, a, true, func(w *world) {
			w.ports[a].device, w.ports[b].device = w.ports[b].device, w.ports[a].device
		}, nil},
		{"unknown device plugged in", WrongNeighbour, a, true, func(w *world) { w.ports[a].device = 0xbad }, nil},
		{"device that does not say who it is", NoNeighbour, a, true, func(w *world) { w.ports[a].device, w.ports[a].silent = 0xbad, true }, nil},
		{"hot-plugged at a leaf port that is in no inventory", UncountedPort, a, true, func(w *world) {
			w.ports = append(w.ports, worldPort{leaf: w.s.LeafOf(a), leafPort: 40, device: 0xbad, row: w.ports[a].row})
		}, nil},
		{"changed while the leaf cannot be read", Unreadable, a, true, func(*world) {}, func(w *world) {
			w.p.MarkUnknown(w.s.LeafOf(a))
			w.ports[a].row = w.ports[b].row
		}},
		{"changed after the last read-back that counts", Unreadable, a, true, func(*world) {}, func(w *world) {
			for leaf := range site.Leaf(w.s.Leaves()) {
				w.p.MarkUnknown(leaf)
			}
			w.ports[a].row = w.ports[b].row
		}},
		{"nobody says who holds the port", Unheld, other, false, func(w *world) {
			w.holder[other] = Nobody
			w.ports[other].row = fabric.Compile(family, quarantine)
		}, nil},
		{"no label", Unlabelled, a, false, func(w *world) { w.ports[a].row = fabric.Closed() }, nil},
		{"locked down", MissingOwnLabel, a, false, func(w *world) { w.ports[a].row = fabric.Compile(family, quarantine) }, nil},
		{"limited member of its own label", MissingOwnLabel, a, false, func(w *world) {
			w.ports[a].row.Leaf = []fabric.Member{fabric.Limited(w.label(1, tenantA))}
			if family == site.InfiniBand {
				w.ports[a].row.NIC = w.ports[a].row.Leaf
			}
		}, nil},
		{"still has its turnover label", MissingOwnLabel, a, false, func(w *world) {
			w.ports[a].row = fabric.Compile(family, fabric.TurnoverLabel("", family, 0).Value)
		}, nil},
		{"turnover label on a node that is split between two", ForeignLabel, a, true, func(w *world) {
			row := fabric.Compile(family, fabric.TurnoverLabel("", family, 0).Value)
			w.ports[a].row, w.ports[a+1].row, w.holder[a+1] = row, row, tenantB
		}, nil},
		{"quarantined port left with a tenant's label", ForeignLabel, quarantined, true, func(w *world) { w.ports[quarantined].row = w.ports[a].row }, nil},
	}
	if family == site.InfiniBand {
		list = append(list,
			attack{"full member of the default partition", SharedFull, a, true, func(w *world) { addLabel(&w.ports[a].row, fabric.Full(0x7fff)) }, nil},
			attack{"fail-open: everybody a full member of the default partition", SharedFull, a, true, func(w *world) {
				for i := range w.ports {
					if w.fabricOf(i) == 1 {
						w.ports[i].row.NIC, w.ports[i].row.Leaf = []fabric.Member{fabric.Full(0x7fff)}, []fabric.Member{fabric.Full(0x7fff)}
					}
				}
			}, nil},
			attack{"foreign P_Key at the HCA only", ForeignLabel, a, false, func(w *world) {
				w.ports[a].row.NIC = append(slices.Clone(w.ports[a].row.NIC), fabric.Full(w.label(1, tenantB)))
			}, nil},
			attack{"packets for another port of its partition end on their way", Unreached, a, false, func(w *world) { w.ports[a].faults = fabric.FaultUnreached }, nil},
			attack{"what is for its LID is sent elsewhere", Unreached, a, false, func(w *world) { w.ports[a].faults = fabric.FaultAddress }, nil},
			attack{"own P_Key missing at the HCA", MissingOwnLabel, a, false, func(w *world) { w.ports[a].row.NIC = []fabric.Member{fabric.Limited(0x7fff)} }, nil},
		)
	} else {
		list = append(list,
			attack{"bridged on the leaf only, with another tenant", UnownedLabel, a, true, func(w *world) {
				addLabel(&w.ports[a].row, fabric.Full(10))
				addLabel(&w.ports[b].row, fabric.Full(10))
			}, nil},
			attack{"VXLAN from somewhere in the underlay is unpacked", UnderlayOpen, a, true, func(w *world) { w.ports[a].faults = fabric.FaultUnderlay }, nil},
			attack{"route targets imported across", ForeignRoute, a, false, func(w *world) { w.ports[a].faults = fabric.FaultRoutes }, nil},
			attack{"a flood entry to a stranger", StrayPath, a, true, func(w *world) { w.ports[a].faults = fabric.FaultPath }, nil},
			attack{"a mirror session", Mirrored, a, true, func(w *world) { w.ports[a].faults = fabric.FaultMirror }, nil},
			attack{"moved into a neighbour's traffic class", WrongClass, a, false, func(w *world) { w.ports[a].row.Class = 1 + w.ports[a].row.Class%6 }, nil},
			attack{"a class without its pauses", WrongClass, a, false, func(w *world) { w.ports[a].faults = fabric.FaultClass }, nil},
			attack{"a reflector stops the routes of its label", WrongPolicy, a, false, func(w *world) { w.ports[a].faults = fabric.FaultPolicy }, nil},
			attack{"its leaf announces its label no more", Unannounced, a, false, func(w *world) { w.ports[a].faults = fabric.FaultUnannounced }, nil},
			attack{"its leaf does not know another that has ports of its label", Unlearnt, a, false, func(w *world) { w.ports[a].faults = fabric.FaultUnlearnt }, nil})
	}
	return list
}

// carry makes the attack on a new world and judges it.
func (a attack) carry(family site.Family, enabled symptoms) (*world, *Prover) {
	w := newWorld(family)
	a.do(w)
	p := w.prover()
	p.enabled = enabled
	p.Sweep()
	if a.after != nil {
		a.after(w)
	}
	return w, p
}

// TestAttacks: each attack gives the verdict of the check that is meant for it,
// and no attack that leaks leaves the site isolated.
func TestAttacks(t *testing.T) {
	for _, family := range families {
		for _, a := range attacks(family) {
			w, p := a.carry(family, everyCheck)
			verdict, check := p.Verdict(a.port)
			if check != a.check || verdict != a.check.Verdict() {
				t.Errorf("%s, %s: %s (%s), expected %s", family, a.name, verdict, check, a.check)
			}
			leaks := w.leaks()
			if len(leaks) > 0 != a.leaks {
				t.Errorf("%s, %s: the oracle sees %d leaks, expected any: %t", family, a.name, len(leaks), a.leaks)
			}
			if len(leaks) > 0 && isolated(p) {
				t.Errorf("%s, %s: the site counts as isolated", family, a.name)
			}
			if v, _ := p.Lease([]site.Port{a.port}); v == Proven {
				t.Errorf("%s, %s: a lease of that port counts as proven", family, a.name)
			}
		}
	}
}

// overlayOnly are the checks of what only an overlay's leaf can do.
var overlayOnly = map[Check]bool{UnderlayOpen: true, ForeignRoute: true, StrayPath: true, Mirrored: true, WrongClass: true, WrongPolicy: true, Unannounced: true, Unlearnt: true}

// TestEveryCheckIsNeeded takes one check away at a time: then some attack that
// it is meant for is no longer called by its name, and, where the check's verdict
// is red or the attack leaks, one goes unnoticed although the oracle sees it.
func TestEveryCheckIsNeeded(t *testing.T) {
	for _, family := range families {
		for _, c := range Checks() {
			named, unnoticed, mustLeak := 0, 0, false
			for _, a := range attacks(family) {
				if a.check != c {
					continue
				}
				mustLeak = mustLeak || a.leaks
				w, p := a.carry(family, everyCheck&^(1<<c))
				if _, check := p.Verdict(a.port); check != c {
					named++
				}
				if a.leaks && isolated(p) && len(w.leaks()) > 0 {
					unnoticed++
				}
			}
			if family == site.InfiniBand && overlayOnly[c] || family != site.InfiniBand && c == Unreached {
				continue
			}
			if named == 0 {
				t.Errorf("%s: no attack shows what %s is for", family, c)
			}
			if mustLeak != (unnoticed > 0) {
				t.Errorf("%s: without %s, %d leaks go unnoticed, expected any: %t", family, c, unnoticed, mustLeak)
			}
		}
	}
}

// TestCompiledWorldIsProven: what is as the ledger says is proven, everywhere,
// and hosts of one owner reach one another.
func TestCompiledWorldIsProven(t *testing.T) {
	for _, family := range families {
		w := newWorld(family)
		p := w.prover()
		if got := p.Tally(); got.Proven != w.s.Ports() {
			t.Fatalf("%s: %+v, expected all %d proven", family, got, w.s.Ports())
		}
		if leaks := w.leaks(); len(leaks) > 0 {
			t.Fatalf("%s: the oracle sees %+v", family, leaks[0])
		}
		for i := range w.ports {
			for j := range w.ports {
				if i == j || w.fabricOf(i) != w.fabricOf(j) {
					continue
				}
				want := w.holder[i] == w.holder[j] && w.holder[i] != Quarantined
				if got := w.talks(i, j); got != want {
					t.Fatalf("%s: ports %d and %d talk: %t, expected %t", family, i, j, got, want)
				}
			}
		}
	}
}

// disturb breaks the world somewhere at random.
func disturb(t *rapid.T, w *world) {
	i := rapid.IntRange(0, len(w.ports)-1).Draw(t, "port")
	wp := &w.ports[i]
	family := w.s.Fabrics[w.fabricOf(i)].Family
	values := append(w.labels(w.fabricOf(i)), 77, fabric.QuarantineLabel("", family).Value)
	value := rapid.SampledFrom(values).Draw(t, "value")
	member := fabric.Limited(value)
	if rapid.Bool().Draw(t, "full") {
		member = fabric.Full(value)
	}
	switch rapid.IntRange(0, 13).Draw(t, "kind") {
	case 0:
		wp.row.Leaf = append(slices.Clone(wp.row.Leaf), member)
	case 1:
		if family == site.InfiniBand {
			wp.row.NIC = append(slices.Clone(wp.row.NIC), member)
		}
	case 2:
		wp.row = fabric.Compile(family, value)
	case 3:
		wp.row.EnforceIn = false
	case 4:
		wp.row.EnforceOut = false
	case 5:
		wp.full = true
	case 6:
		j := rapid.IntRange(0, len(w.ports)-1).Draw(t, "other")
		wp.device, w.ports[j].device = w.ports[j].device, wp.device
	case 7:
		wp.device = 0
	case 8:
		wp.device, wp.silent = 0xbad, rapid.Bool().Draw(t, "silent")
	case 9:
		stray := worldPort{leaf: wp.leaf, leafPort: 50 + len(w.ports), device: 0xbad0 + uint64(len(w.ports)), row: wp.row}
		if rapid.Bool().Draw(t, "closed") {
			stray.row = fabric.Closed()
		}
		w.ports = append(w.ports, stray)
	case 10:
		wp.row = fabric.Row{EnforceIn: true, EnforceOut: true}
	case 11:
		if i < len(w.holder) {
			w.holder[i] = rapid.SampledFrom(append(w.holder, Nobody)).Draw(t, "holder")
		}
	case 12:
		if i < len(w.holder) {
			n := site.Port(i).Node()
			wp.row = fabric.Compile(family, fabric.TurnoverLabel("", family, n).Value)
		}
	case 13:
		if family != site.InfiniBand {
			wp.faults = 1 << rapid.IntRange(0, 4).Draw(t, "fault")
		}
	}
}

// TestOracleAgrees: on small random fabrics with random faults, if the checks
// call every port isolated then no packet passes between two owners; and if they
// call a holder's ports proven, none passes between it and anybody else, whatever
// is wrong elsewhere.
func TestOracleAgrees(t *testing.T) {
	leaky, clean := 0, 0
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(rapid.SampledFrom(families).Draw(t, "family"))
		for range rapid.IntRange(0, 4).Draw(t, "faults") {
			disturb(t, w)
		}
		p := w.prover()
		leaks := w.leaks()
		if len(leaks) > 0 {
			leaky++
			if isolated(p) {
				t.Fatalf("every port counts as isolated, but %d reaches %d under %d", leaks[0].from, leaks[0].to, leaks[0].k.value)
			}
		} else {
			clean++
		}
		for _, h := range []uint32{tenantA, tenantB, tenantC, TurnoverHolder(6)} {
			var ports []site.Port
			for i, holder := range w.holder {
				if holder == h {
					ports = append(ports, site.Port(i))
				}
			}
			verdict, _ := p.Lease(ports)
			if verdict != Proven && verdict != Cut {
				continue
			}
			for _, l := range leaks {
				if w.entity(l.from) == w.entity(int(ports[0])) || w.entity(l.to) == w.entity(int(ports[0])) {
					t.Fatalf("holder %d counts as %s, but %d reaches %d under %d", h, verdict, l.from, l.to, l.k.value)
				}
			}
			if verdict != Proven {
				continue
			}
			for _, a := range ports {
				for _, b := range ports {
					if a != b && w.fabricOf(int(a)) == w.fabricOf(int(b)) && !w.talks(int(a), int(b)) {
						t.Fatalf("holder %d counts as proven, but %d does not reach %d", h, a, b)
					}
				}
			}
		}
	})
	least := 20
	if testing.Short() {
		least = 2 // rapid draws a fifth of the cases then
	}
	if leaky < least || clean < least {
		t.Errorf("%d worlds leaked and %d did not: too few to say anything", leaky, clean)
	}
}
