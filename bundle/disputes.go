package bundle

import (
	"fmt"

	"bulkhead/claim"
	"bulkhead/contract"
	"bulkhead/meter"
)

// disputeLog is one line of an invoice that was disputed.
type disputeLog struct{ number, line string }

// disputeState is where its disputes stand.
type disputeState struct {
	open   bool
	before int // that were settled
}

// issuedLog is an invoice as far as disputes need it.
type issuedLog struct {
	contract  string
	statement *opened
}

// whoActed refuses an act of the party that the terms don't give it to.
func (v *verifier) whoActed(contractID string, act contract.Act, s contract.Signature, subject string) {
	k := v.contracts[contractID]
	if k == nil {
		return // that was found before
	}
	v.budget.spend(8+len(k.current().Termination), "acts")
	if err := k.current().May(act, s.Party); err != nil {
		v.fail(v.at, CheckAct, subject, "%v", err)
	}
}

// disputed holds a line.
func (v *verifier) disputed(b *meter.Disputed) {
	subject := fmt.Sprintf("line %.80q of invoice %.80q", b.Line, b.Number)
	i, known := v.issued[b.Number]
	key := disputeLog{b.Number, b.Line}
	if !known || v.disputes[key].open {
		v.fail(v.at, CheckDispute, subject, "it is disputed, and no such invoice was issued, or it is disputed already")
		return
	}
	v.whoActed(i.contract, contract.ActDispute, b.Signed, subject)
	v.budget.keep(perLabel+2*int64(len(b.Line)+len(b.Number)), "disputes")
	before := v.disputes[key].before
	v.disputes[key] = disputeState{true, before}
	v.done(deed{
		act: contract.ActDispute, contract: i.contract, about: subject, party: b.Signed.Party, by: b.Signed.By, preview: b.Preview, assent: b.Assent,
		shown: func() claim.Digest { return b.Shown(i.contract, before).Digest() },
	})
	at := v.at
	v.says(i, func(signed *meter.Invoice) {
		if held, err := signed.Contested(b.Line); err != nil || held != b.Contested || b.Currency != signed.Currency {
			v.fail(at, CheckDispute, subject, "the entry holds %.40q %.10q, the line %s %s (%v)", b.Contested, b.Currency, held, signed.Currency, err)
		}
	})
}

// disputeSettled judges the outcome of a dispute: a credit note of no more than the line
// has left, or a refusal, by the owner.
func (v *verifier) disputeSettled(b *meter.Settled) {
	subject := fmt.Sprintf("line %.80q of invoice %.80q", b.Line, b.Number)
	i, known := v.issued[b.Number]
	key := disputeLog{b.Number, b.Line}
	if !known || !v.disputes[key].open {
		v.fail(v.at, CheckDispute, subject, "it is settled, and it was not disputed")
		return
	}
	v.whoActed(i.contract, contract.ActSettle, b.Signed, subject)
	v.disputes[key] = disputeState{false, v.disputes[key].before + 1}
	v.done(deed{
		act: contract.ActSettle, contract: i.contract, about: subject, party: b.Signed.Party, by: b.Signed.By, preview: b.Preview,
		shown: func() claim.Digest { return b.Shown(i.contract).Digest() },
	})
	if b.Outcome == meter.Refused {
		if b.Note+b.Net+b.Tax+b.Total != "" {
			v.fail(v.at, CheckDispute, subject, "it is refused, and gives %.40q back", b.Total)
		}
		return
	}
	v.noteNumber++
	if want := fmt.Sprintf("%s-credit-%04d", v.tenant, v.noteNumber); b.Note != want || b.Outcome != meter.Credited {
		v.fail(v.at, CheckDispute, subject, "outcome %.40q by credit note %.80q, expected %s: numbers have no gap", b.Outcome, b.Note, want)
	}
	k := v.contracts[i.contract]
	if k == nil {
		return
	}
	at, before := v.at, k.notes[:len(k.notes):len(k.notes)]
	v.budget.spend(20+8*len(before), "credit notes")
	v.budget.keep(perLabel+2*int64(len(b.Line)+len(b.Number)+len(b.Net)), "credit notes")
	k.notes = append(k.notes, meter.GivenBack{Entry: at.entry, Number: b.Number, Line: b.Line, Net: b.Net})
	v.says(i, func(signed *meter.Invoice) {
		again, err := signed.Credit(b.Line, b.Net, before)
		if err != nil || again.Tax != b.Tax || again.Total != b.Total || again.Currency != b.Currency {
			v.fail(at, CheckDispute, subject, "credit note %.80q gives back %.40q with tax %.40q, the invoice gives %q with tax %q (%v)", b.Note, b.Total, b.Tax, again.Total, again.Tax, err)
		}
	})
}

// says calls judge with what an invoice's statement says, once it is read.
func (v *verifier) says(i issuedLog, judge func(*meter.Invoice)) {
	v.later(func() {
		if i.statement == nil || !i.statement.there || i.statement.err != nil {
			return // that was found before
		}
		if signed, ok := i.statement.says.(*invoiceSays); ok {
			v.budget.spend(16*len(signed.invoice.Lines), "disputes")
			judge(signed.invoice)
		}
	})
}
