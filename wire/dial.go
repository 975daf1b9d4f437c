package wire

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"sync"
	"time"

	"bulkhead/custody"
	"bulkhead/custody/exchange"
	"bulkhead/custody/pki"
	"bulkhead/fabric"
	"bulkhead/node"
	"bulkhead/site"
	"bulkhead/storage"
)

// Client is the drivers at the other end of a connection. It connects again by
// itself when the other end comes back.
type Client struct {
	Drivers
	at   string // socket, or HOST:PORT
	http exchange.Client
}

// helloTimeout is how long Dial waits for the other end to say what it is.
const helloTimeout = 10 * time.Second

// Dial connects to a socket and asks which drivers are there.
func Dial(socket string) (*Client, error) {
	ctx, cancel := context.WithTimeout(context.Background(), helloTimeout)
	defer cancel()
	return DialContext(ctx, socket)
}

// DialContext is Dial that waits no longer than its context.
func DialContext(ctx context.Context, socket string) (*Client, error) {
	return dial(ctx, socket, func(ctx context.Context) (net.Conn, error) { return custody.Dial(ctx, socket) })
}

// dial asks who answers at a place which drivers are there.
func dial(ctx context.Context, at string, how func(context.Context) (net.Conn, error)) (*Client, error) {
	c := &Client{at: at, http: exchange.Client{Dial: how, Head: "Host: devices\r\nContent-Type: application/octet-stream\r\n", Limit: maxMessage}}
	var h hello
	if err := c.call(ctx, "hello", struct{}{}, &h); err != nil {
		c.Close()
		return nil, err
	}
	if h.Protocol != Protocol {
		c.Close()
		return nil, fmt.Errorf("devices at %s speak driver protocol %d, this release speaks %d: run the same release at both ends", at, h.Protocol, Protocol)
	}
	c.Fabrics = map[string]fabric.Driver{}
	for _, id := range h.Fabrics {
		c.Fabrics[id] = &remoteFabric{c: c, id: id}
	}
	for _, id := range h.Postured {
		d, known := c.Fabrics[id].(*remoteFabric)
		if !known {
			return nil, fmt.Errorf("devices at %s have the posture of a fabric %.80q that they do not drive", at, id)
		}
		c.Fabrics[id] = remotePostured{d}
	}
	if h.Nodes {
		c.Nodes = remoteNodes{c}
	}
	if h.Storage {
		c.Storage = remoteStorage{c}
	}
	if h.Sim {
		c.Sim = remoteSim{c}
	}
	return c, nil
}

// Close drops idle connections.
func (c *Client) Close() { c.http.Close() }

// call is a call that is JSON both ways.
func (c *Client) call(ctx context.Context, call string, in, result any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return fmt.Errorf("%s: %w", call, err)
	}
	answer, err := c.post(ctx, call, body)
	if err != nil {
		return err
	}
	// Lenient JSON: errors in devices' own words stand in answers, which Exact would refuse whole: one hostile device must not hide the others.
	if err := json.Unmarshal(answer, result); err != nil {
		return fmt.Errorf("devices at %s: %s: answer: %w", c.at, call, err)
	}
	return nil
}

// post sends a message and returns the answer.
func (c *Client) post(ctx context.Context, call string, body []byte) ([]byte, error) {
	var query url.Values
	if at := fabric.Asked(ctx); !at.IsZero() {
		query = url.Values{askedAt: {at.UTC().Format(time.RFC3339Nano)}}
	}
	answer, err := c.http.PostWith(ctx, "/v1/"+call, query, body)
	switch {
	case errors.Is(err, custody.ErrStranger):
		return nil, fmt.Errorf("devices at %w", err)
	case pki.IsHandshake(err):
		return nil, fmt.Errorf("devices at %s: who answers there, or this end, is not who it has to be: %w: compare the certificates of both ends with the authorities of the other", c.at, err)
	case err != nil:
		return nil, c.gone(ctx, call, err)
	case answer.StatusCode == http.StatusOK:
		return answer.Body, nil
	}
	var f failure
	// Lenient JSON: an error in a device's own words, or of no driver at all.
	if err := json.Unmarshal(answer.Body, &f); err != nil || f.Error == "" {
		return nil, fmt.Errorf("devices at %s: %s: status %d", c.at, call, answer.StatusCode)
	}
	return nil, f.restore()
}

