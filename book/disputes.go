package book

import (
	"fmt"
	"slices"

	"bulkhead/claim"
	"bulkhead/contract"
	"bulkhead/ledger"
	"bulkhead/meter"
)

// DisputeLine holds one line of an invoice, and nothing else of it: the tenant's, with a
// reason.
type DisputeLine struct {
	Invoice  *meter.Invoice // as it was signed
	Line     string
	Reason   string
	Evidence claim.Digest // of what the tenant has against it; zero: nothing
	By       Actor
	Assured
}

func (c DisputeLine) decide(s *State, env Env) (*Decision, error) {
	b, shown, err := c.disputed(s)
	if err != nil {
		return nil, err
	}
	if err := s.assured(c.By, shown, c.Assured, env.Now); err != nil {
		return nil, err
	}
	b.Preview, b.Assent = c.Confirmed, c.Assent
	d := &Decision{}
	d.add(TenantScope(shown.Contract.Tenant), meter.KindDisputed, *b)
	return d, nil
}

// disputed is what the dispute would be, and what is shown of it.
func (c DisputeLine) disputed(s *State) (*meter.Disputed, *Showing, error) {
	k, err := s.issued(c.Invoice)
	if err != nil {
		return nil, nil, err
	}
	if err := k.mayAct(contract.ActDispute, c.By); err != nil {
		return nil, nil, err
	}
	if c.Reason == "" {
		return nil, nil, refuse("reason", "say what is wrong with line %s: finance answers that", c.Line)
	}
	if s.openDispute(c.Invoice.Number, c.Line) != nil {
		return nil, nil, refuse("line", "%s of %s is disputed already, and not settled", c.Line, c.Invoice.Number)
	}
	held, err := c.Invoice.Contested(c.Line)
	if err != nil {
		return nil, nil, refuse("line", "%v", err)
	}
	before := 0
	for i := range s.Disputes {
		if d := &s.Disputes[i]; d.Number == c.Invoice.Number && d.Line == c.Line {
			before++
		}
	}
	b := &meter.Disputed{
		Number: c.Invoice.Number, Line: c.Line, Contested: held, Currency: c.Invoice.Currency, Reason: c.Reason, Evidence: c.Evidence, Signed: signedBy(c.By),
	}
	in := k.Current()
	return b, &Showing{contract.ActDispute, in, b.Shown(in.ID, before)}, nil
}

func signedBy(a Actor) contract.Signature {
	return contract.Signature{Party: a.Party(), By: a.Subject + ", " + a.Role}
}

// issued is the contract of an invoice that was issued.
func (s *State) issued(i *meter.Invoice) (*Contract, error) {
	at := slices.IndexFunc(s.Invoices, func(old Invoice) bool { return i != nil && old.Number == i.Number })
	if at < 0 || s.Invoices[at].Total != i.Total || s.Invoices[at].Contract != i.Contract {
		return nil, refuse("number", "no invoice was issued with this number, contract and total: see bulkhead invoice list")
	}
	return s.Contracts[i.Contract], nil
}

func (s *State) openDispute(number, line string) *meter.Dispute {
	for i := range s.Disputes {
		if d := &s.Disputes[i]; d.Number == number && d.Line == line && d.Settled == nil {
			return d
		}
	}
	return nil
}

// DisputesOf lists the disputes of an invoice, in the order in which they were begun.
func (s *State) DisputesOf(number string) (out []meter.Dispute) {
	for _, d := range s.Disputes {
		if d.Number == number {
			out = append(out, d)
		}
	}
	return out
}

// NotesOf lists the credit notes about the invoices of a contract.
func (s *State) NotesOf(contractID string) (notes []meter.GivenBack) {
	of := map[string]bool{}
	for _, i := range s.Invoices {
		of[i.Number] = i.Contract == contractID
	}
	for _, n := range s.Notes {
		if of[n.Number] {
			notes = append(notes, n)
		}
	}
	return notes
}

// SettleDispute answers a dispute: by a credit note, or by a refusal.
type SettleDispute struct {
	Invoice *meter.Invoice // as it was signed
	Line    string
	Credit  string // of the line, without tax; "": it is refused
	Reason  string
	By      Actor
	Assured
}

func (c SettleDispute) decide(s *State, env Env) (*Decision, error) {
	b, shown, err := c.settled(s)
	if err != nil {
		return nil, err
	}
	if err := s.assured(c.By, shown, c.Assured, env.Now); err != nil {
		return nil, err
	}
	tenant := shown.Contract.Tenant
	if b.Outcome == meter.Credited {
		b.Note = s.nextNoteNumber(tenant)
	}
	b.Preview = c.Confirmed
	d := &Decision{}
	d.add(TenantScope(tenant), meter.KindSettled, *b)
	return d, nil
}

// settled is what the answer would be, without the number of a note, and what is shown of it.
func (c SettleDispute) settled(s *State) (*meter.Settled, *Showing, error) {
	k, err := s.issued(c.Invoice)
	if err != nil {
		return nil, nil, err
	}
	if err := k.mayAct(contract.ActSettle, c.By); err != nil {
		return nil, nil, err
	}
	if c.Reason == "" {
		return nil, nil, refuse("reason", "say why: the tenant is told")
	}
	if s.openDispute(c.Invoice.Number, c.Line) == nil {
		return nil, nil, refuse("line", "no dispute of line %.80q of %s is open", c.Line, c.Invoice.Number)
	}
	b := meter.Settled{Number: c.Invoice.Number, Line: c.Line, Outcome: meter.Refused, Currency: c.Invoice.Currency}
	if c.Credit != "" {
		if b, err = c.Invoice.Credit(c.Line, c.Credit, s.Notes); err != nil {
			return nil, nil, refuse("credit", "%v", err)
		}
	}
	b.Reason, b.Signed = c.Reason, signedBy(c.By)
	in := k.Current()
	return &b, &Showing{contract.ActSettle, in, b.Shown(in.ID)}, nil
}

// nextNoteNumber is the number of a tenant's next credit note.
func (s *State) nextNoteNumber(tenant string) string {
	count := 0
	for _, d := range s.Disputes {
		if d.Settled != nil && d.Settled.Note != "" && s.tenantOfInvoice(d.Number) == tenant {
			count++
		}
	}
	return NoteNumber(tenant, count+1)
}

// NoteNumber is the number of a tenant's credit note.
func NoteNumber(tenant string, n int) string { return fmt.Sprintf("%s-credit-%04d", tenant, n) }

func (s *State) tenantOfInvoice(number string) string {
	for _, i := range s.Invoices {
		if i.Number == number {
			return i.Tenant
		}
	}
	return ""
}

func (s *State) applyDisputed(e *ledger.Entry, b meter.Disputed, _ Bodies) error {
	if s.tenantOfInvoice(b.Number) == "" || s.openDispute(b.Number, b.Line) != nil {
		return fmt.Errorf("line %.80q of invoice %.80q can't be disputed", b.Line, b.Number)
	}
	s.Disputes = append(s.Disputes, meter.Dispute{Disputed: b, At: e.Time})
	return nil
}

func (s *State) applySettled(e *ledger.Entry, b meter.Settled, _ Bodies) error {
	d := s.openDispute(b.Number, b.Line)
	if d == nil {
		return fmt.Errorf("no dispute of line %.80q of invoice %.80q is open", b.Line, b.Number)
	}
	d.Settled = &b
	if b.Outcome == meter.Credited {
		s.Notes = append(s.Notes, meter.GivenBack{Entry: e.ScopeSeq, Number: b.Number, Line: b.Line, Net: b.Net})
	}
	return nil
}
