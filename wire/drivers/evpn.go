package drivers

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"path/filepath"
	"strings"
	"time"

	"bulkhead/claim"
	"bulkhead/custody"
	"bulkhead/fabric"
	"bulkhead/fabric/ethernet"
	"bulkhead/fabric/ethernet/collector"
	"bulkhead/fabric/ethernet/evpn"
	"bulkhead/fabric/ethernet/linux"
	"bulkhead/site"
)

// evpnConfig is one Ethernet fabric: agents on its leaves, and a collector that its
// route reflectors speak BGP with.
type evpnConfig struct {
	Agents     string        `yaml:"agents"`           // folder with a unix socket LEAF.sock for each leaf
	Policy     string        `yaml:"reflector-agents"` // folder with a unix socket ADDRESS.sock for each reflector of the plan; none: what they pass on is as they were configured
	Listen     []string      `yaml:"listen"`           // addresses at which route reflectors connect to the collector; none: it connects to them
	Port       int           `yaml:"port"`             // of listen; default 179
	Reflectors int           `yaml:"reflectors"`       // how many the fabric has, at the plan's addresses ...
	At         []string      `yaml:"at"`               // ... or where the collector sees them instead
	Password   string        `yaml:"password"`         // file with the sessions' TCP MD5 key
	Emulated   bool          `yaml:"emulated"`         // leaves of a lab: evidence from there says emulated
	Bound      time.Duration `yaml:"bound"`            // longest that one leaf may take; default 10s
	Window     int           `yaml:"window"`           // leaves asked at a time; default 64
}

type evpnSection struct {
	c  *evpnConfig
	at func(string) string
}

func (e *evpnSection) check() error {
	c := e.c
	switch {
	case c.Agents == "":
		return errors.New("agents: expected the folder of the leaves' sockets, LEAF.sock each")
	case (c.Reflectors == 0) == (len(c.At) == 0):
		return errors.New("expected either reflectors, how many there are, or at, their addresses as the collector sees them")
	case c.Reflectors < 0 || c.Reflectors > ethernet.MaxReflectors:
		return fmt.Errorf("reflectors: %d: expected 1 to %d", c.Reflectors, ethernet.MaxReflectors)
	case c.Port < 0 || c.Port > 65535:
		return fmt.Errorf("port: %d: expected 1 to 65535", c.Port)
	case c.Window < 0 || c.Window > 4096:
		return fmt.Errorf("window: %d: expected 1 to 4096", c.Window)
	}
	for _, list := range []struct {
		name  string
		addrs []string
	}{{"listen", c.Listen}, {"at", c.At}} {
		for i, a := range list.addrs {
			if _, err := netip.ParseAddr(a); err != nil {
				return fmt.Errorf("%s[%d]: %.60q: expected an IP address", list.name, i, a)
			}
		}
	}
	return between("bound", c.Bound, 100*time.Millisecond, time.Hour)
}

// collectorConfig is what the collector is told.
func (e *evpnSection) collectorConfig(fabricIndex int) (collector.Config, error) {
	config := collector.Config{AS: ethernet.ASN, Port: e.c.Port}
	for _, a := range e.c.Listen {
		config.Listen = append(config.Listen, netip.MustParseAddr(a)) // checked
	}
	password := ""
	if e.c.Password != "" {
		data, err := custody.ReadSecret(e.at(e.c.Password), custody.Small)
		if err != nil {
			return config, fmt.Errorf("password: %w", err)
		}
		if password = strings.TrimSpace(string(data)); password == "" {
			return config, fmt.Errorf("password: %s is empty: expected the key of the BGP sessions (TCP MD5)", e.at(e.c.Password))
		}
	}
	addrs := e.c.At
	for n := range e.c.Reflectors {
		addrs = append(addrs, ethernet.Reflector(fabricIndex, n+1).String())
	}
	for _, a := range addrs {
		config.Reflectors = append(config.Reflectors, collector.Reflector{Address: netip.MustParseAddr(a), Password: password})
	}
	return config, nil
}

func (e *evpnSection) open(ctx context.Context, in inventory, fabricIndex int, _ *slog.Logger) (fabric.Driver, func() error, error) {
	if f := in.site.Fabrics[fabricIndex]; f.Family != site.RoCE {
		return nil, nil, fmt.Errorf("evpn drives fabrics of the family %s, %s is %s", site.RoCE, f.ID, f.Family)
	}
	config, err := e.collectorConfig(fabricIndex)
	if err != nil {
		return nil, nil, err
	}
	d := &evpn.Driver{Site: in.site, Fabric: fabricIndex, Leaves: map[site.Leaf]evpn.Device{}, Origin: claim.Hardware, Bound: e.c.Bound, Window: e.c.Window}
	if e.c.Emulated {
		d.Origin = claim.Emulated
	}
	var clients []*linux.Client
	for l := range site.Leaf(in.site.Leaves()) {
		if in.site.FabricOfLeaf(l) == fabricIndex {
			c := linux.Dial(in.site.LeafID(l), filepath.Join(e.at(e.c.Agents), in.site.LeafID(l)+".sock"))
			d.Leaves[l], clients = c, append(clients, c)
		}
	}
	if e.c.Policy != "" {
		count := max(e.c.Reflectors, len(e.c.At))
		d.Reflectors = map[netip.Addr]evpn.Reflector{}
		for n := range count {
			at := ethernet.Reflector(fabricIndex, n+1)
			c := linux.Dial("reflector "+at.String(), filepath.Join(e.at(e.c.Policy), at.String()+".sock"))
			d.Reflectors[at], clients = c.Reflector(), append(clients, c)
		}
	}
	// The collector lives as long as the driver, not as long as its opening.
	routes, err := collector.Start(context.WithoutCancel(ctx), config)
	if err != nil {
		return nil, nil, err
	}
	d.Routes = routes
	return d, func() error {
		routes.Close()
		for _, c := range clients {
			c.Close()
		}
		return nil
	}, nil
}
