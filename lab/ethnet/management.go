package ethnet

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"path/filepath"

	"bulkhead/fabric/ethernet/management/gateway"
	"bulkhead/lab/await"
)

// The management network: switches, managers and the gateway are on one switch,
// 10.202.0.0/16; each BMC has a link of its own to the gateway, a /30 of
// 10.200.0.0/16; the storage network is 10.203.0.0/16, where hosts are isolated
// from one another and see the server and the gateway. The gateway forwards
// everything until somebody filters it.
var (
	gatewayManage  = netip.AddrFrom4([4]byte{10, 202, 254, 1})
	gatewayStorage = netip.AddrFrom4([4]byte{10, 203, 254, 1})
	storageServer  = netip.AddrFrom4([4]byte{10, 203, 255, 1})
	bmcs           = netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 200, 0, 0}), 16)
	storageNet     = netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 203, 0, 0}), 16)
)

// StorageAddress is a host's address on the storage network.
func (h *Host) StorageAddress() netip.Addr {
	return netip.AddrFrom4([4]byte{10, 203, byte((h.Index + 1) >> 8), byte(h.Index + 1)})
}

func (n *Net) makeManagement(context.Context) error {
	spaces := map[string]*Space{}
	for _, name := range []string{OOB, Manage, Gateway, Storage} {
		s, err := n.addSpace(name)
		if err != nil {
			return err
		}
		if err := s.set([2]string{"net/ipv6/conf/all/disable_ipv6", "1"}, [2]string{"net/ipv6/conf/default/disable_ipv6", "1"}); err != nil {
			return err
		}
		spaces[name] = s
	}
	if err := spaces[Gateway].set([2]string{"net/ipv4/ip_forward", "1"}); err != nil {
		return err
	}
	if err := spaces[OOB].bridge("oob0"); err != nil {
		return err
	}
	if err := spaces[Storage].bridge("stor0"); err != nil {
		return err
	}
	attach := func(s *Space, addr netip.Addr, port string) error {
		if err := cable(end{space: s, name: "eth0", ip: netip.PrefixFrom(addr, management.Bits())}, end{space: spaces[OOB], name: port}); err != nil {
			return err
		}
		return spaces[OOB].plug(port, "oob0", false)
	}
	for i, d := range n.Plan.Devices {
		if err := attach(n.spaces[d.Name], d.Manage, fmt.Sprintf("m%d", i+1)); err != nil {
			return err
		}
	}
	if err := attach(spaces[Manage], Manager, "manage"); err != nil {
		return err
	}
	if err := spaces[Manage].address("eth0", netip.PrefixFrom(Collector, management.Bits())); err != nil {
		return err
	}
	if err := attach(spaces[Gateway], gatewayManage, "gateway"); err != nil {
		return err
	}
	for _, to := range []netip.Prefix{bmcs, storageNet} {
		if err := spaces[Manage].route(to, gatewayManage); err != nil {
			return err
		}
	}
	if err := cable(end{space: spaces[Gateway], name: "storage", ip: netip.PrefixFrom(gatewayStorage, storageNet.Bits())}, end{space: spaces[Storage], name: "gateway"}); err != nil {
		return err
	}
	if err := spaces[Storage].plug("gateway", "stor0", false); err != nil {
		return err
	}
	return spaces[Storage].address("stor0", netip.PrefixFrom(storageServer, storageNet.Bits()))
}

// hostNetworks gives a host its leg on the storage network, and its BMC.
func (n *Net) hostNetworks(h *Host, s *Space) error {
	port := fmt.Sprintf("h%d", h.Index+1)
	if err := cable(end{space: s, name: "stor0", ip: netip.PrefixFrom(h.StorageAddress(), storageNet.Bits())}, end{space: n.spaces[Storage], name: port}); err != nil {
		return err
	}
	if err := n.spaces[Storage].plug(port, "stor0", true); err != nil {
		return err
	}
	// A tenant's host tries whatever it likes by way of the gateway.
	for _, to := range []netip.Prefix{bmcs, management} {
		if err := s.route(to, gatewayStorage); err != nil {
			return err
		}
	}
	bmc, err := n.addSpace(BMC(h.Name))
	if err != nil {
		return err
	}
	first := h.Manage.Prev()
	if err := cable(end{space: bmc, name: "eth0", mac: mac(h.BMC), ip: netip.PrefixFrom(h.Manage, 30)},
		end{space: n.spaces[Gateway], name: fmt.Sprintf("bmc%d", h.Index+1), ip: netip.PrefixFrom(first, 30)}); err != nil {
		return err
	}
	return bmc.route(netip.PrefixFrom(netip.AddrFrom4([4]byte{}), 0), first)
}

// GatewaySocket is where the gateway's agent listens.
func (n *Net) GatewaySocket() string { return filepath.Join(n.Dir, Gateway, "agent.sock") }

// startGateway starts the agent of the gateway, and waits until it answers.
func (n *Net) startGateway(ctx context.Context) error {
	if n.options.Gateway == nil {
		return nil
	}
	dir := filepath.Join(n.Dir, Gateway)
	path := filepath.Join(dir, "agent.json")
	if err := writeConfig(path, &gateway.AgentConfig{State: filepath.Join(dir, "state"), Socket: n.GatewaySocket()}); err != nil {
		return err
	}
	if err := n.startDaemon(Gateway, "agent", n.options.Gateway(path)); err != nil {
		return err
	}
	return await.Until(ctx, "the gateway's agent", func() (string, bool) {
		c, err := net.Dial("unix", n.GatewaySocket())
		if err != nil {
			return err.Error(), false
		}
		return "", c.Close() == nil
	})
}

// ManagementPlan is what is behind each of the gateway's interfaces: where managers are,
// where tenants are, and by host the interface and address of its BMC.
func (n *Net) ManagementPlan() (manage string, managers []netip.Addr, tenants []string, legs map[string]ManagementLeg) {
	legs = map[string]ManagementLeg{}
	for _, h := range n.Plan.Hosts {
		legs[h.Name] = ManagementLeg{fmt.Sprintf("bmc%d", h.Index+1), h.Manage}
	}
	return "eth0", []netip.Addr{Collector, Manager}, []string{"storage"}, legs
}

// ManagementLeg is the gateway's way to a host's BMC.
type ManagementLeg struct {
	Interface string
	Address   netip.Addr
}
