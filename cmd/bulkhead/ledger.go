package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"time"

	"bulkhead/claim"
	"bulkhead/ledger"
	"bulkhead/run/datadir"
)

type ledgerCommand struct {
	Verify   ledgerVerify   `cmd:"" help:"Read every entry, check it and fold it, against the published checkpoint."`
	Tail     ledgerTail     `cmd:"" help:"Print the newest entries."`
	Recover  ledgerRecover  `cmd:"" help:"Go on with a store that holds less than was published, and say so for ever."`
	SetAside ledgerSetAside `cmd:"" help:"Go on with a ledger whose end is dated in the future, and say so for ever."`
	TakeOver ledgerTakeOver `cmd:"" help:"Let a copy of a ledger go on in place of the other server, and say so for ever."`
}

type ledgerVerify struct {
	keysFlag
	format
}

// Help is the example.
func (ledgerVerify) Help() string {
	return `Needs no server; one may be running.

Example:

    bulkhead ledger verify --data /var/lib/bulkhead`
}

// verified is the result of ledger verify.
type verified struct {
	datadir.Verified
	State claim.Digest `json:"state"` // hash of the state that the entries fold to
}

// Run verifies.
func (c *ledgerVerify) Run(ctx context.Context) error {
	master, err := c.master()
	if err != nil {
		return err
	}
	found, err := c.Data.Verify(ctx, master)
	if err != nil {
		return err
	}
	log, err := c.Data.Reader()
	if err != nil {
		return err
	}
	defer log.Close()
	state, err := datadir.Fold(ctx, log, found.Entries) // a server may have added more
	if err != nil {
		return err
	}
	hash, err := state.Hash()
	if err != nil {
		return err
	}
	v := verified{found, hash}
	return c.print(v, func(w io.Writer) {
		row(w, "entries", v.Entries)
		row(w, "from", v.First.Format(time.RFC3339))
		row(w, "to", v.Last.Format(time.RFC3339))
		row(w, "root", v.Root)
		row(w, "state", v.State)
		row(w, "published", publishedAs(v.Published, "the ledger"))
		scopes := make([]string, 0, len(v.Scopes))
		for scope := range v.Scopes {
			scopes = append(scopes, scope)
		}
		slices.Sort(scopes)
		for _, scope := range scopes {
			row(w, "scope "+scope, v.Scopes[scope])
		}
	})
}

// publishedAs says what a comparison with the published checkpoint shows.
func publishedAs(size uint64, what string) string {
	if size == 0 {
		return "nothing yet: this only shows that " + what + " is whole, not that nothing was taken off its end"
	}
	return fmt.Sprintf("entry %d, and %s holds it", size, what)
}

// entryLine is an entry as it is printed.
type entryLine struct {
	Seq     uint64          `json:"seq,omitempty"`
	Time    time.Time       `json:"time"`
	Scope   string          `json:"scope"`
	Number  uint64          `json:"scope_seq"`
	Kind    string          `json:"kind"`
	Command string          `json:"command,omitempty"`
	Body    json.RawMessage `json:"body"`
}

func lineOf(e *ledger.Entry) entryLine {
	return entryLine{e.Seq, e.Time, e.Scope, e.ScopeSeq, e.Kind, e.Command, slices.Clone(e.Body)}
}

// ledgerTail reads the store of a folder, or asks a server.
type ledgerTail struct {
	Data   datadir.Dir `placeholder:"DIR" help:"Folder of the control plane. Without it the server is asked."`
	Count  int         `short:"n" default:"20" help:"How many entries."`
	Scope  string      `placeholder:"SCOPE" help:"Only this scope: site, or tenant/ID."`
	Kind   string      `placeholder:"KIND" help:"Only this kind, such as lease.bound/1."`
	Follow bool        `short:"f" help:"Go on with new entries as they arrive, until interrupted."`
	client
	format
}

// Help is the example.
func (ledgerTail) Help() string {
	return `Examples:

    bulkhead ledger tail --data /var/lib/bulkhead -n 5
    bulkhead ledger tail --scope tenant/acme -o json`
}

// Run prints the newest entries.
func (c *ledgerTail) Run(ctx context.Context) error {
	if c.Count < 1 {
		return usagef("-n %d: expected at least 1", c.Count)
	}
	if c.Data == "" {
		return c.ask(ctx)
	}
	log, err := c.Data.Reader()
	if err != nil {
		return err
	}
	defer log.Close()
	newest, err := c.collect(ctx, log, 1)
	if err != nil {
		return err
	}
	c.noteNone(newest)
	if err := c.show(newest); err != nil || !c.Follow {
		return err
	}
	next, err := log.Head(ctx)
	if err != nil {
		return err
	}
	for next++; ; {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(time.Second):
		}
		for e, err := range log.Read(ctx, next) {
			if err != nil {
				return err
			}
			next = e.Seq + 1
			if c.wants(&e) {
				if err := c.show([]entryLine{lineOf(&e)}); err != nil {
					return err
				}
			}
		}
	}
}

func (c *ledgerTail) wants(e *ledger.Entry) bool {
	return (c.Scope == "" || e.Scope == c.Scope) && (c.Kind == "" || e.Kind == c.Kind)
}

// collect reads the ledger from one entry on and keeps the last that are wanted.
func (c *ledgerTail) collect(ctx context.Context, log ledger.Log, from uint64) ([]entryLine, error) {
	if head, err := log.Head(ctx); err == nil && c.Scope == "" && c.Kind == "" && head > uint64(c.Count) {
		from = head - uint64(c.Count) + 1
	}
	var newest []entryLine
	for e, err := range log.Read(ctx, from) {
		if err != nil {
			return nil, err
		}
		if !c.wants(&e) {
			continue
		}
		if len(newest) == c.Count {
			newest = newest[1:]
		}
		newest = append(newest, lineOf(&e))
	}
	return newest, nil
}

// noteNone tells a mistyped scope or kind from a ledger in which nothing has happened.
func (c *ledgerTail) noteNone(newest []entryLine) {
	if len(newest) == 0 {
		fmt.Fprintln(remarks, "bulkhead: no such entry; a scope is site or tenant/ID, a kind such as lease.bound/1")
	}
}

// show prints entries: one line each, so that what follows can be appended.
func (c *ledgerTail) show(lines []entryLine) error {
	for _, l := range lines {
		if c.Output == "json" {
			data, err := json.Marshal(l)
			if err != nil {
				return err
			}
			fmt.Fprintln(stdout, string(data))
			continue
		}
		body := string(l.Body)
		if len(body) > 160 {
			body = body[:157] + "..."
		}
		seq := l.Seq
		if seq == 0 {
			seq = l.Number
		}
		say(stdout, "%6d  %s  %-22s %-24s %s", seq, l.Time.Format(time.RFC3339), l.Scope, l.Kind, body)
	}
	return nil
}
