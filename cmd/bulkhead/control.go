package main

import (
	"context"
	"fmt"
	"io"

	v1 "bulkhead/api/bulkheadv1"
	"bulkhead/api/bulkheadv1/bulkheadv1connect"
	"bulkhead/book"
)

type isolationCommand struct {
	Show  isolationShow  `cmd:"" help:"Show what is proven, red or unknown now."`
	Prove isolationProve `cmd:"" help:"Judge a lease anew from what was last read back. Nothing is recorded: the loop does that."`
}

type isolationShow struct {
	Lease string `placeholder:"ID" help:"Only this lease."`
	client
	format
}

// Help is the example.
func (isolationShow) Help() string {
	return `Example:

    bulkhead isolation show --lease first/t1`
}

type isolationProve struct {
	Lease string `arg:"" help:"Id of the lease."`
	client
	format
}

// Help is the example.
func (isolationProve) Help() string {
	return `Exit code 1 says that the isolation of the lease is not proven now. The loop
records a verdict, with a signed certificate, where something has changed: the
certificate that is shown is the newest of those.

Example:

    bulkhead isolation prove first/t1`
}

type planCommand struct {
	Show    planShow    `cmd:"" help:"Show what the loop would do now, and what holds it back."`
	Approve planApprove `cmd:"" help:"Release the loop's brake: it takes an approver, and another person than engaged it."`
}

type planShow struct {
	client
	format
}

// Help is the example.
func (planShow) Help() string {
	return `Example:

    bulkhead plan show`
}

type planApprove struct {
	Reason string `required:"" placeholder:"TEXT" help:"Why the loop may go on."`
	approveFlag
	requestFlag
	client
	format
}

// Help is the example.
func (planApprove) Help() string {
	return `Example:

    bulkhead plan approve --reason "drill, all 64 ports are ours" --token-file data/approver.token`
}

type pauseCommand struct {
	Hall   string `placeholder:"ID" help:"Only this hall. Default: everything."`
	Reason string `required:"" placeholder:"TEXT" help:"Why."`
	requestFlag
	client
	format
}

// Help is the example.
func (pauseCommand) Help() string {
	return `The loop goes on reading and proving; it writes nothing.

Example:

    bulkhead pause --hall hall-a --reason "cable work"`
}

type resumeCommand struct {
	Hall   string `placeholder:"ID" help:"Only this hall. Default: everything."`
	Reason string `placeholder:"TEXT" help:"Why."`
	requestFlag
	client
	format
}

// Help is the example.
func (resumeCommand) Help() string {
	return `Example:

    bulkhead resume --hall hall-a`
}

// Run shows one lease or all.
func (c *isolationShow) Run(ctx context.Context) error {
	ids := []string{c.Lease}
	if c.Lease == "" {
		all, err := leases(ctx, &c.client, "")
		if err != nil {
			return err
		}
		ids = nil
		for _, l := range all.Leases {
			ids = append(ids, l.Id)
		}
	}
	found := make([]*v1.Isolation, 0, len(ids))
	for _, id := range ids {
		i, err := isolationNow(ctx, &c.client, id)
		if err != nil {
			return err
		}
		found = append(found, i)
	}
	if c.Output == "json" && c.Lease == "" {
		return c.print(found, nil)
	}
	if c.Lease != "" {
		return c.print(found[0], func(w io.Writer) { isolationTable(w, found) })
	}
	return c.print(nil, func(w io.Writer) { isolationTable(w, found) })
}

// isolationNow is the verdict over what can be read now, which the newest
// recorded one says nothing about.
func isolationNow(ctx context.Context, c *client, lease string) (*v1.Isolation, error) {
	return ask(ctx, c, bulkheadv1connect.ControlPlaneClient.ShowIsolation, &v1.LeaseRef{Lease: lease})
}

func isolationTable(w io.Writer, found []*v1.Isolation) {
	row(w, "LEASE", "VERDICT", "EPOCH", "PORTS", "RED", "UNKNOWN", "CERTIFICATE")
	for _, i := range found {
		row(w, i.Lease, i.Verdict, i.Epoch, i.Ports, i.Red, i.Unknown, i.Certificate)
	}
	for _, i := range found {
		for _, finding := range i.Findings {
			row(w, i.Lease, finding)
		}
	}
}

