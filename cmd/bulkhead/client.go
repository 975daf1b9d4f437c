package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"connectrpc.com/connect"

	"bulkhead/api"
	"bulkhead/custody"
	"bulkhead/custody/pki"
)

// client is the flags of every verb that asks a server.
type client struct {
	Server    string            `default:"http://127.0.0.1:8470" env:"BULKHEAD_SERVER" placeholder:"URL" help:"Where bulkhead serve answers."`
	Insecure  bool              `env:"BULKHEAD_INSECURE" help:"Show the token in plain HTTP to a server that is not on this machine, where anybody on the way can read it."`
	CA        string            `name:"ca" env:"BULKHEAD_CA" placeholder:"FILE" help:"The authorities that vouch for --server, PEM, such as authority.pem of bulkhead ca. Default: those of this machine."`
	TokenFile string            `env:"BULKHEAD_TOKEN_FILE" placeholder:"FILE" help:"File with the token to show. bulkhead serve writes three at its first start: DIR/operator.token, approver.token and finance.token."`
	carry     func(http.Header) // what the next call shows beside the token; nil: nothing
	MinEntry  uint64            `placeholder:"N" help:"Wait, for five seconds at most, until the server's answer holds ledger entry N: what a change was answered with, or the header Bulkhead-Entry. With a tenant's token N counts in its own scope."`
}

// minEntry is what a request asks for, as the header of the API.
func (c *client) minEntry(h http.Header) {
	if c.carry != nil {
		c.carry(h)
	}
	if c.MinEntry > 0 {
		h.Set(api.MinEntryHeader, strconv.FormatUint(c.MinEntry, 10))
	}
}

// requestFlag is the flag of every verb that changes something.
type requestFlag struct {
	RequestID string `placeholder:"ID" help:"Your own id of this request: the same one again changes nothing. Default: a new one."`
}

// requested is the id of the change that this process asks for, if it does.
var requested string

// id is the request's id.
func (r requestFlag) id() string {
	requested = r.RequestID
	if requested == "" {
		requested = "cli-" + strings.ToLower(rand.Text())
	}
	return requested
}

// unanswered says how to learn what became of a change whose answer did not come.
func unanswered(err error) error {
	var failed *connect.Error
	var dial *net.OpError
	if requested == "" || !errors.As(err, &failed) || errors.As(err, &dial) && dial.Op == "dial" {
		return nil // it was never sent
	}
	switch failed.Code() {
	case connect.CodeDeadlineExceeded, connect.CodeCanceled:
	case connect.CodeUnavailable, connect.CodeUnknown:
		if connect.IsWireError(failed) {
			return nil // the server has answered
		}
	default:
		return nil
	}
	return fmt.Errorf("whether it was carried out, its id tells: bulkhead command show %s", requested)
}

// check refuses what can't be a server, before anything is sent to it.
func (c *client) check() error {
	u, err := url.Parse(c.Server)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return usagef("--server %s: expected http://HOST:PORT or https://HOST", c.Server)
	}
	if u.Scheme == "http" && !onLoopback(u.Hostname()) && !c.Insecure {
		return usagef("--server %s: it is not on this machine, and anybody on the way could read the token: give https://HOST, or --insecure", c.Server)
	}
	return nil
}

// onLoopback says whether what is sent to a host stays on this machine. A name is
// believed only where it can mean nothing else.
func onLoopback(host string) bool {
	ip := net.ParseIP(host)
	return strings.EqualFold(host, "localhost") || ip != nil && ip.IsLoopback()
}

// token reads the token file.
func (c *client) token() (string, error) {
	if c.TokenFile == "" {
		return "", usagef("no token: give --token-file FILE or set BULKHEAD_TOKEN_FILE; bulkhead serve writes DIR/operator.token at its first start")
	}
	data, err := custody.ReadSecret(c.TokenFile, custody.Small)
	if err != nil {
		return "", fmt.Errorf("--token-file: %w", err)
	}
	token := strings.TrimSpace(string(data))
	if token == "" || strings.ContainsAny(token, " \t\r\n") {
		return "", fmt.Errorf("--token-file %s: expected one token and nothing else", c.TokenFile)
	}
	return token, nil
}

