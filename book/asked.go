package book

import (
	"bulkhead/contract"
	"bulkhead/lease"
	"bulkhead/meter"
	"bulkhead/node"
	"bulkhead/site"
)

// A node that works leaves its slot on somebody's word, and the log says whose: it is no
// failure, and it is billed by who wanted it.

// works says whether a delivered node is of use to its tenant.
func (s *State) works(n site.Index) bool {
	return s.Nodes.State[n] == node.Delivered && s.condition(n).billed() != meter.DownOwner
}

// word is on whose word a node that works leaves its slot, when answered is who has
// answered for the tenant; nil for one that does not work.
func (s *State) word(ref SlotRef, was, to site.Index, swap *Swap, answered string) *lease.Asked {
	if !s.works(was) {
		return nil
	}
	asked := &lease.Asked{Word: lease.WordOwner, By: swap.By, Reason: swap.Reason}
	switch {
	case s.moveOf(ref, to) && answered == ByDeadline:
		asked.Word, asked.By = lease.WordConsent, s.Defrags[ref.Lease].Consented
	case swap.Requested:
		asked.Word, asked.By = lease.WordRequest, answered
	case answered != ByDeadline:
		asked.Word, asked.By = lease.WordConsent, answered
	}
	return asked
}

// replacedAs is what the slot of a node that works is billed as from its swap on, until
// the next one is delivered: it is the owner's time, unless the tenant asked for it.
func replacedAs(a *lease.Asked) (meter.SlotState, string) {
	if a.Word == lease.WordRequest {
		return meter.DownTenant, lease.CauseRequested
	}
	return meter.DownOwner, lease.CauseReplaced
}

// mayAsk refuses a request in the tenant's name where it would move nothing that works.
func (c ProposeReplacement) mayAsk(s *State, was site.Index) error {
	if c.Requested && !s.works(was) {
		return refuse("tenant_asked", "%s does not work: it is replaced for that, and nobody needs to ask", s.Site.NodeID[was])
	}
	if c.Requested && c.By == "" {
		return refuse("tenant_asked", "the loop asks in nobody's name")
	}
	return nil
}

// answered is who answers a proposal, as the log says it. A request of the tenant's is
// made by its own word alone: no deadline stands for that.
func (c AcknowledgeReplacement) answered(k *Contract, swap *Swap) (string, error) {
	if c.By == ByDeadline {
		if swap.Requested {
			return "", refuse("slot", "the tenant is said to have asked for it: it is made by the tenant's own answer, and by no deadline")
		}
		return c.By, nil
	}
	if err := k.mayAct(contract.ActAcknowledge, c.Actor); err != nil {
		return "", err
	}
	if c.Actor.Subject == ByDeadline || c.Actor.Subject == NotDelivered {
		return "", refuse("act", "nobody acts as %q: it is what the log says where nobody has answered", c.Actor.Subject)
	}
	return c.Actor.Subject, nil
}
