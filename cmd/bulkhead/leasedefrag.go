package main

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"time"

	v1 "bulkhead/api/bulkheadv1"
	"bulkhead/api/bulkheadv1/bulkheadv1connect"
	"bulkhead/book"
	"bulkhead/contract"
)

type leaseDefrag struct {
	Plan     defragPlan     `cmd:"" help:"What moving nodes of a running lease would do for it: the best compromises."`
	Propose  defragPropose  `cmd:"" help:"Propose a line of the plan to the tenant. Nothing moves."`
	Show     defragShow     `cmd:"" help:"Show the open proposal of a lease."`
	Consent  defragConsent  `cmd:"" help:"The tenant's yes to a proposal. Nothing moves."`
	Accept   defragAccept   `cmd:"" help:"The owner's yes, after the tenant's: its nodes are replaced, one question each."`
	Withdraw defragWithdraw `cmd:"" help:"Take a proposal back, by either party. What has moved stays."`
}

type defragPlan struct {
	Lease string `arg:"" help:"Id of the lease."`
	Most  int32  `default:"64" placeholder:"N" help:"Look at up to so many moves, at most 128."`
	client
	format
}

// Help is the example.
func (defragPlan) Help() string {
	return `Each line is better than the one before, for more moves; no slice with as few moves
is better. A move ends what runs on a node. The first line is the lease as it is.

Example:

    bulkhead lease defrag plan first/t1`
}

// Run plans.
func (c *defragPlan) Run(ctx context.Context) error {
	f, err := ask(ctx, &c.client, bulkheadv1connect.ControlPlaneClient.PlanDefrag, &v1.PlanDefragRequest{Lease: c.Lease, Most: c.Most})
	if err != nil {
		return err
	}
	return c.print(f, func(w io.Writer) {
		row(w, "MOVES", "HALLS", "PODS", "SUS", "RACKS")
		for _, p := range f.Points {
			row(w, p.Moves, p.Halls, p.Pods, p.Sus, p.Racks)
		}
		if len(f.Points) == 1 {
			row(w, fmt.Sprintf("nothing is better with up to %d moves", c.Most))
		}
	})
}

type defragPropose struct {
	Lease  string `arg:"" help:"Id of the lease."`
	Moves  int32  `required:"" placeholder:"N" help:"Number of moves, of a line of the plan."`
	Reason string `required:"" placeholder:"TEXT" help:"Why: the tenant reads it."`
	requestFlag
	client
	format
}

// Help is the example.
func (defragPropose) Help() string {
	return `The plan is made again; it is refused when it has no line with so many moves now.

Example:

    bulkhead lease defrag propose first/t1 --moves 3 --reason "one pod instead of two"`
}

// Run proposes.
func (c *defragPropose) Run(ctx context.Context) error {
	d, err := ask(ctx, &c.client, bulkheadv1connect.ControlPlaneClient.ProposeDefrag,
		&v1.ProposeDefragRequest{CommandId: c.id(), Lease: c.Lease, Moves: c.Moves, Reason: c.Reason})
	return c.done(fmt.Sprintf("%d moves of %s proposed", c.Moves, c.Lease), d, err)
}

type defragShow struct {
	Lease string `arg:"" help:"Id of the lease."`
	client
	format
}

// Help is the example.
func (defragShow) Help() string {
	return `Example:

    bulkhead lease defrag show first/t1`
}

// Run shows.
func (c *defragShow) Run(ctx context.Context) error {
	p, err := ask(ctx, &c.client, bulkheadv1connect.ControlPlaneClient.ShowDefrag, &v1.LeaseRef{Lease: c.Lease})
	if err != nil {
		return err
	}
	return c.print(p, func(w io.Writer) {
		row(w, "lease", p.Lease)
		row(w, "proposal", p.Proposal)
		row(w, "halls/pods/SUs/racks", p.Before+", "+p.After+" after it")
		row(w, "reason", p.Reason)
		row(w, "proposed", p.Proposed+" by "+p.ProposedBy)
		row(w, "tenant", orWaits(p.ConsentedBy, fmt.Sprintf("bulkhead lease defrag consent %s %d", p.Lease, p.Proposal)))
		row(w, "owner", orWaits(p.AcceptedBy, fmt.Sprintf("bulkhead lease defrag accept %s %d", p.Lease, p.Proposal)))
		row(w, "moved", fmt.Sprintf("%d of %d", p.Moved, len(p.Moves)))
		for _, m := range p.Moves {
			row(w, "slot "+strconv.Itoa(int(m.Slot)), m.Was+" to "+m.Node+": "+m.State)
		}
	})
}

