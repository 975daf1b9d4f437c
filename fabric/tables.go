package fabric

import (
	"fmt"
	"slices"

	"bulkhead/site"
)

// Reading is what read-back shows of one edge port.
type Reading struct {
	Port      site.Port `json:"port"`      // set by Locate
	LeafPort  int       `json:"leaf_port"` // number on its leaf, from 1
	NIC       []Member  `json:"nic,omitempty"`
	Leaf      []Member  `json:"leaf,omitempty"`
	EnforceIn bool      `json:"enforce_in"` // the leaf port enforces its table on what comes in
	// EnforceOut is the same for what goes out.
	EnforceOut bool  `json:"enforce_out"`
	Class      uint8 `json:"class,omitempty"`
	// Full says that a table has no free entry. Leaves silently stop enforcing
	// for a port whose NIC's table is full.
	Full bool `json:"full,omitempty"`
	// Faults are ways around the port's tables that its leaf was seen to have.
	Faults Faults `json:"faults,omitempty"`
	// Followed says that the forwarding tables of the switches between the port and the
	// others of its labels were read as well. Where it is false and no fault says more,
	// nobody knows whether its packets arrive.
	Followed bool `json:"followed,omitempty"`
	// Neighbour is who the leaf sees behind the port: port GUID or MAC; 0 when
	// it sees nobody, NeighbourConflict when its sources disagree.
	Neighbour uint64 `json:"neighbour"`
}

// NeighbourConflict is the neighbour of a port whose sources disagree. No device
// has this identity.
const NeighbourConflict = ^uint64(0)

// Row returns what was read as a row.
func (r *Reading) Row() Row {
	return Row{NIC: r.NIC, Leaf: r.Leaf, EnforceIn: r.EnforceIn, EnforceOut: r.EnforceOut, Class: r.Class}
}

// Locate sets the Port of readings of one leaf by their LeafPort. Readings of
// leaf ports that no node is cabled to are returned as strays: what is behind
// them is not in the inventory. It sorts in place: the located ones first, the
// strays at the end.
func Locate(s *site.Site, leaf site.Leaf, readings []Reading) (located, strays []Reading) {
	located = readings[:0:len(readings)]
	for i := range readings {
		if port, ok := s.PortAt(leaf, readings[i].LeafPort); ok {
			readings[i].Port = port
			r := readings[i]
			readings[i] = readings[len(located)]
			located = append(located, r)
		}
	}
	return located, readings[len(located):]
}

// Faults are ways around the tables of an edge port: what its leaf was seen to
// do, or to let happen, beside checking labels. They belong to overlays, where a
// leaf also takes packets from, and gives them to, the fabric's inside by rules
// of its own.
type Faults uint16

// The faults.
const (
	// FaultUnderlay: the leaf unpacks what does not come from a leaf of the fabric,
	// or lets an edge port into the underlay.
	FaultUnderlay Faults = 1 << iota
	// FaultRoutes: the port's label takes or gives routes under another label's
	// target, the leaf announces what is not behind it, or it hears a stranger.
	FaultRoutes
	// FaultPath: packets of the port's label are sent to what is no leaf of the fabric.
	FaultPath
	// FaultMirror: copies of the port's packets go elsewhere.
	FaultMirror
	// FaultClass: the leaf does not treat the traffic classes as the plan says, or takes
	// smaller packets only. It leaks nothing; it costs a neighbour bandwidth, or the port's
	// own tenant its packets.
	FaultClass
	// FaultPolicy: a route reflector does not pass on the routes of the port's label
	// from this leaf. It leaks nothing; the port is cut off from other leaves.
	FaultPolicy
	// FaultForged: the leaf has learnt an address behind its ports that is no NIC's
	// there, and announces it. Whoever sends from behind the port can do that.
	FaultForged
	// FaultUnannounced: the leaf does not tell the others that it has ports of the port's
	// label. It leaks nothing; the port is cut off from other leaves.
	FaultUnannounced
	// FaultUnlearnt: the leaf does not know another leaf that has ports of the port's label.
	// It leaks nothing; the port does not reach those.
	FaultUnlearnt
	// FaultUnreached: by the switches' forwarding tables packets of the port do not arrive at
	// another port of its label. It leaks nothing; the port is cut off from that one.
	FaultUnreached
	// FaultAddress: the port's link carries no packets, or the leaf does not send to it what is
	// for the address that the adapter behind it says it has. It leaks nothing; others do not
	// reach the port.
	FaultAddress
)

