package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	v1 "bulkhead/api/bulkheadv1"
	"bulkhead/api/bulkheadv1/bulkheadv1connect"
)

type leaseCommand struct {
	Sign      leaseSign      `cmd:"" help:"Put a quote in force: leases are bound to the quoted slots."`
	Amend     leaseAmend     `cmd:"" help:"Quote a new version of a contract and put it in force."`
	Notice    leaseNotice    `cmd:"" help:"End a contract early, by its own notice clause."`
	Terminate leaseTerminate `cmd:"" help:"End a contract at the end of the day: because it is late, or for a fee."`
	Reduce    leaseReduce    `cmd:"" help:"Keep what has come of a late tranche, at a lower fee."`
	Acts      leaseActs      `cmd:"" help:"Say who may do what under a contract, by its terms."`
	List      leaseList      `cmd:"" help:"List leases."`
	Show      leaseShow      `cmd:"" help:"Show one lease."`
	Defrag    leaseDefrag    `cmd:"" help:"Move nodes of a running lease closer together, by proposal, consent and acceptance."`
	Hosts     leaseHosts     `cmd:"" help:"Print or write what the tenant gets of a lease: hosts, topology, labels, ssh configuration."`
}

type leaseSign struct {
	Quote  string `arg:"" help:"Id of the quote."`
	Tenant string `placeholder:"ID" help:"Whose quote, where two tenants have one of this id. With a tenant's token: its own."`
	readFlags
	signFlag
	requestFlag
	client
	format
}

// Help is the example.
func (leaseSign) Help() string {
	return `Both parties agree to a contract: one offers it, the other signs. An offer of the
owner's is signed by an administrator of the tenant, a tenant's by finance. A tenant
that has registered a key (bulkhead tenant key) signs with it too, its own offers before
finance does: nothing else puts a version in force. Without a key the tenant's consent
is the owner's word, since the owner makes the tokens.

What is signed is made on this machine of the contract's bytes, and shown on stderr.

What is signed is a page (bulkhead quote show QUOTE), by its digest: the signature is
refused if the quote was replaced since. At a terminal the page is shown and asked
for; a program says which page it has read, with --digest.

Examples:

    bulkhead lease sign first-v1 --token-file acme-administrator.token --key officer
    bulkhead lease sign first-v1 --token-file acme-administrator.token --digest sha256:$PAGE
    bulkhead lease sign acme-v1 --token-file finance.token`
}

type leaseAmend struct {
	File     string        `arg:"" help:"Contract file with the next version."`
	ID       string        `name:"id" placeholder:"ID" help:"Id of the quote in between. Default: contract id and version."`
	Validity time.Duration `placeholder:"DURATION" help:"How long the quote is held, such as 72h. Default: the site's policy."`
	signFlag
	requestFlag
	client
	format
}

// Help is the example.
func (leaseAmend) Help() string {
	return `Quotes the next version; with --key an administrator of the tenant signs its own
offer at once. The other party signs it: bulkhead lease sign. Nothing is effective
before that, so a version takes effect in the future.

Examples:

    bulkhead lease amend first-v2.yaml --token-file finance.token
    bulkhead lease amend first-v2.yaml --token-file acme-administrator.token --key officer`
}

type leaseList struct {
	Tenant string `placeholder:"ID" help:"Only this tenant's."`
	client
	format
}

// Help is the example.
func (leaseList) Help() string {
	return `Example:

    bulkhead lease list --tenant acme`
}

type leaseShow struct {
	Lease string `arg:"" help:"Id of the lease, such as first/t1."`
	client
	format
}

// Help is the example.
func (leaseShow) Help() string {
	return `Example:

    bulkhead lease show first/t1`
}

type leaseHosts struct {
	Lease string `arg:"" help:"Id of the lease."`
	File  string `placeholder:"NAME" help:"Print this file: hosts.txt, hosts.json, rankfile, topology.conf, topology.yaml, node-labels.yaml or ssh_config."`
	Out   string `placeholder:"DIR" help:"Write all files into this folder."`
	client
	format
}

// Help is the example.
func (leaseHosts) Help() string {
	return `A rank is a slot, and stays so: a slot that is not delivered, or is being replaced,
is called absent where it would be, and its rank is given to nobody.

Examples:

    bulkhead lease hosts first/t1
    bulkhead lease hosts first/t1 --file topology.conf > /etc/slurm/topology.conf`
}

