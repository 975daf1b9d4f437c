package main

import (
	"context"
	"fmt"
	"io"
	"strings"

	v1 "bulkhead/api/bulkheadv1"
	"bulkhead/api/bulkheadv1/bulkheadv1connect"
)

type leaseActs struct {
	Contract string `arg:"" help:"Id of the contract."`
	client
	format
}

// Help is the example.
func (leaseActs) Help() string {
	return `Each act under a contract belongs to the party that the terms name.

Example:

    bulkhead lease acts first`
}

// Run lists.
func (c *leaseActs) Run(ctx context.Context) error {
	all, err := ask(ctx, &c.client, bulkheadv1connect.ControlPlaneClient.ListActs, &v1.ContractRef{Contract: c.Contract})
	if err != nil {
		return err
	}
	return c.print(all, func(w io.Writer) {
		row(w, "ACT", "WHO", "ROLE", "CONFIRMED", "YOURS", "CLAUSE", "WHAT")
		for _, a := range all.Acts {
			who := strings.Join(a.Parties, ", ")
			if who == "" {
				who = "nobody"
			}
			row(w, a.Act, who, orDash(strings.Join(a.Roles, ", ")), yesNo(a.Confirmed), yesNo(a.Yours), orDash(a.Clause), a.Says)
		}
	})
}

func yesNo(yes bool) string {
	if yes {
		return "yes"
	}
	return "no"
}

// actFlags are those of every verb that can't be taken back.
type actFlags struct {
	DryRun  bool   `help:"Say when it takes effect and what it costs, and do nothing."`
	Yes     bool   `help:"Don't ask: do what the preview says. Without it a person at a terminal types the contract's id."`
	Preview string `placeholder:"sha256:DIGEST" help:"Do it only if it comes to what an earlier --dry-run has shown."`
	requestFlag
	client
	format
}

// run shows what an act comes to, asks, and does it.
func (c *actFlags) run(ctx context.Context, act, contract, tranche string) error {
	shown, err := ask(ctx, &c.client, bulkheadv1connect.ControlPlaneClient.PreviewAct, &v1.ActRequest{Contract: contract, Act: act, Tranche: tranche})
	if err != nil && c.RequestID != "" && !c.DryRun {
		// What is done can't be previewed; unconfirmed it is done by nothing but its id.
		done, failed := ask(ctx, &c.client, bulkheadv1connect.ControlPlaneClient.PerformAct, &v1.ActRequest{CommandId: c.id(), Contract: contract, Act: act, Tranche: tranche})
		if failed == nil {
			return c.done(act+" of contract "+contract, done, nil)
		}
	}
	if err != nil {
		return err
	}
	if c.DryRun {
		return c.print(shown, func(w io.Writer) { fmt.Fprintf(w, "%snothing was done: this is what would be\n", shown.Text) })
	}
	fmt.Fprint(remarks, shown.Text)
	if c.Preview != "" && c.Preview != shown.Digest {
		return fmt.Errorf("--preview %s: it would come to something else now, see above (%s)", c.Preview, shown.Digest)
	}
	if err := c.confirm(contract); err != nil {
		return err
	}
	d, err := ask(ctx, &c.client, bulkheadv1connect.ControlPlaneClient.PerformAct, &v1.ActRequest{
		CommandId: c.id(), Contract: contract, Act: act, Tranche: tranche, Confirmed: shown.Digest,
	})
	return c.done(act+" of contract "+contract, d, err)
}

// confirm has a person type the contract's id.
func (c *actFlags) confirm(contract string) error {
	if c.Yes || c.Preview != "" {
		return nil
	}
	if !isTerminal() {
		return usagef("it can't be taken back, and there is nobody to ask: give --yes, or --preview with the digest that --dry-run has shown")
	}
	return typed("It can't be taken back. Type the contract's id to do it: ", contract)
}

type leaseNotice struct {
	Contract string `arg:"" help:"Id of the contract."`
	actFlags
}

// Help is the example.
func (leaseNotice) Help() string {
	return `Only the party that the terms name may: see lease acts. What it comes to is shown
first, and what is confirmed is what is done.

Examples:

    bulkhead lease notice first --dry-run
    bulkhead lease notice first --yes`
}

// Run gives notice.
func (c *leaseNotice) Run(ctx context.Context) error { return c.run(ctx, "notice", c.Contract, "") }

type leaseTerminate struct {
	Contract string `arg:"" help:"Id of the contract."`
	Late     bool   `xor:"why" required:"" help:"Because what was promised has not come, and the right to leave for it has arisen."`
	Early    bool   `xor:"why" required:"" help:"Without a reason and without a notice, for the fee of the clause."`
	Tranche  string `placeholder:"ID" help:"With --late: the tranche that is late. Default: the first that is."`
	actFlags
}

// Help is the example.
func (leaseTerminate) Help() string {
	return `Ends a contract at the end of the day, in its own time zone.

Examples:

    bulkhead lease terminate first --late --dry-run
    bulkhead lease terminate first --early --yes`
}

// Run terminates.
func (c *leaseTerminate) Run(ctx context.Context) error {
	if c.Early {
		if c.Tranche != "" {
			return usagef("--tranche: only with --late")
		}
		return c.run(ctx, "terminate-early", c.Contract, "")
	}
	return c.run(ctx, "terminate-late", c.Contract, c.Tranche)
}

type leaseReduce struct {
	Contract string `arg:"" help:"Id of the contract."`
	Tranche  string `placeholder:"ID" help:"The tranche that is late. Default: the first that is."`
	actFlags
}

// Help is the example.
func (leaseReduce) Help() string {
	return `Keeps what has come of a late tranche, at a fee that is lower by what has not.

Example:

    bulkhead lease reduce first --tranche t1 --dry-run`
}

// Run reduces.
func (c *leaseReduce) Run(ctx context.Context) error {
	return c.run(ctx, "reduce", c.Contract, c.Tranche)
}
