package api

import (
	"context"
	"fmt"
	"slices"
	"time"

	"connectrpc.com/connect"

	v1 "bulkhead/api/bulkheadv1"
	"bulkhead/book"
	"bulkhead/lease"
	"bulkhead/node"
	"bulkhead/site"
)

func sortTexts(list []string) { slices.Sort(list) }

// ListNodes lists the nodes that the caller may see: a tenant those in its slots.
func (s *service) ListNodes(ctx context.Context, r *connect.Request[v1.ListNodesRequest]) (*connect.Response[v1.Nodes], error) {
	out := &v1.Nodes{}
	var err error
	s.plane.AsWanted(func(b *book.State, asWanted func(site.Index) bool) {
		if b.Site == nil {
			return
		}
		var want node.State
		if r.Msg.State != "" {
			if want, err = node.ParseState(r.Msg.State); err != nil {
				err = &book.Refusal{Field: "state", Reason: err.Error()}
				return
			}
		}
		var ids []string
		for i := range b.Nodes.State {
			n := site.Index(i)
			l := b.LeaseOn(n)
			switch {
			case r.Msg.State != "" && b.Nodes.State[n] != want:
			case r.Msg.Lease != "" && (l == nil || string(l.ID) != r.Msg.Lease):
			case !mayReadNode(ctx, l):
			default:
				ids = append(ids, b.Site.NodeID[n])
			}
		}
		sortTexts(ids)
		p := r.Msg.Page
		if p == nil {
			p = &v1.Page{}
		}
		if ids, out.NextPageToken, err = page(ids, p.PageSize, p.PageToken); err != nil {
			err = &book.Refusal{Field: "page.page_size", Reason: pageSizes}
			return
		}
		for _, id := range ids {
			n, _ := b.Site.Lookup(id)
			out.Nodes = append(out.Nodes, describeNode(b, n, asWanted(n)))
		}
	})
	return connect.NewResponse(out), err
}

func mayReadNode(ctx context.Context, holder *book.Lease) bool {
	if !caller(ctx).Role.OfTenant() {
		return true
	}
	return holder != nil && mayRead(ctx, holder.Tenant)
}

// GetNode shows one node.
func (s *service) GetNode(ctx context.Context, r *connect.Request[v1.NodeRef]) (*connect.Response[v1.Node], error) {
	var out *v1.Node
	s.plane.AsWanted(func(b *book.State, asWanted func(site.Index) bool) {
		if b.Site == nil {
			return
		}
		if n, ok := b.Site.Lookup(r.Msg.Node); ok && mayReadNode(ctx, b.LeaseOn(n)) {
			out = describeNode(b, n, asWanted(n))
		}
	})
	if out == nil {
		return nil, missing("node", r.Msg.Node)
	}
	return connect.NewResponse(out), nil
}

func describeNode(b *book.State, n site.Index, asWanted bool) *v1.Node {
	c := &b.Nodes
	out := &v1.Node{
		Id: b.Site.NodeID[n], Serial: b.Site.Serial[n], Kind: b.Site.KindOf(n), Hall: b.Site.Halls[b.Site.HallOf(n)].ID, Su: b.Site.SUs[b.Site.NodeSU[n]].ID,
		State: c.State[n].String(), Since: time.Unix(c.Since[n], 0).UTC().Format(time.RFC3339), Health: b.HealthOf(n).String(), FailureClass: c.Class[n],
		Cordoned: c.Cordoned[n], DesiredLabel: string(b.Wants(n).Owner), ObservedAsDesired: asWanted, Generation: uint64(c.Seq[n]),
		Turnover: c.Turnover[n], Statement: c.Statement[n].String(),
	}
	if q, silent := c.Silence[n]; silent {
		out.SilentSince, out.DeadAt = q.Since.UTC().Format(time.RFC3339), b.DeadAt(q).UTC().Format(time.RFC3339)
		if out.FailureClass == "" {
			out.FailureClass = q.Class
		}
	}
	if l := b.LeaseOn(n); l != nil {
		out.Lease, out.Slot = string(l.ID), c.Slot[n]
	}
	return out
}

// CordonNode keeps a node from being given to anybody, or lifts that.
func (s *service) CordonNode(ctx context.Context, r *connect.Request[v1.CordonNodeRequest]) (*connect.Response[v1.Done], error) {
	return s.submit(ctx, r.Msg, ifUnmoved(r.Msg.Node, r.Msg.IfGeneration, book.Cordon{Node: r.Msg.Node, Lift: r.Msg.Lift, Reason: r.Msg.Reason, By: caller(ctx).Subject}))
}

