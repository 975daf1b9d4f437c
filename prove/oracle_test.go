package prove

import (
	"fmt"
	"slices"
	"time"

	"bulkhead/fabric"
	"bulkhead/fabric/fabrictest"
	"bulkhead/site"
)

// world is what devices really hold and who is really plugged in: the truth that
// read-back is a picture of. The oracle judges it by following packets from every
// port to every other, and knows nothing of labels' owners or of the checks.
type world struct {
	s       *site.Site
	ports   []worldPort // by edge port, then the strays
	holder  []uint32    // by edge port: whose NIC is meant to be there
	unread  map[site.Leaf]bool
	t       *fabric.Tables
	p       *Prover
	project map[uint32][]uint32 // by holder: its label's value in each fabric
}

type worldPort struct {
	leaf     site.Leaf
	leafPort int
	row      fabric.Row
	full     bool // a table has no free entry: the leaf no longer enforces
	faults   fabric.Faults
	device   uint64 // identity of what is plugged in; 0: nothing
	silent   bool   // the leaf sees nobody, though somebody is there
}

const (
	tenantA = FirstProject
	tenantB = FirstProject + 1
	tenantC = FirstProject + 2
)

var epoch = time.Date(2026, 7, 1, 0, 0, 0, 0, time.UTC)

// newWorld returns a small site on which everything is as the ledger says:
// nodes 0 and 1 are A's, 2 and 3 B's, 4 C's, 5 quarantined, 6 and 7 change hands.
func newWorld(family site.Family) *world {
	s := fabrictest.NewSite(2, 4, family)
	w := &world{s: s, unread: map[site.Leaf]bool{}, project: map[uint32][]uint32{}}
	for h := uint32(tenantA); h <= tenantC; h++ {
		w.project[h] = []uint32{5000 + h, 5000 + h}
		if family == site.InfiniBand {
			w.project[h][1] = h
		}
	}
	holders := []uint32{tenantA, tenantA, tenantB, tenantB, tenantC, Quarantined, TurnoverHolder(6), TurnoverHolder(7)}
	for p := range site.Port(s.Ports()) {
		h := holders[p.Node()]
		w.holder = append(w.holder, h)
		f := s.FabricOf(p)
		w.ports = append(w.ports, worldPort{leaf: s.LeafOf(p), leafPort: s.LeafPort(p), device: s.PortID[p],
			row: fabric.Compile(s.Fabrics[f].Family, w.label(f, h))})
	}
	return w
}

// label is the value that a holder's ports carry in a fabric.
func (w *world) label(f int, holder uint32) uint32 {
	family := w.s.Fabrics[f].Family
	switch {
	case holder == Quarantined:
		return fabric.QuarantineLabel("", family).Value
	case holder >= FirstTurnover:
		return fabric.TurnoverLabel("", family, site.Index(holder-FirstTurnover)).Value
	}
	return w.project[holder][f]
}

// prover reads the world back into a new prover, leaf by leaf.
func (w *world) prover() *Prover {
	w.t = fabric.NewTables(0)
	w.p = NewProver(w.s, w.t)
	for h, values := range w.project {
		for f, v := range values {
			if err := w.p.Own(f, v, h); err != nil {
				panic(err)
			}
		}
	}
	for p, h := range w.holder {
		w.p.Hold(site.Port(p), h)
	}
	for leaf := range site.Leaf(w.s.Leaves()) {
		w.read(leaf)
	}
	return w.p
}

func (w *world) read(leaf site.Leaf) {
	if w.unread[leaf] {
		w.p.MarkUnknown(leaf)
		return
	}
	var readings []fabric.Reading
	for i := range w.ports {
		if w.ports[i].leaf == leaf {
			readings = append(readings, w.ports[i].reading())
		}
	}
	w.p.Read(leaf, epoch, readings)
}

func (wp *worldPort) reading() fabric.Reading {
	r := fabric.Reading{LeafPort: wp.leafPort, NIC: wp.row.NIC, Leaf: wp.row.Leaf,
		EnforceIn: wp.row.EnforceIn, EnforceOut: wp.row.EnforceOut, Class: wp.row.Class, Full: wp.full, Faults: wp.faults, Neighbour: wp.device}
	if wp.silent {
		r.Neighbour = 0
	}
	return r
}

func (w *world) fabricOf(i int) int { return w.s.FabricOfLeaf(w.ports[i].leaf) }

// entity is who is really behind a port: the holder of the NIC that is plugged
// in, or a stranger of its own; "" where nothing is.
func (w *world) entity(i int) string {
	if i == outside {
		return "outside"
	}
	d := w.ports[i].device
	if d == 0 {
		return ""
	}
	if p := slices.Index(w.s.PortID, d); p >= 0 {
		return fmt.Sprint("holder ", w.holder[p])
	}
	return fmt.Sprint("stranger ", d)
}

