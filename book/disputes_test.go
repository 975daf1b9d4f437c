package book_test

import (
	"math/big"
	"strings"
	"testing"

	"bulkhead/book"
	"bulkhead/claim"
	"bulkhead/meter"
)

// billed is an invoice of the golden story's end, rated again as it was issued.
func (s *stage) billed(t *testing.T) *meter.Invoice {
	t.Helper()
	issued := s.Invoices[0]
	i := &meter.Invoice{
		Number: issued.Number, Contract: issued.Contract, Tenant: issued.Tenant, Currency: "USD", Total: issued.Total,
		Lines: []meter.Line{
			{ID: "usage/w1", Kind: meter.LineUsage, Amount: "1000.00"}, {ID: "sla/x", Kind: meter.LineCredit, Amount: "-10.00"},
			{ID: "tax", Kind: meter.LineTax, Amount: "81.68", Price: "0.0825"},
		},
	}
	return i
}

func atInvoice(s *book.State) bool { return len(s.Invoices) > 0 && len(s.Disputes) == 0 }

func TestDisputes(t *testing.T) {
	s := on(t, atInvoice)
	i := s.billed(t)
	tenant := officer("")
	tenant.Tenant = i.Tenant
	dispute := book.DisputeLine{Invoice: i, Line: "usage/w1", Reason: "node 3 was down", Evidence: claim.DigestOf([]byte("a log")), By: tenant}
	settle := book.SettleDispute{Invoice: i, Line: "usage/w1", Credit: "100.01", Reason: "so it was", By: finance}
	refused := func(name string, c book.Command, says string) {
		t.Helper()
		if _, err := s.decide(t, c); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v, expected %q", name, err, says)
		}
	}
	byFinance, byRival, unknown, silent, tax := dispute, dispute, dispute, dispute, dispute
	byFinance.By, byRival.By.Tenant = finance, "nobody"
	unknown.Line, silent.Reason, tax.Line = "usage/w9", "", "tax"
	refused("by the owner", byFinance, "to the tenant only")
	refused("by a rival", byRival, "no contract")
	refused("of no line", unknown, "has no line")
	refused("without a reason", silent, "say what is wrong")
	refused("of the tax", tax, "the tax follows")
	refused("settled before", settle, "no dispute")
	if got := kinds(s.do(t, dispute)); got != "tenant/"+i.Tenant+" invoice.disputed/1" {
		t.Errorf("a dispute is %s", got)
	}
	if d := s.DisputesOf(i.Number)[0]; d.Contested != "1082.50" || d.Settled != nil {
		t.Errorf("%+v, expected the line with its tax to be held", d)
	}
	refused("twice", dispute, "disputed already")
	byTenant, more, less := settle, settle, settle
	byTenant.By, more.Credit, less.Credit = tenant, "1000.01", "1e3"
	refused("settled by the tenant", byTenant, "to the owner only")
	refused("more than the line", more, "has 1000.00 left")
	refused("no amount", less, "expected an amount")
	s.do(t, settle)
	d := s.DisputesOf(i.Number)[0]
	if d.Settled == nil || d.Settled.Note != i.Tenant+"-credit-0001" || d.Settled.Tax != "8.25" || d.Settled.Total != "108.26" {
		t.Errorf("%+v", d.Settled)
	}
	// Again: only what the line has left.
	s.do(t, dispute)
	settle.Credit = "900.00"
	refused("more than is left", settle, "has 899.99 left")
	settle.Credit = ""
	s.do(t, settle)
	if d := s.DisputesOf(i.Number)[1]; d.Settled.Outcome != meter.Refused || d.Settled.Note != "" || len(s.NotesOf(i.Contract)) != 1 {
		t.Errorf("%+v", d.Settled)
	}
	// A line that is itself a credit holds nothing.
	dispute.Line = "sla/x"
	s.do(t, dispute)
	if d := s.DisputesOf(i.Number)[2]; d.Contested != "0.00" {
		t.Errorf("a credit holds %s", d.Contested)
	}
	if sum, _ := new(big.Rat).SetString(s.Notes[0].Net); sum.FloatString(2) != "100.01" {
		t.Errorf("%+v", s.Notes)
	}
}
