package drivers

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"bulkhead/custody"
	"bulkhead/fabric"
	"bulkhead/fabric/ethernet/management"
	"bulkhead/fabric/ethernet/management/gateway"
	"bulkhead/prove"
	"bulkhead/site"
)

// managementConfig is the management network of the nodes of a fabric: one gateway with
// a leg to each BMC. Beside the fabric's own guard it is part of its posture.
type managementConfig struct {
	Gateway  string   `yaml:"gateway"`  // unix socket of the gateway's agent
	Managers []string `yaml:"managers"` // addresses that may speak to BMCs
	Manage   string   `yaml:"manage"`   // the gateway's interface behind which they are
	Tenants  []string `yaml:"tenants"`  // its interfaces behind which tenants are
	Legs     string   `yaml:"legs"`     // file with a line "NODE INTERFACE ADDRESS" for each node
}

func (c *managementConfig) check() error {
	switch {
	case c.Gateway == "" || c.Manage == "" || c.Legs == "":
		return errors.New("management: expected gateway, manage and legs")
	case len(c.Managers) == 0:
		return errors.New("management: managers: expected one address or more")
	}
	for i, a := range c.Managers {
		if _, err := netip.ParseAddr(a); err != nil {
			return fmt.Errorf("management: managers[%d]: %.60q: expected an IP address", i, a)
		}
	}
	return nil
}

// plan is what the gateway is to be, for the nodes of the inventory: a BMC's MAC is the
// inventory's, and a node without a leg is an error.
func (c *managementConfig) plan(in inventory, at func(string) string) (*management.Plan, error) {
	p := &management.Plan{Manage: c.Manage, Tenants: c.Tenants}
	for _, a := range c.Managers {
		p.Managers = append(p.Managers, netip.MustParseAddr(a)) // checked
	}
	slices.SortFunc(p.Managers, netip.Addr.Compare)
	file, err := custody.Open(at(c.Legs))
	if err != nil {
		return nil, fmt.Errorf("management: legs: %w", err)
	}
	defer file.Close()
	lines := bufio.NewScanner(file)
	for number := 1; lines.Scan(); number++ {
		words := strings.Fields(lines.Text())
		if len(words) == 0 || strings.HasPrefix(words[0], "#") {
			continue
		}
		if len(words) != 3 {
			return nil, fmt.Errorf("%s:%d: expected a node, an interface and an address", at(c.Legs), number)
		}
		n, known := in.site.Lookup(words[0])
		address, err := netip.ParseAddr(words[2])
		if !known || err != nil {
			return nil, fmt.Errorf("%s:%d: node %.60q, address %.60q: expected a node of the site and an IP address", at(c.Legs), number, words[0], words[2])
		}
		p.Legs = append(p.Legs, management.Leg{Interface: words[1], Node: in.site.NodeID[n], MAC: in.site.BMC[n], Address: address})
	}
	if err := lines.Err(); err != nil {
		return nil, err
	}
	if len(p.Legs) != in.site.Nodes() {
		return nil, fmt.Errorf("%s: %d legs for %d nodes: expected one each", at(c.Legs), len(p.Legs), in.site.Nodes())
	}
	slices.SortFunc(p.Legs, func(a, b management.Leg) int { return strings.Compare(a.Interface, b.Interface) })
	return p, p.Check()
}

// managed is a fabric's driver beside the gateway of its nodes' management network.
type managed struct {
	fabric.Driver
	gateway *gateway.Client
	plan    *management.Plan
	site    *site.Site

	mu     sync.Mutex
	number uint64 // of the gateway's changes, from before it was looked at or told of last; 0: never
}

func (c *managementConfig) around(d fabric.Driver, in inventory, at func(string) string) (*managed, error) {
	p, err := c.plan(in, at)
	if err != nil {
		return nil, err
	}
	return &managed{Driver: d, gateway: gateway.Dial(at(c.Gateway)), plan: p, site: in.site}, nil
}

// Capabilities implements fabric.Driver: the fabric's own.
func (m *managed) Capabilities(ctx context.Context) (fabric.Capabilities, error) {
	c, err := m.Driver.Capabilities(ctx)
	c.Wakeful = true
	return c, err
}