// bearer shows the token with every request to the server that it is for, and
// sends no other.
type bearer struct {
	token        string
	also         func(http.Header)
	scheme, host string
	next         http.RoundTripper
}

// RoundTrip sends a request with the token.
func (b bearer) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Scheme != b.scheme || r.URL.Host != b.host {
		return nil, elsewhere(r.URL)
	}
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+b.token)
	b.also(r.Header)
	return b.next.RoundTrip(r)
}

// http is a client that shows the token.
func (c *client) http() (*http.Client, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	token, err := c.token()
	if err != nil {
		return nil, err
	}
	u, err := url.Parse(c.Server)
	if err != nil {
		return nil, err
	}
	way, err := c.transport(u)
	if err != nil {
		return nil, err
	}
	return &http.Client{
		Transport: bearer{token, c.minEntry, u.Scheme, u.Host, way},
		// Also not to another page of the same server: what was asked for would be
		// asked of something else.
		CheckRedirect: func(r *http.Request, _ []*http.Request) error { return elsewhere(r.URL) },
	}, nil
}

// transport is how requests get to the server.
func (c *client) transport(u *url.URL) (http.RoundTripper, error) {
	if c.CA == "" {
		return http.DefaultTransport, nil
	}
	if u.Scheme != "https" {
		return nil, usagef("--ca %s: only with a --server of https://", c.CA)
	}
	authorities, err := pki.OpenAuthorities(c.CA)
	if err != nil {
		return nil, fmt.Errorf("--ca: %w", err)
	}
	way := http.DefaultTransport.(*http.Transport).Clone()
	if way.TLSClientConfig, err = authorities.Client(u.Hostname()); err != nil {
		return nil, fmt.Errorf("--ca: %w", err)
	}
	return way, nil
}

// elsewhere says that a server sends the client on. Of the address only where it is
// is shown.
func elsewhere(to *url.URL) error { return &elsewhereError{to.Scheme + "://" + to.Host} }

type elsewhereError struct{ to string }

func (e *elsewhereError) Error() string {
	return "the server sends on to " + e.to + ", and the token is shown to nobody but --server: if that is the server, give its address there"
}

// explain says what a person can do about an error of a call.
func explain(err error) error {
	var refused *connect.Error
	var sentOn *elsewhereError
	if errors.As(err, &sentOn) {
		return sentOn
	}
	if !errors.As(err, &refused) {
		return err
	}
	if pki.IsHandshake(err) {
		return fmt.Errorf("who answers at --server is not vouched for: %w: give the authority's certificate with --ca, and the server's name as it is in its own", err)
	}
	message := refused.Message()
	switch refused.Code() {
	case connect.CodeUnavailable:
		if connect.IsWireError(refused) {
			return fmt.Errorf("the server can't do that now: %s", message)
		}
		return fmt.Errorf("the server does not answer (%s): is bulkhead serve running, and is --server (BULKHEAD_SERVER) its address?", message)
	case connect.CodeUnauthenticated:
		return fmt.Errorf("the server does not know this token (%s): see --token-file, and bulkhead token create", message)
	case connect.CodePermissionDenied:
		if strings.HasPrefix(message, "Host ") {
			return fmt.Errorf("the server does not go by the name in --server: %s", message)
		}
		return fmt.Errorf("this token may not do that: %s", message)
	case connect.CodeCanceled:
		return context.Canceled
	}
	// The API names its own fields; here the same things have other names.
	for field, flag := range map[string]string{"command_id": "--request-id", "digest": "--digest", "valid_seconds": "--validity"} {
		if rest, ok := strings.CutPrefix(message, field+": "); ok {
			message = flag + ": " + rest
		}
	}
	if refused.Code() == connect.CodeNotFound {
		message += ", or none that this token may see"
		for what, list := range map[string]string{"lease": "lease list", "contract": "lease list", "node": "node list", "invoice": "invoice list", "open quote": "quote list", "tenant": "tenant list"} {
			if strings.HasPrefix(message, "no "+what+" ") {
				message += ": bulkhead " + list + " says which there are"
			}
		}
	}
	return errors.New(message)
}