// gone says that nobody answered. A context that has ended is no fault of the
// other end.
func (c *Client) gone(ctx context.Context, call string, err error) error {
	if ctx.Err() != nil {
		return fmt.Errorf("devices at %s: %s: %w", c.at, call, ctx.Err())
	}
	return fmt.Errorf("devices at %s: %s: %w (%v): start it again, its devices keep what they hold; what was asked for may have happened", c.at, call, ErrGone, err)
}

type remoteFabric struct {
	c  *Client
	id string

	mu    sync.Mutex
	zones fabric.Zones // as the other end said them last
}

func (d *remoteFabric) path(call string) string { return "fabrics/" + d.id + "/" + call }

func (d *remoteFabric) Capabilities(ctx context.Context) (c fabric.Capabilities, err error) {
	err = d.c.call(ctx, d.path("capabilities"), struct{}{}, &c)
	return c, err
}

// Plan is pure, so it is made at this end.
func (d *remoteFabric) Plan(desired []fabric.PortRow, observed *fabric.Tables) (fabric.Change, error) {
	return fabric.Plan(d.id, desired, observed)
}

func (d *remoteFabric) Apply(ctx context.Context, c fabric.Change, f fabric.Fence) (r fabric.ApplyReceipt, err error) {
	answer, err := d.c.post(ctx, d.path("apply"), encodeChange(&c, f))
	if err != nil {
		return r, err
	}
	// Lenient JSON: as in call.
	err = json.Unmarshal(answer, &r)
	return r, err
}

func (d *remoteFabric) Observe(ctx context.Context, s fabric.Scope) (fabric.Observation, error) {
	body, err := json.Marshal(s)
	if err != nil {
		return fabric.Observation{}, err
	}
	answer, err := d.c.post(ctx, d.path("observe"), body)
	if err != nil {
		return fabric.Observation{}, err
	}
	return decodeReadback(answer)
}

// Await asks again as long as nothing has changed.
func (d *remoteFabric) Await(ctx context.Context, since uint64) error {
	for {
		changed := false
		if err := d.c.call(ctx, d.path("await"), since, &changed); err != nil || changed {
			return err
		}
	}
}

func (d *remoteFabric) Lockdown(ctx context.Context, ports []site.Port, f fabric.Fence) error {
	return d.c.call(ctx, d.path("lockdown"), lockdown{ports, f}, &struct{}{})
}

// remotePostured is a fabric whose management can be taken over: its posture
// gates the hand-over at this end as well.
type remotePostured struct{ *remoteFabric }

func (d remotePostured) Posture(ctx context.Context) (p fabric.Posture, err error) {
	d.mu.Lock()
	last := d.zones
	d.mu.Unlock()
	if err = d.c.call(ctx, d.path("posture"), known{last.Digest}, &p); err != nil || p.Zones == nil {
		return p, err
	}
	if p.Zones.Nodes == nil && p.Zones.Digest == last.Digest && !last.Digest.IsZero() {
		p.Zones.Nodes = last.Nodes // as it was
		return p, nil
	}
	if !p.Zones.Digest.IsZero() && fabric.Sum(p.Zones.Nodes) != p.Zones.Digest {
		return p, fmt.Errorf("devices at %s: fabric %s: the management network's read-back is not of the digest that it names", d.c.at, d.id)
	}
	d.mu.Lock()
	d.zones = *p.Zones
	d.mu.Unlock()
	return p, nil
}