// Run signs.
func (c *leaseSign) Run(ctx context.Context) error {
	id := c.id()
	page, done, err := c.read(ctx, &c.client, c.Tenant, c.Quote, id)
	if err == nil && done == nil {
		r := &v1.SignLeaseRequest{CommandId: id, Quote: c.Quote, Tenant: c.Tenant, Digest: page}
		if err := c.signRead(ctx, &c.client, r); err != nil {
			return err
		}
		done, err = ask(ctx, &c.client, bulkheadv1connect.ControlPlaneClient.SignLease, r)
	}
	return c.done("quote "+c.Quote+" signed", done, err)
}

// Run quotes, and signs the caller's own offer where a key is given.
func (c *leaseAmend) Run(ctx context.Context) error {
	q, err := offer(ctx, &c.client, c.File, c.ID, c.Validity)
	if err != nil {
		return err
	}
	if c.Key != "" {
		r := &v1.SignLeaseRequest{CommandId: c.id(), Quote: q.Id, Tenant: q.Tenant, Digest: q.PageDigest}
		if err := c.signQuote(r, q); err != nil {
			return err
		}
		if _, err := ask(ctx, &c.client, bulkheadv1connect.ControlPlaneClient.SignLease, r); err != nil {
			return fmt.Errorf("quote %s is held until %s and was not signed: %w", q.Id, q.Expires, err)
		}
	}
	return c.print(q, func(w io.Writer) { quoteTable(w, q) })
}

// Run lists. Of a lease with a recorded verdict the one that counts is that over
// what can be read now.
func (c *leaseList) Run(ctx context.Context) error {
	all, err := leases(ctx, &c.client, c.Tenant)
	if err != nil {
		return err
	}
	for _, l := range all.Leases {
		if _, err := refresh(ctx, &c.client, l); err != nil {
			return err
		}
	}
	return c.print(all, func(w io.Writer) {
		row(w, "LEASE", "TENANT", "STATE", "SLOTS", "UP", "KIND", "FABRIC", "ISOLATION", "BEGIN", "END")
		for _, l := range all.Leases {
			row(w, l.Id, l.Tenant, l.State, l.DesiredSlots, l.ObservedUp, l.Kind, l.Fabric, l.Isolation, day(l.Begin), day(l.End))
		}
	})
}

// refresh replaces the newest recorded verdict by the one over what can be read
// now, and says how the two compare. A lease without a verdict has none.
func refresh(ctx context.Context, c *client, l *v1.Lease) (said string, err error) {
	recorded := l.Isolation
	if recorded == "" {
		return "no verdict yet", nil
	}
	now, err := isolationNow(ctx, c, l.Id)
	if err != nil {
		return "", err
	}
	l.Isolation = now.Verdict
	said = now.Verdict + " now"
	if now.Red+now.CutOff+now.Unknown > 0 {
		halves := ""
		if now.Apart != now.Together {
			halves = fmt.Sprintf("apart from others: %s; its own members together: %s; ", now.Apart, now.Together)
		}
		said += fmt.Sprintf(" (%sof %d ports %d red, %d cut off, %d unknown)", halves, now.Ports, now.Red, now.CutOff, now.Unknown)
	}
	return fmt.Sprintf("%s; %s when it was last recorded (epoch %d)", said, recorded, l.Generation), nil
}

// day shortens a time at midnight UTC to its date, and leaves any other.
func day(at string) string { return strings.TrimSuffix(at, "T00:00:00Z") }

func leases(ctx context.Context, c *client, tenant string) (*v1.Leases, error) {
	found, err := collect(ctx, c, bulkheadv1connect.ControlPlaneClient.ListLeases, (*v1.Leases).GetLeases)
	return &v1.Leases{Leases: slices.DeleteFunc(found, func(l *v1.Lease) bool { return tenant != "" && l.Tenant != tenant })}, err
}

