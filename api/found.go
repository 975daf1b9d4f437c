package api

import (
	"context"
	"strings"

	"connectrpc.com/connect"

	v1 "bulkhead/api/bulkheadv1"
	"bulkhead/book"
)

// ListFound lists what an adopted site carried before.
func (s *service) ListFound(context.Context, *connect.Request[v1.ListFoundRequest]) (*connect.Response[v1.FoundLabels], error) {
	out := &v1.FoundLabels{}
	for _, f := range s.plane.Found() {
		out.Labels = append(out.Labels, &v1.FoundLabel{
			Label: f.Name, Nodes: strings.Join(f.Nodes, ","), NodeCount: int64(len(f.Nodes)), Ports: int64(f.Label.Ports),
			Proven: int64(f.Proven), Red: int64(f.Red), Unknown: int64(f.Unknown), Findings: f.Findings,
		})
	}
	return connect.NewResponse(out), nil
}

// TakeOver takes over the nodes that carry a found label: they are wiped. It takes
// an approver.
func (s *service) TakeOver(ctx context.Context, r *connect.Request[v1.TakeOverRequest]) (*connect.Response[v1.Done], error) {
	command := book.TakeOver{By: actor(caller(ctx)), Reason: r.Msg.Reason}
	if done, did, err := s.plane.Done(commandID(ctx, r.Msg, command)); err != nil || did { // then it is found no more
		return connect.NewResponse(&v1.Done{Entry: done.Entry, Repeated: did}), err
	}
	for _, f := range s.plane.Found() {
		if f.Name == r.Msg.Label {
			command.Fabric, command.Label = f.Label.Fabric, f.Label.Label
			return s.submit(ctx, r.Msg, command)
		}
	}
	return nil, &book.Refusal{Field: "label", Reason: "no such label was found: expected one of those that bulkhead site found lists"}
}
