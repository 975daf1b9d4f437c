package api

import (
	"context"
	"slices"

	"connectrpc.com/connect"

	v1 "bulkhead/api/bulkheadv1"
	"bulkhead/book"
	"bulkhead/contract"
)

// ListActs is the table of acts for one contract: who may do what, by its terms.
func (s *service) ListActs(ctx context.Context, r *connect.Request[v1.ContractRef]) (*connect.Response[v1.Acts], error) {
	out, by, found := &v1.Acts{}, actor(caller(ctx)), false
	s.plane.View(func(b *book.State) {
		k, ok := b.Contracts[r.Msg.Contract]
		if found = ok && mayRead(ctx, k.Current().Tenant); !found {
			return
		}
		for _, rule := range contract.Acts() {
			parties, clause := rule.Parties(k.Current())
			one := &v1.ActRight{Act: string(rule.Act), Says: rule.Says, Parties: parties, Clause: clause, Confirmed: rule.Confirm}
			for _, p := range parties {
				one.Roles = append(one.Roles, contract.RoleOf(p))
			}
			one.Yours = slices.Contains(parties, by.Party()) && by.Role == contract.RoleOf(by.Party())
			out.Acts = append(out.Acts, one)
		}
	})
	if !found {
		return nil, missing("contract", r.Msg.Contract)
	}
	return connect.NewResponse(out), nil
}

// act is the command that a request asks for.
func (s *service) act(ctx context.Context, m *v1.ActRequest) (book.PerformAct, error) {
	known := false
	s.plane.View(func(b *book.State) {
		k, ok := b.Contracts[m.Contract]
		known = ok && mayRead(ctx, k.Current().Tenant)
	})
	c := book.PerformAct{Contract: m.Contract, Act: contract.Act(m.Act), Tranche: m.Tranche, By: actor(caller(ctx))}
	if !known {
		return c, missing("contract", m.Contract)
	}
	with, err := assured(ctx, m.Assured)
	if err != nil {
		return c, err
	}
	c.Assured = with
	if m.Confirmed != "" {
		if err := c.Confirmed.UnmarshalText([]byte(m.Confirmed)); err != nil {
			return c, badField("confirmed", err)
		}
	}
	return c, nil
}

// assured reads what goes with an act that was looked at before.
func assured(ctx context.Context, m *v1.Assured) (with book.Assured, err error) {
	if m == nil {
		return with, nil
	}
	if m.Confirmed != "" {
		if err := with.Confirmed.UnmarshalText([]byte(m.Confirmed)); err != nil {
			return with, badField("confirmed", err)
		}
	}
	with.Assent, err = assentOf(ctx, m.Assent, m.Signature)
	return with, err
}

// deed is the command that a request for a preview is about.
func (s *service) deed(ctx context.Context, m *v1.ActRequest) (book.Deed, error) {
	wrong := func(given bool) error {
		if given && m.Contract == "" {
			return nil
		}
		return &book.Refusal{Field: "act", Reason: "expected what the act is about, and nothing else, beside its name"}
	}
	switch contract.Act(m.Act) {
	case contract.ActDispute:
		if err := wrong(m.Dispute != nil); err != nil {
			return nil, err
		}
		return s.dispute(ctx, m.Dispute)
	case contract.ActSettle:
		if err := wrong(m.Settle != nil); err != nil {
			return nil, err
		}
		return s.settle(ctx, m.Settle)
	case contract.ActAcknowledge:
		if err := wrong(m.Acknowledge != nil); err != nil {
			return nil, err
		}
		return s.acknowledge(ctx, m.Acknowledge)
	case contract.ActConsent:
		if err := wrong(m.Consent != nil); err != nil {
			return nil, err
		}
		return s.consent(ctx, m.Consent)
	}
	return s.act(ctx, m)
}

// PreviewAct says when an act would take effect and what it would cost. It does nothing.
func (s *service) PreviewAct(ctx context.Context, r *connect.Request[v1.ActRequest]) (*connect.Response[v1.ActPreview], error) {
	if r.Msg.Confirmed != "" || r.Msg.Assured != nil {
		return nil, &book.Refusal{Field: "confirmed", Reason: "a preview confirms nothing: leave it out"}
	}
	c, err := s.deed(ctx, r.Msg)
	if err != nil {
		return nil, err
	}
	shown, siteName, now, err := s.plane.Show(c)
	if err != nil {
		return nil, err
	}
	out := &v1.ActPreview{
		Text: shown.Sheet.Text(), Json: string(shown.Sheet.Encode()), Digest: shown.Digest().String(), Contract: shown.Contract.ID,
		Site: siteName, Tenant: shown.Contract.Tenant, Now: stampOf(now), Currency: shown.Contract.Currency,
	}
	if p, ok := shown.Sheet.(*contract.Preview); ok {
		out.Ends, out.Value, out.Fee, out.Refund, out.Forfeit = stampOf(p.Ends), string(p.Value), string(p.Fee), string(p.Refund), string(p.Forfeit)
	}
	return connect.NewResponse(out), nil
}

// PerformAct does what a preview has shown.
func (s *service) PerformAct(ctx context.Context, r *connect.Request[v1.ActRequest]) (*connect.Response[v1.Done], error) {
	c, err := s.act(ctx, r.Msg)
	if err != nil {
		return nil, err
	}
	// What was confirmed is no part of what an id stands for: the same request, sent
	// again when it is done, can't be previewed any more.
	same := &v1.ActRequest{CommandId: r.Msg.CommandId, Contract: r.Msg.Contract, Act: r.Msg.Act, Tranche: r.Msg.Tranche}
	return s.submit(ctx, same, c)
}
