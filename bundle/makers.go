package bundle

import (
	"fmt"
	"math/bits"

	"bulkhead/fabric"
	"bulkhead/lease"
	"bulkhead/prove"
)

// made notes who could have made a finding at a port, by the table that the owner bills by.
// At whose end it was seen is the owner's word.
func (v *verifier) made(n *nodeLog, bit uint16, p fabric.PortNote) {
	m, ok := prove.MakerOf(p.Check, prove.Seen(p.Seen))
	if !ok {
		v.fail(v.at, CheckMaker, n.id, "%.60q is seen at %.20q: only the leaf, which is the owner's, can show it", p.Check, p.Seen)
	}
	n.unclear, n.forged = n.unclear&^bit, n.forged&^bit
	switch m {
	case prove.ByEither:
		n.unclear |= bit
		v.tally.atHost++
	case prove.ByTenant:
		n.forged |= bit
		v.tally.atHost++
	}
}

// ports counts what is not proven of a node, by who could have made it.
func (n *nodeLog) ports() lease.Ports {
	count := func(set uint16) uint8 { return uint8(bits.OnesCount16(set)) }
	p := lease.Ports{Owner: count(n.drift &^ n.unclear &^ n.forged), Either: count(n.unclear), Tenant: count(n.forged)}
	if n.unit != nil {
		p.Owner += count(n.unit.unread)
	}
	return p
}

func portsText(p lease.Ports) string {
	return fmt.Sprintf("%d ports by the owner, %d by either, %d by the tenant", p.Owner, p.Either, p.Tenant)
}
