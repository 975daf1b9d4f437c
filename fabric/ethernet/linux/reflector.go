package linux

import (
	"context"
	"crypto/sha256"
	"fmt"
	"maps"
	"net/http"
	"net/netip"
	"path/filepath"
	"slices"
	"sync"

	"bulkhead/fabric"
	"bulkhead/fabric/ethernet"
	"bulkhead/fabric/ethernet/agent"
)

// ReflectorConfig is what the agent of a route reflector knows beforehand, as a file
// of JSON. FRR's startup configuration there has, for each leaf, a route map for what
// comes in, "from-" and the leaf's address: it passes what the extended community list
// of the same name permits, and marks everything else with the community of refusal;
// the route map "to-leaves" keeps what is so marked from every leaf, and the collector
// hears it all the same. The agent writes those lists, and puts back what else of this
// policy somebody changed.
type ReflectorConfig struct {
	Address    netip.Addr   `json:"address"`    // the reflector's own
	Leaves     []netip.Addr `json:"leaves"`     // of the fabric
	Collectors []netip.Addr `json:"collectors"` // who else may listen
	PathSpace  string       `json:"path_space"` // of FRR's daemons (-N); "": none
	State      string       `json:"state"`      // folder that survives a restart: fence, orders
	Socket     string       `json:"socket"`     // where the agent listens
}

// ReadReflectorConfig reads an agent's configuration. Unknown fields are refused.
func ReadReflectorConfig(path string) (*ReflectorConfig, error) {
	var c ReflectorConfig
	if err := agent.ReadConfig(path, &c, c.check); err != nil {
		return nil, err
	}
	return &c, nil
}

func (c *ReflectorConfig) check() error {
	switch {
	case !c.Address.Is4() || len(c.Leaves) == 0:
		return fmt.Errorf("address %s, %d leaves: expected an IPv4 address, and some", c.Address, len(c.Leaves))
	case !spaceName.MatchString(c.PathSpace):
		return fmt.Errorf("path_space %.80q: expected letters, digits, - and _", c.PathSpace)
	}
	for i, a := range slices.Concat(c.Leaves, c.Collectors) {
		if !a.Is4() {
			return fmt.Errorf("leaves and collectors: address %d: expected IPv4", i)
		}
	}
	return agent.CheckPlaces(c.State, c.Socket)
}

// Reflector is the agent of a route reflector.
type Reflector struct {
	conf *ReflectorConfig

	mu      sync.Mutex
	fence   *agent.Fence
	orders  ethernet.Orders
	changes *agent.Changes
}

const ordersFile = "orders.json"

// NewReflector prepares a reflector: its lists are as was ordered last.
func NewReflector(ctx context.Context, conf *ReflectorConfig) (*Reflector, error) {
	fence, err := agent.OpenFence(conf.State)
	if err != nil {
		return nil, err
	}
	r := &Reflector{conf: conf, fence: fence, orders: ethernet.Orders{}}
	if err := agent.ReadState(filepath.Join(conf.State, ordersFile), &r.orders); err != nil {
		return nil, err
	}
	if r.changes, err = agent.NewChanges(r.unnoticed, false); err != nil {
		return nil, err
	}
	if err := r.restore(ctx); err != nil {
		return nil, err
	}
	return r, r.write(ctx)
}

// unnoticed is what the reflector passes on, of which bgpd gives no notice.
func (r *Reflector) unnoticed(ctx context.Context) (none agent.Digest, err error) {
	p, err := r.Passes(ctx)
	if err != nil {
		return none, err
	}
	return sha256.Sum256(fmt.Appendf(nil, "%v", p)), nil
}

// restore puts back what of the policy is not as it is to be, but for the leaves' lists.
func (r *Reflector) restore(ctx context.Context) error {
	text, err := r.frr().ask(ctx, "bgpd", policyShows...)
	if err != nil {
		return err
	}
	_, broken, err := decodePolicy(r.conf, text)
	if err != nil || len(broken) == 0 {
		return err
	}
	is, err := runningOf(ctx, r.frr())
	if err != nil {
		return err
	}
	return putBack(ctx, r.frr(), restore(broken, is))
}

