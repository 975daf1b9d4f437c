package api

import (
	"context"
	"fmt"
	"strings"
	"time"

	"connectrpc.com/connect"

	v1 "bulkhead/api/bulkheadv1"
	"bulkhead/book"
	"bulkhead/contract"
	"bulkhead/lease"
	"bulkhead/place"
	"bulkhead/run"
	"bulkhead/site"
)

// estimate bounds the collectives of nodes, beside those of the ideal slice.
func estimate(b *book.State, nodes []site.Index) *v1.Estimate {
	reduce, all := place.Collectives(b.Site, nodes)
	return &v1.Estimate{AllReduceNs: reduce.SliceNS, IdealAllReduceNs: reduce.IdealNS, AllToAllNs: all.SliceNS, IdealAllToAllNs: all.IdealNS, AllToAllLimit: all.Limit}
}

func estimateOf(b *book.State, p contract.QuotedPart) *v1.Estimate {
	if b.Site == nil {
		return nil
	}
	nodes, err := site.ParseOrder(p.Nodes, b.Site.Nodes())
	if err != nil {
		return nil // Apply has parsed it once: it parses
	}
	return estimate(b, nodes)
}

// Accepted risks where a request names none.
const (
	defaultSUShort  = 0.03
	defaultPodShort = 0.01
)

// PlanSpares sizes spares for the site as it is.
func (s *service) PlanSpares(_ context.Context, r *connect.Request[v1.PlanSparesRequest]) (*connect.Response[v1.SparesPlan], error) {
	a := place.SparesAsk{SUShort: r.Msg.SuShort, PodShort: r.Msg.PodShort}
	if a.SUShort == 0 {
		a.SUShort = defaultSUShort
	}
	if a.PodShort == 0 {
		a.PodShort = defaultPodShort
	}
	for _, c := range r.Msg.Classes {
		a.Failures = append(a.Failures, place.FailureClass{Name: c.Name, Rate: c.PerGpuDay, Repair: time.Duration(c.RepairSeconds) * time.Second})
	}
	if len(a.Failures) == 0 {
		a.Failures = place.DefaultFailures()
	}
	out := &v1.SparesPlan{}
	s.plane.View(func(b *book.State) {
		if b.Site != nil {
			a.Nodes, a.SUs, a.GPUs = place.LargestPod(b.Site)
			out.PerSuNow, out.SparesNow = int32(b.Policy.SparesPerSU), int64(b.Site.Spares().Len())
		}
	})
	if a.Nodes == 0 {
		return nil, connect.NewError(connect.CodeNotFound, errNoSite)
	}
	plan, err := place.PlanSpares(a)
	if err != nil {
		return nil, &book.Refusal{Field: "classes", Reason: strings.TrimPrefix(err.Error(), "spares: ")}
	}
	out.SuNodes, out.PodSus, out.Down = int32(a.Nodes), int32(a.SUs), plan.Down
	out.PerSu, out.Pool, out.Share = int32(plan.PerSU), int32(plan.Pool), plan.Share
	for _, c := range a.Failures {
		out.Classes = append(out.Classes, &v1.FailureClass{Name: c.Name, PerGpuDay: c.Rate, RepairSeconds: int64(c.Repair / time.Second)})
	}
	for _, c := range plan.Choices {
		out.Choices = append(out.Choices, &v1.SparesChoice{PerSu: int32(c.PerSU), SuShort: c.SUShort, Near: c.Near, Pool: int32(c.Pool), PodShort: c.PodShort, Spares: int32(c.Spares)})
	}
	return connect.NewResponse(out), nil
}

// defaultMoves is up to how many moves a frontier goes where a request names none.
const defaultMoves = 64

// PlanDefrag gives the best compromises between moves and quality for a lease. It
// shows what is free, so it is for the owner's people.
func (s *service) PlanDefrag(_ context.Context, r *connect.Request[v1.PlanDefragRequest]) (*connect.Response[v1.Frontier], error) {
	most := int(r.Msg.Most)
	if most == 0 {
		most = defaultMoves
	}
	if most < 1 || most > place.MaxMoves {
		return nil, &book.Refusal{Field: "most", Reason: fmt.Sprintf("expected 1 to %d, or 0 for %d", place.MaxMoves, defaultMoves)}
	}
	points, err := s.plane.Frontier(lease.ID(r.Msg.Lease), most)
	if err != nil {
		return nil, err
	}
	out := &v1.Frontier{}
	for _, p := range points {
		out.Points = append(out.Points, &v1.FrontierPoint{Moves: int32(p.Cost.Moves), Halls: int32(p.Cost.Halls), Pods: int32(p.Cost.Pods), Sus: int32(p.Cost.SUs), Racks: int32(p.Cost.Racks)})
	}
	return connect.NewResponse(out), nil
}

