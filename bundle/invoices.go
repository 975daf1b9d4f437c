package bundle

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"bulkhead/claim"
	"bulkhead/meter"
)

// InvoiceType is the predicate type of a signed invoice.
const InvoiceType = "bulkhead/invoice/1"

// InvoiceReport is one invoice with what rating it again came to.
type InvoiceReport struct {
	Number     string       `json:"number"`
	Contract   string       `json:"contract"`
	From       string       `json:"from"`
	To         string       `json:"to"`
	Currency   string       `json:"currency"`
	Total      string       `json:"total"`
	Lines      int          `json:"lines"`
	Entry      uint64       `json:"entry"`
	Statement  claim.Digest `json:"statement"`
	Recomputed bool         `json:"recomputed"` // every byte follows from contract and entries
	// Silence is the stretches in which nobody looked, as the invoice says them; LooksFrom
	// is set where silence began to count in its month only.
	Silence   []meter.Silence `json:"silence,omitempty"`
	LooksFrom time.Time       `json:"looks_from,omitzero"`
}

// invoiceSays is what a signed invoice says.
type invoiceSays struct {
	invoice *meter.Invoice
	encoded []byte
	subject string // digest of the encoding, as the statement's subject names it
}

var invoiceShape = claim.ShapeOf[meter.Invoice]()

func (v *verifier) readInvoice(o *opened, b *unnamedBody) (*invoiceSays, error) {
	s, err := v.signed(o, b, claim.PurposeInvoice, InvoiceType)
	if err != nil {
		return nil, err
	}
	plain := unescaped(s.Predicate)
	weight, err := v.budget.weigh(invoiceShape, plain, "an invoice")
	if err != nil {
		return nil, err
	}
	v.budget.keep(weight+int64(len(plain)), "an invoice")
	i, err := meter.DecodeInvoice(plain)
	if err != nil {
		return nil, err
	}
	if len(s.Subject) != 1 || s.Subject[0].Name != i.Number {
		return nil, errors.New("the statement is not about the invoice in it")
	}
	return &invoiceSays{i, i.Encode(), s.Subject[0].Digest["sha256"]}, nil
}

// invoiced judges an invoice: its number, its entry, and every byte of it.
func (v *verifier) invoiced(b *meter.Invoiced) {
	at, subject := v.at, "invoice "+b.Number
	v.number++
	if want := fmt.Sprintf("%s-%04d", v.tenant, v.number); b.Number != want {
		v.fail(at, CheckInvoiceNumber, subject, "expected %s: numbers have no gap", want)
	}
	report := &InvoiceReport{Number: b.Number, Contract: b.Contract, From: b.From, To: b.To, Currency: b.Currency, Total: b.Total, Entry: at.entry, Statement: b.Statement}
	v.budget.keep(perInvoice+2*weightOf([]string{b.Number, b.Contract, b.From, b.To, b.Currency, b.Total}), "an invoice")
	v.invoices = append(v.invoices, report)
	k := v.contracts[b.Contract]
	if k == nil {
		v.fail(at, CheckContract, subject, "contract %q is not in force", b.Contract)
		return
	}
	from, _ := time.Parse(time.RFC3339, b.From) // one that does not parse is not the invoice's own
	if was, twice := k.billed[from.Unix()]; twice {
		v.fail(at, CheckInvoiceTwice, subject, "%s has invoiced the month from %s before", was, b.From)
	}
	k.billed[from.Unix()] = b.Number
	o := v.opened[b.Statement]
	v.issued[b.Number] = issuedLog{b.Contract, o}
	if o == nil {
		v.fail(at, CheckEvidence, subject, "it has no statement")
		return
	}
	if !o.there {
		return
	}
	v.budget.spend(4*len(k.leases), "an invoice")
	v.budget.keep(160*int64(len(k.leases)), "an invoice")
	fabrics := v.looksClosed(k, b)
	told := v.told[:len(v.told):len(v.told)]
	notes := k.notes[:len(k.notes):len(k.notes)]
	versions, events, issued := k.versions[:len(k.versions):len(k.versions)], k.events[:len(k.events):len(k.events)], v.time
	v.later(func() {
		if o.err != nil {
			v.fail(at, v.unread(o, CheckInvoice), subject, "%v", o.err)
			return
		}
		says, ok := o.says.(*invoiceSays)
		if !ok {
			return // named as something else: that was found before
		}
		i := says.invoice
		report.Lines, report.Silence, report.LooksFrom = len(i.Lines), i.Silence, i.LooksFrom
		if i.Number != b.Number || i.Contract != b.Contract || i.Tenant != v.tenant || i.Currency != b.Currency || i.Total != b.Total ||
			!sameTime(b.From, i.Period.From) || !sameTime(b.To, i.Period.To) || i.Period.To.After(issued) {
			v.fail(at, CheckInvoiceEntry, subject, "the entry says %s %s for %s until %s, the invoice %s %s for %s until %s",
				b.Total, b.Currency, b.From, b.To, i.Total, i.Currency, stamp(i.Period.From), stamp(i.Period.To))
		}
		v.spendOnInvoice(versions, events, told, len(fabrics), v.earlier[b.Contract], len(notes)+1)
		if difference := v.recompute(says, meter.Input{
			Versions: versions, Events: events, Period: i.Period, Number: i.Number, Earlier: v.earlier[b.Contract], Fabrics: fabrics, Notes: notes,
		}, told); difference != "" {
			v.fail(at, CheckInvoice, subject, "%s", difference)
		} else {
			report.Recomputed = true
		}
		if v.earlier == nil {
			v.earlier = map[string][]*meter.Invoice{}
		}
		v.earlier[b.Contract] = append(v.earlier[b.Contract], i)
	})
}

