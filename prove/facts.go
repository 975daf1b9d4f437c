package prove

import (
	"fmt"

	"bulkhead/fabric"
	"bulkhead/site"
)

// Holder numbers say who may be reached behind an edge port, and who owns a
// label. They are the caller's, but for these, which follow from the rules of
// package fabric. Projects take numbers from FirstProject up to FirstTurnover.
const (
	Nobody        uint32 = 0 // the ledger says nothing
	Quarantined   uint32 = 1 // nobody may use it
	FirstProject  uint32 = 2
	FirstTurnover uint32 = 1 << 24 // + node index: the node, while it changes hands
)

// TurnoverHolder is the holder number of a node that changes hands.
func TurnoverHolder(n site.Index) uint32 { return FirstTurnover + uint32(n) }

// Facts is what the ledger says: who holds each edge port, which label values
// belong to whom, what should be plugged in where (site.PortID). It knows
// nothing of compiled tables.
type Facts struct {
	site   *site.Site
	holder []uint32 // by port
	leaf   []uint8  // fabric of each leaf; noFabric: there is no such leaf
	owners []owners // by fabric
	labels map[uint32][]ownedLabel
}

type ownedLabel struct {
	fabric int
	value  uint32
}

const (
	pageBits = 12
	pageSize = 1 << pageBits
	pages    = (fabric.MaxValue + 1) >> pageBits
)

// page holds what is known of 4,096 label values.
type page struct {
	owner       [pageSize]uint32
	occurrences [pageSize]int32 // ports that carry the value
	misplaced   [pageSize]int32 // of these, ports that are not its owner's
}

// owners is who owns which value in one fabric.
type owners struct {
	id         string
	family     site.Family
	nicTables  bool // NICs have tables of their own, which must hold the label too
	quarantine uint32
	service    uint32
	turnover   uint32       // the turnover label of node 0; those of the others follow
	turnovers  uint32       // how many nodes have one
	pages      [pages]*page // nil: nothing known

	// Kept by the Prover.
	ports int // edge ports
	read  int // of these, read back at some time
	open  int // of these, last read with a violation that puts the whole fabric at risk
}

// noFabric stands for the fabric of a number that is no leaf's: the rails that smaller
// nodes don't have.
const noFabric = 255

// NewFacts returns the facts of a site of which the ledger has said nothing yet.
func NewFacts(s *site.Site) *Facts {
	f := &Facts{site: s, labels: map[uint32][]ownedLabel{}}
	f.Grow()
	return f
}

// Grow makes room for what was added to the site.
func (f *Facts) Grow() {
	for i := len(f.owners); i < len(f.site.Fabrics); i++ {
		family := f.site.Fabrics[i].Family
		shared := fabric.Shared(family)
		f.owners = append(f.owners, owners{id: f.site.Fabrics[i].ID, family: family, nicTables: family == site.InfiniBand,
			quarantine: fabric.QuarantineLabel("", family).Value, service: shared[len(shared)-1],
			turnover: fabric.TurnoverLabel("", family, 0).Value, turnovers: uint32(fabric.TurnoverNodes(family))})
	}
	for l := len(f.leaf); l < f.site.Leaves(); l++ {
		in := f.site.FabricOfLeaf(site.Leaf(l))
		if in < 0 {
			in = noFabric
		}
		f.leaf = append(f.leaf, uint8(in))
	}
	from := len(f.holder)
	if more := f.site.Ports() - from; more > 0 {
		f.holder = append(f.holder, make([]uint32, more)...)
		for p := from; p < len(f.holder); p++ {
			if in := f.fabricOf(site.Port(p)); in != noFabric {
				f.owners[in].ports++
			}
		}
	}
}

func (f *Facts) fabricOf(p site.Port) uint8 { return f.leaf[f.site.LeafOf(p)] }

// Holder returns who holds port p.
func (f *Facts) Holder(p site.Port) uint32 { return f.holder[p] }

// isShared is fabric.IsShared with the values at hand.
func (o *owners) isShared(value uint32) bool { return value == o.quarantine || value == o.service }

func (o *owners) ownerOf(value uint32) uint32 {
	if n := value - o.turnover; n < o.turnovers { // unsigned: a lower value wraps around to a large one
		return FirstTurnover + n
	}
	pg := o.pages[value>>pageBits]
	if pg == nil {
		return Nobody
	}
	return pg.owner[value&(pageSize-1)]
}

// at returns the page of a value, made if need be, and its place there.
func (o *owners) at(value uint32) (*page, uint32) {
	pg := o.pages[value>>pageBits]
	if pg == nil {
		pg = new(page)
		o.pages[value>>pageBits] = pg
	}
	return pg, value & (pageSize - 1)
}

// own records that a value belongs to a holder, or to Nobody any more. It
// reports whether that is news.
func (f *Facts) own(fabricIndex int, value, holder uint32) (changed bool, err error) {
	o := &f.owners[fabricIndex]
	_, turnover := fabric.TurnoverNode(o.family, value)
	if value == 0 || value > fabric.MaxValue || turnover || o.isShared(value) {
		return false, fmt.Errorf("fabric %s: label value %d is not given to owners", o.id, value)
	}
	pg, i := o.at(value)
	was := pg.owner[i]
	if was == holder {
		return false, nil
	}
	if was != Nobody && holder != Nobody {
		return false, fmt.Errorf("fabric %s: label value %d belongs to holder %d and cannot be given to %d before it is freed", o.id, value, was, holder)
	}
	pg.owner[i] = holder
	label := ownedLabel{fabricIndex, value}
	if holder != Nobody {
		f.labels[holder] = append(f.labels[holder], label)
		return true, nil
	}
	kept := f.labels[was][:0]
	for _, l := range f.labels[was] {
		if l != label {
			kept = append(kept, l)
		}
	}
	f.labels[was] = kept
	return true, nil
}

// ownTurnover reports whether owner is the port's own node changing hands, and
// the label therefore harmless here: only that node ever carries it without
// being red, and all its ports are held by one holder.
func (f *Facts) ownTurnover(p site.Port, owner uint32) bool {
	n := p.Node()
	if owner != TurnoverHolder(n) {
		return false
	}
	ports := f.holder[site.PortOf(n, 0):site.PortOf(n+1, 0)]
	for _, h := range ports[1:f.site.RailsOf(n)] {
		if h != ports[0] {
			return false
		}
	}
	return ports[site.Frontend] == ports[0]
}
