package run

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"bulkhead/book"
	"bulkhead/bundle"
	"bulkhead/claim"
	"bulkhead/meter"
)

// IssueInvoices rates every month that is over and has no invoice yet. Rating
// runs outside the writer, on a copy of the events.
func (p *Plane) IssueInvoices(ctx context.Context) (issued int, err error) {
	for {
		c, in := p.nextInvoice()
		if c == "" {
			return issued, nil
		}
		number := in.Number
		in.Earlier, err = p.earlierInvoices(ctx, c)
		if err != nil {
			return issued, err
		}
		invoice, err := meter.RateInput(in)
		if err != nil {
			return issued, fmt.Errorf("invoice %s: %w", number, err)
		}
		signed, err := p.signInvoice(invoice)
		if err != nil {
			return issued, err
		}
		_, err = p.Submit(ctx, "", book.IssueInvoice{Contract: c, Invoice: invoice, Statement: signed})
		if err != nil && !errors.Is(err, book.ErrNothing) {
			return issued, err
		}
		issued++
	}
}

// nextInvoice is the oldest open month of a contract of which nothing more can be said.
func (p *Plane) nextInvoice() (id string, in meter.Input) {
	now := p.config.Clock.Now()
	p.View(func(s *book.State) {
		for _, contractID := range s.ContractIDs() {
			open := s.OpenPeriods(contractID, now)
			if len(open) == 0 || !s.LooksSettled(contractID, open[0].To, now) {
				continue
			}
			k := s.Contracts[contractID]
			id = contractID
			in = meter.Input{
				Versions: slices.Clone(k.Versions), Events: s.UsageEvents(contractID), Period: open[0], Number: s.NextInvoiceNumber(k.Current().Tenant), Notes: s.NotesOf(contractID),
			}
			in.Looks, in.Fabrics = s.LooksOf(contractID)
			return
		}
	})
	return id, in
}

// invoicesWait says whether a month is over of which something may still be recorded.
func (p *Plane) invoicesWait() (wait bool) {
	now := p.config.Clock.Now()
	p.View(func(s *book.State) { wait = waiting(s, now) })
	return wait
}

func waiting(s *book.State, now time.Time) bool {
	for _, id := range s.ContractIDs() {
		if open := s.OpenPeriods(id, now); len(open) > 0 && !s.LooksSettled(id, open[0].To, now) {
			return true
		}
	}
	return false
}

// earlierInvoices reads the invoices of a contract that were issued: late
// evidence about their months becomes correction lines of the next one.
func (p *Plane) earlierInvoices(ctx context.Context, contractID string) ([]*meter.Invoice, error) {
	var statements []claim.Digest
	p.View(func(s *book.State) {
		for _, i := range s.Invoices {
			if i.Contract == contractID {
				statements = append(statements, i.Statement)
			}
		}
	})
	var earlier []*meter.Invoice
	for _, digest := range statements {
		i, err := p.Invoice(ctx, digest)
		if err != nil {
			return nil, err
		}
		earlier = append(earlier, i)
	}
	return earlier, nil
}

// Invoice reads an issued invoice out of its signed statement.
func (p *Plane) Invoice(ctx context.Context, statement claim.Digest) (*meter.Invoice, error) {
	body, err := p.w.log.Body(ctx, statement)
	if err != nil {
		return nil, err
	}
	predicate, err := claim.Peek(body)
	if err != nil {
		return nil, err
	}
	return meter.DecodeInvoice(predicate)
}

func (p *Plane) signInvoice(i *meter.Invoice) ([]byte, error) {
	signer, err := p.config.Signers.Statement(claim.PurposeInvoice)
	if err != nil {
		return nil, err
	}
	encoded := i.Encode()
	statement, err := claim.NewStatement(i.Number, claim.DigestOf(encoded), bundle.InvoiceType, rawJSON(encoded))
	if err != nil {
		return nil, err
	}
	return claim.Sign(statement, signer)
}

// rawJSON keeps an encoding as it is inside a statement.
type rawJSON []byte

// MarshalJSON returns the encoding itself.
func (r rawJSON) MarshalJSON() ([]byte, error) { return r, nil }
