package gateway

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"time"

	"bulkhead/fabric"
	"bulkhead/fabric/ethernet/management"
)

// AgentConfig is what the agent of a gateway is told, as a file of JSON.
type AgentConfig struct {
	State  string `json:"state"`  // folder that survives a restart: fence, plan
	Socket string `json:"socket"` // where the agent listens
}

// ReadAgentConfig reads an agent's configuration. Unknown fields are refused.
func ReadAgentConfig(path string) (*AgentConfig, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("configuration of the gateway's agent: %w", err)
	}
	var c AgentConfig
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(&c); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if !filepath.IsAbs(c.State) || !filepath.IsAbs(c.Socket) {
		return nil, fmt.Errorf("%s: state %q, socket %q: expected absolute paths", path, c.State, c.Socket)
	}
	return &c, nil
}

// orders are what the agent was told last, and by whom.
type orders struct {
	Fence fabric.Fence     `json:"fence"`
	Plan  *management.Plan `json:"plan"` // nil: none yet
}

// Agent filters a gateway as it is told, and says what the gateway holds.
type Agent struct {
	conf    *AgentConfig
	gateway Gateway

	mu   sync.Mutex
	told orders
}

// NewAgent prepares a gateway: what was ordered last is in force.
func NewAgent(ctx context.Context, conf *AgentConfig) (*Agent, error) {
	if err := os.MkdirAll(conf.State, 0o700); err != nil {
		return nil, err
	}
	a := &Agent{conf: conf}
	data, err := os.ReadFile(filepath.Join(conf.State, "orders.json"))
	if err == nil {
		err = json.Unmarshal(data, &a.told)
	} else if errors.Is(err, os.ErrNotExist) {
		err = nil
	}
	if err == nil && a.told.Plan != nil {
		err = a.write(ctx)
	}
	return a, err
}

func (a *Agent) write(ctx context.Context) error {
	r, err := management.Compile(a.told.Plan)
	if err != nil {
		return err
	}
	return a.gateway.Apply(ctx, r)
}

// Apply makes the gateway filter as a plan says, unless a newer writer has told it.
func (a *Agent) Apply(ctx context.Context, p *management.Plan, f fabric.Fence) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if f.Older(a.told.Fence) {
		return fabric.Refused(f, a.told.Fence)
	}
	if err := p.Check(); err != nil {
		return err
	}
	next := orders{f, p}
	data, err := json.Marshal(next)
	if err != nil {
		return err
	}
	if err := keep(filepath.Join(a.conf.State, "orders.json"), data); err != nil {
		return err
	}
	a.told = next // it counts once it is kept
	return a.write(ctx)
}

// keep puts a file in place of another, durably.
func keep(path string, data []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".new-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.Write(data)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

// answerTime is how long a BMC may take to say its MAC.
const answerTime = 300 * time.Millisecond

// Read says what the gateway holds. The addresses that are asked for are spoken to
// first, so that it shows who answers there.
func (a *Agent) Read(ctx context.Context, ask []netip.Addr) (management.Raw, error) {
	for _, to := range ask {
		// A datagram to nobody's port: it is the ARP before it that counts.
		if c, err := net.DialUDP("udp4", nil, net.UDPAddrFromAddrPort(netip.AddrPortFrom(to, 9))); err == nil {
			_, _ = c.Write([]byte{0}) // who can't be reached does not show
			c.Close()
		}
	}
	select {
	case <-ctx.Done():
		return management.Raw{}, ctx.Err()
	case <-time.After(answerTime):
	}
	return a.gateway.Read(ctx)
}

type readRequest struct {
	Ask []netip.Addr `json:"ask"`
}

type failure struct {
	Error  string `json:"error"`
	Fenced bool   `json:"fenced,omitempty"`
}

const maxBody = 64 << 20

// Handler is the agent's side of the protocol: POSTs of JSON.
func (a *Agent) Handler() http.Handler {
	mux := http.NewServeMux()
	handle := func(verb string, do func(ctx context.Context, d *json.Decoder) (any, error)) {
		mux.HandleFunc("POST /"+verb, func(w http.ResponseWriter, r *http.Request) {
			d := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody))
			d.DisallowUnknownFields()
			value, err := do(r.Context(), d)
			w.Header().Set("Content-Type", "application/json")
			if err != nil {
				w.WriteHeader(http.StatusInternalServerError)
				value = failure{err.Error(), errors.Is(err, fabric.ErrFenced)}
			}
			_ = json.NewEncoder(w).Encode(value)
		})
	}
	handle("apply", func(ctx context.Context, d *json.Decoder) (any, error) {
		var o orders
		if err := d.Decode(&o); err != nil {
			return nil, err
		}
		if o.Plan == nil {
			return nil, errors.New("apply: no plan")
		}
		return struct{}{}, a.Apply(ctx, o.Plan, o.Fence)
	})
	handle("read", func(ctx context.Context, d *json.Decoder) (any, error) {
		var q readRequest
		if err := d.Decode(&q); err != nil {
			return nil, err
		}
		return a.Read(ctx, q.Ask)
	})
	return mux
}

// RunAgent serves a gateway's agent at its socket until the context ends.
func RunAgent(ctx context.Context, conf *AgentConfig) error {
	a, err := NewAgent(ctx, conf)
	if err != nil {
		return err
	}
	_ = os.Remove(conf.Socket) // left by a process that died
	l, err := net.Listen("unix", conf.Socket)
	if err != nil {
		return fmt.Errorf("gateway: %w", err)
	}
	if err := os.Chmod(conf.Socket, 0o600); err != nil {
		l.Close()
		return err
	}
	server := &http.Server{Handler: a.Handler(), ReadHeaderTimeout: 5 * time.Second, IdleTimeout: time.Minute}
	stop := context.AfterFunc(ctx, func() { _ = server.Close() })
	defer stop()
	if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// Client asks a gateway's agent.
type Client struct{ http http.Client }

// Dial makes a client of the agent at a unix socket. Nothing is sent yet.
func Dial(socket string) *Client {
	return &Client{http.Client{Transport: &http.Transport{DisableCompression: true, IdleConnTimeout: 30 * time.Second,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", socket)
		}}}}
}

// Close gives idle connections back.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Apply is [Agent.Apply].
func (c *Client) Apply(ctx context.Context, p *management.Plan, f fabric.Fence) error {
	return c.call(ctx, "apply", orders{f, p}, &struct{}{})
}

// Read is [Agent.Read].
func (c *Client) Read(ctx context.Context, ask []netip.Addr) (raw management.Raw, err error) {
	return raw, c.call(ctx, "read", readRequest{ask}, &raw)
}

func (c *Client) call(ctx context.Context, verb string, ask, into any) error {
	body, err := json.Marshal(ask)
	if err != nil {
		return err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://gateway/"+verb, bytes.NewReader(body))
	if err != nil {
		return err
	}
	response, err := c.http.Do(r)
	if err != nil {
		return fmt.Errorf("gateway: %w", err)
	}
	defer response.Body.Close()
	data, err := io.ReadAll(io.LimitReader(response.Body, maxBody))
	if err != nil {
		return fmt.Errorf("gateway: %w", err)
	}
	if response.StatusCode == http.StatusOK {
		return json.Unmarshal(data, into)
	}
	var f failure
	if json.Unmarshal(data, &f) != nil || f.Error == "" {
		return fmt.Errorf("gateway: %s: status %s", verb, response.Status)
	}
	if f.Fenced {
		return fmt.Errorf("gateway: %s: %w", f.Error, fabric.ErrFenced)
	}
	return fmt.Errorf("gateway: %s", f.Error)
}
