package main

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"connectrpc.com/connect"

	v1 "bulkhead/api/bulkheadv1"
	"bulkhead/api/bulkheadv1/bulkheadv1connect"
)

// ask shows the newest entries of one scope that a server holds.
func (c *ledgerTail) ask(ctx context.Context) error {
	api, err := c.connect()
	if err != nil {
		return err
	}
	var newest []entryLine
	next := uint64(1)
	err = receive(ctx, api, &v1.TailLedgerRequest{From: next, Scope: c.Scope}, func(l entryLine) error {
		next = l.Number + 1
		if c.Kind != "" && l.Kind != c.Kind {
			return nil
		}
		if len(newest) == c.Count {
			newest = newest[1:]
		}
		newest = append(newest, l)
		return nil
	})
	if err != nil {
		return err
	}
	c.noteNone(newest)
	if err := c.show(newest); err != nil || !c.Follow {
		return err
	}
	err = receive(ctx, api, &v1.TailLedgerRequest{From: next, Scope: c.Scope, Follow: true}, func(l entryLine) error {
		if c.Kind != "" && l.Kind != c.Kind {
			return nil
		}
		return c.show([]entryLine{l})
	})
	if ctx.Err() != nil {
		return nil //nolint:nilerr // it was asked to end
	}
	return err
}

// receive hands every entry of a stream on.
func receive(ctx context.Context, api bulkheadv1connect.ControlPlaneClient, q *v1.TailLedgerRequest, each func(entryLine) error) error {
	stream, err := api.TailLedger(ctx, connect.NewRequest(q))
	if err != nil {
		return err
	}
	defer stream.Close()
	for stream.Receive() {
		e := stream.Msg()
		at, err := time.Parse(time.RFC3339, e.Time)
		if err != nil {
			return fmt.Errorf("entry %d of %s: time %q: %w", e.ScopeSeq, e.Scope, e.Time, err)
		}
		// A server tells positions in a scope, not in the whole ledger.
		if err := each(entryLine{Time: at, Scope: e.Scope, Number: e.ScopeSeq, Kind: e.Kind, Command: e.Command, Body: json.RawMessage(e.Body)}); err != nil {
			return err
		}
	}
	return stream.Err()
}
