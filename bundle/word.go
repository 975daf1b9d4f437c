package bundle

import (
	"bulkhead/lease"
	"bulkhead/meter"
)

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
