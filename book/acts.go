package book

import (
	"errors"
	"fmt"
	"time"

	"bulkhead/claim"
	"bulkhead/contract"
	"bulkhead/ledger"
	"bulkhead/meter"
	"bulkhead/site"
)

// Acts of a contract: what one party does, and binds the other. Who may is the table of
// contract.Acts; it is asked here, so that no other way into the book passes it by.

// Party is the party that an actor acts for.
func (a Actor) Party() string {
	if a.Tenant != "" {
		return contract.Tenant
	}
	return contract.Owner
}

// mayAct refuses an actor an act that the contract's terms don't give its party, or that
// its role doesn't do.
func (k *Contract) mayAct(act contract.Act, by Actor) error {
	c := k.Current()
	if by.Tenant != "" && by.Tenant != c.Tenant {
		return refuse("contract", "no contract %q", c.ID)
	}
	if err := c.May(act, by.Party()); err != nil {
		return refusedBy(err)
	}
	if want := contract.RoleOf(by.Party()); by.Role != want {
		return refuse("act", "%s: it needs the role %s, %.40q is %.40q", act, want, by.Subject, by.Role)
	}
	return nil
}

// refusedBy is a contract's own refusal as one of the book's: whoever asked is told why.
func refusedBy(err error) error {
	var field *claim.Problem
	if errors.As(err, &field) {
		return refuse(field.Field, "%s", field.Reason)
	}
	return err
}

// PerformAct does an act that ends a contract early, or makes less of it.
type PerformAct struct {
	Contract string
	Act      contract.Act
	Tranche  string // of an act for lateness; "": the first that is late
	By       Actor
	Assured  // Confirmed: of the preview that was shown
}

// Preview says what the act would come to now, without doing it.
func (c PerformAct) Preview(s *State, now time.Time) (*contract.Outcome, error) {
	k, ok := s.Contracts[c.Contract]
	if !ok {
		return nil, refuse("contract", "no contract %q in force", c.Contract)
	}
	if err := k.mayAct(c.Act, c.By); err != nil {
		return nil, err
	}
	switch {
	case !k.Closed.IsZero():
		return nil, refuse("contract", "%s is closed", c.Contract)
	case c.Act == contract.ActNotice && !k.Noticed.IsZero():
		return nil, refuse("contract", "notice was given on %s already", k.Noticed.Format(time.DateOnly))
	case !now.Before(k.Current().End):
		return nil, refuse("contract", "%s ended at %s", c.Contract, k.Current().End.Format(time.RFC3339))
	}
	out, err := k.Current().Perform(contract.Asked{
		Act: c.Act, Party: c.By.Party(), Given: now, Tranche: c.Tranche, Missing: s.missing(c.Contract, now),
	})
	if err != nil {
		return nil, refusedBy(err)
	}
	return out, nil
}

// missing is what is due of a contract and has never been delivered.
func (s *State) missing(contractID string, now time.Time) []contract.Missing {
	var out []contract.Missing
	for _, l := range s.Leases {
		if l.Contract != contractID || now.Before(l.Begin) || !l.Returning.IsZero() {
			continue
		}
		if n := s.neverCame(l).Len(); n > 0 {
			out = append(out, contract.Missing{Tranche: l.Tranche, Slots: int64(n)})
		}
	}
	return out
}

// neverCame is the slots of a lease that have never been delivered.
func (s *State) neverCame(l *Lease) *site.Set {
	out := site.NewSet(len(l.Slots))
	for slot := range l.Slots {
		if l.GaveUp(slot) {
			continue
		}
		if st := l.billing(uint32(slot)).State; st == "" || st == meter.Undelivered {
			out.Add(site.Index(slot))
		}
	}
	return out
}

func (c PerformAct) decide(s *State, env Env) (*Decision, error) {
	out, err := c.Preview(s, env.Now)
	if err != nil {
		return nil, err
	}
	if shown := out.Preview.Digest(); c.Confirmed != shown {
		if c.Confirmed.IsZero() {
			return nil, refuse("confirmed", "%s can't be taken back: look at what it comes to first, and send the digest of that with it", c.Act)
		}
		return nil, refuse("confirmed", "what was shown (%s) is not what %s would come to now (%s): look at it again", c.Confirmed, c.Act, shown)
	}
	shown := &Showing{c.Act, s.Contracts[c.Contract].Current(), &out.Preview}
	if err := s.assured(c.By, shown, c.Assured, env.Now); err != nil {
		return nil, err
	}
	slots := ""
	if l, ok := s.leaseOfTranche(c.Contract, out.Preview.Tranche); ok && c.Act == contract.ActReduce {
		slots = s.neverCame(l).String()
	}
	d := &Decision{}
	d.add(TenantScope(out.Next.Tenant), kindOfAct(c.Act), contract.Acted{
		Contract: out.Next.Encode(), Act: c.Act, Given: env.Now, Ends: out.Next.End, By: c.By.Subject, Clause: out.Preview.Clause,
		Tranche: out.Preview.Tranche, Slots: slots, Preview: out.Preview.Digest(),
		Signed: contract.Signature{Party: c.By.Party(), By: c.By.Subject + ", " + c.By.Role}, Assent: c.Assent,
	})
	return d, nil
}

func (s *State) leaseOfTranche(contractID, tranche string) (*Lease, bool) {
	return s.LeaseByID(leaseID(contractID, tranche))
}

func kindOfAct(a contract.Act) string {
	switch a {
	case contract.ActNotice:
		return contract.KindNotice
	case contract.ActReduce:
		return contract.KindReduced
	}
	return contract.KindTerminated
}

func (s *State) applyActed(e *ledger.Entry, b contract.Acted, _ Bodies) error {
	c, err := contract.Decode(b.Contract)
	if err != nil {
		return err
	}
	k, ok := s.Contracts[c.ID]
	if !ok {
		return fmt.Errorf("no contract %q", c.ID)
	}
	k.Versions = append(k.Versions, c)
	if e.Kind == contract.KindReduced {
		l, ok := s.leaseOfTranche(c.ID, b.Tranche)
		if !ok {
			return fmt.Errorf("no lease of tranche %q of %s", b.Tranche, c.ID)
		}
		slots, err := site.ParseSet(b.Slots, len(l.Slots))
		if err != nil {
			return err
		}
		l.giveUp(slots)
		return nil
	}
	k.Noticed = e.Time
	for _, l := range s.Leases {
		if t := c.TrancheByID(l.Tranche); l.Contract == c.ID && t != nil && l.End.After(t.End) {
			l.End = t.End
		}
	}
	return nil
}
