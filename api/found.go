package api

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"connectrpc.com/connect"

	v1 "bulkhead/api/bulkheadv1"
	"bulkhead/book"
	"bulkhead/fabric"
)

// ListFound lists what an adopted site carried before.
func (s *service) ListFound(context.Context, *connect.Request[v1.ListFoundRequest]) (*connect.Response[v1.FoundLabels], error) {
	out := &v1.FoundLabels{}
	for _, f := range s.plane.Found() {
		out.Labels = append(out.Labels, &v1.FoundLabel{
			Label: f.Name, Nodes: strings.Join(f.Nodes, ","), NodeCount: int64(len(f.Nodes)), Ports: int64(f.Label.Ports),
			Proven: int64(f.Proven), Red: int64(f.Red), Unknown: int64(f.Unknown), Findings: f.Findings, Same: f.Same,
		})
	}
	for _, o := range s.plane.OpenPartitions() {
		out.Open = append(out.Open, &v1.OpenPartition{Label: o.Name, Ports: int64(o.Ports), At: o.At})
	}
	s.plane.View(func(b *book.State) {
		for _, id := range slices.Sorted(maps.Keys(b.Postures)) {
			p := b.Postures[id]
			out.Postures = append(out.Postures, &v1.FoundPosture{Fabric: id, Holds: p.Holds, Failed: p.Failed})
		}
	})
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

// OfferSitting offers a contract to who is on an adopted site already. It takes an
// approver: nothing says that the nodes are clean.
func (s *service) OfferSitting(ctx context.Context, r *connect.Request[v1.OfferSittingRequest]) (*connect.Response[v1.Quote], error) {
	offer, err := s.offer(ctx, r.Msg)
	if err != nil {
		return nil, err
	}
	found := map[string]fabric.Label{}
	s.plane.View(func(b *book.State) {
		for id, labels := range b.Found {
			index, _ := b.Site.FabricByID(id)
			for value := range labels {
				l := fabric.Label{Fabric: id, Kind: fabric.KindOf(b.Site.Fabrics[index].Family), Value: value}
				found[l.String()] = l
			}
		}
	})
	var labels []fabric.Label
	for _, name := range r.Msg.Labels {
		if _, is := found[name]; !is {
			// After the tenant has signed it is found no more.
			return nil, &book.Refusal{Field: "labels", Reason: fmt.Sprintf("%.80q was not found: expected one of those that bulkhead site found lists", name)}
		}
		labels = append(labels, found[name])
	}
	q, err := s.plane.OfferSitting(ctx, offer, labels, actor(caller(ctx)))
	if err != nil {
		return nil, err
	}
	state, now := s.plane.Reading()
	return connect.NewResponse(quote(ctx, state, now, q)), nil
}
