package api

import (
	"context"
	"fmt"

	"connectrpc.com/connect"

	v1 "bulkhead/api/bulkheadv1"
	"bulkhead/book"
)

// maxProbe is the largest signed probe, in bytes.
const maxProbe = 1 << 20

// FileProbe files a probe that a tenant has signed into its log.
func (s *service) FileProbe(ctx context.Context, r *connect.Request[v1.FileProbeRequest]) (*connect.Response[v1.Done], error) {
	if len(r.Msg.Statement) > maxProbe {
		return nil, &book.Refusal{Field: "statement", Reason: fmt.Sprintf("%d bytes, at most %d", len(r.Msg.Statement), maxProbe)}
	}
	var tenant string
	if err := s.readableLease(ctx, r.Msg.Lease, func(_ *book.State, l *book.Lease) { tenant = l.Tenant }); err != nil {
		return nil, err
	}
	return s.submit(ctx, r.Msg, book.FileProbe{Tenant: tenant, Lease: r.Msg.Lease, Statement: r.Msg.Statement})
}
