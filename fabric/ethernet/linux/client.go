package linux

import (
	"context"
	"net"

	"bulkhead/fabric"
	"bulkhead/fabric/ethernet"
	"bulkhead/fabric/ethernet/agent"
)

// Client asks the agent of one leaf. Its calls may come from several goroutines at
// once, and end with their context.
type Client struct{ *agent.Client }

// Dial makes a client of the agent of a leaf at a unix socket. Nothing is sent yet.
func Dial(leaf, socket string) *Client { return &Client{agent.Dial("leaf "+leaf, socket)} }

// DialWith makes a client whose connections are made by dial, such as through a
// session on the management network.
func DialWith(leaf string, dial func(context.Context) (net.Conn, error)) *Client {
	return &Client{agent.DialWith("leaf "+leaf, dial)}
}

// Read returns what the leaf says of itself. A leaf that can't be read whole is an
// error.
func (c *Client) Read(ctx context.Context) (ethernet.Capture, error) {
	data, err := c.Ask(ctx, "read", struct{}{})
	if err != nil {
		return ethernet.Capture{}, err
	}
	return ethernet.Decode(data)
}

// Admit shows the leaf a fence; an older one than it has seen is refused
// (fabric.ErrFenced).
func (c *Client) Admit(ctx context.Context, f fabric.Fence) error {
	return c.Call(ctx, "admit", admitRequest{f}, &struct{}{})
}

// Write makes ports carry rows, by leaf port number. What fails is named by port; an
// error says that nothing was written.
func (c *Client) Write(ctx context.Context, rows map[int]fabric.Row, f fabric.Fence) (map[int]string, error) {
	var a writeAnswer
	err := c.Call(ctx, "write", writeRequest{Fence: f, Rows: rows}, &a)
	return a.Failed, err
}