// Mended are the faults that go when the port's row is written again: what they are
// about is written with every row. A port with one is not as it is to be.
const Mended = FaultClass | FaultPolicy | FaultUnannounced | FaultUnlearnt

// Flags are the yes-or-no facts of a port's read-back.
type Flags uint16

// The flags. A port without FlagRead has never been read back. The Faults come
// after FlagFull, as many as there is room for below FlagFollowed.
const (
	FlagRead Flags = 1 << iota
	FlagEnforceIn
	FlagEnforceOut
	FlagFull
	faultShift = iota

	FlagFollowed Flags = 1 << 15
)

// Except is the flags without some faults.
func (f Flags) Except(faults Faults) Flags { return f &^ (Flags(faults) << faultShift) }

// Faults returns the faults among the flags.
func (f Flags) Faults() Faults { return Faults(f &^ FlagFollowed >> faultShift) }

// FlagsOf returns the flags of a reading.
func FlagsOf(r *Reading) Flags {
	flags := FlagRead | Flags(r.Faults)<<faultShift
	if r.EnforceIn {
		flags |= FlagEnforceIn
	}
	if r.EnforceOut {
		flags |= FlagEnforceOut
	}
	if r.Full {
		flags |= FlagFull
	}
	if r.Followed {
		flags |= FlagFollowed
	}
	return flags
}

// inline is how many members a side are kept without an allocation. Compiled
// rows have at most two.
const inline = 4

const spilled = 255 // count of a side that is kept in the overflow map

// Tables is the read-back of all edge ports of a site, as structs of arrays:
// 46 bytes a port, 21 MB for 450,000. A side with more than 4 members is kept
// in an overflow map. It is not safe for use while it is written.
type Tables struct {
	nic       [][inline]Member
	leaf      [][inline]Member
	nicCount  []uint8
	leafCount []uint8
	flags     []Flags
	class     []uint8
	neighbour []uint64
	overflow  map[site.Port]*[2][]Member // NIC, leaf; nil where inline
}

// NewTables returns tables for ports 0 to ports-1, none of them read.
func NewTables(ports int) *Tables {
	t := &Tables{overflow: map[site.Port]*[2][]Member{}}
	t.Grow(ports)
	return t
}

// Grow makes room for ports 0 to ports-1; it never shrinks.
func (t *Tables) Grow(ports int) {
	more := ports - len(t.flags)
	if more <= 0 {
		return
	}
	t.nic = append(t.nic, make([][inline]Member, more)...)
	t.leaf = append(t.leaf, make([][inline]Member, more)...)
	t.nicCount = append(t.nicCount, make([]uint8, more)...)
	t.leafCount = append(t.leafCount, make([]uint8, more)...)
	t.flags = append(t.flags, make([]Flags, more)...)
	t.class = append(t.class, make([]uint8, more)...)
	t.neighbour = append(t.neighbour, make([]uint64, more)...)
}

// Len returns the number of ports.
func (t *Tables) Len() int { return len(t.flags) }

// Has reports whether port p is in the tables.
func (t *Tables) Has(p site.Port) bool { return int(p) < len(t.flags) }

// Set records a reading; its slices are copied. It panics if the port is beyond
// Len: who reads must Locate first.
func (t *Tables) Set(r *Reading) {
	p := r.Port
	if int(p) >= len(t.flags) {
		panic(fmt.Sprintf("fabric: port %d of %d", p, len(t.flags)))
	}
	if t.nicCount[p] == spilled || t.leafCount[p] == spilled {
		delete(t.overflow, p)
	}
	t.nicCount[p] = t.store(p, 0, &t.nic[p], r.NIC)
	t.leafCount[p] = t.store(p, 1, &t.leaf[p], r.Leaf)
	t.flags[p], t.class[p], t.neighbour[p] = FlagsOf(r), r.Class, r.Neighbour
}

