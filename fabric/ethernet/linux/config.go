package linux

import (
	"fmt"
	"net/netip"
	"regexp"
	"slices"

	"bulkhead/fabric/ethernet"
	"bulkhead/fabric/ethernet/agent"
	"bulkhead/site"
)

// Config is what an agent knows of its leaf beforehand, as a file of JSON.
type Config struct {
	Leaf       string           `json:"leaf"`       // id in the inventory
	VTEP       netip.Addr       `json:"vtep"`       // the leaf's own address
	Accept     []ethernet.Range `json:"accept"`     // the addresses of the fabric's leaves
	Reflectors []netip.Addr     `json:"reflectors"` // whom it may speak BGP with
	Uplinks    []string         `json:"uplinks"`    // interfaces into the underlay
	Management []string         `json:"management"` // interfaces that the filter leaves alone
	Ports      []PortConfig     `json:"ports"`      // edge ports, ascending
	PathSpace  string           `json:"path_space"` // of FRR's daemons (-N); "": none
	LLDP       string           `json:"lldp"`       // lldpd's socket; "": its usual one
	// Policy makes bgpd's EVPN address family the agent's, but for what is its neighbours'
	// own, and with it the policy by which the leaf takes routes: the route map one-target
	// and the extended community list of that name, which take MACs and flooding under just
	// one target of the fabric's form. What of it is not as it is to be is said, and put back.
	Policy bool   `json:"policy"`
	State  string `json:"state"`  // folder that survives a restart: fence, queues
	Socket string `json:"socket"` // where the agent listens
}

// PortConfig is one edge port, and who may be behind it.
type PortConfig struct {
	Number    int             `json:"number"` // from 1
	Interface string          `json:"interface"`
	MAC       site.HardwareID `json:"mac"` // the inventory's
}

var (
	interfaceName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.-]{0,14}$`)
	spaceName     = regexp.MustCompile(`^[A-Za-z0-9_-]{0,64}$`)
)

// ReadConfig reads an agent's configuration. Unknown fields are refused.
func ReadConfig(path string) (*Config, error) {
	var c Config
	if err := agent.ReadConfig(path, &c, c.check); err != nil {
		return nil, err
	}
	return &c, nil
}

func (c *Config) check() error {
	switch {
	case c.Leaf == "":
		return fmt.Errorf("leaf: expected the leaf's id in the inventory")
	case !c.VTEP.Is4():
		return fmt.Errorf("vtep %s: expected an IPv4 address", c.VTEP)
	case len(c.Accept) == 0 || len(c.Reflectors) == 0 || len(c.Uplinks) == 0:
		return fmt.Errorf("accept, reflectors, uplinks: %d, %d and %d, expected some of each", len(c.Accept), len(c.Reflectors), len(c.Uplinks))
	case !spaceName.MatchString(c.PathSpace):
		return fmt.Errorf("path_space %.80q: expected letters, digits, - and _", c.PathSpace)
	}
	for i, r := range c.Accept {
		if !r.From.Is4() || !r.To.Is4() || r.From.Compare(r.To) > 0 {
			return fmt.Errorf("accept[%d] %s: expected a range of IPv4 addresses", i, r)
		}
	}
	for i, a := range c.Reflectors {
		if !a.Is4() {
			return fmt.Errorf("reflectors[%d] %s: expected an IPv4 address", i, a)
		}
	}
	for _, name := range slices.Concat(c.Uplinks, c.Management) {
		if !interfaceName.MatchString(name) {
			return fmt.Errorf("interface %.40q: expected the name of an interface", name)
		}
	}
	if err := agent.CheckPlaces(c.State, c.Socket); err != nil {
		return err
	}
	last := 0
	for i, p := range c.Ports {
		switch {
		case p.Number <= last || p.Number > maxPort:
			return fmt.Errorf("ports[%d]: number %d after %d: expected ascending numbers up to %d", i, p.Number, last, maxPort)
		case !interfaceName.MatchString(p.Interface):
			return fmt.Errorf("ports[%d]: interface %.40q: expected the name of an interface", i, p.Interface)
		case p.MAC == 0 || p.MAC>>48 != 0 || p.MAC>>40&1 == 1:
			return fmt.Errorf("ports[%d]: mac %s: expected one device's MAC", i, p.MAC)
		}
		last = p.Number
	}
	return nil
}

// maxPort bounds port numbers of the inventory; greater ones are of interfaces that
// nobody expected.
const maxPort = 255

func (c *Config) port(number int) (PortConfig, bool) {
	i, found := slices.BinarySearchFunc(c.Ports, number, func(p PortConfig, n int) int { return p.Number - n })
	if !found {
		return PortConfig{}, false
	}
	return c.Ports[i], true
}
