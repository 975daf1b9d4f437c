package ethnet

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"bulkhead/fabric"
	"bulkhead/fabric/ethernet/linux"
	"bulkhead/lab/await"
)

// This file is what goes wrong in a lab, and what is done to it: all of it for real,
// with the kernel's own tools at the leaf and never through an agent of the control
// plane's.

// Run runs commands at a device, host or other namespace, one a line, and stops at
// the first that fails.
func (n *Net) Run(ctx context.Context, at string, script ...string) error {
	s := n.Space(at)
	if s == nil {
		return fmt.Errorf("ethnet: no namespace %q in this lab", at)
	}
	for line := range strings.Lines(strings.Join(script, "\n")) {
		if f := strings.Fields(line); len(f) > 0 {
			if _, err := s.Output(ctx, f[0], f[1:]...); err != nil {
				return err
			}
		}
	}
	return nil
}

// SetManaged cuts the link between a leaf and the management network, or mends it.
func (n *Net) SetManaged(leaf string, on bool) error { return n.SetLink(leaf, "eth0", on) }

// SetLink brings an interface of a device or host up or down; both ends of its cable
// see it.
func (n *Net) SetLink(at, name string, on bool) error {
	s := n.Space(at)
	if s == nil {
		return fmt.Errorf("ethnet: no namespace %q in this lab", at)
	}
	link, err := s.handle.LinkByName(name)
	if err == nil {
		if on {
			err = s.handle.LinkSetUp(link)
		} else {
			err = s.handle.LinkSetDown(link)
		}
	}
	if err != nil {
		return fmt.Errorf("ethnet: %s %s: %w", at, name, err)
	}
	return nil
}

// SetWritable breaks the agent's configuration of a port, so that writes to it fail,
// or mends it. The agent is started again.
func (n *Net) SetWritable(ctx context.Context, leaf string, port int, on bool) error {
	c := n.agentConfig(n.Plan.Device(leaf))
	if i := slices.IndexFunc(c.Ports, func(p linux.PortConfig) bool { return p.Number == port }); i >= 0 && !on {
		c.Ports[i].Interface = fmt.Sprintf("nosuch%d", port)
	}
	if err := n.ConfigureAgent(leaf, c); err != nil {
		return err
	}
	return n.RestartAgent(ctx, leaf)
}

// Intrude makes ports of a leaf carry rows behind the control plane's back: by another
// agent that knows nothing of its fence. A row of several labels joins their VXLAN
// devices to one bridge, and one that does not enforce what comes in has no filter
// and no lock.
func (n *Net) Intrude(ctx context.Context, leaf string, rows map[int]fabric.Row) error {
	c := n.agentConfig(n.Plan.Device(leaf))
	dir := filepath.Join(n.Dir, leaf, "intruder")
	c.State, c.Socket = dir, filepath.Join(dir, "sock")
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	other, err := n.intruder(ctx, leaf, c)
	if err != nil {
		return err
	}
	defer n.KillDaemon(leaf, "intruder")
	defer other.Close()
	plain := map[int]fabric.Row{}
	for port, row := range rows {
		r := row.Clone()
		r.EnforceIn, r.EnforceOut = true, true
		r.Leaf = r.Leaf[:min(1, len(r.Leaf))]
		plain[port] = r
	}
	failed, err := other.Write(ctx, plain, fabric.Fence{Term: 1})
	if err != nil || len(failed) > 0 {
		return fmt.Errorf("ethnet: the intruder failed: %w, %v", err, failed)
	}
	for port, row := range rows {
		name := fmt.Sprintf("swp%d", port)
		for i := 1; i < len(row.Leaf); i++ {
			own, other := row.Leaf[0].Value(), row.Leaf[i].Value()
			_ = n.Run(ctx, leaf, fmt.Sprintf("ip link add vni%d type vxlan id %d local %s dstport 4789 nolearning", other, other, n.Plan.Device(leaf).Loopback)) // it may be there
			if err := n.Run(ctx, leaf, fmt.Sprintf("ip link set vni%d master bd%d up", other, own)); err != nil {
				return err
			}
		}
		if !row.EnforceIn {
			if err := n.Run(ctx, leaf, "nft delete chain netdev bulkhead "+name, "bridge link set dev "+name+" locked off"); err != nil {
				return err
			}
		}
	}
	return nil
}

func (n *Net) intruder(ctx context.Context, leaf string, c *linux.Config) (*linux.Client, error) {
	if n.options.Agent == nil {
		return nil, errors.New("ethnet: this lab's leaves have no agents, so there is no program for an intruder")
	}
	file := filepath.Join(c.State, "agent.json")
	if err := writeConfig(file, c); err != nil {
		return nil, err
	}
	if err := n.startDaemon(leaf, "intruder", n.options.Agent(file)); err != nil {
		return nil, err
	}
	client := linux.Dial(leaf, c.Socket)
	err := await.Until(ctx, "the intruder at "+leaf, func() (string, bool) {
		probe, err := net.Dial("unix", c.Socket)
		if err != nil {
			return err.Error(), false
		}
		return "", probe.Close() == nil
	})
	return client, err
}

