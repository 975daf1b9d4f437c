package meter

import (
	"strings"
	"testing"
	"time"

	"bulkhead/contract"
	"bulkhead/examples"
)

// TestFinalStatement: the last invoice of a contract that a tenant leaves early has the
// fee, taxed, and what is left of the prepayment, which is not; the balance ends at 0.
func TestFinalStatement(t *testing.T) {
	data, err := examples.Files.ReadFile("small/tidewater.yaml")
	if err != nil {
		t.Fatal(err)
	}
	c, err := contract.Parse("tidewater.yaml", data)
	if err != nil {
		t.Fatal(err)
	}
	c.Termination = append(c.Termination, contract.Right{When: contract.WhenEarly, Remedy: contract.RemedyTerminate, By: contract.Tenant, Fee: "0.1", Clause: "7.9"})
	loc, _ := contract.Zone(c.TimeZone)
	out, err := c.Perform(contract.Asked{Act: contract.ActTerminateEarly, Party: contract.Tenant, Given: time.Date(2026, 6, 10, 9, 0, 0, 0, loc)})
	if err != nil {
		t.Fatal(err)
	}
	bill := func(month time.Month) *Invoice {
		period, err := Month(c.TimeZone, 2026, month)
		if err != nil {
			t.Fatal(err)
		}
		i, err := Rate([]*contract.Contract{c, out.Next}, nil, period, "N-1")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := DecodeInvoice(i.Encode()); err != nil {
			t.Fatal(err)
		}
		return i
	}
	if may := bill(time.May); may.Prepaid == nil || may.Prepaid.Drawn != "8000.00" || may.Prepaid.Left != "88000.00" || may.Prepaid.Refunded != "" {
		t.Errorf("in May: %+v", may.Prepaid)
	}
	june := bill(time.June)
	fee, _ := june.Line("early-end")
	refund, _ := june.Line("prepaid-refund")
	tax, _ := june.Line("tax")
	if fee.Amount == "" || fee.Amount != string(out.Next.Ending.Fee) && !strings.HasPrefix(fee.Amount, string(out.Next.Ending.Fee)) || refund.Amount != "-80000.00" || fee.Clause != "7.9" {
		t.Errorf("fee %+v, refund %+v, ending %+v", fee, refund, out.Next.Ending)
	}
	if untaxed, _ := june.Line("storage/scratch"); tax.Amount == "" || untaxed.ID != "" && tax.Quantity == untaxed.Amount {
		t.Errorf("the fee is not taxed: %+v", tax)
	}
	if p := june.Prepaid; p == nil || p.Paid != "96000.00" || p.Drawn != "16000.00" || p.Refunded != "80000.00" || p.Left != "0.00" {
		t.Errorf("in June: %+v", june.Prepaid)
	}
	if text := june.Text(); !strings.Contains(text, "Prepaid: where what was paid in advance stands") {
		t.Errorf("the page does not say where the prepayment stands:\n%s", text)
	}
}
