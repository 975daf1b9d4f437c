package book_test

import (
	"testing"

	"bulkhead/book"
	"bulkhead/contract"
	"bulkhead/meter"
	"bulkhead/run"
)

// tellActs tells of acts under a contract for which the story has no occasion: nothing
// comes late enough, and nobody leaves early.
func (g *golden) tellActs(t *testing.T, plane *run.Plane) {
	t.Helper()
	var c *contract.Contract
	plane.View(func(s *book.State) { c = s.Contracts["flagship"].Current().Clone() })
	c.Termination = append(c.Termination,
		contract.Right{When: contract.WhenEarly, Remedy: contract.RemedyTerminate, By: contract.Tenant, Fee: "0.5", Clause: "8.9"},
		contract.Right{When: contract.WhenLate, Remedy: contract.RemedyReduce, By: contract.Tenant, Clause: "8.8"})
	given := g.entries[len(g.entries)-1].Time
	for _, act := range []contract.Act{contract.ActReduce, contract.ActTerminateEarly} {
		out, err := c.Perform(contract.Asked{Act: act, Party: contract.Tenant, Given: given, Missing: []contract.Missing{{Tranche: c.Tranches[0].ID, Slots: 1}}})
		must(t, err)
		kind, slots := contract.KindReduced, "0"
		if act != contract.ActReduce {
			kind, slots = contract.KindTerminated, ""
		}
		g.append(t, book.TenantScope(c.Tenant), kind, contract.Acted{
			Contract: out.Next.Encode(), Act: act, Given: given, Ends: out.Next.End, By: "officer", Clause: out.Preview.Clause, Tranche: out.Preview.Tranche, Slots: slots,
			Preview: out.Preview.Digest(), Signed: contract.Signature{Party: contract.Tenant, By: "officer, administrator"},
		})
		c = out.Next
	}
	var issued book.Invoice
	plane.View(func(s *book.State) { issued = s.Invoices[0] })
	i, err := plane.Invoice(t.Context(), issued.Statement)
	must(t, err)
	line, scope := i.Lines[0].ID, book.TenantScope(issued.Tenant)
	held, err := i.Contested(line)
	must(t, err)
	note, err := i.Credit(line, "1.00", nil)
	must(t, err)
	note.Note, note.Reason, note.Signed = book.NoteNumber(issued.Tenant, 1), "as measured", contract.Signature{Party: contract.Owner, By: "finance on duty, finance"}
	g.append(t, scope, meter.KindDisputed, meter.Disputed{
		Number: i.Number, Line: line, Contested: held, Currency: i.Currency, Reason: "it was down", Signed: contract.Signature{Party: contract.Tenant, By: "officer, administrator"},
	})
	g.append(t, scope, meter.KindSettled, note)
}
