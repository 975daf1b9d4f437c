package book

import (
	"time"

	"bulkhead/claim"
	"bulkhead/contract"
	"bulkhead/lease"
	"bulkhead/site"
)

// Deed is a command by which a party acts under a contract in force. What it comes to can
// be looked at before: that is confirmed, and a tenant's key signs it.
type Deed interface {
	Command
	Show(s *State, now time.Time) (*Showing, error)
	with(confirmed claim.Digest, assent *contract.SignedAssent) Deed
}

// Showing is what is shown of a deed.
type Showing struct {
	Act      contract.Act
	Contract *contract.Contract // in force
	Sheet    contract.Sheet
}

// Digest is what is confirmed, and what is signed.
func (s *Showing) Digest() claim.Digest { return claim.DigestOf(s.Sheet.Encode()) }

// Assured is what goes with a deed once it was looked at.
type Assured struct {
	Confirmed claim.Digest           // of what was shown; zero: nobody says that something was
	Assent    *contract.SignedAssent // of a tenant with a key: over what was shown
}

// With is a deed as it is done once it was looked at.
func With(d Deed, a Assured) Deed { return d.with(a.Confirmed, a.Assent) }

// assured holds a deed to what was shown of it, and a tenant's to its keys: once it has
// registered one, what is done in its name by a token alone is nobody's act.
func (s *State) assured(by Actor, shown *Showing, a Assured, now time.Time) error {
	digest := shown.Digest()
	if !a.Confirmed.IsZero() && a.Confirmed != digest {
		return refuse("confirmed", "what was shown (%s) is not what %s would come to now (%s): look at it again", a.Confirmed, shown.Act, digest)
	}
	c := shown.Contract
	if by.Party() != contract.Tenant {
		if a.Assent != nil {
			return refuse("assent", "%s is the owner's act here, and no key of the tenant's signs it", shown.Act)
		}
		return nil
	}
	keys := s.Tenants[c.Tenant].Keys
	switch {
	case a.Assent == nil && !keys.Any():
		return nil
	case a.Assent == nil:
		return refuse("assent", "%s has registered a key, and a token alone does not act for it any more: give --key with the key that signs for it", c.Tenant)
	case !keys.Any():
		return refuse("assent", "%s has registered no key: without one nobody can tell whose signature this is (bulkhead tenant key register %s --key FILE)", c.Tenant, c.Tenant)
	}
	if a.Confirmed.IsZero() {
		return refuse("confirmed", "%s of %s is signed and not confirmed: the digest of what was shown goes with the signature", shown.Act, c.ID)
	}
	want := contract.ActAssent(shown.Act, s.Site.Name, c.Tenant, c.ID, digest, time.Time{}, time.Time{})
	if err := keys.Check(a.Assent, want, now); err != nil {
		return refuse("assent", "%v", err)
	}
	return nil
}

// Show says what the act would come to.
func (c PerformAct) Show(s *State, now time.Time) (*Showing, error) {
	out, err := c.Preview(s, now)
	if err != nil {
		return nil, err
	}
	return &Showing{c.Act, s.Contracts[c.Contract].Current(), &out.Preview}, nil
}

func (c PerformAct) with(confirmed claim.Digest, assent *contract.SignedAssent) Deed {
	c.Confirmed, c.Assent = confirmed, assent
	return c
}

// Show says what the dispute would hold.
func (c DisputeLine) Show(s *State, _ time.Time) (*Showing, error) {
	_, shown, err := c.disputed(s)
	return shown, err
}

func (c DisputeLine) with(confirmed claim.Digest, assent *contract.SignedAssent) Deed {
	c.Confirmed, c.Assent = confirmed, assent
	return c
}

// Show says what the answer would give back.
func (c SettleDispute) Show(s *State, _ time.Time) (*Showing, error) {
	_, shown, err := c.settled(s)
	return shown, err
}

func (c SettleDispute) with(confirmed claim.Digest, assent *contract.SignedAssent) Deed {
	c.Confirmed, c.Assent = confirmed, assent
	return c
}

// Show says what the tenant's yes would come to.
func (c AcknowledgeReplacement) Show(s *State, now time.Time) (*Showing, error) {
	_, shown, err := c.answer(s, now)
	return shown, err
}

func (c AcknowledgeReplacement) with(confirmed claim.Digest, assent *contract.SignedAssent) Deed {
	c.Confirmed, c.Assent = confirmed, assent
	return c
}

// showAnswer is what the tenant is shown of another node for a slot.
func (s *State) showAnswer(l *Lease, slot uint32, swap *Swap) *Showing {
	return &Showing{contract.ActAcknowledge, s.Contracts[l.Contract].Current(), contract.AnswerSheet(l.Contract, &lease.Proposed{
		Lease: l.ID, Slot: slot, Was: s.Site.NodeID[swap.Was], Node: s.Site.NodeID[swap.Node],
		Reason: swap.Reason, Deadline: swap.Deadline, By: swap.By, Requested: swap.Requested,
	})}
}

// Show says what the tenant's yes would come to.
func (c ConsentDefrag) Show(s *State, _ time.Time) (*Showing, error) {
	p, l, err := s.proposal(c.Lease, c.Proposal)
	if err != nil {
		return nil, err
	}
	slots := make([]site.Index, len(p.Slots))
	for i, slot := range p.Slots {
		slots[i] = site.Index(slot)
	}
	return &Showing{contract.ActConsent, s.Contracts[l.Contract].Current(), contract.MovesSheet(l.Contract, &lease.DefragProposed{
		Lease: l.ID, Proposal: p.Number, Slots: site.FormatOrder(slots), Nodes: site.FormatOrder(p.Nodes), Reason: p.Reason,
	})}, nil
}

func (c ConsentDefrag) with(confirmed claim.Digest, assent *contract.SignedAssent) Deed {
	c.Confirmed, c.Assent = confirmed, assent
	return c
}