// Mend implements fabric.Mender; where the other end has nothing to put back, nothing
// is done.
func (d remotePostured) Mend(ctx context.Context, f fabric.Fence) error {
	return d.c.call(ctx, d.path("mend"), f, &struct{}{})
}

var _ fabric.Postured = remotePostured{}

type remoteNodes struct{ c *Client }

func (d remoteNodes) Capabilities(ctx context.Context) (c node.Capabilities, err error) {
	err = d.c.call(ctx, "nodes/capabilities", struct{}{}, &c)
	return c, err
}

func (d remoteNodes) Apply(ctx context.Context, steps []node.Step, f node.Fence) (r []node.StepReceipt, err error) {
	answer, err := d.c.post(ctx, "nodes/apply", encodeSteps(steps, f))
	if err != nil {
		return nil, err
	}
	// Lenient JSON: as in call.
	err = json.Unmarshal(answer, &r)
	return r, err
}

func (d remoteNodes) Observe(ctx context.Context, since uint64) (node.Observation, error) {
	body, err := json.Marshal(since)
	if err != nil {
		return node.Observation{}, err
	}
	answer, err := d.c.post(ctx, "nodes/observe", body)
	if err != nil {
		return node.Observation{}, err
	}
	return decodeReports(answer)
}

type remoteStorage struct{ c *Client }

func (d remoteStorage) Capabilities(ctx context.Context) (c storage.Capabilities, err error) {
	err = d.c.call(ctx, "storage/capabilities", struct{}{}, &c)
	return c, err
}

func (d remoteStorage) Provision(ctx context.Context, s storage.VolumeSpec) (v storage.Volume, err error) {
	err = d.c.call(ctx, "storage/provision", s, &v)
	return v, err
}

func (d remoteStorage) Grant(ctx context.Context, v storage.VolumeID, p storage.Principal) (c storage.Credential, err error) {
	err = d.c.call(ctx, "storage/grant", access{v, p}, &c)
	return c, err
}

func (d remoteStorage) Revoke(ctx context.Context, v storage.VolumeID, p storage.Principal) (r storage.RevokeReceipt, err error) {
	err = d.c.call(ctx, "storage/revoke", access{v, p}, &r)
	return r, err
}

func (d remoteStorage) Usage(ctx context.Context, v storage.VolumeID) (u storage.Usage, err error) {
	err = d.c.call(ctx, "storage/usage", access{Volume: v}, &u)
	return u, err
}

func (d remoteStorage) Destroy(ctx context.Context, v storage.VolumeID) (r storage.ErasureReceipt, err error) {
	err = d.c.call(ctx, "storage/destroy", access{Volume: v}, &r)
	return r, err
}

func (d remoteStorage) Observe(ctx context.Context) (o storage.Observation, err error) {
	err = d.c.call(ctx, "storage/observe", struct{}{}, &o)
	return o, err
}

type remoteSim struct{ c *Client }

func (d remoteSim) Now(ctx context.Context) (time.Time, error) {
	var m moment
	err := d.c.call(ctx, "sim/now", struct{}{}, &m)
	return m.At, err
}

func (d remoteSim) Advance(ctx context.Context, to time.Time) error {
	return d.c.call(ctx, "sim/advance", moment{At: to}, &struct{}{})
}

func (d remoteSim) Asked(ctx context.Context) (at time.Time, there bool, err error) {
	var m moment
	err = d.c.call(ctx, "sim/asked", struct{}{}, &m)
	return m.At, m.OK, err
}

func (d remoteSim) NextEvent(ctx context.Context) (time.Time, bool, error) {
	var m moment
	err := d.c.call(ctx, "sim/next", struct{}{}, &m)
	return m.At, m.OK, err
}

func (d remoteSim) Inject(ctx context.Context, at time.Time, f json.RawMessage) error {
	return d.c.call(ctx, "sim/inject", injection{at, f}, &struct{}{})
}
