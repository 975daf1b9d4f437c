package api

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"connectrpc.com/connect"

	"bulkhead/api/bulkheadv1/bulkheadv1connect"
)

// door is what every request passes before any of its body is read: who calls and
// for whom it is meant is in the header, and reading, unpacking and decoding for
// somebody who may not call at all is work that anybody could order.
type door struct {
	next     http.Handler
	tokens   *Tokens
	now      func() time.Time
	hosts    []string // names that this server answers to, beside addresses and localhost
	gate     *gate
	requests *requests
	refusals *connect.ErrorWriter
}

// servicePath is the path below which the methods of the service are.
const servicePath = "/" + bulkheadv1connect.ControlPlaneName + "/"

// metricsPath is where the monitoring reads.
const metricsPath = "/metrics"

// ServeHTTP lets a request in, or answers why not.
func (d *door) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	name, rpc := strings.CutPrefix(r.URL.Path, servicePath)
	if !rpc {
		name = r.URL.Path
	}
	c := d.requests.begin(name)
	w = &statusWriter{ResponseWriter: w, call: c}
	defer c.end()
	token, err := d.admit(r, name, rpc)
	if err != nil {
		d.refuse(w, r, c, err)
		return
	}
	// The body of the server's own request is left as it is: by it net/http knows that
	// some was not read, and would otherwise take the rest for the next request.
	r = r.WithContext(context.WithValue(r.Context(), callKey{}, c))
	if token == nil { // health: nothing is read, and next to nothing said
		r.Body = http.NoBody
		d.next.ServeHTTP(w, r)
		return
	}
	leave, err := d.gate.enter(token, name)
	if err != nil {
		d.refuse(w, r, c, err)
		return
	}
	defer leave()
	if rpc {
		r.Body = http.MaxBytesReader(w, r.Body, int64(largest(name))+maxFraming)
	}
	d.next.ServeHTTP(w, r)
}

// admit says who calls; nobody, where no token is asked for.
func (d *door) admit(r *http.Request, name string, rpc bool) (*Token, error) {
	if err := d.isForUs(r); err != nil {
		return nil, err
	}
	if !rpc && name != metricsPath {
		return nil, nil
	}
	token, err := identify(d.tokens, r.Header, d.now())
	if err != nil {
		return nil, err
	}
	if _, known := policy[name]; known && !allowed(name, token.Role) || name == metricsPath && !slices.Contains(monitors, token.Role) {
		return nil, mayNot(token.Role, name)
	}
	return &token, nil
}

// isForUs refuses what a page of somebody else's makes a browser send. A page that
// had its name point at this machine is betrayed by the name in Host; one that
// calls across by what the browser says of where it comes from.
func (d *door) isForUs(r *http.Request) error {
	if host := hostname(r.Host); !d.answersTo(host) {
		return connect.NewError(connect.CodePermissionDenied, fmt.Errorf("Host %.80q: this server answers to addresses, localhost and the names given to it with --host; give it this one if it is its own", r.Host))
	}
	if from := r.Header.Get("Sec-Fetch-Site"); from != "" && from != "same-origin" && from != "none" {
		return connect.NewError(connect.CodePermissionDenied, fmt.Errorf("a page of another site asks (Sec-Fetch-Site: %.40q): only pages of this server may", from))
	}
	for _, origin := range r.Header.Values("Origin") {
		if u, err := url.Parse(origin); err != nil || u.Host == "" || !strings.EqualFold(u.Host, r.Host) {
			return connect.NewError(connect.CodePermissionDenied, fmt.Errorf("Origin %.80q: only pages of %.80q may ask here", origin, r.Host))
		}
	}
	return nil
}

// answersTo says whether a name is this server's. An address is: only a name can
// be made to point here by somebody else.
func (d *door) answersTo(host string) bool {
	return host == "localhost" || net.ParseIP(host) != nil || slices.Contains(d.hosts, host)
}

// hostname is a Host header without its port, brackets and last dot.
func hostname(host string) string {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	return strings.ToLower(strings.TrimSuffix(host, "."))
}

// refuse answers in the protocol of the request. The connection of an HTTP/1
// client ends with it: what may still come of a body is not read either.
func (d *door) refuse(w http.ResponseWriter, r *http.Request, c *call, err error) {
	c.code = connect.CodeOf(err).String()
	var exhausted *exhaustedError
	if errors.As(err, &exhausted) {
		w.Header().Set("Retry-After", "1")
	}
	if connect.CodeOf(err) == connect.CodeUnauthenticated {
		w.Header().Set("WWW-Authenticate", `Bearer realm="bulkhead"`)
	}
	if r.ProtoMajor == 1 && r.ContentLength != 0 {
		w.Header().Set("Connection", "close")
	}
	_ = d.refusals.Write(w, r, err) // a client that has gone needs no answer
}

// identify finds whose token a header shows.
func identify(tokens *Tokens, header http.Header, now time.Time) (Token, error) {
	secret, ok := strings.CutPrefix(header.Get("Authorization"), "Bearer ")
	if !ok {
		return Token{}, connect.NewError(connect.CodeUnauthenticated, errors.New("no token: send it as \"Authorization: Bearer TOKEN\""))
	}
	token, ok := tokens.check(secret, now)
	if !ok {
		return Token{}, connect.NewError(connect.CodeUnauthenticated, errors.New("this token is unknown, revoked or expired"))
	}
	return token, tokens.recorded(token)
}

func mayNot(role Role, method string) error {
	return connect.NewError(connect.CodePermissionDenied, errors.New("role "+string(role)+" may not call "+method+whoMay(role, method)))
}
