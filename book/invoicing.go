package book

import (
	"fmt"
	"time"

	"bulkhead/contract"
	"bulkhead/ledger"
	"bulkhead/meter"
)

// IssueInvoice records an invoice that was rated outside the writer from the
// same entries; whoever holds the tenant's log can rate it again.
type IssueInvoice struct {
	Contract  string
	Invoice   *meter.Invoice
	Statement []byte // signed
}

func (c IssueInvoice) decide(s *State, env Env) (*Decision, error) {
	k, ok := s.Contracts[c.Contract]
	if !ok {
		return nil, refuse("contract", "no contract %q", c.Contract)
	}
	tenant := k.Current().Tenant
	if want := s.NextInvoiceNumber(tenant); c.Invoice.Number != want {
		return nil, refuse("invoice.number", "%s, expected %s: numbers have no gaps", c.Invoice.Number, want)
	}
	if c.Invoice.Period.To.After(env.Now) {
		return nil, refuse("invoice.period", "it ends at %s: only a month that is over is invoiced", c.Invoice.Period.To.Format(time.RFC3339))
	}
	if !s.LooksSettled(c.Contract, c.Invoice.Period.To, env.Now) {
		return nil, refuse("invoice.period", "it ends at %s, and what was looked at until then may still be recorded", c.Invoice.Period.To.Format(time.RFC3339))
	}
	from := c.Invoice.Period.From.Format(time.RFC3339)
	for _, old := range s.Invoices {
		if old.Contract == c.Contract && old.From == from {
			return nil, ErrNothing
		}
	}
	d := &Decision{}
	d.add(TenantScope(tenant), meter.KindInvoiced, meter.Invoiced{
		Number: c.Invoice.Number, Contract: c.Contract, From: from, To: c.Invoice.Period.To.Format(time.RFC3339),
		Currency: c.Invoice.Currency, Total: c.Invoice.Total, Statement: d.body(c.Statement),
	})
	return d, nil
}

// NextInvoiceNumber is the number of a tenant's next invoice.
func (s *State) NextInvoiceNumber(tenant string) string {
	count := 0
	for _, i := range s.Invoices {
		if i.Tenant == tenant {
			count++
		}
	}
	return fmt.Sprintf("%s-%04d", tenant, count+1)
}

func (s *State) applyInvoiced(e *ledger.Entry, b meter.Invoiced, _ Bodies) error {
	k, ok := s.Contracts[b.Contract]
	if !ok {
		return fmt.Errorf("no contract %q", b.Contract)
	}
	s.Invoices = append(s.Invoices, Invoice{Invoiced: b, Tenant: k.Current().Tenant, At: e.Time})
	return nil
}

func (s *State) applyClosed(e *ledger.Entry, b contract.Closed, _ Bodies) error {
	k, ok := s.Contracts[b.Contract]
	if !ok {
		return fmt.Errorf("no contract %q", b.Contract)
	}
	k.Closed = e.Time
	return nil
}

// OpenPeriods lists the months of a contract, in its own time zone, that are
// over and have no invoice yet, oldest first.
func (s *State) OpenPeriods(contractID string, now time.Time) []meter.Period {
	k, ok := s.Contracts[contractID]
	if !ok {
		return nil
	}
	c := k.Current()
	issued := map[string]bool{}
	for _, i := range s.Invoices {
		if i.Contract == contractID {
			issued[i.From] = true
		}
	}
	var open []meter.Period
	zone := c.Location()
	for at := c.Begin.In(zone); at.Before(now) && at.Before(c.End); {
		p := meter.MonthOf(c, at)
		if p.To.After(now) {
			break
		}
		if !issued[p.From.Format(time.RFC3339)] {
			open = append(open, p)
		}
		at = p.To.In(zone)
	}
	return open
}

// UsageEvents is what the meter folds for a contract: its leases' events in
// scope order.
func (s *State) UsageEvents(contractID string) []meter.Event {
	var events []meter.Event
	for _, l := range s.Leases {
		if l.Contract == contractID {
			events = append(events, l.Events...)
		}
	}
	return events
}
