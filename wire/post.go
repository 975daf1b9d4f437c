package wire

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"bulkhead/custody"
)

// connections are open ones that no call uses. A control plane makes some thousand
// calls a minute, most of them short, so that a call is written and its answer read
// by who waits for it: net/http's client hands both to goroutines of their own.
type connections struct {
	socket string
	idle   chan *connection
}

// maxIdle is how many connections are kept.
const maxIdle = 16

type connection struct {
	net.Conn
	in     *bufio.Reader
	used   bool // by a call before
	closed bool
}

func newConnections(socket string) *connections {
	return &connections{socket: socket, idle: make(chan *connection, maxIdle)}
}

func (c *connections) take(ctx context.Context) (*connection, error) {
	select {
	case open := <-c.idle:
		open.used = true
		return open, nil
	default:
	}
	conn, err := custody.Dial(ctx, c.socket)
	if err != nil {
		return nil, err
	}
	return &connection{Conn: conn, in: bufio.NewReader(conn)}, nil
}

func (c *connections) give(open *connection) {
	select {
	case c.idle <- open:
	default:
		open.Close()
	}
}

func (c *connections) close() {
	for {
		select {
		case open := <-c.idle:
			open.Close()
		default:
			return
		}
	}
}

// post sends a message and returns the answer.
func (c *Client) post(ctx context.Context, call string, body []byte) ([]byte, error) {
	for {
		if err := ctx.Err(); err != nil {
			return nil, c.gone(ctx, call, err) // nothing was sent
		}
		open, err := c.connections.take(ctx)
		if errors.Is(err, custody.ErrStranger) {
			return nil, fmt.Errorf("devices at %w", err)
		}
		if err != nil {
			return nil, c.gone(ctx, call, err)
		}
		status, answer, err := open.exchange(ctx, call, body)
		var unsent *unsentError
		if errors.As(err, &unsent) && open.used && ctx.Err() == nil {
			continue // the other end was started again meanwhile, and never saw this
		}
		if err != nil {
			return nil, c.gone(ctx, call, err)
		}
		if !open.closed {
			c.connections.give(open)
		}
		if status == http.StatusOK {
			return answer, nil
		}
		var f failure
		// Lenient JSON: an error in a device's own words, or of no driver at all.
		if err := json.Unmarshal(answer, &f); err != nil || f.Error == "" {
			return nil, fmt.Errorf("devices at %s: %s: status %d", c.socket, call, status)
		}
		return nil, f.restore()
	}
}

// unsentError is the failure to write the first byte of a call.
type unsentError struct{ error }

func (e *unsentError) Unwrap() error { return e.error }

// exchange makes one call. After an error the connection is closed, and when the other
// end wants it so.
func (o *connection) exchange(ctx context.Context, call string, body []byte) (status int, answer []byte, err error) {
	// A context that ends ends the reading and writing too.
	stop := context.AfterFunc(ctx, func() { _ = o.SetDeadline(time.Unix(1, 0)) })
	defer func() {
		if !stop() && err == nil {
			err = ctx.Err() // its deadline may come at any time now
		}
		if o.closed = o.closed || err != nil; o.closed {
			o.Close()
		}
	}()
	path := url.URL{Path: "/v1/" + call}
	head := append(make([]byte, 0, 256), "POST "+path.EscapedPath()+" HTTP/1.1\r\nHost: devices\r\nContent-Type: application/octet-stream\r\nContent-Length: "...)
	head = append(strconv.AppendInt(head, int64(len(body)), 10), "\r\n\r\n"...)
	request := net.Buffers{head, body}
	if n, err := request.WriteTo(o.Conn); err != nil {
		if n == 0 {
			return 0, nil, &unsentError{err}
		}
		return 0, nil, err
	}
	response, err := http.ReadResponse(o.in, nil)
	if err != nil {
		return 0, nil, err
	}
	defer response.Body.Close()
	if answer, err = readLimited(response.Body, response.ContentLength); err != nil {
		return 0, nil, err
	}
	o.closed = response.Close
	return response.StatusCode, answer, nil
}