func orWaits(who, next string) string {
	if who == "" {
		return "has not agreed: " + next
	}
	return "agreed, by " + who
}

// proposalArgs name a proposal: what was looked at, and no later one.
type proposalArgs struct {
	Lease    string `arg:"" help:"Id of the lease."`
	Proposal uint64 `arg:"" help:"Number of the proposal, from lease defrag show."`
}

type defragConsent struct {
	proposalArgs
	actFlags
}

// Help is the example.
func (defragConsent) Help() string {
	return `Each move ends what runs on a node. It is asked about again, with a deadline, before
it is made; until then the proposal can be withdrawn.

Example:

    bulkhead lease defrag consent first/t1 41 --yes`
}

// Run consents.
func (c *defragConsent) Run(ctx context.Context) error {
	request := &v1.DefragRef{CommandId: c.id(), Lease: c.Lease, Proposal: c.Proposal}
	return c.shown(ctx, &v1.ActRequest{Act: string(contract.ActConsent), Consent: request}, fmt.Sprintf("consent to proposal %d for %s", c.Proposal, c.Lease), c.Lease, func(with *v1.Assured) (*v1.Done, error) {
		request.Assured = with
		return ask(ctx, &c.client, bulkheadv1connect.ControlPlaneClient.ConsentDefrag, request)
	}, noteLine{"proposal", fmt.Sprintf("%d for %s", c.Proposal, c.Lease)})
}

type defragAccept struct {
	proposalArgs
	approveFlag
	requestFlag
	client
	format
}

// Help is the example.
func (defragAccept) Help() string {
	return `By an approver, and not by who has proposed it.

Example:

    bulkhead lease defrag accept first/t1 41`
}

// Run accepts.
func (c *defragAccept) Run(ctx context.Context) error {
	if err := c.approve(ctx, &c.client, book.ActAcceptDefrag, book.DefragSubject(c.Lease, c.Proposal), ""); err != nil {
		return err
	}
	d, err := ask(ctx, &c.client, bulkheadv1connect.ControlPlaneClient.AcceptDefrag, &v1.DefragRef{CommandId: c.id(), Lease: c.Lease, Proposal: c.Proposal})
	return c.done(fmt.Sprintf("proposal %d for %s accepted", c.Proposal, c.Lease), d, err)
}

type defragWithdraw struct {
	proposalArgs
	Reason string `required:"" placeholder:"TEXT" help:"Why."`
	requestFlag
	client
	format
}

// Help is the example.
func (defragWithdraw) Help() string {
	return `A replacement that is proposed already goes on; the others are not made.

Example:

    bulkhead lease defrag withdraw first/t1 41 --reason "a training run until Friday"`
}

// Run withdraws.
func (c *defragWithdraw) Run(ctx context.Context) error {
	d, err := ask(ctx, &c.client, bulkheadv1connect.ControlPlaneClient.WithdrawDefrag,
		&v1.DefragRef{CommandId: c.id(), Lease: c.Lease, Proposal: c.Proposal, Reason: c.Reason})
	return c.done(fmt.Sprintf("proposal %d for %s withdrawn", c.Proposal, c.Lease), d, err)
}

// estimateRows shows the bounds of collectives, of a slice beside the ideal one.
func estimateRows(w io.Writer, e *v1.Estimate) {
	if e == nil || e.AllReduceNs+e.AllToAllNs == 0 {
		return
	}
	ns := func(n int64) string { // three digits
		unit := time.Duration(1)
		for time.Duration(n)/unit >= 1000 {
			unit *= 10
		}
		return time.Duration(n).Round(unit).String()
	}
	row(w, "all-reduce", fmt.Sprintf("of 1 GiB a node: %s or longer; %s in the ideal slice", ns(e.AllReduceNs), ns(e.IdealAllReduceNs)))
	row(w, "all-to-all", fmt.Sprintf("of 4 KiB a GPU pair: %s or longer, by the uplinks of a %s; %s in the ideal slice", ns(e.AllToAllNs), e.AllToAllLimit, ns(e.IdealAllToAllNs)))
}
