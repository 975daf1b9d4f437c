package agent

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"bulkhead/custody"
	"bulkhead/fabric"
)

// Client asks the agent of one device. Its calls may come from several goroutines at
// once, and end with their context.
type Client struct {
	who  string
	http http.Client
}

// Dial makes a client of the agent at a unix socket; errors say who that is. Nothing is
// sent yet.
func Dial(who, socket string) *Client {
	return DialWith(who, func(ctx context.Context) (net.Conn, error) { return custody.Dial(ctx, socket) })
}

// DialWith makes a client whose connections are made by dial, such as through a session
// on the management network.
func DialWith(who string, dial func(context.Context) (net.Conn, error)) *Client {
	return &Client{who: who, http: http.Client{Transport: &http.Transport{
		DialContext:         func(ctx context.Context, _, _ string) (net.Conn, error) { return dial(ctx) },
		MaxIdleConnsPerHost: 4, IdleConnTimeout: 30 * time.Second, DisableCompression: true,
	}}}
}

// Close gives idle connections back.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Ask asks one verb, and returns the answer as it came.
func (c *Client) Ask(ctx context.Context, verb string, ask any) ([]byte, error) {
	body, err := json.Marshal(ask)
	if err != nil {
		return nil, err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://agent/"+verb, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	response, err := c.http.Do(r)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", c.who, err)
	}
	defer response.Body.Close()
	data, err := io.ReadAll(io.LimitReader(response.Body, maxBody+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("%s: %w", c.who, err)
	case len(data) > maxBody:
		return nil, fmt.Errorf("%s: %s: an answer of more than %d bytes", c.who, verb, maxBody)
	case response.StatusCode != http.StatusOK:
		var f failure
		// Lenient JSON: an agent of a later release may say more, and devices say what they like.
		if json.Unmarshal(data, &f) != nil || f.Error == "" {
			return nil, fmt.Errorf("%s: %s: status %s", c.who, verb, response.Status)
		}
		if f.Refused != nil {
			return nil, fmt.Errorf("%s: %w", c.who, f.Refused)
		}
		if f.Fenced { // by an agent of before lineages
			return nil, fmt.Errorf("%s: %s: %w", c.who, f.Error, fabric.ErrFenced)
		}
		return nil, fmt.Errorf("%s: %s", c.who, f.Error)
	}
	return data, nil
}

// Call asks one verb whose answer is JSON.
func (c *Client) Call(ctx context.Context, verb string, ask, into any) error {
	data, err := c.Ask(ctx, verb, ask)
	if err == nil {
		// Lenient JSON: an agent of a later release may say more.
		err = json.Unmarshal(data, into)
	}
	return err
}

// Changes is [Changes.Number].
func (c *Client) Changes(ctx context.Context) (uint64, error) {
	var a changesAnswer
	err := c.Call(ctx, "changes", struct{}{}, &a)
	return a.Changes, err
}

// Await is [Changes.Await]; an error is also that the device does not answer.
func (c *Client) Await(ctx context.Context, number uint64) error {
	return c.Call(ctx, "await", awaitRequest{number}, &struct{}{})
}
