package linux

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"

	"bulkhead/fabric"
	"bulkhead/fabric/ethernet"
)

// Client asks the agent of one leaf. Its calls may come from several goroutines at
// once, and end with their context.
type Client struct {
	leaf string
	http http.Client
}

// Dial makes a client of the agent of a leaf at a unix socket. Nothing is sent yet.
func Dial(leaf, socket string) *Client {
	return DialWith(leaf, func(ctx context.Context) (net.Conn, error) { return (&net.Dialer{}).DialContext(ctx, "unix", socket) })
}

// DialWith makes a client whose connections are made by dial, such as through a
// session on the management network.
func DialWith(leaf string, dial func(context.Context) (net.Conn, error)) *Client {
	return &Client{leaf: leaf, http: http.Client{Transport: &http.Transport{
		DialContext:         func(ctx context.Context, _, _ string) (net.Conn, error) { return dial(ctx) },
		MaxIdleConnsPerHost: 4, IdleConnTimeout: 30 * time.Second, DisableCompression: true,
	}}}
}

// Close gives idle connections back.
func (c *Client) Close() { c.http.CloseIdleConnections() }

func (c *Client) call(ctx context.Context, verb string, ask any) ([]byte, error) {
	body, err := json.Marshal(ask)
	if err != nil {
		return nil, err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://leaf/"+verb, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	response, err := c.http.Do(r)
	if err != nil {
		return nil, fmt.Errorf("leaf %s: %w", c.leaf, err)
	}
	defer response.Body.Close()
	data, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("leaf %s: %w", c.leaf, err)
	case len(data) > maxAnswer:
		return nil, fmt.Errorf("leaf %s: %s: an answer of more than %d bytes", c.leaf, verb, maxAnswer)
	case response.StatusCode != http.StatusOK:
		var f failure
		if json.Unmarshal(data, &f) != nil || f.Error == "" {
			return nil, fmt.Errorf("leaf %s: %s: status %s", c.leaf, verb, response.Status)
		}
		if f.Fenced {
			return nil, fmt.Errorf("leaf %s: %s: %w", c.leaf, f.Error, fabric.ErrFenced)
		}
		return nil, fmt.Errorf("leaf %s: %s", c.leaf, f.Error)
	}
	return data, nil
}

// Changes returns a number that is another whenever something may have changed that
// Read would show, and another again after the agent's restart.
func (c *Client) Changes(ctx context.Context) (uint64, error) {
	var a changesAnswer
	data, err := c.call(ctx, "changes", struct{}{})
	if err == nil {
		err = json.Unmarshal(data, &a)
	}
	return a.Changes, err
}

// Await returns nil as soon as Changes would return another number than this one, and
// an error when the context ended before or the leaf does not answer.
func (c *Client) Await(ctx context.Context, number uint64) error {
	_, err := c.call(ctx, "await", awaitRequest{number})
	return err
}

// Read returns what the leaf says of itself. A leaf that can't be read whole is an
// error.
func (c *Client) Read(ctx context.Context) (ethernet.Capture, error) {
	data, err := c.call(ctx, "read", struct{}{})
	if err != nil {
		return ethernet.Capture{}, err
	}
	return ethernet.Decode(data)
}

// Admit shows the leaf a fence; an older one than it has seen is refused
// (fabric.ErrFenced).
func (c *Client) Admit(ctx context.Context, f fabric.Fence) error {
	_, err := c.call(ctx, "admit", admitRequest{f})
	return err
}

// Write makes ports carry rows, by leaf port number. What fails is named by port; an
// error says that nothing was written.
func (c *Client) Write(ctx context.Context, rows map[int]fabric.Row, f fabric.Fence) (map[int]string, error) {
	var a writeAnswer
	data, err := c.call(ctx, "write", writeRequest{Fence: f, Rows: rows})
	if err == nil {
		err = json.Unmarshal(data, &a)
	}
	return a.Failed, err
}
