package ethnet

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"bulkhead/fabric/ethernet"
	"bulkhead/site"
)

// Device is a leaf or a spine of the plan.
type Device struct {
	Name     string
	Fabric   int // index into Plan.Fabrics
	Number   int // in its fabric, from 0; leaves: SU*8+rail, or SU on the frontend
	Spine    bool
	Leaf     site.Leaf
	Loopback netip.Addr // of a leaf: its VTEP; of a spine: the reflector's address
	Uplinks  []Cable    // to spines; of a spine: to leaves
	Ports    int        // edge and uplink ports
	NIC      int        // which NIC of each node a leaf serves
	Manage   netip.Addr // on the management network
}

// Cable is one end of a link between leaf and spine.
type Cable struct {
	Port       string // interface here
	Peer       string // device there
	PeerPort   string
	Local      netip.Addr // /31
	PeerAddr   netip.Addr
	PortNumber int
}

// Host is a node's network: a veth a NIC, and its BMC on the management network.
type Host struct {
	Name   string
	Index  int // in the order of the inventory, from 0
	NICs   []HostNIC
	BMC    uint64     // MAC
	Manage netip.Addr // of its BMC
}

// HostNIC is a NIC and where it is plugged in.
type HostNIC struct {
	Name string
	MAC  uint64
	Leaf string
	Port int
}

// Plan is what a lab consists of; it follows from the inventory alone.
type Plan struct {
	Fabrics []string // of the site, in its order; also those that are not built
	Devices []*Device
	Hosts   []*Host
}

// Collector is where route reflectors and leaves find the route collector, on the
// management network.
var Collector = netip.AddrFrom4([4]byte{10, 202, 255, 1})

// Manager is the address of the control plane on the management network.
var Manager = netip.AddrFrom4([4]byte{10, 202, 255, 2})

// management is the whole management network of switches.
var management = netip.PrefixFrom(netip.AddrFrom4([4]byte{10, 202, 0, 0}), 16)

// NewPlan lays a lab out: addresses are those of package ethernet, so fabrics are the
// site's, in its order. only names those that are built; nil: all.
func NewPlan(units []*site.SUInventory, fabrics, only []string) (*Plan, error) {
	p := &Plan{Fabrics: fabrics}
	byName := map[string]*Device{}
	wanted := func(fabric string) bool { return len(only) == 0 || slices.Contains(only, fabric) }
	for su, u := range units {
		for _, l := range u.Leaves {
			if !wanted(l.Fabric) {
				continue
			}
			f := slices.Index(fabrics, l.Fabric)
			if f < 0 {
				return nil, fmt.Errorf("ethnet: leaf %s is of fabric %q: the site has the fabrics %v", l.ID, l.Fabric, fabrics)
			}
			number := su*site.Rails + l.NIC
			if l.NIC == site.Frontend {
				number = su
			}
			leaf := site.Leaf(su*site.NICs + l.NIC)
			d := &Device{Name: l.ID, Fabric: f, Number: number, Leaf: leaf, Loopback: ethernet.VTEP(f, leaf), Ports: l.Ports, NIC: l.NIC}
			if byName[l.ID] != nil {
				return nil, fmt.Errorf("ethnet: leaf %s is twice in the inventory", l.ID)
			}
			byName[l.ID] = d
			p.Devices = append(p.Devices, d)
		}
	}
	if len(p.Devices) == 0 {
		return nil, fmt.Errorf("ethnet: the site has no leaf in the fabrics %v", only)
	}
	if err := p.cable(units, byName); err != nil {
		return nil, err
	}
	for _, u := range units {
		for i := range u.Nodes {
			n := &u.Nodes[i]
			h := &Host{Name: n.ID, Index: len(p.Hosts), BMC: uint64(n.BMC.MAC)}
			for _, nic := range n.NICs {
				if byName[nic.Leaf] != nil {
					h.NICs = append(h.NICs, HostNIC{Name: nic.Name, MAC: uint64(nic.ID), Leaf: nic.Leaf, Port: nic.Port})
				}
			}
			h.Manage = netip.AddrFrom4([4]byte{10, 200, byte(h.Index >> 6), byte(h.Index<<2 | 2)})
			p.Hosts = append(p.Hosts, h)
		}
	}
	for i, d := range p.Devices {
		d.Manage = netip.AddrFrom4([4]byte{10, 202, byte((i + 1) >> 8), byte(i + 1)})
	}
	return p, nil
}

