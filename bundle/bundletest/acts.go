package bundletest

import (
	"time"

	"bulkhead/claim"
	"bulkhead/contract"
	"bulkhead/lease"
	"bulkhead/meter"
	"bulkhead/node"
)

// Act has a party do an act of the contract that has no missing slots, as the terms have it.
func (s *Story) Act(act contract.Act, party string) {
	out, err := s.Contract.Perform(contract.Asked{Act: act, Party: party, Given: s.Now})
	must(err)
	s.ActAs(act, party, out)
}

// ActAs writes an act with an outcome, whatever the terms say.
func (s *Story) ActAs(act contract.Act, party string, out *contract.Outcome) {
	kind := map[contract.Act]string{contract.ActNotice: contract.KindNotice, contract.ActReduce: contract.KindReduced}[act]
	if kind == "" {
		kind = contract.KindTerminated
	}
	s.Add(kind, contract.Acted{
		Contract: out.Next.Encode(), Act: act, Given: s.Now, Ends: out.Next.End, By: party, Clause: out.Preview.Clause,
		Tranche: out.Preview.Tranche, Preview: out.Preview.Digest(), Signed: contract.Signature{Party: party, By: party},
	})
	s.before, s.Contract = append(s.before, s.Contract), out.Next
}

// SignAct is a key's signature, now, over what was shown of an act.
func (s *Story) SignAct(act contract.Act, shown claim.Digest, signer claim.SSHSigner) *contract.SignedAssent {
	return SignAssent(contract.ActAssent(act, s.Owner.Site, s.Tenant, s.Contract.ID, shown, s.Now, s.Now.Add(contract.AssentLasts)), signer)
}

// Dispute is a dispute of the first line of the newest invoice, and a credit note about it.
func (s *Story) Dispute(net string) (meter.Disputed, meter.Settled) {
	i := s.last
	line := i.Lines[0].ID
	held, err := i.Contested(line)
	must(err)
	settled, err := i.Credit(line, net, nil)
	must(err)
	settled.Note, settled.Reason, settled.Signed = Tenant+"-credit-0001", "a node was down", contract.Signature{Party: contract.Owner, By: "finance"}
	return meter.Disputed{
		Number: i.Number, Line: line, Contested: held, Currency: i.Currency, Reason: "it was down", Signed: contract.Signature{Party: contract.Tenant, By: "officer"},
	}, settled
}

// SwapAsked is the replacement of a node that works, proposed and answered as they say.
func (s *Story) SwapAsked(was *Node, requested bool, answered string, state meter.SlotState, cause string, asked *lease.Asked) (to *Node) {
	return s.SwapAnswered(was, requested, state, cause, asked, func(*lease.Proposed) lease.Acknowledged { return lease.Acknowledged{By: answered} })
}

// SwapAnswered is SwapAsked with the whole answer to what is proposed.
func (s *Story) SwapAnswered(was *Node, requested bool, state meter.SlotState, cause string, asked *lease.Asked, answer func(*lease.Proposed) lease.Acknowledged) (to *Node) {
	to, slot := s.Spare(), uint32(s.slotOf(was))
	p := lease.Proposed{
		Lease: s.Lease, Slot: slot, Was: was.ID(), Node: to.ID(), Distance: "same SU", Reason: "a noisy fan", Deadline: s.Now.Add(time.Minute), By: "operator", Requested: requested,
	}
	s.Add(lease.KindProposed, p)
	s.Wait(time.Minute)
	a := answer(&p)
	a.Lease, a.Slot = s.Lease, slot
	s.Add(lease.KindAcknowledged, a)
	s.Set(state, cause, was)
	s.Add(lease.KindSwapped, lease.Swapped{
		Lease: s.Lease, Slot: slot, Was: was.ID(), WasIndex: uint32(was.Index), Node: to.ID(), Index: uint32(to.Index), Reason: "replaced on request: a noisy fan", Asked: asked,
	})
	s.Slots[slot] = to
	s.Move(node.Reclaiming, "replaced", nil, was)
	s.Wait(time.Hour)
	s.Reserve(to)
	s.Wait(time.Hour)
	s.Deliver(to)
	return to
}

// Terms changes what was offered and signed, before anything else is told.
func (s *Story) Terms(change func(c *contract.Contract)) {
	change(s.Contract)
	raw := s.Contract.Encode()
	Change(s.Log, contract.KindQuoted, func(_ int, b *contract.Quoted) { b.Contract = raw })
	Change(s.Log, contract.KindSigned, func(_ int, b *contract.Signed) { b.Contract, b.Digest = raw, claim.DigestOf(raw) })
}
