package api

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"connectrpc.com/connect"

	v1 "bulkhead/api/bulkheadv1"
	"bulkhead/book"
	"bulkhead/contract"
	"bulkhead/lease"
	"bulkhead/place"
	"bulkhead/place/dated"
	"bulkhead/site"
	"bulkhead/whatif"
	"bulkhead/whatif/picture"
)

// WhatIfEarliest says for each size from when it can be had, and in which shape.
func (s *service) WhatIfEarliest(_ context.Context, r *connect.Request[v1.WhatIfEarliestRequest]) (*connect.Response[v1.EarliestDates], error) {
	state, now := s.plane.Reading()
	q := dated.Query{Fabric: r.Msg.Fabric, Kind: r.Msg.Kind, Links: lease.Links(r.Msg.Links), From: now}
	if q.Links == "" {
		q.Links = lease.Shared
	}
	var err error
	if q.From, err = instant("from", r.Msg.From, now); err != nil {
		return nil, err
	}
	if q.Until, err = instant("until", r.Msg.Until, time.Time{}); err != nil {
		return nil, err
	}
	const most = contract.MaxTermYears * 366
	switch {
	case (r.Msg.Days != 0) == (r.Msg.Until != ""):
		return nil, &book.Refusal{Field: "days", Reason: "expected either the length of the lease in days, or its end (until)"}
	case r.Msg.Days < 0 || r.Msg.Days > most:
		return nil, &book.Refusal{Field: "days", Reason: fmt.Sprintf("%d: expected 1 to %d", r.Msg.Days, most)}
	case r.Msg.Until != "" && !q.From.Before(q.Until):
		return nil, &book.Refusal{Field: "until", Reason: fmt.Sprintf("%s: expected a time after %s", r.Msg.Until, q.From.UTC().Format(time.RFC3339))}
	case len(r.Msg.Gpus) == 0:
		return nil, &book.Refusal{Field: "gpus", Reason: "expected at least one size"}
	}
	q.Length = time.Duration(r.Msg.Days) * 24 * time.Hour
	node := int64(state.Site.NodeGPUs(q.Kind))
	for _, gpus := range r.Msg.Gpus {
		if gpus < 1 || gpus%node != 0 || gpus > site.MaxNodes*node {
			return nil, &book.Refusal{Field: "gpus", Reason: fmt.Sprintf("%d: expected whole nodes of %d GPUs", gpus, node)}
		}
		q.Sizes = append(q.Sizes, int(gpus/node))
	}
	dates, err := whatif.Earliest(state, now, q)
	if err != nil {
		return nil, err
	}
	out := &v1.EarliestDates{}
	for _, d := range dates {
		one := &v1.EarliestDate{Gpus: int64(d.Nodes) * node, Begin: stampOf(d.Begin), End: stampOf(d.End), BetterFrom: stampOf(d.Better), Moves: rebookings(d.Moves)}
		if !d.Begin.IsZero() {
			one.Shape = shapeOf(d.Shape)
			one.Halls, one.Pods = domains(state.Site, d.Where)
		}
		if d.Ideal != (place.Cost{}) {
			one.Ideal = shapeOf(d.Ideal)
		}
		if !d.Better.IsZero() {
			one.Better = shapeOf(d.BetterShape)
		}
		if d.Why != nil {
			one.Why = d.Why.Reason()
		}
		out.Sizes = append(out.Sizes, one)
	}
	return connect.NewResponse(out), nil
}

// WhatIfSlip says what it would come to if a hall came into service later.
func (s *service) WhatIfSlip(_ context.Context, r *connect.Request[v1.WhatIfSlipRequest]) (*connect.Response[v1.SlippedHall], error) {
	state, now := s.plane.Reading()
	slipped, err := whatif.Slip(state, now, r.Msg.Hall, int(r.Msg.Days))
	if err != nil {
		return nil, err
	}
	out := &v1.SlippedHall{Hall: slipped.Hall, Was: stampOf(slipped.Was), Is: stampOf(slipped.Is), Quotes: slipped.Quotes}
	for _, l := range slipped.Losses {
		out.Changes = append(out.Changes, &v1.CurrencySum{Currency: l.Currency, Amount: l.Change})
	}
	for _, c := range slipped.Contracts {
		one := &v1.SlippedContract{Contract: c.Contract, Tenant: c.Tenant, Title: c.Title, Currency: c.Currency, Lines: changedLines(c.Lines), Change: c.Change}
		for _, t := range c.Tranches {
			one.Tranches = append(one.Tranches, &v1.SlippedTranche{
				Lease: t.Lease, Kind: t.Kind, Gpus: t.GPUs, Promised: stampOf(t.Promised), Was: stampOf(t.Was), Is: stampOf(t.Is),
				GraceEnd: stampOf(t.GraceEnd), Discount: t.Discount, Discounted: t.Discounted, Clause: t.Clause, Elsewhere: t.Elsewhere,
			})
		}
		for _, a := range c.Rights {
			one.Rights = append(one.Rights, &v1.LateRight{
				From: stampOf(a.When), By: a.By, Remedy: a.Remedy, Clause: a.Clause, Tranches: a.Tranches, Already: a.Already, AtStake: a.AtStake,
			})
		}
		out.Contracts = append(out.Contracts, one)
	}
	return connect.NewResponse(out), nil
}

