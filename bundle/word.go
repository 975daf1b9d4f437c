package bundle

import (
	"bulkhead/claim"
	"bulkhead/contract"
	"bulkhead/lease"
	"bulkhead/meter"
	"bulkhead/node"
)

// On whose word a node that works leaves its slot: who proposed it, who answered, and what
// the swap says of it.

// inUse is the node of a slot, if it is delivered there; or nil.
func (v *verifier) inUse(ref slotRef) *nodeLog {
	if was := v.numbers[ref.lease.slots[ref.slot]]; was != nil && was.state == node.Delivered && was.owner == ref.lease {
		return was
	}
	return nil
}

// wanted says of a proposal for a node in use on whose word it is. The owner's loop
// proposes another node only where the log bills the slot as down; of what works a
// person's name must stand under it, or both parties' agreement.
func (v *verifier) wanted(ref slotRef, b *lease.Proposed, swap *swapLog) {
	swap.by, swap.agreedMove = b.By, ref.lease.agreed(ref.slot)
	was := v.inUse(ref)
	if was == nil {
		return
	}
	if billed := ref.lease.billed[ref.slot]; b.By == "" && !swap.agreedMove && billed != meter.DownOwner {
		v.fail(v.at, CheckUnasked, ref.String(), "another node is proposed for %s on the word of nobody: it is delivered, and the slot is billed as %s", was.id, billed)
	}
}

// answered judges who has ended the conversation about a node that is in use.
func (v *verifier) answered(ref slotRef, by string, swap *swapLog) {
	if by == "" {
		v.fail(v.at, CheckUnasked, ref.String(), "a replacement is acknowledged by nobody")
	}
	was := v.inUse(ref)
	if was == nil || by != "deadline" || swap.agreedMove {
		return
	}
	switch billed := ref.lease.billed[ref.slot]; {
	case billed == meter.DownOwner:
	case swap.by == "":
		v.fail(v.at, CheckUnasked, ref.String(), "%s is taken out when the tenant's time is up, on the word of nobody: the slot is billed as %s", was.id, billed)
	default:
		v.tally.taken.add("%s in %s, wanted by %.60q and billed as %s", was.id, ref, swap.by, billed)
	}
}

// answerDone judges whose answer it is where somebody of the tenant's has answered. What
// the log says where nobody has is no act.
func (v *verifier) answerDone(ref slotRef, b *lease.Acknowledged, swap *swapLog) {
	own, err := contract.DecodeSigned(b.Assent)
	switch b.By {
	case "", "deadline", "not delivered yet", "dead node":
		if own != nil || err != nil {
			v.fail(v.at, CheckAssent, ref.String(), "the tenant's key is said to have signed an answer that is %q", b.By)
		}
		return
	}
	id := ref.lease.Contract
	v.done(deed{
		act: contract.ActAcknowledge, contract: id, about: ref.String(), party: contract.Tenant, by: b.By, preview: b.Preview, assent: own, unread: err,
		shown: func() claim.Digest {
			return contract.AnswerSheet(id, &lease.Proposed{
				Lease: b.Lease, Slot: b.Slot, Was: swap.was, Node: swap.to, Reason: swap.reason, Deadline: swap.deadline, By: swap.by, Requested: swap.requested,
			}).Digest()
		},
	})
}

// emptied notes that a slot is emptied of a node that works: the swap that follows says on
// whose word.
func (v *verifier) emptied(l *leaseLog, slot uint32, state meter.SlotState, cause string) {
	delete(l.worked, slot)
	if cause != lease.CauseReplaced && cause != lease.CauseRequested {
		return
	}
	if was := l.billed[slot]; was == meter.DownOwner || was == meter.Undelivered {
		return
	}
	l.worked[slot] = true
	if (cause == lease.CauseRequested) != (state == meter.DownTenant) {
		v.fail(v.at, CheckUnasked, slotRef{l, slot}.String(), "it is %s as %q: only what the tenant asked for is billed as the tenant's", state, cause)
	}
}

// asked judges on whose word a node that works leaves its slot.
func (v *verifier) asked(ref slotRef, swap *swapLog, b *lease.Swapped) {
	if swap == nil || !ref.lease.worked[b.Slot] {
		return
	}
	delete(ref.lease.worked, b.Slot)
	subject, billed := ref.String(), ref.lease.billed[b.Slot]
	if b.Asked == nil {
		v.fail(v.at, CheckUnasked, subject, "%s works and leaves, and the entry does not say on whose word", b.Was)
		return
	}
	late := swap.answered == "deadline"
	switch b.Asked.Word {
	case lease.WordRequest:
		if !swap.requested || late || b.Asked.By != swap.answered || billed != meter.DownTenant {
			v.fail(v.at, CheckUnasked, subject, "%s leaves at the tenant's request, and the tenant has not asked for it, or has not answered for it itself", b.Was)
		}
		return
	case lease.WordConsent:
		if late && !swap.agreedMove || !late && b.Asked.By != swap.answered {
			v.fail(v.at, CheckUnasked, subject, "%s leaves with the tenant's consent, and the log has none", b.Was)
		}
	case lease.WordOwner:
		v.tally.ownersWord++
	default:
		v.fail(v.at, CheckUnasked, subject, "%s leaves on the word of nobody: %.40q", b.Was, b.Asked.Word)
	}
	if billed == meter.DownTenant {
		v.fail(v.at, CheckUnasked, subject, "it is billed as the tenant's, and the owner has asked for it")
	}
}
