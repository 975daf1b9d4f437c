package book_test

import (
	"testing"
	"time"

	"bulkhead/book"
	"bulkhead/meter"
)

func TestInvoices(t *testing.T) {
	may := func(s *stage) book.IssueInvoice {
		p, err := meter.Month("America/Los_Angeles", 2026, time.May)
		must(t, err)
		return book.IssueInvoice{Contract: "tidewater", Invoice: &meter.Invoice{
			Number: s.NextInvoiceNumber("tidewater"), Contract: "tidewater", Tenant: "tidewater", Period: p, Currency: "USD", Total: "1.00",
		}, Statement: []byte("signed")}
	}
	issue := func(spoil func(s *stage, c *book.IssueInvoice)) func(s *stage) book.Command {
		return func(s *stage) book.Command {
			c := may(s)
			spoil(s, &c)
			return c
		}
	}
	over := func(s *book.State) bool {
		return len(s.Invoices) == 0 && !s.Time.Before(time.Date(2026, 6, 1, 7, 0, 0, 0, time.UTC))
	}
	june := func(s *book.State) bool {
		return over(s) && s.LooksSettled("tidewater", time.Date(2026, 6, 1, 7, 0, 0, 0, time.UTC), s.Time)
	}
	refuseAll(t, []refused{
		{"of no contract", june, issue(func(_ *stage, c *book.IssueInvoice) { c.Contract = "x" }), "contract", "no contract"},
		{"with a gap", june, issue(func(_ *stage, c *book.IssueInvoice) { c.Invoice.Number = "tidewater-0002" }), "invoice.number", "expected tidewater-0001"},
		{"with another tenant's number", june, issue(func(_ *stage, c *book.IssueInvoice) { c.Invoice.Number = "flagship-0001" }), "invoice.number", "expected tidewater-0001"},
		{"of a month that is not over", atRunning, issue(func(*stage, *book.IssueInvoice) {}), "invoice.period", "a month that is over"},
		{"of a month of which looks may still be recorded", over, issue(func(*stage, *book.IssueInvoice) {}), "invoice.period", "may still be recorded"},
		{"of a month that has one", june, issue(func(s *stage, c *book.IssueInvoice) {
			s.fold(t, drafts(s, may(s))...)
			c.Invoice.Number = s.NextInvoiceNumber("tidewater")
		}), "", ""},
	})
	s := on(t, june)
	open := s.OpenPeriods("tidewater", s.now)
	if len(open) != 1 || !open[0].To.Equal(time.Date(2026, 6, 1, 7, 0, 0, 0, time.UTC)) {
		t.Fatalf("open periods %v", open)
	}
	if ahead := s.OpenPeriods("tidewater", s.now.AddDate(0, 2, 1)); len(ahead) != 2 {
		// Notice ends the contract in June: nothing is invoiced behind its end.
		t.Errorf("%d months in August", len(ahead))
	}
	if s.OpenPeriods("x", s.now) != nil {
		t.Error("no contract has open months")
	}
	c := may(s)
	if got := kinds(s.do(t, c)); got != "tenant/tidewater invoice.issued/1" {
		t.Errorf("an invoice is %s", got)
	}
	i := s.Invoices[0]
	if i.Tenant != "tidewater" || i.Number != "tidewater-0001" || !i.At.Equal(s.now) || s.NextInvoiceNumber("tidewater") != "tidewater-0002" || s.NextInvoiceNumber("flagship") != "flagship-0001" {
		t.Errorf("%+v", i)
	}
	if left := s.OpenPeriods("tidewater", s.now); len(left) != 0 {
		t.Errorf("open still: %v", left)
	}
	events := s.UsageEvents("tidewater")
	l, _ := s.LeaseByID("tidewater/w1")
	if len(events) != len(l.Events) || len(events) == 0 || len(s.UsageEvents("flagship")) == len(events) {
		t.Errorf("%d events", len(events))
	}
	for name, kind := range map[string]string{"an invoice": meter.KindInvoiced, "a closing": "contract.closed/1"} {
		if on(t, june).apply("tenant/tidewater", kind, map[string]string{"contract": "x"}) == nil {
			t.Errorf("%s of no contract was folded", name)
		}
	}
}
