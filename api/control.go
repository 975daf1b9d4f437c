package api

import (
	"context"
	"errors"
	"fmt"
	"time"

	"connectrpc.com/connect"

	v1 "bulkhead/api/bulkheadv1"
	"bulkhead/book"
	"bulkhead/lease"
	"bulkhead/ledger"
)

// ShowIsolation says what is proven of a lease now. What was proven before is no
// answer: without read-back it is unknown, whatever the ledger recorded last.
func (s *service) ShowIsolation(ctx context.Context, r *connect.Request[v1.LeaseRef]) (*connect.Response[v1.Isolation], error) {
	return s.isolation(ctx, r.Msg.Lease)
}

// ProveLease judges a lease from what was last read back, now. It records
// nothing: the loop does, when something has changed.
func (s *service) ProveLease(ctx context.Context, r *connect.Request[v1.LeaseRef]) (*connect.Response[v1.Isolation], error) {
	return s.isolation(ctx, r.Msg.Lease)
}

// isolation is the prover's verdict over the delivered slots of a lease, in its two
// halves as well, with
// the epoch and the digest of the newest isolation certificate.
func (s *service) isolation(ctx context.Context, id string) (*connect.Response[v1.Isolation], error) {
	out := &v1.Isolation{}
	err := s.readableLease(ctx, id, func(_ *book.State, l *book.Lease) {
		out.Lease, out.Epoch, out.Certificate = string(l.ID), l.Epoch, l.Certified.String()
	})
	if err != nil {
		return nil, err
	}
	now, ok := s.plane.Isolation(lease.ID(id))
	if !ok {
		return nil, missing("lease", id)
	}
	out.Apart, out.Together, out.CutOff = now.Apart.String(), now.Together.String(), int64(now.Cut)
	out.Verdict, out.Ports, out.Red, out.Unknown, out.Findings = now.Verdict.String(), int64(now.Ports), int64(now.Red), int64(now.Unknown), now.Findings
	return connect.NewResponse(out), nil
}

// maxSteps is how many steps of a plan are named.
const maxSteps = 200

// ShowPlan says what the loop would do now.
func (s *service) ShowPlan(ctx context.Context, _ *connect.Request[v1.ShowPlanRequest]) (*connect.Response[v1.Plan], error) {
	plan := s.plane.Plan(ctx)
	out := &v1.Plan{Ports: int64(len(plan.Ports)), Held: plan.Deferred}
	for _, w := range plan.Volumes {
		out.Volumes = append(out.Volumes, w.String())
	}
	for i, step := range plan.Steps {
		if i == maxSteps {
			out.Steps = append(out.Steps, fmt.Sprintf("... and %d more", len(plan.Steps)-i))
			break
		}
		out.Steps = append(out.Steps, step.ID)
	}
	for _, c := range plan.Commands {
		out.Commands = append(out.Commands, fmt.Sprintf("%T", c))
	}
	out.Guards, out.Fences, out.Differs = plan.Guards, plan.Fences, plan.Differs
	s.plane.View(func(b *book.State) {
		for i, w := range plan.Lockdowns {
			if i == maxSteps {
				out.Lockdowns = append(out.Lockdowns, fmt.Sprintf("... and %d more", len(plan.Lockdowns)-i))
				break
			}
			out.Lockdowns = append(out.Lockdowns, b.Site.PortName(w.Port)+": "+w.Check)
		}
		if b.Control.Brake != nil {
			out.Brake = b.Control.Brake.Detail
		}
		for _, budget := range b.BrakeBudgets() {
			out.Budgets = append(out.Budgets, &v1.BrakeBudget{Cause: budget.Cause, Limit: int32(budget.Limit), Left: int32(b.Budget(budget.Cause, b.Time)), Unit: budget.Unit})
		}
	})
	for _, d := range s.plane.Drivers() {
		state := &v1.DriverState{Name: d.Name, Waiting: d.Waiting, WaitingSeconds: d.Since.Seconds(), Failed: d.Failed}
		if !d.Answered.IsZero() {
			state.Answered = d.Answered.UTC().Format(time.RFC3339)
		}
		out.Drivers = append(out.Drivers, state)
	}
	return connect.NewResponse(out), nil
}

