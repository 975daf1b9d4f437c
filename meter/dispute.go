package meter

import (
	"fmt"
	"math/big"
	"strings"
	"time"

	"bulkhead/claim"
	"bulkhead/contract"
)

// The entry kinds of disputes, in the tenant's scope.
const (
	KindDisputed = "invoice.disputed/1"
	KindSettled  = "dispute.settled/1"
)

// Disputed holds one line of an invoice, and nothing else of it, until it is settled.
type Disputed struct {
	Number    string             `json:"number"`
	Line      string             `json:"line"`
	Contested string             `json:"held"` // of what is payable: the line with its tax; 0 where it is a credit
	Currency  string             `json:"currency"`
	Reason    string             `json:"reason"`
	Evidence  claim.Digest       `json:"evidence,omitzero"` // of what the tenant has against it, which it keeps
	Signed    contract.Signature `json:"signed"`

	Preview claim.Digest           `json:"preview,omitzero"` // of what was shown before, and confirmed
	Assent  *contract.SignedAssent `json:"assent,omitempty"` // the tenant's, where it has registered a key
}

// Shown is what a dispute comes to; before is how many of the same line were settled.
func (d *Disputed) Shown(contractID string, before int) *contract.ActSheet {
	n := contract.NewActSheet(contract.ActDispute, contract.Tenant, contractID)
	n.Add("invoice", "%s", d.Number).Add("line", "%s", d.Line).Add("reason", "%s", d.Reason)
	if !d.Evidence.IsZero() {
		n.Add("evidence", "%s", d.Evidence)
	}
	n.Add("held", "%s %s, with its tax, until finance gives back what it owes or refuses; every other line stays due", d.Contested, d.Currency)
	if before > 0 {
		n.Add("before", "disputed and settled %d times", before)
	}
	return n
}

// What a dispute comes to.
const (
	Credited = "credited"
	Refused  = "refused"
)

// Settled answers a dispute: by a credit note, which the entry is, or by a refusal.
type Settled struct {
	Number   string             `json:"number"`
	Line     string             `json:"line"`
	Outcome  string             `json:"outcome"`
	Reason   string             `json:"reason"`
	Note     string             `json:"note,omitempty"`  // number of the credit note; a tenant's have no gaps
	Net      string             `json:"net,omitempty"`   // what is given back of the line
	Tax      string             `json:"tax,omitempty"`   // what is given back of the tax on it
	Total    string             `json:"total,omitempty"` // both
	Currency string             `json:"currency"`
	Signed   contract.Signature `json:"signed"`

	Preview claim.Digest `json:"preview,omitzero"` // of what was shown before, and confirmed
}

// Shown is what an answer to a dispute comes to.
func (s *Settled) Shown(contractID string) *contract.ActSheet {
	n := contract.NewActSheet(contract.ActSettle, contract.Owner, contractID)
	n.Add("invoice", "%s", s.Number).Add("line", "%s", s.Line).Add("reason", "%s", s.Reason)
	if s.Outcome == Refused {
		return n.Add("outcome", "refused: the line stays due, and the tenant is told why; it can't be taken back")
	}
	return n.Add("outcome", "%s %s are given back by a credit note, %s of it tax; it can't be taken back", s.Total, s.Currency, s.Tax)
}

// GivenBack is what a credit note has given back of a line. Late evidence about that line
// gives it back no second time.
type GivenBack struct {
	Entry  uint64 // scope_seq of the entry that is the note
	Number string // of the invoice
	Line   string
	Net    string
}

// taxed says whether tax is added to a line.
func (l *Line) taxed() bool {
	return l.Kind != LineTax && l.Kind != LinePrepaid && l.Kind != LinePrepaidLeft
}

// taxOn is the tax on an amount of a line, rounded once, at the rate of the invoice.
func (i *Invoice) taxOn(l *Line, net *big.Rat, digits int) *big.Rat {
	at, ok := i.Line("tax")
	if !ok || !l.taxed() {
		return new(big.Rat)
	}
	rate, ok := plainRat(at.Price)
	if !ok {
		return new(big.Rat)
	}
	tax, _ := new(big.Rat).SetString(rate.Mul(rate, net).FloatString(digits))
	return tax
}

// plainRat reads a number of digits and no exponent: one of six digits takes minutes, and
// what an invoice or a note says of somebody else is read from it before it is judged.
func plainRat(text string) (*big.Rat, bool) {
	if len(text) > 40 || strings.Trim(text, "-.0123456789") != "" {
		return nil, false
	}
	return new(big.Rat).SetString(text)
}