// Await implements fabric.Driver: the fabric's own, and the gateway when it changed since
// it was looked at.
func (m *managed) Await(ctx context.Context, since uint64) error {
	m.mu.Lock()
	number := m.number
	m.mu.Unlock()
	if number == 0 {
		return m.Driver.Await(ctx, since)
	}
	either, cancel := context.WithCancel(ctx)
	defer cancel()
	ended := make(chan error, 2)
	go func() { ended <- m.Driver.Await(either, since) }()
	go func() {
		for either.Err() == nil {
			if m.gateway.Await(either, number) == nil {
				m.told(either, number)
				ended <- nil
				return
			}
			select {
			case <-either.Done():
			case <-time.After(askGatewayAgain):
			}
		}
		ended <- either.Err()
	}()
	err := <-ended
	cancel()
	<-ended
	return err
}

// told notes that whoever waits was told of a change, and is told of the next only.
func (m *managed) told(ctx context.Context, was uint64) {
	now, err := m.gateway.Changes(ctx)
	m.mu.Lock()
	defer m.mu.Unlock()
	if err == nil && m.number == was { // else it was looked at meanwhile
		m.number = now
	}
}

// askGatewayAgain is after how long a gateway is asked again that did not answer.
const askGatewayAgain = 5 * time.Second

// Posture implements fabric.Postured: the fabric's own, and whether each BMC is proven
// to be a zone of its own.
func (m *managed) Posture(ctx context.Context) (p fabric.Posture, err error) {
	if guarded, is := m.Driver.(fabric.Postured); is {
		if p, err = guarded.Posture(ctx); err != nil {
			return p, err
		}
	}
	if p.At.IsZero() {
		p.At = time.Now()
	}
	item, zones := m.zones(ctx, p.At)
	p.Items, p.Zones = append(p.Items, item), zones
	return p, ctx.Err()
}

// zones reads the gateway back and has it proven as fabrics are. nil: it could not be read.
func (m *managed) zones(ctx context.Context, at time.Time) (item fabric.PostureItem, read *fabric.Zones) {
	item = fabric.PostureItem{Name: "each BMC is a zone of its own", Grade: "measured"}
	ask := make([]netip.Addr, len(m.plan.Legs))
	for i := range m.plan.Legs {
		ask[i] = m.plan.Legs[i].Address
	}
	number, err := m.gateway.Changes(ctx)
	m.mu.Lock()
	m.number = number // where it does not answer: 0, and the next look is a timed one
	m.mu.Unlock()
	var raw management.Raw
	if err == nil {
		raw, err = m.gateway.Read(ctx, ask)
	}
	if err != nil {
		item.Grade, item.Evidence = "not known", "the gateway can't be read: "+err.Error()
		return item, nil
	}
	state, err := management.Decode(raw)
	if err != nil {
		item.Evidence = "the gateway's read-back: " + err.Error()
		return item, nil
	}
	v, err := management.Judge(m.plan, state)
	if err != nil {
		item.Evidence = err.Error()
		return item, nil
	}
	read = &fabric.Zones{At: at, Source: "nftables+neighbours", Digest: fabric.Sum(v.Zones), Nodes: v.Zones}
	tally, red := prove.ZonesTally(prove.Zones(m.site, read))
	item.OK = len(red) == 0 && len(v.Findings) == 0
	if m.site.Management == "" { // else a BMC that nobody heard holds its own node, and no other
		item.OK = item.OK && tally.Proven == len(m.plan.Legs)
	}
	item.Evidence = fmt.Sprintf("%d of %d BMCs proven to be reached by managers only, and to reach nobody", tally.Proven, len(m.plan.Legs))
	if quiet := len(m.plan.Legs) - tally.Proven - len(red); quiet > 0 {
		item.Evidence += fmt.Sprintf("; of %d nobody knows", quiet)
	}
	if len(red) > 0 {
		item.Evidence += fmt.Sprintf("; %d are not: %s first", len(red), m.site.NodeID[red[0]])
	}
	if len(v.Findings) > 0 {
		item.Evidence += fmt.Sprintf("; %.400s", strings.Join(v.Findings[:min(3, len(v.Findings))], "; "))
	}
	return item, read
}

// Mend implements fabric.Mender: the gateway's filter is put back.
func (m *managed) Mend(ctx context.Context, f fabric.Fence) error {
	err := m.gateway.Apply(ctx, m.plan, f)
	if mender, can := m.Driver.(fabric.Mender); can {
		err = errors.Join(err, mender.Mend(ctx, f))
	}
	return err
}
