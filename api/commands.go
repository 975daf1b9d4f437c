package api

import (
	"context"
	"time"

	"connectrpc.com/connect"

	v1 "bulkhead/api/bulkheadv1"
	"bulkhead/book"
)

// ShowCommand says whether a change was carried out, by the id that its caller gave
// it.
func (s *service) ShowCommand(ctx context.Context, r *connect.Request[v1.CommandRef]) (*connect.Response[v1.CommandState], error) {
	if r.Msg.CommandId == "" {
		return nil, &book.Refusal{Field: "command_id", Reason: "expected the id that a change was sent with"}
	}
	t := caller(ctx)
	token := t.ID
	if r.Msg.Token != "" && r.Msg.Token != token {
		if t.Role.OfTenant() {
			return nil, missing("token", r.Msg.Token)
		}
		token = r.Msg.Token
	}
	c, found, err := s.plane.Find(ctx, commandName(token, r.Msg.CommandId))
	if err != nil {
		return nil, connect.NewError(connect.CodeInternal, err)
	}
	out := &v1.CommandState{CommandId: r.Msg.CommandId, CarriedOut: found}
	if found {
		out.Entry, out.Time = c.Entry, c.Time.Format(time.RFC3339)
		if t.Role.OfTenant() {
			if out.Entry = c.Scoped[book.TenantScope(t.Tenant)]; out.Entry == 0 { // the whole ledger's would count what others do
				s.plane.View(func(b *book.State) { out.Entry = b.Scopes[book.TenantScope(t.Tenant)] })
			}
		}
	}
	return connect.NewResponse(out), nil
}

// commandName is what the ledger calls a change: an id is its token's own.
func commandName(token, commandID string) string { return token + "/" + commandID }