// proven is the verdict of a lease whose isolation is.
const proven = "proven"

// Run proves.
func (c *isolationProve) Run(ctx context.Context) error {
	i, err := ask(ctx, &c.client, bulkheadv1connect.ControlPlaneClient.ProveLease, &v1.LeaseRef{Lease: c.Lease})
	if err != nil {
		return err
	}
	if err := c.print(i, func(w io.Writer) { isolationTable(w, []*v1.Isolation{i}) }); err != nil {
		return err
	}
	if i.Verdict != proven {
		return fmt.Errorf("the isolation of %s is %s: %d ports red, %d unknown: what was found is above; bulkhead plan show tells the operator which drivers do not answer", c.Lease, orDash(i.Verdict), i.Red, i.Unknown)
	}
	return nil
}

// Run shows.
func (c *planShow) Run(ctx context.Context) error {
	p, err := ask(ctx, &c.client, bulkheadv1connect.ControlPlaneClient.ShowPlan, &v1.ShowPlanRequest{})
	if err != nil {
		return err
	}
	return c.print(p, func(w io.Writer) {
		if p.Brake != "" {
			row(w, "BRAKE", p.Brake)
			row(w, "next", "another person releases it: bulkhead plan approve --reason TEXT")
		}
		for _, s := range p.Lockdowns {
			row(w, "lock down", s)
		}
		row(w, "ports to write", p.Ports)
		row(w, "node steps", len(p.Steps))
		for _, s := range p.Steps {
			row(w, "step", s)
		}
		for _, s := range p.Volumes {
			row(w, "volume", s)
		}
		for _, s := range p.Guards {
			row(w, "put back", "what guards the management of "+s)
		}
		for _, s := range p.Fences {
			row(w, "show the fence", s)
		}
		for _, s := range p.Commands {
			row(w, "record", s)
		}
		for _, d := range p.Drivers {
			switch {
			case d.Waiting != "" && d.WaitingSeconds >= 1:
				row(w, "silent", fmt.Sprintf("%s: asked %.0f s ago (%s), it answered last %s", d.Name, d.WaitingSeconds, d.Waiting, orNever(d.Answered)))
			case d.Failed != "":
				row(w, "failing", fmt.Sprintf("%s: %s; it answered last %s", d.Name, d.Failed, orNever(d.Answered)))
			}
		}
		for _, s := range p.Differs {
			row(w, "differs", s)
		}
		for _, s := range p.Held {
			row(w, "held back", s)
		}
	})
}

// Run approves.
func (c *planApprove) Run(ctx context.Context) error {
	if err := c.approve(ctx, &c.client, book.ActReleaseBrake, "", c.Reason); err != nil {
		return err
	}
	d, err := ask(ctx, &c.client, bulkheadv1connect.ControlPlaneClient.ReleaseBrake, &v1.ReasonRequest{CommandId: c.id(), Reason: c.Reason})
	return c.done("brake released", d, err)
}

// Run pauses.
func (c *pauseCommand) Run(ctx context.Context) error {
	d, err := ask(ctx, &c.client, bulkheadv1connect.ControlPlaneClient.Pause, &v1.PauseRequest{CommandId: c.id(), Hall: c.Hall, Reason: c.Reason})
	return c.done("pause of "+where(c.Hall), d, err)
}

// Run resumes.
func (c *resumeCommand) Run(ctx context.Context) error {
	d, err := ask(ctx, &c.client, bulkheadv1connect.ControlPlaneClient.Resume, &v1.PauseRequest{CommandId: c.id(), Hall: c.Hall, Reason: c.Reason})
	return c.done("resume of "+where(c.Hall), d, err)
}

func orNever(when string) string {
	if when == "" {
		return "never"
	}
	return "at " + when
}

func where(hall string) string {
	if hall == "" {
		return "everything"
	}
	return "hall " + hall
}
