// Package exchange asks another process over HTTP at a socket, or over a connection that stands for one.
//
// It is apart from package custody, which says who may be at the other end, for what reads
// files alone: a tenant's verifier holds no code of a network.
package exchange

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"syscall"
	"time"
)

// Client makes calls over HTTP to one process. Each posts a message, and its answer is read
// by who waits for it: a control plane makes some thousand short calls a minute, and
// net/http's client hands both to goroutines of its own. Calls may come from several
// goroutines at once, and end with their context.
//
// Connections are kept between calls. No call is sent twice, since what it asks for may have
// happened by the first. So a kept connection is looked at before a call goes out on it: one
// that the other end has closed meanwhile, such as a process that was started again, is
// given up for another, and the call is seen once.
type Client struct {
	Dial  func(context.Context) (net.Conn, error)
	Head  string // what every request says beside its length, each line with its end: Host at the least
	Limit int64  // bytes of an answer

	mu   sync.Mutex
	idle []*connection // in the order in which they became idle
}

// Reply is what came back, whatever its status.
type Reply struct {
	StatusCode int
	Status     string // such as "404 Not Found"
	Body       []byte
}

const (
	maxIdle = 16
	// idleFor is how long a connection is kept. Who is at the other end closes it after
	// longer, an agent after a minute: a call that is sent as that happens is lost.
	idleFor = 30 * time.Second
	// maxHead bounds the status and the fields of an answer.
	maxHead = 1 << 20
)

// Post makes one call. After an error what was asked for may have happened. An error of Dial
// comes as it is, and that of a context that has ended is the context's.
func (c *Client) Post(ctx context.Context, path string, body []byte) (Reply, error) {
	return c.PostWith(ctx, path, nil, body)
}

// PostWith is [Client.Post] with a query, which may be nil.
func (c *Client) PostWith(ctx context.Context, path string, query url.Values, body []byte) (Reply, error) {
	to := (&url.URL{Path: path}).EscapedPath()
	if len(query) > 0 {
		to += "?" + query.Encode()
	}
	for {
		if err := ctx.Err(); err != nil {
			return Reply{}, err // nothing was sent
		}
		open, err := c.take(ctx)
		if err != nil {
			return Reply{}, orEnded(ctx, err)
		}
		answer, err := c.exchange(ctx, open, to, body)
		if err == nil {
			c.give(open)
			return answer, nil
		}
		open.Close()
		if !open.unsent || !open.used {
			return Reply{}, orEnded(ctx, err)
		}
	}
}

// orEnded is an error, or that the call's context has ended, which is no fault of the other
// end.
func orEnded(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

// Close gives up the connections that no call uses.
func (c *Client) Close() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.drop(len(c.idle))
}

// drop gives up the connections that are idle for longest.
func (c *Client) drop(n int) {
	for _, open := range c.idle[:n] {
		open.Close()
	}
	c.idle = append(c.idle[:0], c.idle[n:]...)
}

// take returns a connection that is open as far as this end can know.
func (c *Client) take(ctx context.Context) (*connection, error) {
	for {
		open := c.kept()
		if open == nil {
			break
		}
		if open.quiet() {
			return open, nil
		}
		open.Close()
	}
	conn, err := c.Dial(ctx)
	if err != nil {
		return nil, err
	}
	open := &connection{Conn: conn}
	open.in = bufio.NewReader(open)
	under := conn
	if encrypted, is := conn.(interface{ NetConn() net.Conn }); is {
		under = encrypted.NetConn()
	}
	if s, is := under.(syscall.Conn); is {
		open.raw, _ = s.SyscallConn() // without it the connection is not kept
	}
	return open, nil
}

// kept takes the connection that was used last, if any was of late: so that more than are
// needed come of age.
func (c *Client) kept() *connection {
	c.mu.Lock()
	defer c.mu.Unlock()
	old := 0
	for old < len(c.idle) && time.Since(c.idle[old].since) > idleFor {
		old++
	}
	c.drop(old)
	if len(c.idle) == 0 {
		return nil
	}
	open := c.idle[len(c.idle)-1]
	c.idle = c.idle[:len(c.idle)-1]
	return open
}

func (c *Client) give(open *connection) {
	if open.last || open.raw == nil {
		open.Close()
		return
	}
	open.used, open.since = true, time.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.idle = append(c.idle, open); len(c.idle) > maxIdle {
		c.drop(1)
	}
}

type connection struct {
	net.Conn
	raw    syscall.RawConn // nil: it can't be looked at
	in     *bufio.Reader
	left   int64 // bytes that may still come
	unsent bool  // the other end has seen nothing of the call that failed
	last   bool  // no call may follow
	used   bool  // by a call before
	since  time.Time
	peek   [1]byte
}

// Read implements io.Reader for in.
func (o *connection) Read(b []byte) (int, error) {
	if o.left <= 0 {
		return 0, io.ErrUnexpectedEOF
	}
	n, err := o.Conn.Read(b)
	o.left -= int64(n)
	return n, err
}

// quiet says whether the other end has neither closed an idle connection nor said anything
// unasked, which the next call would take for its answer.
func (o *connection) quiet() (quiet bool) {
	err := o.raw.Control(func(fd uintptr) {
		_, _, err := syscall.Recvfrom(int(fd), o.peek[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		quiet = err == syscall.EAGAIN
	})
	return quiet && err == nil
}

// exchange makes one call, to what a request line may have. After an error the connection is of no use.
func (c *Client) exchange(ctx context.Context, o *connection, to string, body []byte) (a Reply, err error) {
	// A context that ends ends the reading and writing too.
	stop := context.AfterFunc(ctx, func() { _ = o.SetDeadline(time.Unix(1, 0)) })
	defer func() {
		if !stop() && err == nil {
			err = ctx.Err() // its deadline may come at any time now
		}
	}()
	head := append(make([]byte, 0, 256), "POST "+to+" HTTP/1.1\r\n"+c.Head+"Content-Length: "...)
	head = append(strconv.AppendInt(head, int64(len(body)), 10), "\r\n\r\n"...)
	request := net.Buffers{head, body}
	n, unwritten := request.WriteTo(o.Conn)
	if o.unsent = unwritten != nil && n == 0; o.unsent {
		return a, unwritten
	}
	o.left = maxHead
	response, err := http.ReadResponse(o.in, nil)
	switch {
	case err != nil && unwritten != nil:
		return a, unwritten // what is answered before all of it was read is an answer
	case err != nil && o.left <= 0:
		return a, fmt.Errorf("an answer with a head of more than %d bytes", maxHead)
	case err != nil:
		return a, err
	case response.StatusCode < http.StatusOK:
		return a, fmt.Errorf("an answer of status %s: expected the last one", response.Status)
	}
	o.left = math.MaxInt64
	// The body is not closed, which would read the rest of one that is too large.
	a = Reply{StatusCode: response.StatusCode, Status: response.Status}
	a.Body, err = ReadMessage(response.Body, response.ContentLength, c.Limit)
	o.last = response.Close || unwritten != nil || o.in.Buffered() > 0
	return a, err
}

// ReadMessage reads the body of a request or an answer whole. length is what its head says
// of it, or -1.
func ReadMessage(r io.Reader, length, limit int64) ([]byte, error) {
	var b bytes.Buffer
	if length <= limit {
		b.Grow(int(max(length, 0)) + bytes.MinRead) // or it would be copied at its end
		n, err := b.ReadFrom(io.LimitReader(r, limit+1))
		if err != nil || n <= limit {
			return b.Bytes(), err
		}
	}
	return nil, fmt.Errorf("message of more than %d bytes", limit)
}
