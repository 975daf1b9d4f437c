package wire

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"strings"
	"time"

	"bulkhead/custody/pki"
)

// Drivers on other machines answer over mutual TLS (RFC 8446), with the same messages as
// at a socket. There the kernel says who is at the other end; here an authority of the
// owner's vouches for both: a control plane shows a certificate for clients, drivers one
// for servers that goes by the name that was dialled.

// Endpoint is where drivers answer: "unix:SOCKET" or "tls:HOST:PORT".
type Endpoint struct {
	socket   string
	hostport string // HOST:PORT
}

// ParseEndpoint reads an address.
func ParseEndpoint(text string) (Endpoint, error) {
	if socket, is := strings.CutPrefix(text, "unix:"); is && socket != "" {
		return Endpoint{socket: socket}, nil
	}
	if hostport, is := strings.CutPrefix(text, "tls:"); is {
		if host, port, err := net.SplitHostPort(hostport); err == nil && host != "" && port != "" && port != "0" {
			return Endpoint{hostport: hostport}, nil
		}
	}
	return Endpoint{}, fmt.Errorf("%.200s: expected unix:SOCKET, or tls:HOST:PORT for drivers on another machine", text)
}

// Socket is the path of a socket; "" where it is none.
func (a Endpoint) Socket() string { return a.socket }

// DialEndpoint connects to where drivers answer, and asks which are there. who is shown to
// drivers on other machines; for a socket it may be nil.
func DialEndpoint(ctx context.Context, a Endpoint, who *pki.Identity) (*Client, error) {
	if a.socket != "" {
		return DialContext(ctx, a.socket)
	}
	if who == nil {
		return nil, fmt.Errorf("devices at %s are on another machine: expected a certificate to show to them, with its key and the authorities that vouch for theirs", a.hostport)
	}
	host, _, err := net.SplitHostPort(a.hostport)
	if err != nil {
		return nil, err
	}
	return dial(ctx, a.hostport, func(ctx context.Context) (net.Conn, error) {
		config, err := who.Client(host)
		if err != nil {
			return nil, err
		}
		c, err := (&tls.Dialer{Config: config}).DialContext(ctx, "tcp", a.hostport)
		if err != nil {
			return nil, err
		}
		return session{c.(*tls.Conn)}, nil
	})
}

// session is this end of a connection. In TLS 1.3 the other end looks at a client's
// certificate after the client may write: what it says of it is still to be read when a
// write has failed.
type session struct{ *tls.Conn }

// Write implements net.Conn.
func (c session) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	if err == nil {
		return n, nil
	}
	_ = c.SetReadDeadline(time.Now().Add(time.Second))
	if _, why := c.Conn.Read(make([]byte, 1)); pki.IsHandshake(why) {
		return n, why
	}
	return n, err
}

// ListenTLS listens for control planes that one of the authorities vouches for.
func ListenTLS(address string, who *pki.Identity) (net.Listener, error) {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	return tls.NewListener(l, who.Server()), nil
}
