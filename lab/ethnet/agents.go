package ethnet

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"time"

	"bulkhead/fabric/ethernet"
	"bulkhead/fabric/ethernet/linux"
	"bulkhead/lab/await"
	"bulkhead/site"
)

// relayPort is where the management network reaches a leaf's agent. What stands there
// passes bytes on to the agent's own socket, as a session of SSH would; unlike SSH it
// asks nobody who they are.
const relayPort = 7890

// agentConfig is what the agent of a leaf is told of it.
func (n *Net) agentConfig(d *Device) *linux.Config {
	dir := filepath.Join(n.Dir, d.Name)
	c := &linux.Config{Leaf: d.Name, VTEP: d.Loopback, Management: []string{"eth0"}, PathSpace: n.PathSpace(d.Name), Policy: true,
		State: filepath.Join(dir, "state"), Socket: filepath.Join(dir, "agent.sock")}
	if n.options.LLDP {
		c.LLDP = n.lldpSocket(d.Name)
	}
	for _, other := range n.Plan.Leaves(n.Plan.Fabrics[d.Fabric]) {
		if last := len(c.Accept) - 1; last >= 0 && c.Accept[last].To.Next() == other.Loopback {
			c.Accept[last].To = other.Loopback
		} else {
			c.Accept = append(c.Accept, ethernet.Range{From: other.Loopback, To: other.Loopback})
		}
	}
	for _, up := range d.Uplinks {
		c.Uplinks = append(c.Uplinks, up.Port)
		c.Reflectors = append(c.Reflectors, n.Plan.Device(up.Peer).Loopback)
	}
	for _, h := range n.Plan.Hosts {
		for _, nic := range h.NICs {
			if nic.Leaf == d.Name {
				c.Ports = append(c.Ports, linux.PortConfig{Number: nic.Port, Interface: fmt.Sprintf("swp%d", nic.Port), MAC: site.HardwareID(nic.MAC)})
			}
		}
	}
	slices.SortFunc(c.Ports, func(a, b linux.PortConfig) int { return a.Number - b.Number })
	return c
}

// reflectorConfig is what the agent of a spine is told of it.
func (n *Net) reflectorConfig(d *Device) *linux.ReflectorConfig {
	dir := filepath.Join(n.Dir, d.Name)
	c := &linux.ReflectorConfig{Address: d.Loopback, Collectors: []netip.Addr{Collector}, PathSpace: n.PathSpace(d.Name),
		State: filepath.Join(dir, "state"), Socket: filepath.Join(dir, "agent.sock")}
	for _, up := range d.Uplinks {
		c.Leaves = append(c.Leaves, n.Plan.Device(up.Peer).Loopback)
	}
	return c
}

// agentOf prepares the agent of a leaf or spine; nil: it has none.
func (n *Net) agentOf(d *Device) func(config string) *exec.Cmd {
	if d.Spine {
		return n.options.Reflector
	}
	return n.options.Agent
}

func (n *Net) startAgents(ctx context.Context) error {
	leaves, spines := 0, 0
	for _, d := range n.Plan.Devices {
		if n.agentOf(d) == nil {
			continue
		}
		var err error
		if d.Spine {
			spines++
			err = writeConfig(filepath.Join(n.Dir, d.Name, "agent.json"), n.reflectorConfig(d))
		} else {
			leaves++
			err = n.ConfigureAgent(d.Name, n.agentConfig(d))
		}
		if err == nil {
			err = n.StartAgent(d.Name)
		}
		if err != nil {
			return err
		}
	}
	for _, d := range n.Plan.Devices {
		if n.agentOf(d) == nil {
			continue
		}
		if err := n.awaitAgent(ctx, d); err != nil {
			return err
		}
	}
	if leaves > 0 {
		n.options.Say(fmt.Sprintf("%d leaves' and %d spines' agents answer on the management network", leaves, spines))
	}
	return nil
}

// ConfigureAgent replaces the configuration of a leaf's agent, for its next start.
func (n *Net) ConfigureAgent(leaf string, c *linux.Config) error {
	return writeConfig(filepath.Join(n.Dir, leaf, "agent.json"), c)
}

