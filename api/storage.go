package api

import (
	"context"

	"connectrpc.com/connect"

	v1 "bulkhead/api/bulkheadv1"
	"bulkhead/book"
	"bulkhead/lease"
	"bulkhead/storage"
)

// GetMount gives a tenant's administrator what its nodes mount a volume with. The
// secret comes from the backend and is recorded nowhere.
func (s *service) GetMount(ctx context.Context, r *connect.Request[v1.MountRequest]) (*connect.Response[v1.Mount], error) {
	if err := s.readableLease(ctx, r.Msg.Lease, func(*book.State, *book.Lease) {}); err != nil {
		return nil, err
	}
	c, err := s.plane.Credential(ctx, lease.ID(r.Msg.Lease), storage.VolumeID(r.Msg.Volume))
	if err != nil {
		return nil, err
	}
	return connect.NewResponse(&v1.Mount{Volume: string(c.Grant.Volume), Path: c.Path, Client: string(c.Grant.Principal), Secret: c.Secret}), nil
}