// ManageSite ends the read-only adoption of a site: devices are written to from
// now on. It takes an approver.
func (s *service) ManageSite(ctx context.Context, r *connect.Request[v1.ReasonRequest]) (*connect.Response[v1.Done], error) {
	return s.submit(ctx, r.Msg, book.Manage{By: actor(caller(ctx)), Reason: r.Msg.Reason})
}

// ReleaseBrake lets the loop go on. It takes an approver.
func (s *service) ReleaseBrake(ctx context.Context, r *connect.Request[v1.ReasonRequest]) (*connect.Response[v1.Done], error) {
	return s.submit(ctx, r.Msg, book.ReleaseBrake{By: actor(caller(ctx)), Reason: r.Msg.Reason})
}

// Pause holds the loop back.
func (s *service) Pause(ctx context.Context, r *connect.Request[v1.PauseRequest]) (*connect.Response[v1.Done], error) {
	return s.submit(ctx, r.Msg, book.PauseLoop{Hall: r.Msg.Hall, By: caller(ctx).Subject, Reason: r.Msg.Reason})
}

// Resume ends a pause.
func (s *service) Resume(ctx context.Context, r *connect.Request[v1.PauseRequest]) (*connect.Response[v1.Done], error) {
	return s.submit(ctx, r.Msg, book.ResumeLoop{Hall: r.Msg.Hall, By: caller(ctx).Subject, Reason: r.Msg.Reason})
}

// tenantOf is the tenant that a request is about: a tenant's own, whatever it
// says; the owner must name one that is registered. What it returns is signed
// over, so nothing else gets through.
func (s *service) tenantOf(ctx context.Context, named string) (string, error) {
	t := caller(ctx)
	if t.Role.OfTenant() {
		if named != "" && named != t.Tenant {
			return "", missing("tenant", named)
		}
		return t.Tenant, nil
	}
	if named == "" {
		return "", &book.Refusal{Field: "tenant", Reason: "the token is the owner's and belongs to no tenant: name the tenant that is meant"}
	}
	known := false
	s.plane.View(func(b *book.State) { _, known = b.Tenants[named] })
	if !known {
		return "", missing("tenant", named)
	}
	return named, nil
}

// WriteBundle streams what a tenant takes home.
func (s *service) WriteBundle(ctx context.Context, r *connect.Request[v1.TenantRef], stream *connect.ServerStream[v1.Chunk]) error {
	tenant, err := s.tenantOf(ctx, r.Msg.Tenant)
	if err != nil {
		return err
	}
	_, err = s.plane.WriteBundle(ctx, tenant, chunks{stream})
	return err
}

// chunks writes to a stream.
type chunks struct {
	stream *connect.ServerStream[v1.Chunk]
}

// Write sends p in parts that fit into a message.
func (c chunks) Write(p []byte) (int, error) {
	const most = 256 << 10
	for sent := 0; sent < len(p); sent += most {
		if err := c.stream.Send(&v1.Chunk{Data: p[sent:min(sent+most, len(p))]}); err != nil {
			return sent, err
		}
	}
	return len(p), nil
}

// followEvery is how often a followed log is looked at.
const followEvery = time.Second

// TailLedger streams the entries of the caller's scope, and goes on with new
// ones if asked to: it is the watch of every resource.
func (s *service) TailLedger(ctx context.Context, r *connect.Request[v1.TailLedgerRequest], stream *connect.ServerStream[v1.Entry]) error {
	scope := r.Msg.Scope
	if t := caller(ctx); t.Role.OfTenant() {
		own := book.TenantScope(t.Tenant)
		if scope != "" && scope != own {
			return missing("scope", scope)
		}
		scope = own
	} else if scope == "" {
		scope = book.SiteScope
	}
	next := max(r.Msg.From, 1)
	for {
		for e, err := range s.plane.EntriesFrom(ctx, scope, next) {
			if err != nil {
				return err
			}
			if err := stream.Send(describeEntry(&e)); err != nil {
				return err
			}
			next = e.ScopeSeq + 1
		}
		if !r.Msg.Follow {
			return nil
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(followEvery):
		}
	}
}