// Run shows.
func (c *leaseShow) Run(ctx context.Context) error {
	l, err := ask(ctx, &c.client, bulkheadv1connect.ControlPlaneClient.GetLease, &v1.LeaseRef{Lease: c.Lease})
	if err != nil {
		return err
	}
	isolation, err := refresh(ctx, &c.client, l)
	if err != nil {
		return err
	}
	return c.print(l, func(w io.Writer) {
		row(w, "lease", l.Id)
		row(w, "tenant", l.Tenant)
		row(w, "contract", l.Contract+", tranche "+l.Tranche)
		row(w, "what", l.Kind+" in fabric "+l.Fabric)
		row(w, "term", l.Begin+" to "+l.End)
		row(w, "state", l.State)
		row(w, "slots", fmt.Sprintf("%d desired, %d delivered, %d up", l.DesiredSlots, l.Delivered, l.ObservedUp))
		row(w, "isolation", isolation)
		if l.State == "bound" {
			row(w, "next", "its nodes are cleaned and labelled, and handed over from "+l.Begin+" on: bulkhead node list --lease "+l.Id)
		}
		estimateRows(w, l.Estimate)
		for i, agreed := range l.Signed {
			row(w, []string{"signed", ""}[min(i, 1)], agreed)
		}
		for _, r := range l.Replacements {
			row(w, "replacement", fmt.Sprintf("slot %d: %s proposed for %s, answer until %s (bulkhead node replace %s %d --accept)", r.Slot, r.Node, r.Was, r.Deadline, l.Id, r.Slot))
		}
		if len(l.Stays) > 0 {
			row(w, "stays", fmt.Sprintf("slots %v keep their node: their replacement was withdrawn by hand", l.Stays))
		}
		silenceRows(w, l)
		if len(l.Unserved) > 0 {
			row(w, "degraded", fmt.Sprintf("slots %v have no node since %s: nothing that fits is ready; they are billed as down", l.Unserved, l.UnservedSince))
		}
		if d := l.Defrag; d != nil {
			row(w, "proposal", fmt.Sprintf("%d: %d moves from %s to %s halls/pods/SUs/racks (bulkhead lease defrag show %s)", d.Proposal, len(d.Moves), d.Before, d.After, l.Id))
		}
	})
}

// silenceRows say when nobody looked at what a lease runs on, the newest last.
func silenceRows(w io.Writer, l *v1.Lease) {
	if l.SilenceCountsFrom != "" {
		row(w, "silence", "counts from "+l.SilenceCountsFrom+" on; of the time before, the ledger does not say when devices were looked at")
	}
	const most = 5
	if left := int64(max(len(l.Silences)-most, 0)) + l.SilencesLeftOut; left > 0 {
		row(w, "silence", fmt.Sprintf("%d older stretches: -o json lists the last 100", left))
	}
	for _, s := range l.Silences[max(len(l.Silences)-most, 0):] {
		until := "until " + s.Until
		if s.Until == "" {
			until = "until now: its slots are unknown"
		}
		row(w, "silence", fmt.Sprintf("nobody looked at %s from %s %s, billed by the contract's rule for what is unknown", s.What, s.From, until))
	}
}

func orDash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}

// Run prints or writes.
func (c *leaseHosts) Run(ctx context.Context) error {
	h, err := ask(ctx, &c.client, bulkheadv1connect.ControlPlaneClient.GetHosts, &v1.LeaseRef{Lease: c.Lease})
	if err != nil {
		return err
	}
	names := slices.Sorted(maps.Keys(h.Files))
	if c.Out != "" {
		if err := os.MkdirAll(c.Out, 0o755); err != nil {
			return err
		}
		for _, name := range names {
			if name != filepath.Base(name) {
				return fmt.Errorf("the server names a file %q: a name without a folder was expected, nothing more is written", name)
			}
			if err := os.WriteFile(filepath.Join(c.Out, name), []byte(h.Files[name]), 0o644); err != nil {
				return err
			}
		}
		_, err := say(stdout, "%d files in %s: %s", len(names), c.Out, strings.Join(names, ", "))
		return err
	}
	name := c.File
	if name == "" {
		name = "hosts.txt"
		if c.Output == "json" {
			name = "hosts.json"
		}
	}
	if h.Files["hosts.txt"] == "" {
		say(remarks, "bulkhead: no slot of %s has been delivered yet, so no host is in it; see bulkhead lease show %s", c.Lease, c.Lease)
	}
	text, ok := h.Files[name]
	if !ok {
		return usagef("--file %s: expected one of %s", name, strings.Join(names, ", "))
	}
	_, err = io.WriteString(stdout, text)
	return err
}
