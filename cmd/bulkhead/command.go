package main

import (
	"context"
	"fmt"
	"io"

	v1 "bulkhead/api/bulkheadv1"
	"bulkhead/api/bulkheadv1/bulkheadv1connect"
)

type commandCommand struct {
	Show commandShow `cmd:"" help:"Say whether a change was carried out."`
}

type commandShow struct {
	ID    string `arg:"" help:"Id of the request: what --request-id said, or what a verb without an answer printed."`
	Token string `placeholder:"ID" help:"Id of the token that it came with, as token list shows it; the owner's roles only. Default: the one that asks."`
	client
	format
}

// Help is the example.
func (commandShow) Help() string {
	return `A change whose answer did not come, since the line or somebody's patience broke,
was carried out or not. Not known (exit status 1) means: it was not, or it would
have changed nothing, or it is on its way still; the same request under the same
id is then safe to send again.

Example:

    bulkhead command show cli-4kq7hs2m`
}

// Run shows.
func (c *commandShow) Run(ctx context.Context) error {
	s, err := ask(ctx, &c.client, bulkheadv1connect.ControlPlaneClient.ShowCommand, &v1.CommandRef{CommandId: c.ID, Token: c.Token})
	if err != nil {
		return err
	}
	err = c.print(s, func(w io.Writer) {
		if s.CarriedOut {
			say(w, "%s: carried out, ledger entry %d, %s", s.CommandId, s.Entry, s.Time)
		}
	})
	if err == nil && !s.CarriedOut { // a script asks by the status
		err = fmt.Errorf("%s: not known: it was not carried out, or would have changed nothing, or is on its way still; the same request under the same id is safe to send again", s.CommandId)
	}
	return err
}