func describeEntry(e *ledger.Entry) *v1.Entry {
	return &v1.Entry{ScopeSeq: e.ScopeSeq, Scope: e.Scope, Time: e.Time.Format(time.RFC3339Nano), Kind: e.Kind, Command: e.Command, Body: string(e.Body)}
}

// GetCheckpoint signs a checkpoint over a tenant's scope, to be kept.
func (s *service) GetCheckpoint(ctx context.Context, r *connect.Request[v1.TenantRef]) (*connect.Response[v1.Checkpoint], error) {
	tenant, err := s.tenantOf(ctx, r.Msg.Tenant)
	if err != nil {
		return nil, err
	}
	note, err := s.plane.Checkpoint(book.TenantScope(tenant))
	if err != nil {
		return nil, connect.NewError(connect.CodeInternal, err)
	}
	return connect.NewResponse(&v1.Checkpoint{Note: string(note)}), nil
}

// GetTrust gives the public halves of the owner's keys. Compare them by another
// way before you trust them.
func (s *service) GetTrust(context.Context, *connect.Request[v1.GetTrustRequest]) (*connect.Response[v1.Trust], error) {
	name := ""
	s.plane.View(func(b *book.State) {
		if b.Site != nil {
			name = b.Site.Name
		}
	})
	trust, err := s.keys.Trust(name)
	if err != nil {
		return nil, connect.NewError(connect.CodeInternal, err)
	}
	encoded, err := trust.Encode()
	return connect.NewResponse(&v1.Trust{Json: string(encoded)}), err
}

// ListKeys lists the owner's keys, without their secrets.
func (s *service) ListKeys(context.Context, *connect.Request[v1.ListKeysRequest]) (*connect.Response[v1.Keys], error) {
	out := &v1.Keys{}
	for _, k := range s.keys.Keys() {
		key := &v1.Key{Purpose: k.Purpose, Id: k.ID, Created: k.Created.Format(time.RFC3339)}
		if !k.Retired.IsZero() {
			key.Retired = k.Retired.Format(time.RFC3339)
		}
		out.Keys = append(out.Keys, key)
	}
	return connect.NewResponse(out), nil
}

// RotateKey makes a new key for a purpose; the ledger names it from then on.
func (s *service) RotateKey(ctx context.Context, r *connect.Request[v1.RotateKeyRequest]) (*connect.Response[v1.Done], error) {
	if r.Msg.CommandId == "" {
		return nil, &book.Refusal{Field: "command_id", Reason: "expected an id of your own: a key is not made twice"}
	}
	s.rotating.Lock()
	defer s.rotating.Unlock()
	id := commandID(ctx, r.Msg, book.RecordKey{})
	if r, did, err := s.plane.Done(id); err != nil || did {
		return connect.NewResponse(&v1.Done{Entry: r.Entry, Repeated: did}), err
	}
	if why := s.plane.ReadOnly(); why != nil {
		return nil, why
	}
	key, err := s.keys.Rotate(r.Msg.Purpose, s.plane.Clock().Now) // as the entry that names it is dated
	if err != nil {
		return nil, &book.Refusal{Field: "purpose", Reason: err.Error()}
	}
	done, err := s.submit(ctx, r.Msg, book.RecordKey{Purpose: key.Purpose, KeyID: key.ID, By: caller(ctx).Subject})
	if err != nil {
		return nil, err
	}
	if err := s.plane.Publish(ctx); err != nil {
		return nil, connect.NewError(connect.CodeInternal, errors.Join(errors.New("the key was rotated; the checkpoint was not published"), err))
	}
	return done, nil
}
