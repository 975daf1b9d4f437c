package main

import (
	"context"
	"io"

	"connectrpc.com/connect"

	v1 "bulkhead/api/bulkheadv1"
	"bulkhead/api/bulkheadv1/bulkheadv1connect"
)

// connect is a client of the server's API. Nothing is sent yet.
func (c *client) connect() (bulkheadv1connect.ControlPlaneClient, error) {
	web, err := c.http()
	if err != nil {
		return nil, err
	}
	return bulkheadv1connect.NewControlPlaneClient(web, c.Server), nil
}

// ask makes one call.
func ask[Q, A any](ctx context.Context, c *client, method func(bulkheadv1connect.ControlPlaneClient, context.Context, *connect.Request[Q]) (*connect.Response[A], error), question *Q) (*A, error) {
	api, err := c.connect()
	if err != nil {
		return nil, err
	}
	answer, err := method(api, ctx, connect.NewRequest(question))
	if err != nil {
		return nil, err
	}
	return answer.Msg, nil
}

// pageSize is how many resources a page holds.
const pageSize = 1000

// pages calls one page after the other until there is none, or more says no.
func pages(one func(*v1.Page) (next string, more bool, err error)) error {
	page := &v1.Page{PageSize: pageSize}
	for {
		next, more, err := one(page)
		if err != nil || !more || next == "" {
			return err
		}
		page = &v1.Page{PageSize: pageSize, PageToken: next}
	}
}

// answer is a page of resources.
type answer[A any] interface {
	*A
	GetNextPageToken() string
}

// collect calls a method for page after page and takes the resources of each.
func collect[A any, P answer[A], T any](ctx context.Context, c *client, method func(bulkheadv1connect.ControlPlaneClient, context.Context, *connect.Request[v1.Page]) (*connect.Response[A], error), of func(P) []T) (all []T, err error) {
	err = pages(func(p *v1.Page) (string, bool, error) {
		a, err := ask(ctx, c, method, p)
		if err != nil {
			return "", false, err
		}
		all = append(all, of(a)...)
		return P(a).GetNextPageToken(), true, nil
	})
	return all, err
}

// done prints the answer to a change.
func (f format) done(what string, d *v1.Done, err error) error {
	if err != nil {
		return err
	}
	return f.print(d, func(w io.Writer) {
		switch {
		case d.Repeated:
			say(w, "%s: done already, by an earlier request of the same id", what)
		case d.Nothing:
			say(w, "%s: nothing to do", what)
		default:
			say(w, "%s: done, ledger entry %d", what, d.Entry)
		}
	})
}
