package meter

import (
	"fmt"
	"math/big"
	"strings"

	"bulkhead/contract"
)

// PrepaidBalance is where a prepayment stands after an invoice.
type PrepaidBalance struct {
	Paid      string `json:"paid"`  // in advance, in all
	Drawn     string `json:"drawn"` // by this invoice and those before it
	Refunded  string `json:"refunded,omitempty"`
	Forfeited string `json:"forfeited,omitempty"`
	Left      string `json:"left"` // to be drawn, or paid back
}

// final says whether the contract ends in the period, by an act of a party.
func (b *bill) final() bool {
	return b.last.Ending != nil && b.last.End.Unix() <= b.to
}

// endingFee is the fee for leaving early, before tax.
func (b *bill) endingFee() {
	if !b.final() || b.last.Ending.Fee == "" {
		return
	}
	e := b.last.Ending
	exact := e.Fee.Rat()
	b.add(Line{
		ID: "early-end", Kind: LineEarlyEnd, Clause: e.Clause, Text: fmt.Sprintf("Ended early by the %s (%s), for a fee", e.Party, e.Act),
		Formula: b.money(e.Fee), Quantity: "1", Unit: "fee", Price: exact.FloatString(b.digits), Per: "fee",
	}, exact)
}

// prepaidLeft settles what was prepaid and is left when the contract ends early: it is
// paid back, or the owner keeps it, as the contract says.
func (b *bill) prepaidLeft() {
	e := b.last.Ending
	if b.final() && e.Refund != "" {
		exact := e.Refund.Rat()
		b.add(Line{
			ID: "prepaid-refund", Kind: LinePrepaidLeft, Clause: e.Clause,
			Text:    fmt.Sprintf("Left of what was prepaid when the contract ended early (%s, by the %s): paid back", e.Act, e.Party),
			Formula: "- " + b.money(e.Refund), Quantity: "1", Unit: "refund", Price: exact.FloatString(b.digits), Per: "refund",
		}, exact.Neg(exact))
	}
	if b.final() && e.Forfeit != "" {
		b.add(Line{
			ID: "prepaid-forfeit", Kind: LinePrepaidLeft, Clause: e.Clause,
			Text:    fmt.Sprintf("Left of what was prepaid when the contract ended early (%s, by the %s): %s, which the owner keeps", e.Act, e.Party, b.money(e.Forfeit)),
			Formula: "0", Quantity: "1", Unit: "forfeit", Price: new(big.Rat).FloatString(b.digits), Per: "forfeit",
		}, new(big.Rat))
	}
	b.prepaidBalance()
}

func (b *bill) prepaidBalance() {
	p, e := b.last.Prepaid, b.last.Ending
	if p == nil && (e == nil || e.Refund == "" && e.Forfeit == "") {
		return
	}
	paid, drawn, back, kept := new(big.Rat), new(big.Rat), new(big.Rat), new(big.Rat)
	if p != nil {
		paid.Add(paid, p.Amount.Rat())
		for at, n := p.From, 0; n < p.Months && at.Unix() < b.to; n++ {
			drawn.Add(drawn, p.Instalment())
			_, at = contract.MonthOf(b.loc, at)
		}
	}
	if e != nil {
		paid.Add(paid, e.Refund.Rat())
		paid.Add(paid, e.Forfeit.Rat())
		if b.final() {
			back, kept = e.Refund.Rat(), e.Forfeit.Rat()
		}
	}
	text := func(r *big.Rat) string {
		if r.Sign() == 0 {
			return ""
		}
		return r.FloatString(b.digits)
	}
	left := new(big.Rat).Sub(paid, drawn)
	left.Sub(left, back)
	left.Sub(left, kept)
	b.invoice.Prepaid = &PrepaidBalance{
		Paid: paid.FloatString(b.digits), Drawn: drawn.FloatString(b.digits), Refunded: text(back), Forfeited: text(kept), Left: left.FloatString(b.digits),
	}
}

// prepaidText is the balance on the page.
func (i *Invoice) prepaidText(p *strings.Builder) {
	if i.Prepaid == nil {
		return
	}
	p.WriteString("\nPrepaid: where what was paid in advance stands after this invoice\n")
	for _, one := range []struct{ name, amount string }{
		{"paid in advance", i.Prepaid.Paid}, {"drawn down", i.Prepaid.Drawn}, {"paid back", i.Prepaid.Refunded}, {"forfeited", i.Prepaid.Forfeited}, {"left", i.Prepaid.Left},
	} {
		if one.amount != "" {
			p.WriteString(row("    "+one.name, groupText(one.amount)))
		}
	}
}
