package api

import (
	"context"
	"slices"

	"connectrpc.com/connect"

	v1 "bulkhead/api/bulkheadv1"
	"bulkhead/book"
	"bulkhead/claim"
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
	if m.Confirmed != "" {
		if err := c.Confirmed.UnmarshalText([]byte(m.Confirmed)); err != nil {
			return c, badField("confirmed", err)
		}
	}
	return c, nil
}

// PreviewAct says when an act would take effect and what it would cost. It does nothing.
func (s *service) PreviewAct(ctx context.Context, r *connect.Request[v1.ActRequest]) (*connect.Response[v1.ActPreview], error) {
	c, err := s.act(ctx, r.Msg)
	if err != nil {
		return nil, err
	}
	if c.Confirmed != (claim.Digest{}) {
		return nil, &book.Refusal{Field: "confirmed", Reason: "a preview confirms nothing: leave it out"}
	}
	out, err := s.plane.Preview(c)
	if err != nil {
		return nil, err
	}
	p := &out.Preview
	return connect.NewResponse(&v1.ActPreview{
		Text: p.Text(), Json: string(p.Encode()), Digest: p.Digest().String(), Contract: p.Contract, Ends: stampOf(p.Ends),
		Value: string(p.Value), Fee: string(p.Fee), Refund: string(p.Refund), Forfeit: string(p.Forfeit), Currency: p.Currency,
	}), nil
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
