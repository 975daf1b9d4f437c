package exchange

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"bulkhead/custody"
	"bulkhead/lab/await"
)

// end is the process at the other end: what it does with each connection is a test's.
type end struct {
	net.Listener
	opened atomic.Int32
}

// answering listens on a network, and the client that asks there.
func answering(t *testing.T, network string, each func(n int32, c net.Conn, in *bufio.Reader)) (*Client, *end) {
	t.Helper()
	at := "127.0.0.1:0"
	if network == "unix" {
		at = t.TempDir() + "/s"
	}
	l, err := net.Listen(network, at)
	if err != nil {
		t.Fatal(err)
	}
	e := &end{Listener: l}
	var wait sync.WaitGroup
	wait.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			n := e.opened.Add(1)
			wait.Go(func() {
				defer c.Close()
				each(n, c, bufio.NewReader(c))
			})
		}
	})
	c := &Client{Dial: dialer(l.Addr()), Head: "Host: end\r\n", Limit: 1 << 10}
	t.Cleanup(func() {
		c.Close()
		l.Close()
		wait.Wait()
	})
	return c, e
}

func dialer(to net.Addr) func(context.Context) (net.Conn, error) {
	return func(ctx context.Context) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, to.Network(), to.String())
	}
}

// asked reads a request and returns its message; false where there is no more.
func asked(in *bufio.Reader) (string, bool) {
	r, err := http.ReadRequest(in)
	if err != nil {
		return "", false
	}
	data, err := io.ReadAll(r.Body)
	return string(data), err == nil
}

func say(c net.Conn, text string) {
	fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(text), text)
}

// echo answers every call with what it was asked.
func echo(c net.Conn, in *bufio.Reader) {
	for text, more := asked(in); more; text, more = asked(in) {
		say(c, text)
	}
}

func post(t *testing.T, c *Client, text string) {
	t.Helper()
	if a, err := c.Post(t.Context(), "/echo", []byte(text)); err != nil || a.StatusCode != http.StatusOK || string(a.Body) != text {
		t.Errorf("%s: %+v, %v", text, a, err)
	}
}

// noticed waits until this end's kernel knows what the other end did to the idle connection.
func noticed(t *testing.T, c *Client) {
	t.Helper()
	if len(c.idle) != 1 {
		t.Fatalf("%d connections are kept, expected one", len(c.idle))
	}
	await.Must(t, "it to be seen", func() bool { return !c.idle[0].quiet() })
}

var networks = []string{"unix", "tcp"}

// A request is what it is to the letter, whatever stands in its path.
func TestRequest(t *testing.T) {
	got := make(chan string, 1)
	c, _ := answering(t, "unix", func(_ int32, c net.Conn, in *bufio.Reader) {
		var all strings.Builder
		_, _ = asked(bufio.NewReader(io.TeeReader(in, &all)))
		got <- all.String()
		say(c, "")
	})
	if _, err := c.Post(t.Context(), "/v1/a b\r\nHost: other", []byte("{}")); err != nil {
		t.Error(err)
	}
	if text := <-got; text != "POST /v1/a%20b%0D%0AHost:%20other HTTP/1.1\r\nHost: end\r\nContent-Length: 2\r\n\r\n{}" {
		t.Errorf("%q", text)
	}
}

// The other end is stopped and started again while several connections to it are idle. The
// next calls find none of them alive, and go through all the same, each once.
func TestStartedAgain(t *testing.T) {
	path := t.TempDir() + "/s"
	var seen sync.Map
	start := func() *http.Server {
		l, err := custody.Listen(path, nil)
		if err != nil {
			t.Fatal(err)
		}
		server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			data, _ := io.ReadAll(r.Body)
			if _, again := seen.LoadOrStore(string(data), true); again {
				t.Errorf("%s was asked twice", data)
			}
			_, _ = w.Write(data)
		})}
		go server.Serve(l) //nolint:errcheck // it is closed below
		return server
	}
	server := start()
	c := &Client{Dial: func(ctx context.Context) (net.Conn, error) { return custody.Dial(ctx, path) }, Head: "Host: end\r\n", Limit: 1 << 10}
	defer c.Close()
	for life := range 3 {
		var wait sync.WaitGroup
		for caller := range 2 * maxIdle {
			wait.Go(func() {
				for call := range 5 {
					post(t, c, fmt.Sprint(life, caller, call))
				}
			})
		}
		wait.Wait()
		if n := len(c.idle); n == 0 || n > maxIdle {
			t.Errorf("%d connections are kept, expected some and at most %d", n, maxIdle)
		}
		server.Close()
		server = start()
	}
	server.Close()
	if _, err := c.Post(t.Context(), "/echo", nil); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("nobody is there: %v", err)
	}
}