// recompute rates an invoice again from the log's own entries and says how the
// two differ; "" when every byte is the same.
func (v *verifier) recompute(says *invoiceSays, in meter.Input, told []toldLooks) string {
	signed := says.invoice
	var missed string
	if in.Looks, missed = looksUntil(told, signed); missed != "" {
		return missed
	}
	// An entry written while the invoice was being rated may be missing in it,
	// if it is about the time after the period.
	used := in.Events
	for i, e := range in.Events {
		if e.Entry <= signed.Through {
			continue
		}
		if e.At.Before(signed.Period.To) {
			return fmt.Sprintf("it takes entries up to %d into account; entry %d is about its period as well", signed.Through, e.Entry)
		}
		used = in.Events[:i]
		break
	}
	in.Events = used
	again, err := meter.RateInput(in)
	if err != nil {
		return fmt.Sprintf("it can't be rated again: %v", err)
	}
	encoded := again.Encode()
	if digest := claim.DigestOf(encoded); bytes.Equal(encoded, says.encoded) && says.subject == hex.EncodeToString(digest[:]) {
		return ""
	}
	for _, l := range again.Lines {
		if _, there := signed.Line(l.ID); !there {
			return fmt.Sprintf("line %s of %s is missing", l.ID, l.Amount)
		}
	}
	for _, l := range signed.Lines {
		if _, there := again.Line(l.ID); !there {
			return fmt.Sprintf("line %s of %s follows from nothing in the log", l.ID, l.Amount)
		}
	}
	for i := range min(len(again.Lines), len(signed.Lines)) {
		a, _ := json.Marshal(again.Lines[i])
		b, _ := json.Marshal(signed.Lines[i])
		if !bytes.Equal(a, b) {
			if x, y := signed.Lines[i], again.Lines[i]; x.ID == y.ID && x.Amount == y.Amount {
				return fmt.Sprintf("line %s: its amount is right, its text, formula, clause or entries (%.200s; %.200s by the log) are not", x.ID, x.Entries, y.Entries)
			}
			return fmt.Sprintf("line %s: it says %s, the log gives %s for line %s", signed.Lines[i].ID, signed.Lines[i].Amount, again.Lines[i].Amount, again.Lines[i].ID)
		}
	}
	return fmt.Sprintf("its total is %s, the log gives %s; its usage or its head differs", signed.Total, again.Total)
}

func sameTime(text string, t time.Time) bool {
	parsed, err := time.Parse(time.RFC3339, text)
	return err == nil && parsed.Equal(t)
}