// WhatIfPlace says what the site would look like with one contract more.
func (s *service) WhatIfPlace(_ context.Context, r *connect.Request[v1.WhatIfPlaceRequest]) (*connect.Response[v1.PlacedContract], error) {
	c, err := contract.Parse(r.Msg.File, r.Msg.Contract)
	if err != nil {
		return nil, err
	}
	state, now := s.plane.Reading()
	at, err := instant("at", r.Msg.At, time.Time{})
	if err != nil {
		return nil, err
	}
	sold, err := whatif.Sell(state, now, c, at)
	if err != nil {
		return nil, err
	}
	out := &v1.PlacedContract{Contract: sold.Contract, Tenant: sold.Tenant, Version: int32(sold.Version), Moves: rebookings(sold.Moves),
		Late: changedLines(sold.Late), LateChange: sold.LateChange, Currency: c.Currency}
	for _, t := range sold.Tranches {
		one := &v1.PlacedTranche{Tranche: t.ID, Fabric: t.Fabric, Kind: t.Kind, Kinds: t.Kinds, Gpus: t.GPUs, Delivery: stampOf(t.Delivery), End: stampOf(t.End), Refused: t.Refused, Earliest: stampOf(t.Earliest), Unproven: t.Unproven, Near: t.Near}
		for _, p := range t.Parts {
			one.Parts = append(one.Parts, &v1.PlacedPart{Begin: stampOf(p.Begin), Gpus: p.GPUs, Late: p.Late, Shape: shapeOf(p.Shape)})
		}
		out.Tranches = append(out.Tranches, one)
	}
	for _, ramp := range sold.Ramps {
		out.Ramps = append(out.Ramps, rampOf(ramp))
	}
	out.Apart = apartOf(c.Tranches)
	price, _ := json.MarshalIndent(sold.Price, "", "  ") // texts and numbers always encode
	out.Price = string(price)
	out.Before, out.After = pictureOf(sold.Before), pictureOf(sold.After)
	var svg strings.Builder
	subtitle := fmt.Sprintf("%s, of %s, on %s (%s). Nothing was written, and nothing is held.", c.Title, c.Tenant, state.Site.Name, state.Site.Origin)
	if c.Fictional {
		subtitle = "A fictional contract: " + subtitle
	}
	if err := picture.SVG(&svg, "What if "+c.ID+" were signed?", subtitle, sold.Before, sold.After); err != nil {
		return nil, err
	}
	out.Svg = svg.String()
	return connect.NewResponse(out), nil
}

func rampOf(ramp whatif.SoldRamp) *v1.PlacedRamp {
	out := &v1.PlacedRamp{Tranches: ramp.Tranches, Stepwise: ramp.Stepwise, Unnested: shapeOf(ramp.Unnested)}
	for i, at := range ramp.Dates {
		out.Steps = append(out.Steps, &v1.RampStep{From: stampOf(at), Gpus: int64(ramp.Nodes[i] * ramp.NodeGPUs), Shape: shapeOf(ramp.Shapes[i])})
	}
	return out
}

func apartOf(tranches []contract.Tranche) (out []*v1.HermeticGroup) {
	for _, group := range book.Apart(tranches) {
		one := &v1.HermeticGroup{}
		for _, t := range group {
			one.Tranches = append(one.Tranches, t.ID)
		}
		out = append(out, one)
	}
	return out
}

// instant reads a time of a request; "" is the default.
func instant(field, text string, empty time.Time) (time.Time, error) {
	if text == "" {
		return empty, nil
	}
	for _, layout := range []string{time.RFC3339, time.DateOnly} {
		if t, err := time.Parse(layout, text); err == nil {
			return t.UTC(), nil
		}
	}
	return time.Time{}, &book.Refusal{Field: field, Reason: "expected a date such as 2026-07-15, which begins in UTC, or a time such as 2026-07-15T00:00:00Z"}
}

func stampOf(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

func shapeOf(c place.Cost) *v1.Shape {
	return &v1.Shape{Halls: int32(c.Halls), Pods: int32(c.Pods), Sus: int32(c.SUs), Racks: int32(c.Racks)}
}

// domains are the halls and pods that nodes lie in, in the order of ranks.
func domains(s *site.Site, nodes []site.Index) (halls, pods []string) {
	for _, n := range nodes {
		if pod := s.Pods[s.PodOf(n)].ID; len(pods) == 0 || pods[len(pods)-1] != pod {
			pods = append(pods, pod)
		}
		if hall := s.Halls[s.HallOf(n)].ID; !slices.Contains(halls, hall) {
			halls = append(halls, hall)
		}
	}
	return halls, pods
}

func rebookings(moves []dated.Move) []*v1.Rebooking {
	var out []*v1.Rebooking
	for _, m := range moves {
		out = append(out, &v1.Rebooking{Lease: m.ID, Was: shapeOf(m.Was), Is: shapeOf(m.Is)})
	}
	return out
}

func changedLines(lines []whatif.Money) []*v1.ChangedLine {
	var out []*v1.ChangedLine
	for _, m := range lines {
		out = append(out, &v1.ChangedLine{Month: m.Month, Kind: m.Kind, Clause: m.Clause, Was: m.Was, Is: m.Is, Change: m.Change})
	}
	return out
}

func pictureOf(p *picture.Site) *v1.SitePicture {
	out := &v1.SitePicture{Caption: p.Caption, At: stampOf(p.At), Free: int64(p.Counts[picture.Free]), Planned: int64(p.Counts[picture.Planned]),
		Failed: int64(p.Counts[picture.Failed]), Spare: int64(p.Counts[picture.Spare])}
	for _, r := range p.Rows() {
		out.Rows = append(out.Rows, &v1.PictureRow{Hall: r.Hall, Pod: r.Pod, What: r.What, Cells: r.Cells})
	}
	for i, h := range p.Leases {
		out.Holders = append(out.Holders, &v1.PictureHolder{Letter: picture.Letter(i), Lease: h.ID, Nodes: int64(h.Nodes), New: h.New})
	}
	return out
}