// A connection that the other end closed while it was idle, or said something on that
// nobody had asked, carries no other call, which would be lost or take that for its answer.
func TestClosedWhileIdle(t *testing.T) {
	for _, network := range networks {
		for _, unasked := range []string{"", "HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n"} {
			done := make(chan struct{})
			c, e := answering(t, network, func(n int32, c net.Conn, in *bufio.Reader) {
				if n > 1 {
					echo(c, in)
					return
				}
				text, _ := asked(in)
				say(c, text)
				<-done
				_, _ = io.WriteString(c, unasked)
				if unasked != "" {
					echo(c, in)
				}
			})
			post(t, c, "one")
			close(done)
			noticed(t, c)
			post(t, c, "two")
			if n := e.opened.Load(); n != 2 {
				t.Errorf("%s: %d connections, expected 2", network, n)
			}
		}
	}
}

// A call that was sent is not sent again: what it asked for may have happened.
func TestNotSentTwice(t *testing.T) {
	for _, network := range networks {
		for _, answer := range []string{"", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf "} {
			var calls atomic.Int32
			c, _ := answering(t, network, func(_ int32, c net.Conn, in *bufio.Reader) {
				for text, more := asked(in); more; text, more = asked(in) {
					calls.Add(1)
					if text == "two" {
						_, _ = io.WriteString(c, answer)
						return
					}
					say(c, text)
				}
			})
			post(t, c, "one")
			if a, err := c.Post(t.Context(), "/echo", []byte("two")); !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Errorf("%s, half an answer %q: %+v, %v", network, answer, a, err)
			}
			if n := calls.Load(); n != 2 {
				t.Errorf("%s: %d calls were seen, expected 2", network, n)
			}
			post(t, c, "three")
		}
	}
}

// What has no end, or says that it is too large, is not read; nor is what is no answer.
func TestAnswersThatAreRefused(t *testing.T) {
	for _, network := range networks {
		for name, s := range map[string]struct{ first, then, want string }{
			"large":   {"HTTP/1.1 200 OK\r\nContent-Length: 1025\r\n\r\n", "x", "more than 1024"},
			"chunks":  {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "8\r\n12345678\r\n", "more than 1024"},
			"to end":  {"HTTP/1.1 200 OK\r\n\r\n", "x", "more than 1024"},
			"head":    {"HTTP/1.1 200 OK\r\n", strings.Repeat("X: 12345678\r\n", 1<<10), "a head of more than 1048576"},
			"interim": {"HTTP/1.1 100 Continue\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "status 100"},
			"other":   {"220 mail.example ESMTP\r\n", "", "malformed"},
		} {
			ended := make(chan struct{}, 1)
			c, e := answering(t, network, func(_ int32, c net.Conn, in *bufio.Reader) {
				_, _ = asked(in)
				_, err := io.WriteString(c, s.first)
				for err == nil && s.then != "" {
					_, err = io.WriteString(c, s.then)
				}
				ended <- struct{}{}
			})
			for n := range 2 {
				if a, err := c.Post(t.Context(), "/", nil); err == nil || !strings.Contains(err.Error(), s.want) {
					t.Errorf("%s, %s: %d bytes, %v", network, name, len(a.Body), err)
				}
				<-ended // this end has hung up
				if opened := e.opened.Load(); int(opened) != n+1 {
					t.Errorf("%s, %s: %d connections for %d calls", network, name, opened, n+1)
				}
			}
		}
	}
}

// A call that is given up in the middle of its answer says so, and no later call gets the
// rest of it.
func TestGivenUpMidAnswer(t *testing.T) {
	half := make(chan struct{})
	c, _ := answering(t, "unix", func(n int32, c net.Conn, in *bufio.Reader) {
		if n > 1 {
			echo(c, in)
			return
		}
		_, _ = asked(in)
		_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf ")
		close(half)
		_, _ = asked(in)
	})
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-half
		cancel()
	}()
	if a, err := c.Post(ctx, "/", nil); err != context.Canceled {
		t.Errorf("%+v, %v", a, err)
	}
	post(t, c, "next")
	if _, err := c.Post(ctx, "/", nil); err != context.Canceled {
		t.Errorf("a call that had ended before: %v", err)
	}
}