// Allow orders which VNIs' routes the reflector passes on from which ports' leaves: in
// the place of what was ordered for those ports, or besides it where more is said. All
// lists are brought to what is ordered, whoever changed them; where no port is named,
// the rest of the policy is put back as well.
func (r *Reflector) Allow(ctx context.Context, orders ethernet.Orders, more bool, f fabric.Fence) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := r.fence.Admit(f); err != nil {
		return err
	}
	// What was ordered counts once it is kept, and all of it or nothing.
	next := ethernet.Orders{}
	for leaf, ports := range r.orders {
		next[leaf] = maps.Clone(ports)
	}
	changed := false
	for leaf, ports := range orders {
		if !slices.Contains(r.conf.Leaves, leaf) {
			return fmt.Errorf("reflector %s: %s is no leaf of its configuration", r.conf.Address, leaf)
		}
		if next[leaf] == nil {
			next[leaf] = map[int][]uint32{}
		}
		for port, vnis := range ports {
			all := slices.Clone(vnis)
			if more {
				all = append(all, next[leaf][port]...)
			}
			slices.Sort(all)
			if all = slices.Compact(all); slices.Equal(all, next[leaf][port]) {
				continue
			}
			changed = true
			if next[leaf][port] = all; len(all) == 0 {
				delete(next[leaf], port)
			}
		}
	}
	if changed {
		if err := agent.WriteState(filepath.Join(r.conf.State, ordersFile), next); err != nil {
			return err
		}
		r.orders = next
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), writeLimit)
	defer cancel()
	if len(orders) == 0 {
		if err := r.restore(ctx); err != nil {
			return err
		}
	}
	return r.write(ctx)
}

// ordered lists the targets that are ordered for a leaf, ascending.
func (r *Reflector) ordered(leaf netip.Addr) (out []ethernet.Target) {
	for vnis := range maps.Values(r.orders[leaf]) {
		for _, v := range vnis {
			out = append(out, ethernet.TargetOf(v))
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// write brings every list to what is ordered: what goes first, then what comes. Only
// what differs is said.
func (r *Reflector) write(ctx context.Context) error {
	text, err := r.frr().ask(ctx, "bgpd", policyShows[2])
	if err != nil {
		return err
	}
	lists := decodeLists(text)
	var going, coming []string
	for _, leaf := range r.conf.Leaves {
		name, wanted := fromLeaf+leaf.String(), map[string]bool{}
		for _, t := range r.ordered(leaf) {
			wanted["permit rt "+t.String()] = true
		}
		for _, line := range lists["extended community standard "+name] {
			if !wanted[line] {
				going = append(going, fmt.Sprintf("no bgp extcommunity-list standard %s %s", name, line))
			}
			delete(wanted, line)
		}
		for _, line := range slices.Sorted(maps.Keys(wanted)) {
			coming = append(coming, fmt.Sprintf("bgp extcommunity-list standard %s %s", name, line))
		}
	}
	if lines := append(going, coming...); len(lines) > 0 {
		return r.frr().configure(ctx, lines)
	}
	return nil
}

func (r *Reflector) frr() frr { return frr(r.conf.PathSpace) }

// Passes says what the reflector passes on, as its routing daemon shows it.
func (r *Reflector) Passes(ctx context.Context) (ethernet.Passed, error) {
	r.mu.Lock() // not amid a change
	defer r.mu.Unlock()
	text, err := r.frr().ask(ctx, "bgpd", policyShows...)
	if err != nil {
		return ethernet.Passed{}, err
	}
	p, _, err := decodePolicy(r.conf, text)
	p.Ordered = map[netip.Addr][]ethernet.Target{}
	for leaf := range r.orders {
		if t := r.ordered(leaf); len(t) > 0 {
			p.Ordered[leaf] = t
		}
	}
	return p, err
}

type allowRequest struct {
	Fence  fabric.Fence    `json:"fence"`
	Orders ethernet.Orders `json:"orders"`
	More   bool            `json:"more"`
}

// Handler is the agent's side of the protocol.
func (r *Reflector) Handler() http.Handler {
	mux := http.NewServeMux()
	r.changes.Handle(mux)
	agent.Handle(mux, "allow", func(ctx context.Context, q allowRequest) (any, error) {
		return struct{}{}, r.Allow(ctx, q.Orders, q.More, q.Fence)
	})
	agent.Handle(mux, "passes", func(ctx context.Context, _ struct{}) (any, error) { return r.Passes(ctx) })
	return mux
}

// RunReflector serves a reflector's agent at its socket until the context ends.
func RunReflector(ctx context.Context, conf *ReflectorConfig) error {
	r, err := NewReflector(ctx, conf)
	if err != nil {
		return err
	}
	return agent.Serve(ctx, conf.Socket, r.Handler())
}

// ReflectorClient asks the agent of one reflector.
type ReflectorClient struct{ *agent.Client }

// Reflector makes a client of a reflector's agent of one that was dialled.
func (c *Client) Reflector() *ReflectorClient { return &ReflectorClient{c.Client} }

// Allow is [Reflector.Allow].
func (c *ReflectorClient) Allow(ctx context.Context, orders ethernet.Orders, more bool, f fabric.Fence) error {
	return c.Call(ctx, "allow", allowRequest{Fence: f, Orders: orders, More: more}, &struct{}{})
}

// Passes is [Reflector.Passes].
func (c *ReflectorClient) Passes(ctx context.Context) (p ethernet.Passed, err error) {
	err = c.Call(ctx, "passes", struct{}{}, &p)
	return p, err
}
