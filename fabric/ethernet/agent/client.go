package agent

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"

	"bulkhead/custody"
	"bulkhead/custody/exchange"
	"bulkhead/fabric"
)

// Client asks the agent of one device. Its calls may come from several goroutines at
// once, and end with their context.
type Client struct {
	who  string
	http exchange.Client
}

// Dial makes a client of the agent at a unix socket; errors say who that is. Nothing is
// sent yet.
func Dial(who, socket string) *Client {
	return DialWith(who, func(ctx context.Context) (net.Conn, error) { return custody.Dial(ctx, socket) })
}

// DialWith makes a client whose connections are made by dial, such as through a session
// on the management network.
func DialWith(who string, dial func(context.Context) (net.Conn, error)) *Client {
	return &Client{who: who, http: exchange.Client{Dial: dial, Head: head, Limit: maxBody}}
}

// head is what agents of every release have been asked with.
const head = "Host: agent\r\nUser-Agent: Go-http-client/1.1\r\n"

// Close gives idle connections back.
func (c *Client) Close() { c.http.Close() }

// Ask asks one verb, and returns the answer as it came.
func (c *Client) Ask(ctx context.Context, verb string, ask any) ([]byte, error) {
	body, err := json.Marshal(ask)
	if err != nil {
		return nil, err
	}
	answer, err := c.http.Post(ctx, "/"+verb, body)
	if err != nil {
		return nil, fmt.Errorf("%s: %s: %w", c.who, verb, err)
	}
	if answer.StatusCode != http.StatusOK {
		var f failure
		// Lenient JSON: an agent of a later release may say more, and devices say what they like.
		if json.Unmarshal(answer.Body, &f) != nil || f.Error == "" {
			return nil, fmt.Errorf("%s: %s: status %s", c.who, verb, answer.Status)
		}
		if f.Refused != nil {
			return nil, fmt.Errorf("%s: %w", c.who, f.Refused)
		}
		if f.Fenced { // by an agent of before lineages
			return nil, fmt.Errorf("%s: %s: %w", c.who, f.Error, fabric.ErrFenced)
		}
		return nil, fmt.Errorf("%s: %s", c.who, f.Error)
	}
	return answer.Body, nil
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