// Reset takes a leaf back to where it was when the lab came up: no VNI, no filter of a
// member, no fence; or a spine with an agent: nothing is passed on, no fence.
func (n *Net) Reset(ctx context.Context, leaf string) error {
	if err := n.KillDaemon(leaf, "agent"); err != nil {
		return err
	}
	if n.Plan.Device(leaf).Spine {
		if err := os.RemoveAll(filepath.Join(n.Dir, leaf, "state")); err != nil {
			return err
		}
		return n.RestartAgent(ctx, leaf) // which brings its lists to what is ordered: nothing
	}
	s := n.Space(leaf)
	links, err := s.handle.LinkList()
	if err != nil {
		return err
	}
	for _, l := range links {
		if kind := l.Type(); kind == "vxlan" || kind == "bridge" {
			if err := s.handle.LinkDel(l); err != nil {
				return err
			}
		}
	}
	if err := n.Run(ctx, leaf, "nft flush ruleset"); err != nil {
		return err
	}
	if err := os.RemoveAll(filepath.Join(n.Dir, leaf, "state")); err != nil {
		return err
	}
	if err := n.ConfigureAgent(leaf, n.agentConfig(n.Plan.Device(leaf))); err != nil {
		return err
	}
	return n.RestartAgent(ctx, leaf)
}

// Plug plugs a stranger into a free port of a leaf: a namespace of that name with one
// interface eth0, and an address on it.
func (n *Net) Plug(name, leaf string, port int, addr netip.Prefix) error {
	s, err := n.addSpace(name)
	if err != nil {
		return err
	}
	return cable(end{space: s, name: "eth0", ip: addr}, end{space: n.Space(leaf), name: fmt.Sprintf("swp%d", port)})
}

// Unplug removes a cable, seen from one of its ends.
func (n *Net) Unplug(at, name string) error {
	link, err := n.Space(at).handle.LinkByName(name)
	if err == nil {
		err = n.Space(at).handle.LinkDel(link)
	}
	if err != nil {
		return fmt.Errorf("ethnet: unplug %s %s: %w", at, name, err)
	}
	return nil
}

// SwapCables swaps the cables of two hosts on one rail: each host's NIC, with its MAC,
// is then at the other's port. The ports are in no bridge afterwards, as a port is
// whose cable was pulled.
func (n *Net) SwapCables(a, b, nic string) error {
	return n.recable(nic, [2]string{a, b}, [2]string{b, a})
}

// RestoreCables plugs two hosts' NICs in where the inventory has them.
func (n *Net) RestoreCables(a, b, nic string) error {
	return n.recable(nic, [2]string{a, b}, [2]string{a, b})
}

// recable pulls the cables of two hosts, and plugs each in at the port of another.
func (n *Net) recable(nic string, hosts, at [2]string) error {
	find := func(host string) (HostNIC, error) {
		h := n.Host(host)
		if h == nil {
			return HostNIC{}, fmt.Errorf("ethnet: no host %q", host)
		}
		i := slices.IndexFunc(h.NICs, func(x HostNIC) bool { return x.Name == nic })
		if i < 0 {
			return HostNIC{}, fmt.Errorf("ethnet: host %s has no NIC %q", host, nic)
		}
		return h.NICs[i], nil
	}
	var own, there [2]HostNIC
	for i := range hosts {
		var err, err2 error
		own[i], err = find(hosts[i])
		there[i], err2 = find(at[i])
		if err = errors.Join(err, err2); err != nil {
			return err
		}
	}
	for _, host := range hosts {
		if err := n.Unplug(host, nic); err != nil {
			return err
		}
	}
	for i, host := range hosts {
		if err := hostCable(end{space: n.Space(host), name: nic, mac: mac(own[i].MAC)}, end{space: n.Space(there[i].Leaf), name: fmt.Sprintf("swp%d", there[i].Port)}); err != nil {
			return err
		}
	}
	return nil
}

// Counter returns how many packets a named counter of a leaf's filters has counted:
// "vxlan-refused", "bgp-refused" of the leaf itself, or an edge port's interface.
func (n *Net) Counter(ctx context.Context, leaf, name string) (int, error) {
	family := "inet"
	if strings.HasPrefix(name, "swp") {
		family = "netdev"
	}
	out, err := n.Space(leaf).Output(ctx, "nft", "list", "counter", family, "bulkhead", name)
	if err != nil {
		return 0, err
	}
	_, after, _ := strings.Cut(out, "packets ")
	count := 0
	if _, err := fmt.Sscanf(after, "%d", &count); err != nil {
		return 0, fmt.Errorf("ethnet: counter %s of %s: %q", name, leaf, out)
	}
	return count, nil
}

// Intruder plugs somebody into the underlay: at a port of a leaf or spine that nobody
// uses, with an address, one for the device's side, and a route to every address of
// the fabrics.
func (n *Net) Intruder(name, device string, port int, addr, there netip.Prefix) error {
	s, err := n.addSpace(name)
	if err != nil {
		return err
	}
	if err := cable(end{space: s, name: "eth0", mtu: uplinkMTU, ip: addr}, end{space: n.Space(device), name: fmt.Sprintf("swp%d", port), mtu: uplinkMTU, ip: there}); err != nil {
		return err
	}
	return s.route(netip.MustParsePrefix("10.64.0.0/10"), there.Addr())
}