// Contested is what a dispute of a line holds of what is payable.
func (i *Invoice) Contested(line string) (string, error) {
	l, net, digits, err := i.disputable(line)
	if err != nil {
		return "", err
	}
	if net.Sign() <= 0 {
		return new(big.Rat).FloatString(digits), nil
	}
	return net.Add(net, i.taxOn(l, net, digits)).FloatString(digits), nil
}

func (i *Invoice) disputable(line string) (l *Line, net *big.Rat, digits int, err error) {
	found, ok := i.Line(line)
	if !ok {
		return nil, nil, 0, fmt.Errorf("invoice %s has no line %.80q", i.Number, line)
	}
	if found.Kind == LineTax {
		return nil, nil, 0, fmt.Errorf("the tax follows from the other lines: dispute the one that is wrong, its tax is held with it")
	}
	net, ok = new(big.Rat).SetString(found.Amount)
	digits, known := contract.Digits(i.Currency)
	if !ok || !known {
		return nil, nil, 0, fmt.Errorf("line %s: amount %.40q of %.20q", line, found.Amount, i.Currency)
	}
	return &found, net, digits, nil
}

// Credit is a credit note of so much of a line: with its tax, and never more than the line
// has left after earlier ones; of a line that is itself a credit, than the invoice charges.
func (i *Invoice) Credit(line, net string, before []GivenBack) (Settled, error) {
	l, amount, digits, err := i.disputable(line)
	if err != nil {
		return Settled{}, err
	}
	give, ok := plainRat(net)
	if !ok || give.Sign() <= 0 || give.FloatString(digits) != net {
		return Settled{}, fmt.Errorf("credit: %.40q: expected an amount above 0 with %d decimals", net, digits)
	}
	most := new(big.Rat).Set(amount)
	if most.Sign() <= 0 {
		most = new(big.Rat)
		for _, other := range i.Lines {
			if a, ok := new(big.Rat).SetString(other.Amount); ok && a.Sign() > 0 && other.taxed() {
				most.Add(most, a)
			}
		}
	}
	for _, n := range before {
		if n.Number == i.Number && n.Line == line {
			if given, ok := plainRat(n.Net); ok {
				most.Sub(most, given)
			}
		}
	}
	if give.Cmp(most) > 0 {
		return Settled{}, fmt.Errorf("credit: %s of line %s, which has %s left", net, line, most.FloatString(digits))
	}
	tax := i.taxOn(l, give, digits)
	return Settled{
		Number: i.Number, Line: line, Outcome: Credited, Net: net, Tax: tax.FloatString(digits),
		Total: new(big.Rat).Add(give, tax).FloatString(digits), Currency: i.Currency,
	}, nil
}

// credited is what credit notes up to an entry have given back of a line.
func credited(notes []GivenBack, through uint64, number, line string) *big.Rat {
	sum := new(big.Rat)
	for _, n := range notes {
		if n.Entry <= through && n.Number == number && n.Line == line {
			if given, ok := plainRat(n.Net); ok {
				sum.Add(sum, given)
			}
		}
	}
	return sum
}

// Dispute is a dispute with where it stands, for pages.
type Dispute struct {
	Disputed
	At      time.Time
	Settled *Settled `json:",omitempty"` // nil: open
}

// Text says where a dispute stands.
func (d *Dispute) Text() string {
	var p strings.Builder
	evidence := ""
	if !d.Evidence.IsZero() {
		evidence = ", evidence " + d.Evidence.String()
	}
	wrap(&p, "    ", fmt.Sprintf("line %s, disputed at %s by %s: %q%s", d.Line, d.At.UTC().Format(time.RFC3339), d.Signed.By, d.Reason, evidence))
	switch s := d.Settled; {
	case s == nil:
		wrap(&p, "    ", fmt.Sprintf("open: %s %s of what is payable is held; the rest of the invoice is not", groupText(d.Contested), d.Currency))
	case s.Outcome == Refused:
		wrap(&p, "    ", fmt.Sprintf("refused by %s: %q", s.Signed.By, s.Reason))
	default:
		wrap(&p, "    ", fmt.Sprintf("credit note %s by %s: %s %s, %s of it tax: %q", s.Note, s.Signed.By, groupText(s.Total), s.Currency, groupText(s.Tax), s.Reason))
	}
	return p.String()
}