// packet is what travels: a label, and whether its sender is a full member.
type packet struct {
	value uint32
	full  bool
}

// admits reports whether a table lets a packet pass: it holds the label, and not
// both the entry and the packet are limited.
func admits(table []fabric.Member, k packet) bool {
	for _, m := range table {
		if m.Value() == k.value && (m.IsFull() || k.full) {
			return true
		}
	}
	return false
}

func (w *world) shared(i int, value uint32) bool {
	return fabric.IsShared(w.s.Fabrics[w.fabricOf(i)].Family, value)
}

// sends returns what the host at port i can put on the wire. An honest host
// uses its NIC's table. A hostile one has rewritten it and sends any label as a
// full member, but for the shared ones, where membership rests on the NIC's
// firmware. On Ethernet anything can be sent; the leaf says what it is.
func (w *world) sends(i int, hostile bool, labels []uint32) []packet {
	wp := &w.ports[i]
	var out []packet
	if w.s.Fabrics[w.fabricOf(i)].Family != site.InfiniBand {
		for _, v := range labels {
			out = append(out, packet{v, true})
		}
		return out
	}
	for _, m := range wp.row.NIC {
		out = append(out, packet{m.Value(), m.IsFull()})
	}
	if hostile {
		for _, v := range labels {
			if !w.shared(i, v) {
				out = append(out, packet{v, true})
			}
		}
	}
	return out
}

// delivered reports whether a packet that the host at port i sends reaches the
// host at port j, whatever the fabric between them does.
func (w *world) delivered(i, j int, k packet, hostile bool) bool {
	from, to := &w.ports[i], &w.ports[j]
	ethernet := w.s.Fabrics[w.fabricOf(i)].Family != site.InfiniBand
	if from.row.EnforceIn && !from.full {
		switch {
		case !ethernet:
			if !admits(from.row.Leaf, k) {
				return false
			}
		case slices.Contains(from.row.Leaf, fabric.Full(k.value)):
			k.full = true
		case slices.Contains(from.row.Leaf, fabric.Limited(k.value)):
			k.full = false // an isolated port: the leaf marks it so
		default:
			return false
		}
	}
	if to.row.EnforceOut && !to.full && !admits(to.row.Leaf, k) {
		return false
	}
	if ethernet || hostile && !w.shared(j, k.value) {
		return true
	}
	return admits(to.row.NIC, k)
}

// labels returns every label value that any port of a fabric carries.
func (w *world) labels(f int) []uint32 {
	var out []uint32
	for i := range w.ports {
		if w.fabricOf(i) != f {
			continue
		}
		for _, m := range slices.Concat(w.ports[i].row.NIC, w.ports[i].row.Leaf) {
			if !slices.Contains(out, m.Value()) {
				out = append(out, m.Value())
			}
		}
	}
	return out
}

// outside is somebody in the fabric's underlay, behind no edge port. Leaves that
// are as they should be neither unpack what it sends nor send it anything.
const outside = -1

// leak is a packet between two owners.
type leak struct {
	from, to int
	k        packet
}

// leaksOutside are the packets between an edge port and the outside.
func (w *world) leaksOutside() (out []leak) {
	for i := range w.ports {
		wp := &w.ports[i]
		if w.entity(i) == "" || len(wp.row.Leaf) == 0 {
			continue
		}
		k := packet{wp.row.Leaf[0].Value(), true}
		if wp.faults&fabric.FaultUnderlay != 0 {
			out = append(out, leak{outside, i, k})
		}
		if wp.faults&(fabric.FaultPath|fabric.FaultMirror) != 0 {
			out = append(out, leak{i, outside, k})
		}
	}
	return out
}

// leaks follows every packet between every two ports.
func (w *world) leaks() []leak {
	var out []leak
	labels := [][]uint32{w.labels(0), w.labels(1)}
	for i := range w.ports {
		a := w.entity(i)
		if a == "" {
			continue
		}
		f := w.fabricOf(i)
		sends := w.sends(i, true, labels[f])
		for j := range w.ports {
			b := w.entity(j)
			if i == j || b == "" || a == b || w.fabricOf(j) != f {
				continue
			}
			for _, k := range sends {
				if w.delivered(i, j, k, true) {
					out = append(out, leak{i, j, k})
					break
				}
			}
		}
	}
	return append(out, w.leaksOutside()...)
}

// talks reports whether honest hosts at two ports reach one another.
func (w *world) talks(i, j int) bool {
	labels := w.labels(w.fabricOf(i))
	return slices.ContainsFunc(w.sends(i, false, labels), func(k packet) bool { return w.delivered(i, j, k, false) })
}

// isolated reports whether every edge port's verdict is Proven or Cut and
// nothing that is not in the inventory is plugged in anywhere.
func isolated(p *Prover) bool {
	t := p.Tally()
	return t.Red == 0 && t.Unknown == 0
}