// store keeps one side sorted and without repetition.
func (t *Tables) store(p site.Port, side int, cell *[inline]Member, members []Member) uint8 {
	n := 0
	for _, m := range members {
		at := n
		for at > 0 && cell[at-1] > m {
			at--
		}
		if at > 0 && cell[at-1] == m {
			continue
		}
		if n == inline {
			o := t.overflow[p]
			if o == nil {
				o = new([2][]Member)
				t.overflow[p] = o
			}
			o[side] = normal(slices.Clone(members))
			return spilled
		}
		copy(cell[at+1:n+1], cell[at:n])
		cell[at] = m
		n++
	}
	return uint8(n)
}

// NIC returns the sorted members of the NIC's table: a view, valid until the
// port is set again.
func (t *Tables) NIC(p site.Port) []Member {
	if n := t.nicCount[p]; n != spilled {
		return t.nic[p][:n]
	}
	return t.overflow[p][0]
}

// Leaf returns the sorted members of the leaf port's table: a view, valid until
// the port is set again.
func (t *Tables) Leaf(p site.Port) []Member {
	if n := t.leafCount[p]; n != spilled {
		return t.leaf[p][:n]
	}
	return t.overflow[p][1]
}

// Flags returns the flags of a port.
func (t *Tables) Flags(p site.Port) Flags { return t.flags[p] }

// Class returns the traffic class of a port.
func (t *Tables) Class(p site.Port) uint8 { return t.class[p] }

// Neighbour returns who the leaf sees behind a port.
func (t *Tables) Neighbour(p site.Port) uint64 { return t.neighbour[p] }

// Get returns the reading of a port, with slices of its own, and whether the
// port has ever been read. LeafPort is not kept: it is 0.
func (t *Tables) Get(p site.Port) (Reading, bool) {
	if !t.Has(p) {
		return Reading{}, false
	}
	f := t.flags[p]
	return Reading{
		Port: p, NIC: slices.Clone(t.NIC(p)), Leaf: slices.Clone(t.Leaf(p)),
		EnforceIn: f&FlagEnforceIn != 0, EnforceOut: f&FlagEnforceOut != 0, Full: f&FlagFull != 0,
		Followed: f&FlagFollowed != 0, Faults: f.Faults(), Class: t.class[p], Neighbour: t.neighbour[p],
	}, f&FlagRead != 0
}

// Clear forgets a port's reading.
func (t *Tables) Clear(p site.Port) {
	delete(t.overflow, p)
	t.nicCount[p], t.leafCount[p], t.flags[p], t.class[p], t.neighbour[p] = 0, 0, 0, 0, 0
}

// Carries reports whether a port was read back as Compile(f, value) says,
// enforcement and traffic class included, and without a fault that writing mends. It does not allocate.
func (t *Tables) Carries(p site.Port, f site.Family, value uint32) bool {
	const on = FlagRead | FlagEnforceIn | FlagEnforceOut
	if !t.Has(p) || t.flags[p]&on != on || t.flags[p].Faults()&Mended != 0 || value == 0 {
		return false
	}
	own := Full(value)
	if IsShared(f, value) {
		own = Limited(value)
	}
	if f != site.InfiniBand {
		return t.nicCount[p] == 0 && t.leafCount[p] == 1 && t.leaf[p][0] == own && t.class[p] == ClassOf(f, value)
	}
	low, high := Limited(pkeyService), own
	if own < low {
		low, high = own, low
	}
	return t.nicCount[p] == 2 && t.nic[p][0] == low && t.nic[p][1] == high &&
		t.leafCount[p] == 2 && t.leaf[p][0] == low && t.leaf[p][1] == high
}

// carriesRow reports whether a port was read back as row says, without a fault that
// writing mends.
func (t *Tables) carriesRow(p site.Port, row *Row) bool {
	f := t.flags[p]
	return f&FlagRead != 0 && f.Faults()&Mended == 0 && f&FlagEnforceIn != 0 == row.EnforceIn && f&FlagEnforceOut != 0 == row.EnforceOut &&
		t.class[p] == row.Class && sameSet(t.NIC(p), row.NIC) && sameSet(t.Leaf(p), row.Leaf)
}
