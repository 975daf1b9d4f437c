package gateway

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"path/filepath"
	"sync"
	"time"

	"bulkhead/fabric"
	"bulkhead/fabric/ethernet/agent"
	"bulkhead/fabric/ethernet/management"
)

// AgentConfig is what the agent of a gateway is told, as a file of JSON.
type AgentConfig struct {
	State  string `json:"state"`  // folder that survives a restart: fence, plan
	Socket string `json:"socket"` // where the agent listens
}

// ReadAgentConfig reads an agent's configuration. Unknown fields are refused.
func ReadAgentConfig(path string) (*AgentConfig, error) {
	var c AgentConfig
	if err := agent.ReadConfig(path, &c, func() error { return agent.CheckPlaces(c.State, c.Socket) }); err != nil {
		return nil, err
	}
	return &c, nil
}

// Agent filters a gateway as it is told, and says what the gateway holds.
type Agent struct {
	conf    *AgentConfig
	gateway Gateway

	mu    sync.Mutex
	fence *agent.Fence
	plan  *management.Plan // nil: none yet

	changes *agent.Changes
}

// NewAgent prepares a gateway: what was ordered last is in force.
func NewAgent(ctx context.Context, conf *AgentConfig) (*Agent, error) {
	fence, err := agent.OpenFence(conf.State)
	if err != nil {
		return nil, err
	}
	a := &Agent{conf: conf, fence: fence}
	// All that is judged is the kernel's, and the kernel tells of it; who answers at a leg
	// comes and goes by ARP, and is seen when somebody looks.
	nothing := func(context.Context) (d agent.Digest, err error) { return d, nil }
	if a.changes, err = agent.NewChanges(nothing, true); err != nil {
		return nil, err
	}
	if err = agent.ReadState(a.planFile(), &a.plan); err == nil && a.plan != nil {
		err = a.write(ctx)
	}
	return a, err
}

func (a *Agent) planFile() string { return filepath.Join(a.conf.State, "plan.json") }

func (a *Agent) write(ctx context.Context) error {
	r, err := management.Compile(a.plan)
	if err != nil {
		return err
	}
	return a.gateway.Apply(ctx, r)
}

// Apply makes the gateway filter as a plan says, unless a newer writer has told it.
func (a *Agent) Apply(ctx context.Context, p *management.Plan, f fabric.Fence) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if p == nil {
		return errors.New("no plan")
	}
	if err := p.Check(); err != nil {
		return err
	}
	if err := a.fence.Admit(f); err != nil {
		return err
	}
	if err := agent.WriteState(a.planFile(), p); err != nil {
		return err
	}
	a.plan = p // it counts once it is kept
	return a.write(ctx)
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

type applyRequest struct {
	Fence fabric.Fence     `json:"fence"`
	Plan  *management.Plan `json:"plan"`
}

// Handler is the agent's side of the protocol.
func (a *Agent) Handler() http.Handler {
	mux := http.NewServeMux()
	a.changes.Handle(mux)
	agent.Handle(mux, "apply", func(ctx context.Context, q applyRequest) (any, error) {
		return struct{}{}, a.Apply(ctx, q.Plan, q.Fence)
	})
	agent.Handle(mux, "read", func(ctx context.Context, q readRequest) (any, error) { return a.Read(ctx, q.Ask) })
	return mux
}

// RunAgent serves a gateway's agent at its socket until the context ends.
func RunAgent(ctx context.Context, conf *AgentConfig) error {
	a, err := NewAgent(ctx, conf)
	if err != nil {
		return err
	}
	defer a.changes.Close()
	return agent.Serve(ctx, conf.Socket, a.Handler())
}

// Client asks a gateway's agent.
type Client struct{ *agent.Client }

// Dial makes a client of the agent at a unix socket. Nothing is sent yet.
func Dial(socket string) *Client { return &Client{agent.Dial("gateway", socket)} }

// Apply is [Agent.Apply].
func (c *Client) Apply(ctx context.Context, p *management.Plan, f fabric.Fence) error {
	return c.Call(ctx, "apply", applyRequest{f, p}, &struct{}{})
}

// Read is [Agent.Read].
func (c *Client) Read(ctx context.Context, ask []netip.Addr) (raw management.Raw, err error) {
	err = c.Call(ctx, "read", readRequest{ask}, &raw)
	return raw, err
}
