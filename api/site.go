package api

import (
	"context"
	"fmt"
	"time"

	"connectrpc.com/connect"

	v1 "bulkhead/api/bulkheadv1"
	"bulkhead/book"
	"bulkhead/node"
	"bulkhead/site"
)

// ShowSite says what exists.
func (s *service) ShowSite(context.Context, *connect.Request[v1.ShowSiteRequest]) (*connect.Response[v1.Site], error) {
	out := &v1.Site{NodesByState: map[string]int64{}}
	if why := s.plane.ReadOnly(); why != nil {
		out.ReadOnly = why.Error()
	}
	s.plane.View(func(b *book.State) {
		if b.Site == nil {
			return
		}
		out.Lineage, out.LineageEpoch = b.Control.Lineage.ID, b.Control.Lineage.Epoch
		out.Name, out.Origin, out.Generation = b.Site.Name, string(b.Site.Origin), b.Seq
		out.Nodes, out.Gpus = int64(b.Site.Nodes()), int64(b.Site.GPUs())
		out.Sus, out.Leaves = int64(len(b.Site.SUs)), int64(b.Site.Switches())
		nodes := make([]int64, len(b.Site.Halls))
		for i := range b.Site.SUs {
			nodes[b.Site.Pods[b.Site.SUs[i].Pod].Hall] += int64(len(b.Site.SUs[i].Nodes))
		}
		for i, h := range b.Site.Halls {
			out.Halls = append(out.Halls, &v1.Hall{Id: h.ID, InService: h.InService.Format(time.RFC3339), Nodes: nodes[i]})
		}
		for st := range node.States {
			if n := b.Nodes.By[st].Len(); n > 0 {
				out.NodesByState[node.State(st).String()] = int64(n)
			}
		}
	})
	if out.Name == "" {
		return nil, connect.NewError(connect.CodeNotFound, errNoSite)
	}
	out.Clock = describeClock(s.plane.Clock())
	return connect.NewResponse(out), nil
}

// DiffSite says what importing a template would change.
func (s *service) DiffSite(_ context.Context, r *connect.Request[v1.SiteTemplate]) (*connect.Response[v1.SiteChange], error) {
	t, err := parseTemplate(r.Msg)
	if err != nil {
		return nil, err
	}
	var now *site.Site
	s.plane.View(func(b *book.State) {
		if b.Site != nil {
			now = b.Site.Snapshot() // comparing takes seconds at full size: writers must not wait for it
		}
	})
	if now == nil {
		text := fmt.Sprintf("+ site %s: %d nodes in %d SUs\n", t.Header().Name, t.Nodes(), t.SUs())
		return connect.NewResponse(&v1.SiteChange{Text: text}), nil
	}
	change, err := site.Diff(now, t.Header(), t)
	if err != nil {
		return nil, badField("template", err)
	}
	return connect.NewResponse(&v1.SiteChange{Text: change.String(), Refused: change.Refused}), nil
}

// parseTemplate reads a site file. Its problems name file, line and field of
// their own; the field of the request is the template.
func parseTemplate(m *v1.SiteTemplate) (*site.Template, error) {
	t, err := site.ParseTemplate(m.File, m.Template)
	if err != nil {
		return nil, badField("template", err)
	}
	return t, nil
}

// ImportSite adds what the template has and the site does not, and takes over its
// dates and policy.
func (s *service) ImportSite(ctx context.Context, r *connect.Request[v1.SiteTemplate]) (*connect.Response[v1.Done], error) {
	t, err := parseTemplate(r.Msg)
	if err != nil {
		return nil, err
	}
	done, err := s.plane.ImportAs(ctx, commandID(ctx, r.Msg, book.ImportSite{}), t, nil)
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&v1.Done{Entry: done.Entry, Repeated: done.Repeated, Nothing: done.Nothing}), nil
}

// RescheduleHall moves the in-service date of a hall.
func (s *service) RescheduleHall(ctx context.Context, r *connect.Request[v1.RescheduleHallRequest]) (*connect.Response[v1.Done], error) {
	at, err := time.Parse(time.RFC3339, r.Msg.InService)
	if err != nil {
		return nil, &book.Refusal{Field: "in_service", Reason: "expected a time such as 2026-07-15T00:00:00Z"}
	}
	return s.submit(ctx, r.Msg, book.RescheduleHall{Hall: r.Msg.Hall, InService: at.UTC(), Reason: r.Msg.Reason})
}

// RegisterTenant opens a tenant's scope.
func (s *service) RegisterTenant(ctx context.Context, r *connect.Request[v1.RegisterTenantRequest]) (*connect.Response[v1.Done], error) {
	return s.submit(ctx, r.Msg, book.RegisterTenant{Tenant: r.Msg.Tenant, Name: r.Msg.Name, Internal: r.Msg.Internal})
}

// ListTenants lists the tenants that the caller may see.
func (s *service) ListTenants(ctx context.Context, r *connect.Request[v1.Page]) (*connect.Response[v1.Tenants], error) {
	out := &v1.Tenants{}
	var err error
	s.plane.View(func(b *book.State) {
		var ids []string
		for _, id := range b.TenantIDs() {
			if mayRead(ctx, id) {
				ids = append(ids, id)
			}
		}
		if ids, out.NextPageToken, err = page(ids, r.Msg.PageSize, r.Msg.PageToken); err != nil {
			return
		}
		for _, id := range ids {
			t := b.Tenants[id]
			out.Tenants = append(out.Tenants, &v1.Tenant{Id: t.ID, Name: t.Name, Internal: t.Internal})
		}
	})
	return connect.NewResponse(out), err
}