// cable makes the spines, and the links as the inventory has them: the n-th link
// of a leaf goes to spine n of its fabric.
func (p *Plan) cable(units []*site.SUInventory, byName map[string]*Device) error {
	type key struct{ fabric, number int }
	spines := map[key]*Device{}
	links := map[string]int{}
	var made []*Device
	for _, u := range units {
		for _, link := range u.Links {
			from, port, err := cutEnd(link.From)
			if err != nil {
				return err
			}
			leaf := byName[from]
			if leaf == nil {
				continue
			}
			n := links[from]
			links[from]++
			k := key{leaf.Fabric, n}
			spine := spines[k]
			if spine == nil {
				spine = &Device{Name: fmt.Sprintf("%s-spine%d", p.Fabrics[leaf.Fabric], n+1), Fabric: leaf.Fabric, Number: n, Spine: true,
					Loopback: ethernet.Reflector(leaf.Fabric, n+1)}
				spines[k] = spine
				made = append(made, spine)
			}
			// A leaf and a spine share a /31 of 172.(16+fabric).(spine).(2*leaf), 128 leaves a spine.
			if leaf.Number > 127 || n > 15 {
				return fmt.Errorf("ethnet: leaf %s, spine %d: a lab has at most 128 leaves and 16 spines a fabric", from, n+1)
			}
			there := netip.AddrFrom4([4]byte{172, byte(16 + leaf.Fabric), byte(n), byte(2 * leaf.Number)})
			here := there.Next()
			name, peer := fmt.Sprintf("swp%d", port), fmt.Sprintf("swp%d", leaf.Number+1)
			leaf.Uplinks = append(leaf.Uplinks, Cable{name, spine.Name, peer, here, there, port})
			spine.Uplinks = append(spine.Uplinks, Cable{peer, leaf.Name, name, there, here, leaf.Number + 1})
		}
	}
	slices.SortFunc(made, func(a, b *Device) int {
		return cmp.Or(cmp.Compare(a.Fabric, b.Fabric), cmp.Compare(a.Number, b.Number))
	})
	p.Devices = append(p.Devices, made...)
	return nil
}

// cutEnd takes "switch:port" apart.
func cutEnd(text string) (string, int, error) {
	name, number, _ := strings.Cut(text, ":")
	port, err := strconv.Atoi(number)
	if err != nil || port < 1 {
		return "", 0, fmt.Errorf("ethnet: link end %.80q: expected switch:port", text)
	}
	return name, port, nil
}

// Leaves lists the leaves of a fabric; "" for all.
func (p *Plan) Leaves(fabric string) (leaves []*Device) {
	for _, d := range p.Devices {
		if !d.Spine && (fabric == "" || p.Fabrics[d.Fabric] == fabric) {
			leaves = append(leaves, d)
		}
	}
	return leaves
}

// Spines lists the spines of a fabric; "" for all.
func (p *Plan) Spines(fabric string) (spines []*Device) {
	for _, d := range p.Devices {
		if d.Spine && (fabric == "" || p.Fabrics[d.Fabric] == fabric) {
			spines = append(spines, d)
		}
	}
	return spines
}

// Device finds a leaf or spine by its name; nil if there is none.
func (p *Plan) Device(name string) *Device {
	for _, d := range p.Devices {
		if d.Name == name {
			return d
		}
	}
	return nil
}