// ProposeDefrag offers a point of the frontier, as it is now, to the lease's tenant.
func (s *service) ProposeDefrag(ctx context.Context, r *connect.Request[v1.ProposeDefragRequest]) (*connect.Response[v1.Done], error) {
	id := commandID(ctx, r.Msg, book.ProposeDefrag{})
	if done, did, err := s.plane.Done(id); err != nil || did {
		return s.done(ctx, run.Result{Entry: done.Entry, Repeated: did}, err)
	}
	moves := int(r.Msg.Moves)
	if moves < 1 || moves > place.MaxMoves {
		return nil, &book.Refusal{Field: "moves", Reason: fmt.Sprintf("expected 1 to %d", place.MaxMoves)}
	}
	if r.Msg.Reason == "" {
		return nil, &book.Refusal{Field: "reason", Reason: "say why: the tenant is asked to let its jobs be moved"}
	}
	points, err := s.plane.Frontier(lease.ID(r.Msg.Lease), moves)
	if err != nil {
		return nil, err
	}
	last := points[len(points)-1]
	if last.Cost.Moves != moves {
		return nil, &book.Refusal{Field: "moves", Reason: fmt.Sprintf("no line of the plan has %d moves now, the best with fewer has %d: plan again (bulkhead lease defrag plan)", moves, last.Cost.Moves)}
	}
	return s.submit(ctx, r.Msg, book.ProposeDefrag{Lease: lease.ID(r.Msg.Lease), Moves: last.Moves, After: last.Cost, Reason: r.Msg.Reason, By: caller(ctx).Subject})
}

// ShowDefrag shows the open proposal of a lease.
func (s *service) ShowDefrag(ctx context.Context, r *connect.Request[v1.LeaseRef]) (*connect.Response[v1.Defrag], error) {
	var out *v1.Defrag
	err := s.readableLease(ctx, r.Msg.Lease, func(b *book.State, l *book.Lease) {
		if p, open := b.Defrags[l.ID]; open {
			out = describeDefrag(b, l, p)
		}
	})
	if err == nil && out == nil {
		return nil, missing("open proposal to move nodes of", r.Msg.Lease)
	}
	return connect.NewResponse(out), err
}

func describeDefrag(b *book.State, l *book.Lease, p *book.Defrag) *v1.Defrag {
	out := &v1.Defrag{
		Lease: string(l.ID), Proposal: p.Number, Before: p.Before, After: p.After, Reason: p.Reason, ProposedBy: p.By,
		Proposed: p.Proposed.UTC().Format(time.RFC3339), ConsentedBy: p.Consented, AcceptedBy: p.Accepted,
	}
	for i, slot := range p.Slots {
		m := &v1.DefragMove{Slot: slot, Was: b.Site.NodeID[p.Was[i]], Node: b.Site.NodeID[p.Nodes[i]], State: "waits"}
		_, asked := b.Swaps[book.SlotRef{Lease: l.ID, Slot: slot}]
		switch now := l.Slots[slot]; {
		case asked:
			m.State = "asked"
		case now == p.Nodes[i]:
			m.State = "moved"
			out.Moved++
		case now != p.Was[i]:
			m.State = "another node is in the slot"
		}
		out.Moves = append(out.Moves, m)
	}
	return out
}

// consent is the command that a request asks for.
func (s *service) consent(ctx context.Context, m *v1.DefragRef) (book.Deed, error) {
	if err := s.readableLease(ctx, m.Lease, func(*book.State, *book.Lease) {}); err != nil {
		return nil, err
	}
	if !caller(ctx).Role.OfTenant() {
		return nil, &book.Refusal{Field: "act", Reason: "consent: it is the tenant's alone"}
	}
	with, err := assured(ctx, m.Assured)
	return book.ConsentDefrag{Lease: lease.ID(m.Lease), Proposal: m.Proposal, By: caller(ctx).Subject, Assured: with}, err
}

// ConsentDefrag is the tenant's yes to a proposal.
func (s *service) ConsentDefrag(ctx context.Context, r *connect.Request[v1.DefragRef]) (*connect.Response[v1.Done], error) {
	c, err := s.consent(ctx, r.Msg)
	if err != nil {
		return nil, err
	}
	r.Msg.Assured = nil
	return s.submit(ctx, r.Msg, c)
}

// AcceptDefrag is the owner's, after the tenant's.
func (s *service) AcceptDefrag(ctx context.Context, r *connect.Request[v1.DefragRef]) (*connect.Response[v1.Done], error) {
	return s.submit(ctx, r.Msg, book.AcceptDefrag{Lease: lease.ID(r.Msg.Lease), Proposal: r.Msg.Proposal, By: caller(ctx).Subject})
}

// WithdrawDefrag takes a proposal back, by either party. What has moved stays.
func (s *service) WithdrawDefrag(ctx context.Context, r *connect.Request[v1.DefragRef]) (*connect.Response[v1.Done], error) {
	if err := s.readableLease(ctx, r.Msg.Lease, func(*book.State, *book.Lease) {}); err != nil {
		return nil, err
	}
	if r.Msg.Reason == "" {
		return nil, &book.Refusal{Field: "reason", Reason: "say why"}
	}
	return s.submit(ctx, r.Msg, book.EndDefrag{Lease: lease.ID(r.Msg.Lease), Proposal: r.Msg.Proposal, Reason: r.Msg.Reason, By: caller(ctx).Subject})
}