// ReplaceNode proposes another node for a slot.
func (s *service) ReplaceNode(ctx context.Context, r *connect.Request[v1.ReplaceNodeRequest]) (*connect.Response[v1.Done], error) {
	var to site.Index
	var slots int
	var kind, fabricID string
	ok, known := false, false
	s.plane.View(func(b *book.State) {
		var l *book.Lease
		if l, known = b.LeaseByID(lease.ID(r.Msg.Lease)); known {
			slots, kind, fabricID = len(l.Slots), l.Kind, l.Fabric
		}
		if b.Site != nil && r.Msg.Node != "" {
			to, ok = b.Site.Lookup(r.Msg.Node)
		}
	})
	switch {
	case !known:
		return nil, missing("lease", r.Msg.Lease)
	case int(r.Msg.Slot) >= slots:
		return nil, &book.Refusal{Field: "slot", Reason: fmt.Sprintf("%s has no slot %d: expected 0 to %d", r.Msg.Lease, r.Msg.Slot, slots-1)}
	case r.Msg.Node != "" && !ok:
		return nil, missing("node", r.Msg.Node)
	case r.Msg.Node == "":
		if to, ok = s.plane.ChooseReplacement(lease.ID(r.Msg.Lease), r.Msg.Slot); !ok {
			return nil, &book.Refusal{Field: "node", Reason: fmt.Sprintf("no node of %s in fabric %s is ready and free for slot %d of %s: mend or return one first (bulkhead node list --state ready lists them)", kind, fabricID, r.Msg.Slot, r.Msg.Lease)}
		}
	}
	return s.submit(ctx, r.Msg, book.ProposeReplacement{Lease: lease.ID(r.Msg.Lease), Slot: r.Msg.Slot, Node: to, Reason: r.Msg.Reason, By: caller(ctx).Subject, Requested: r.Msg.TenantAsked})
}

// acknowledge is the command that a request asks for.
func (s *service) acknowledge(ctx context.Context, m *v1.AcknowledgeRequest) (book.Deed, error) {
	if err := s.readableLease(ctx, m.Lease, func(*book.State, *book.Lease) {}); err != nil {
		return nil, err
	}
	with, err := assured(ctx, m.Assured)
	return book.AcknowledgeReplacement{Lease: lease.ID(m.Lease), Slot: m.Slot, Node: m.Node, Actor: actor(caller(ctx)), Assured: with}, err
}

// AcknowledgeReplacement is the tenant's yes to a proposed replacement.
func (s *service) AcknowledgeReplacement(ctx context.Context, r *connect.Request[v1.AcknowledgeRequest]) (*connect.Response[v1.Done], error) {
	c, err := s.acknowledge(ctx, r.Msg)
	if err != nil {
		return nil, err
	}
	r.Msg.Assured = nil
	return s.submit(ctx, r.Msg, c)
}

// WithdrawReplacement takes a proposed replacement back.
func (s *service) WithdrawReplacement(ctx context.Context, r *connect.Request[v1.WithdrawReplacementRequest]) (*connect.Response[v1.Done], error) {
	return s.submit(ctx, r.Msg, book.WithdrawReplacement{Lease: lease.ID(r.Msg.Lease), Slot: r.Msg.Slot, Node: r.Msg.Node, Reason: r.Msg.Reason, By: caller(ctx).Subject})
}

// RepairNode sends a node to repair.
func (s *service) RepairNode(ctx context.Context, r *connect.Request[v1.RepairNodeRequest]) (*connect.Response[v1.Done], error) {
	var n site.Index
	ok := false
	s.plane.View(func(b *book.State) {
		if b.Site != nil {
			n, ok = b.Site.Lookup(r.Msg.Node)
		}
	})
	if !ok {
		return nil, missing("node", r.Msg.Node)
	}
	return s.submit(ctx, r.Msg, ifUnmoved(r.Msg.Node, r.Msg.IfGeneration, book.SendToRepair{Nodes: []site.Index{n}, Reason: r.Msg.Reason}))
}

// ifUnmoved guards a command about a node with the generation that the client
// had seen, if it says one.
func ifUnmoved(node string, generation *uint64, c book.Command) book.Command {
	if generation == nil {
		return c
	}
	return book.IfUnmoved{Node: node, Generation: *generation, Command: c}
}
