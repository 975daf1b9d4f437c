package bundle

import (
	"fmt"

	"bulkhead/claim"
	"bulkhead/contract"
	"bulkhead/lease"
	"bulkhead/site"
)

// defragLog is moves of a lease's nodes that both parties talk about.
type defragLog struct {
	number              uint64
	to                  map[uint32]uint32 // number of the new node by slot
	shown               claim.Digest      // of what the tenant consents to
	consented, accepted bool
}

// defrag follows the conversation about moves: only what the tenant consented to, and
// the owner accepted after that, moves healthy nodes without another word.
func (v *verifier) defrag(body any) {
	switch b := body.(type) {
	case *lease.DefragProposed:
		l := v.leaseOf(b.Lease)
		if l == nil {
			return
		}
		v.step(l, actMove)
		v.budget.spend(maxNodes/64+len(l.slots)/64+slotsOf(b.Slots)+slotsOf(b.Nodes), "moves that are proposed")
		slots, err := site.ParseOrder(b.Slots, len(l.slots))
		nodes, err2 := site.ParseOrder(b.Nodes, maxNodes)
		if err != nil || err2 != nil || len(slots) != len(nodes) || b.Proposal != v.at.entry {
			v.fail(v.at, CheckSwap, string(b.Lease), "moves of slots %.60q to nodes %.60q as proposal %d: expected as many of both, and the number of this entry", b.Slots, b.Nodes, b.Proposal)
			return
		}
		v.budget.keep(perWord+128*int64(len(slots)), "moves that are proposed") // the map, and the two orders that it was read from
		d := &defragLog{number: b.Proposal, to: map[uint32]uint32{}, shown: contract.MovesSheet(l.Contract, b).Digest()}
		for i := range slots {
			d.to[uint32(slots[i])] = uint32(nodes[i])
		}
		l.moves = d
	case *lease.DefragConsented:
		if d := v.proposal(b.Lease, b.Proposal); d != nil && b.By != "" {
			d.consented = true
			own, err := contract.DecodeSigned(b.Assent)
			v.done(deed{
				act: contract.ActConsent, contract: v.leases[string(b.Lease)].Contract, about: fmt.Sprintf("proposal %d for %s", b.Proposal, b.Lease),
				party: contract.Tenant, by: b.By, preview: b.Preview, assent: own, unread: err, shown: func() claim.Digest { return d.shown },
			})
		}
	case *lease.DefragAccepted:
		if d := v.proposal(b.Lease, b.Proposal); d != nil {
			if !d.consented {
				v.fail(v.at, CheckUnasked, string(b.Lease), "moves of nodes are accepted that the tenant has not consented to")
			}
			d.accepted = b.By != ""
		}
	case *lease.DefragEnded:
		if d := v.proposal(b.Lease, b.Proposal); d != nil {
			v.leases[string(b.Lease)].moves = nil
		}
	}
}

// proposal finds the proposal that an entry is about.
func (v *verifier) proposal(id lease.ID, number uint64) *defragLog {
	l := v.leaseOf(id)
	if l == nil {
		return nil
	}
	if l.moves == nil || l.moves.number != number {
		v.fail(v.at, CheckSwap, string(id), "proposal %d of moves is not open", number)
		return nil
	}
	return l.moves
}

// agreed says whether both parties have agreed that a slot moves.
func (l *leaseLog) agreed(slot uint32) bool {
	if l.moves == nil || !l.moves.consented || !l.moves.accepted {
		return false
	}
	_, moves := l.moves.to[slot]
	return moves
}
