package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	v1 "bulkhead/api/bulkheadv1"
	"bulkhead/api/bulkheadv1/bulkheadv1connect"
	"bulkhead/claim"
	"bulkhead/contract"
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
	Yes     bool   `help:"Don't ask: do what the preview says. Without it a person at a terminal types what it is about: the contract's id, the invoice's number, the lease's id."`
	Preview string `aliases:"digest" placeholder:"sha256:DIGEST" help:"Do it only if it comes to what an earlier --dry-run has shown. --digest is the same."`
	signFlag
	requestFlag
	client
	format
}

// run shows what an act of a contract comes to, asks, and does it.
func (c *actFlags) run(ctx context.Context, act, of, tranche string) error {
	what := act + " of contract " + of
	return c.shown(ctx, &v1.ActRequest{Contract: of, Act: act, Tranche: tranche}, what, of, func(with *v1.Assured) (*v1.Done, error) {
		return ask(ctx, &c.client, bulkheadv1connect.ControlPlaneClient.PerformAct, &v1.ActRequest{
			CommandId: c.id(), Contract: of, Act: act, Tranche: tranche, Confirmed: with.GetConfirmed(), Assured: with,
		})
	})
}

// shown shows what an act comes to, asks a person to type a word, and does it, signed
// where there is a key.
func (c *actFlags) shown(ctx context.Context, r *v1.ActRequest, what, word string, do func(*v1.Assured) (*v1.Done, error), must ...noteLine) error {
	shown, err := ask(ctx, &c.client, bulkheadv1connect.ControlPlaneClient.PreviewAct, r)
	if err != nil && c.RequestID != "" && !c.DryRun {
		// What is done can't be previewed; what was not is refused now for the same reason.
		if done, failed := do(nil); failed == nil {
			return c.done(what, done, nil)
		}
	}
	if err != nil {
		return err
	}
	// The page is made here, of the very bytes that are confirmed and signed.
	sheet, err := contract.ReadSheet(contract.Act(r.Act), r.Contract, []byte(shown.Json))
	if err != nil {
		return fmt.Errorf("the server's preview: %w", err)
	}
	digest := claim.DigestOf(sheet.Encode())
	if note, ok := sheet.(*contract.ActSheet); ok {
		for _, m := range must {
			if note.Says(m.name) != m.says {
				return fmt.Errorf("the server's preview says %s %q, expected %q: nothing was done", m.name, note.Says(m.name), m.says)
			}
		}
	}
	text := sheet.Text()
	if contract.Act(r.Act) == contract.ActReduce && shown.Value != "" {
		text += fmt.Sprintf("as of now    %s %s are given up, by the server's word: it is less with every second, and not in the digest\n", claim.Line(shown.Value), claim.Line(shown.Currency))
	}
	if c.DryRun {
		return c.print(shown, func(w io.Writer) { fmt.Fprintf(w, "%snothing was done: this is what would be\n", text) })
	}
	fmt.Fprint(remarks, text)
	if c.Preview != "" && c.Preview != digest.String() {
		return fmt.Errorf("--preview %s: it would come to something else now, see above (%s)", c.Preview, digest)
	}
	if err := c.confirm(word); err != nil {
		return err
	}
	with := &v1.Assured{Confirmed: digest.String()}
	if c.Key != "" {
		now, err := time.Parse(time.RFC3339, shown.Now)
		if err != nil {
			return fmt.Errorf("the server's time: %w", err)
		}
		signed, err := signWith(c.Key, contract.ActAssent(contract.Act(r.Act), shown.Site, shown.Tenant, shown.Contract, digest, now, now.Add(contract.AssentLasts)))
		if err != nil {
			return err
		}
		with.Assent, with.Signature = signed.Assent.Encode(), []byte(signed.Signature)
	}
	d, err := do(with)
	return c.done(what, d, err)
}

// noteLine is what a line of a preview must say: what was asked for.
type noteLine struct{ name, says string }

// confirm has a person type a word: the contract's id, or what the act is about.
func (c *actFlags) confirm(word string) error {
	if c.Yes || c.Preview != "" {
		return nil
	}
	if !isTerminal() {
		return usagef("it can't be taken back, and there is nobody to ask: give --yes, or --preview with the digest that --dry-run has shown")
	}
	return typed("It can't be taken back. Type "+word+" to do it: ", word)
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
	return `Give one of --late and --early. The day ends in the time zone of the contract.

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
