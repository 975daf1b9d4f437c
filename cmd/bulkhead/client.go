package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"connectrpc.com/connect"

	"bulkhead/custody"
)

// client is the flags of every verb that asks a server.
type client struct {
	Server    string `default:"http://127.0.0.1:8470" env:"BULKHEAD_SERVER" placeholder:"URL" help:"Where bulkhead serve answers."`
	TokenFile string `env:"BULKHEAD_TOKEN_FILE" placeholder:"FILE" help:"File with the token to show. bulkhead serve writes three at its first start: DIR/operator.token, approver.token and finance.token."`
}

// requestFlag is the flag of every verb that changes something.
type requestFlag struct {
	RequestID string `placeholder:"ID" help:"Your own id of this request: the same one again changes nothing. Default: a new one."`
}

// id is the request's id.
func (r requestFlag) id() string {
	if r.RequestID != "" {
		return r.RequestID
	}
	return "cli-" + strings.ToLower(rand.Text())
}

// check refuses what can't be a server, before anything is sent to it.
func (c *client) check() error {
	u, err := url.Parse(c.Server)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return usagef("--server %s: expected http://HOST:PORT or https://HOST", c.Server)
	}
	return nil
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

// bearer shows the token with every request.
type bearer struct {
	token string
	next  http.RoundTripper
}

// RoundTrip sends a request with the token.
func (b bearer) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+b.token)
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
	return &http.Client{Transport: bearer{token, http.DefaultTransport}}, nil
}

// explain says what a person can do about an error of a call.
func explain(err error) error {
	var refused *connect.Error
	if !errors.As(err, &refused) {
		return err
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
		return fmt.Errorf("this token may not do that: %s", message)
	case connect.CodeCanceled:
		return context.Canceled
	}
	// The API names its own fields; here the same things have other names.
	for field, flag := range map[string]string{"command_id": "--request-id", "tenant_signature": "--tenant-signature"} {
		if rest, ok := strings.CutPrefix(message, field+": "); ok {
			message = flag + ": " + rest
		}
	}
	if refused.Code() == connect.CodeNotFound {
		message += ", or none that this token may see"
	}
	return errors.New(message)
}
