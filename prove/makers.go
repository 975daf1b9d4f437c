package prove

import (
	"bulkhead/fabric"
	"bulkhead/site"
)

// Who could have made a finding decides who pays for it. A tenant has the host behind
// its ports: it can write its adapter's table, plug in something else, or send from an
// address that is not its own. What a leaf does it can't.

// Maker is who could have made what a check found.
type Maker string

// The makers.
const (
	ByOwner  Maker = "owner"  // nobody but the owner has the device that shows it
	ByEither Maker = "either" // the owner could, and so could the tenant on whose node it is
	ByTenant Maker = "tenant" // it came in from behind the port, past all that is the owner's
)

// Seen is at whose end of a port a finding shows.
type Seen string

// The ends. A finding that shows at the leaf alone is seen there, whatever the host says
// beside it.
const (
	AtLeaf Seen = "leaf" // at the owner's device
	AtHost Seen = "host" // only by what stands behind the port: its table, its identity, its addresses
)

// makers are the checks that what is behind a port can make fail. Of a check that is not
// here only the leaf can tell.
var makers = map[Check]Maker{
	TableFull:      ByEither, // where adapters have tables: it may be the adapter's
	ForeignLabel:   ByEither, // in the adapter's table: its host can write it, and so can the fabric's manager
	UnownedLabel:   ByEither,
	SharedFull:     ByEither,
	WrongNeighbour: ByEither, // cabled by whoever was there, or told by the host
	// Its host can take its own label out of the adapter's table.
	Unlabelled:      ByEither,
	MissingOwnLabel: ByEither,
	Unreached:       ByEither, // its host says which address it has, and has one end of its link
	ForeignRoute:    ByTenant, // the leaf learnt an address behind the port that is no NIC's there
}

// MakerOf is who could have made a finding, by its check and where it was seen. ok is
// false where the check can't be seen there: then it counts as the owner's.
func MakerOf(check string, seen Seen) (m Maker, ok bool) {
	switch seen {
	case AtLeaf, "": // "" in older ledgers
		return ByOwner, true
	case AtHost:
		for c, m := range makers {
			if c.String() == check {
				return m, true
			}
		}
	}
	return ByOwner, false
}

// SeenAt is at whose end the violation at a port shows, as last read: at the leaf where
// it would be there still if all that the host has a hand in was as it is to be.
func (p *Prover) SeenAt(port site.Port) Seen {
	leaf := p.facts.site.LeafOf(port)
	f := p.facts.leaf[leaf]
	if f == noFabric {
		return AtLeaf
	}
	var v portView
	p.view(&v, port, leaf)
	v.nic = v.leaf
	v.neighbour = p.facts.site.PortID[port]
	v.flags = v.flags.Except(fabric.FaultForged | fabric.FaultAddress)
	if p.facts.owners[f].nicTables {
		v.flags &^= fabric.FlagFull
	}
	c := p.facts.examine(&v, f).first(p.enabled)
	if c.Verdict() == Red || c.Rewritten() {
		return AtLeaf
	}
	if was := p.reason[port]; makers[was] == "" {
		return AtLeaf // the host has no hand in what failed
	}
	return AtHost
}