// Who answers before all of a request is read, and hangs up, has answered.
func TestAnsweredEarly(t *testing.T) {
	for _, network := range networks {
		c, _ := answering(t, network, func(_ int32, c net.Conn, in *bufio.Reader) {
			_, _ = in.ReadString('\n')
			_, _ = io.WriteString(c, "HTTP/1.1 413 Too Large\r\nConnection: close\r\nContent-Length: 3\r\n\r\nno!")
			if u, is := c.(interface{ CloseWrite() error }); is {
				_ = u.CloseWrite()
			}
			if network == "tcp" {
				_, _ = io.Copy(io.Discard, in) // or the kernel takes back what was said
			}
		})
		if a, err := c.Post(t.Context(), "/", make([]byte, 16<<20)); err != nil || a.Status != "413 Too Large" || string(a.Body) != "no!" {
			t.Errorf("%s: %+v, %v", network, a, err)
		}
		if len(c.idle) != 0 {
			t.Errorf("%s: the connection is kept", network)
		}
	}
}

// What can't be looked at, is idle for long, or is to be closed, is not used again.
func TestConnectionsThatAreNotKept(t *testing.T) {
	for name, change := range map[string]func(c *Client){
		"hidden": func(c *Client) {
			dial := c.Dial
			c.Dial = func(ctx context.Context) (net.Conn, error) {
				conn, err := dial(ctx)
				return struct{ net.Conn }{conn}, err
			}
		},
		"old": func(c *Client) {
			for _, open := range c.idle {
				open.since = time.Now().Add(-idleFor - time.Second)
			}
		},
		"closes": func(*Client) {},
		"kept":   func(*Client) {},
	} {
		c, e := answering(t, "unix", func(_ int32, c net.Conn, in *bufio.Reader) {
			for text, more := asked(in); more; text, more = asked(in) {
				if name == "closes" {
					fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s", len(text), text)
					continue
				}
				say(c, text)
			}
		})
		for range 3 {
			change(c)
			post(t, c, name)
		}
		want := int32(3)
		if name == "kept" {
			want = 1
		}
		if n := e.opened.Load(); n != want {
			t.Errorf("%s: %d connections for 3 calls, expected %d", name, n, want)
		}
	}
}

// shut is a connection on which nothing can be sent after the first call: the other end
// closed it after it was looked at.
type shut struct {
	net.Conn
	writes, most int
}

func (s *shut) SyscallConn() (syscall.RawConn, error) { return s.Conn.(syscall.Conn).SyscallConn() }

func (s *shut) Write(b []byte) (int, error) {
	if s.writes++; s.writes > s.most {
		return 0, syscall.EPIPE
	}
	return s.Conn.Write(b)
}

// A call of which nothing could be sent goes out on another connection, if that was an old
// one: who can't be told anything on a new one is gone.
func TestNothingSent(t *testing.T) {
	for most, want := range map[int]error{2: nil, 0: syscall.EPIPE} { // a call is two writes
		c, e := answering(t, "unix", func(_ int32, c net.Conn, in *bufio.Reader) { echo(c, in) })
		dials := 0
		c.Dial = func(ctx context.Context) (net.Conn, error) {
			dials++
			conn, err := dialer(e.Addr())(ctx)
			return &shut{conn, 0, most}, err
		}
		for call := range 3 {
			if a, err := c.Post(t.Context(), "/", []byte("x")); !errors.Is(err, want) || err == nil && string(a.Body) != "x" {
				t.Errorf("%d writes, call %d: %q, %v", most, call, a.Body, err)
			}
		}
		if dials != 3 {
			t.Errorf("%d writes: %d connections for 3 calls", most, dials)
		}
	}
}
