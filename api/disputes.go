package api

import (
	"context"
	"fmt"
	"math/big"
	"strings"
	"time"

	"connectrpc.com/connect"

	v1 "bulkhead/api/bulkheadv1"
	"bulkhead/book"
	"bulkhead/meter"
)

// signedInvoice is an invoice that the caller may see, as it was signed.
func (s *service) signedInvoice(ctx context.Context, number string) (*meter.Invoice, error) {
	entry, err := s.invoice(ctx, number)
	if err != nil {
		return nil, err
	}
	i, err := s.plane.Invoice(ctx, entry.Statement)
	if err != nil {
		return nil, connect.NewError(connect.CodeInternal, err)
	}
	return i, nil
}

// dispute is the command that a request asks for.
func (s *service) dispute(ctx context.Context, m *v1.DisputeLineRequest) (book.Deed, error) {
	i, err := s.signedInvoice(ctx, m.Number)
	if err != nil {
		return nil, err
	}
	c := book.DisputeLine{Invoice: i, Line: m.Line, Reason: m.Reason, By: actor(caller(ctx))}
	if m.Evidence != "" {
		if err := c.Evidence.UnmarshalText([]byte(m.Evidence)); err != nil {
			return nil, badField("evidence", err)
		}
	}
	c.Assured, err = assured(ctx, m.Assured)
	return c, err
}

// DisputeLine holds one line of an invoice.
func (s *service) DisputeLine(ctx context.Context, r *connect.Request[v1.DisputeLineRequest]) (*connect.Response[v1.Done], error) {
	c, err := s.dispute(ctx, r.Msg)
	if err != nil {
		return nil, err
	}
	r.Msg.Assured = nil // as of PerformAct
	return s.submit(ctx, r.Msg, c)
}

// settle is the command that a request asks for.
func (s *service) settle(ctx context.Context, m *v1.SettleDisputeRequest) (book.Deed, error) {
	i, err := s.signedInvoice(ctx, m.Number)
	if err != nil {
		return nil, err
	}
	if m.Refuse == (m.Credit != "") {
		return nil, &book.Refusal{Field: "credit", Reason: "expected an amount, or that it is refused"}
	}
	c := book.SettleDispute{Invoice: i, Line: m.Line, Credit: m.Credit, Reason: m.Reason, By: actor(caller(ctx))}
	c.Assured, err = assured(ctx, m.Assured)
	return c, err
}

// SettleDispute answers a dispute.
func (s *service) SettleDispute(ctx context.Context, r *connect.Request[v1.SettleDisputeRequest]) (*connect.Response[v1.Done], error) {
	c, err := s.settle(ctx, r.Msg)
	if err != nil {
		return nil, err
	}
	r.Msg.Assured = nil
	return s.submit(ctx, r.Msg, c)
}

// disputes is what is said of an invoice after it was issued: of one line, or of all.
func (s *service) disputes(number, line string) (list []*v1.Dispute, text string) {
	var found []meter.Dispute
	s.plane.View(func(b *book.State) { found = b.DisputesOf(number) })
	var p strings.Builder
	held := new(big.Rat)
	digits := 0
	for i := range found {
		d := &found[i]
		if line != "" && d.Line != line {
			continue
		}
		one := &v1.Dispute{Line: d.Line, Held: d.Contested, Currency: d.Currency, Reason: d.Reason, By: d.Signed.By, At: d.At.UTC().Format(time.RFC3339), Outcome: "open"}
		if !d.Evidence.IsZero() {
			one.Evidence = d.Evidence.String()
		}
		if d.Settled != nil {
			one.Outcome, one.Answer, one.Note, one.Credit = d.Settled.Outcome, d.Settled.Reason, d.Settled.Note, d.Settled.Total
		} else if r, ok := new(big.Rat).SetString(d.Contested); ok {
			held.Add(held, r)
			if _, fraction, point := strings.Cut(d.Contested, "."); point {
				digits = len(fraction)
			}
		}
		list = append(list, one)
		p.WriteString(d.Text())
	}
	if len(list) == 0 {
		return nil, ""
	}
	head := "Disputes: lines that the tenant has disputed"
	if held.Sign() > 0 {
		head += fmt.Sprintf("; %s is held until they are settled", held.FloatString(digits))
	}
	return list, "\n" + head + "\n" + p.String()
}
