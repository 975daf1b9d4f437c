// Package management is the network of BMCs: its plan, its gateway's ruleset, and the verdict on what was read. Each node's BMC is a
// zone of its own, which managers reach and nobody else, and from which nothing begins a
// conversation. No BMC reaches another, and no tenant a manager.
//
// One gateway joins it: a Linux machine with a leg to each BMC, one to the managers
// and some to networks where tenants are. [Compile] makes its nftables ruleset of a
// [Plan]; the subpackage gateway writes it over netlink, and reads it back, with
// the gateway's links and neighbours, by way of nft and iproute2; [Decode] and
// [Judge] say what that comes to, as what the prover takes: a port a leg, a label a
// zone. Judge does not compare with what was compiled. It works out
// what any ruleset may let pass, and where it does not understand an expression it
// takes it for one that lets everything pass.
//
// What it does not see: a switch between the gateway and a BMC, the BMC's own
// shared port with the host (side-band), IPMI over the system bus, and credentials.
//
// The package is pure.
package management

import (
	"fmt"
	"net/netip"
	"slices"
)

// Plan is a gateway: what is behind each of its interfaces.
type Plan struct {
	Managers []netip.Addr // who may speak to BMCs, IPv4, ascending
	Manage   string       // the interface behind which they are
	Tenants  []string     // interfaces behind which tenants are
	Legs     []Leg        // ascending by Interface
}

// Leg is the way to one BMC.
type Leg struct {
	Interface string
	Node      string // its id
	MAC       uint64 // of the BMC, from the inventory
	Address   netip.Addr
}

const (
	maxLegs = 1 << 16
	maxName = 15 // IFNAMSIZ - 1
	maxMAC  = 1<<48 - 1
)

// Check refuses a plan that can't be compiled: names that are no interface's, an
// interface, address, MAC or node twice.
func (p *Plan) Check() error {
	names, addresses, macs, nodes := map[string]bool{}, map[netip.Addr]bool{}, map[uint64]bool{}, map[string]bool{}
	name := func(field, n string) error {
		if !validName(n) {
			return fmt.Errorf("management plan: %s: %.40q: expected an interface's name of 1 to %d bytes, without * and blanks", field, n, maxName)
		}
		if names[n] {
			return fmt.Errorf("management plan: %s: interface %s is there twice", field, n)
		}
		names[n] = true
		return nil
	}
	if err := name("manage", p.Manage); err != nil {
		return err
	}
	for i, n := range p.Tenants {
		if err := name(fmt.Sprintf("tenants[%d]", i), n); err != nil {
			return err
		}
	}
	if len(p.Managers) == 0 || len(p.Legs) > maxLegs {
		return fmt.Errorf("management plan: %d managers, %d legs: expected 1 or more, and at most %d", len(p.Managers), len(p.Legs), maxLegs)
	}
	if !slices.IsSortedFunc(p.Managers, netip.Addr.Compare) {
		return fmt.Errorf("management plan: managers: expected ascending addresses")
	}
	for i, a := range p.Managers {
		if !a.Is4() || addresses[a] {
			return fmt.Errorf("management plan: managers[%d]: %s: expected an IPv4 address, once", i, a)
		}
		addresses[a] = true
	}
	for i, l := range p.Legs {
		where := fmt.Sprintf("legs[%d]", i)
		if err := name(where, l.Interface); err != nil {
			return err
		}
		switch {
		case i > 0 && p.Legs[i-1].Interface >= l.Interface:
			return fmt.Errorf("management plan: %s: %s after %s: expected ascending names", where, l.Interface, p.Legs[i-1].Interface)
		case !l.Address.Is4() || addresses[l.Address]:
			return fmt.Errorf("management plan: %s: address %s: expected an IPv4 address, once", where, l.Address)
		case l.MAC == 0 || l.MAC > maxMAC || macs[l.MAC]:
			return fmt.Errorf("management plan: %s: MAC 0x%x: expected 48 bits, once", where, l.MAC)
		case l.Node == "" || nodes[l.Node]:
			return fmt.Errorf("management plan: %s: node %.80q has no name, or two legs", where, l.Node)
		}
		addresses[l.Address], macs[l.MAC], nodes[l.Node] = true, true, true
	}
	return nil
}

func validName(n string) bool {
	if n == "" || n == "." || n == ".." || n == "lo" || len(n) > maxName {
		return false
	}
	for _, c := range []byte(n) {
		if c <= ' ' || c > '~' || c == '*' || c == '/' || c == '"' || c == '\\' || c == ':' {
			return false
		}
	}
	return true
}