func writeConfig(path string, c any) error {
	data, err := json.MarshalIndent(c, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(path, data, 0o644)
}

// AgentConfig is what the agent of a leaf is told, as the inventory has it.
func (n *Net) AgentConfig(leaf string) *linux.Config { return n.agentConfig(n.Plan.Device(leaf)) }

// StartAgent starts the agent of a leaf or spine; [Net.KillDaemon] with "agent" ends it.
func (n *Net) StartAgent(leaf string) error {
	return n.startDaemon(leaf, "agent", n.agentOf(n.Plan.Device(leaf))(filepath.Join(n.Dir, leaf, "agent.json")))
}

// RestartAgent starts the agent of a leaf or spine again, and waits until it answers.
func (n *Net) RestartAgent(ctx context.Context, leaf string) error {
	_ = n.KillDaemon(leaf, "agent") // it may be dead
	if err := n.StartAgent(leaf); err != nil {
		return err
	}
	return n.awaitAgent(ctx, n.Plan.Device(leaf))
}

// awaitAgent waits for an agent's socket and puts it on the management network.
func (n *Net) awaitAgent(ctx context.Context, d *Device) error {
	socket := filepath.Join(n.Dir, d.Name, "agent.sock")
	err := await.Until(ctx, "the agent of "+d.Name, func() (string, bool) {
		c, err := net.Dial("unix", socket)
		if err != nil {
			said, _ := os.ReadFile(filepath.Join(n.Dir, d.Name, "agent.out"))
			return fmt.Sprintf("%v; it said: %s", err, said), false
		}
		return "", c.Close() == nil
	})
	if err != nil {
		return err
	}
	n.mu.Lock()
	_, there := n.relays[d.Name]
	n.mu.Unlock()
	if there {
		return nil
	}
	l, err := n.Space(d.Name).Listen("tcp", netip.AddrPortFrom(d.Manage, relayPort).String())
	if err != nil {
		return err
	}
	n.mu.Lock()
	n.relays[d.Name] = l
	n.mu.Unlock()
	go relay(l, socket)
	return nil
}

// relay passes connections on, until the listener closes.
func relay(l net.Listener, socket string) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			defer c.Close()
			agent, err := net.Dial("unix", socket)
			if err != nil {
				return
			}
			defer agent.Close()
			pass(c.(*net.TCPConn), agent.(*net.UnixConn))
		}()
	}
}

// Client asks the agent of a leaf, from where the control plane is and over the
// management network.
func (n *Net) Client(leaf string) (*linux.Client, error) {
	d := n.Plan.Device(leaf)
	if d == nil || d.Spine {
		return nil, errors.New("ethnet: no leaf " + leaf)
	}
	return n.dial(d), nil
}

// Reflectors are the agents of a fabric's spines by their addresses, asked in the same
// way; nil where they have none.
func (n *Net) Reflectors(fabric string) map[netip.Addr]*linux.ReflectorClient {
	if n.options.Reflector == nil {
		return nil
	}
	out := map[netip.Addr]*linux.ReflectorClient{}
	for _, d := range n.Plan.Spines(fabric) {
		out[d.Loopback] = n.dial(d).Reflector()
	}
	return out
}

func (n *Net) dial(d *Device) *linux.Client {
	from := n.Space(Manage)
	return linux.DialWith(d.Name, func(ctx context.Context) (net.Conn, error) {
		return from.Dial(ctx, "tcp", netip.AddrPortFrom(d.Manage, relayPort).String())
	})
}

// Forward makes a socket NAME.sock for each leaf in a folder, and one ADDRESS.sock for
// each reflector that has an agent, at which the agent is reached by way of the management network, as a session of SSH would forward it.
func (n *Net) Forward(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	for _, d := range n.Plan.Devices {
		name := d.Name
		if d.Spine {
			name = d.Loopback.String()
		}
		if n.agentOf(d) == nil {
			continue
		}
		l, err := net.Listen("unix", filepath.Join(dir, name+".sock"))
		if err != nil {
			return err
		}
		n.mu.Lock()
		n.relays["forward "+d.Name] = l
		n.mu.Unlock()
		go n.forward(l, netip.AddrPortFrom(d.Manage, relayPort))
	}
	return nil
}

func (n *Net) forward(l net.Listener, to netip.AddrPort) {
	for {
		c, err := l.Accept()
		if err != nil {
			return
		}
		go func() {
			defer c.Close()
			ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
			agent, err := n.Space(Manage).Dial(ctx, "tcp", to.String())
			cancel()
			if err != nil {
				return
			}
			defer agent.Close()
			pass(c.(*net.UnixConn), agent.(*net.TCPConn))
		}()
	}
}
