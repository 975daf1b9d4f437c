package site

import (
	"fmt"
	"slices"
	"time"
)

// Nodes returns how many nodes were ever imported, retired ones included:
// indexes run from 0 to Nodes()-1.
func (s *Site) Nodes() int { return len(s.NodeID) }

// Ports returns how many numbers of edge ports there are, Nodes()*NICs. Smaller
// nodes leave some unused: EdgePorts counts the others.
func (s *Site) Ports() int { return len(s.NodeID) * NICs }

// Leaves returns how many numbers of leaf switches there are, len(SUs)*NICs.
// Smaller nodes leave some unused: Switches counts the others.
func (s *Site) Leaves() int { return len(s.SUs) * NICs }

// Racks returns the number of rack numbers in use, len(SUs)*RacksPerSU.
func (s *Site) Racks() int { return len(s.SUs) * s.Shape.RacksPerSU() }

// SUOf returns the number of the SU of n.
func (s *Site) SUOf(n Index) int { return int(s.NodeSU[n]) }

// RackOf returns the site-wide rack number of n:
// SU number * Shape.RacksPerSU() + position / RackNodes.
func (s *Site) RackOf(n Index) int {
	return int(s.NodeSU[n])*s.Shape.RacksPerSU() + int(s.NodePos[n])/s.RackNodes
}

// RackID returns the id of a rack number, for example "a1-su07-r3".
func (s *Site) RackID(rack int) string {
	per := s.Shape.RacksPerSU()
	return rackID(s.SUs[rack/per].ID, rack%per)
}

// PodOf returns the pod of n, an index into Pods.
func (s *Site) PodOf(n Index) int { return s.SUs[s.NodeSU[n]].Pod }

// HallOf returns the hall of n, an index into Halls.
func (s *Site) HallOf(n Index) int { return s.Pods[s.PodOf(n)].Hall }

// ComputeFabric returns the fabric of n's rail NICs, an index into Fabrics.
func (s *Site) ComputeFabric(n Index) int { return s.Pods[s.PodOf(n)].Fabric }

// FrontendFabric returns the index of the frontend fabric.
func (s *Site) FrontendFabric() int { return s.frontend }

// FabricOf returns the fabric that port p is on, an index into Fabrics; -1 where
// there is no such port (see HasPort).
func (s *Site) FabricOf(p Port) int {
	if int(p.Node()) >= len(s.NodeID) {
		return -1
	}
	nic := p.NIC()
	if nic == Frontend {
		return s.frontend
	}
	su := &s.SUs[s.NodeSU[p.Node()]]
	if nic >= su.Rails() {
		return -1
	}
	return s.Pods[su.Pod].Fabric
}

// FabricOfLeaf returns the fabric that leaf l belongs to, an index into Fabrics; -1
// where there is no such leaf (see HasLeaf).
func (s *Site) FabricOfLeaf(l Leaf) int {
	if l.SU() >= len(s.SUs) {
		return -1
	}
	nic := l.NIC()
	if nic == Frontend {
		return s.frontend
	}
	su := &s.SUs[l.SU()]
	if nic >= su.Rails() {
		return -1
	}
	return s.Pods[su.Pod].Fabric
}

// FabricByID returns the index of a fabric, or false.
func (s *Site) FabricByID(id string) (int, bool) {
	for i := range s.Fabrics {
		if s.Fabrics[i].ID == id {
			return i, true
		}
	}
	return 0, false
}

// HallByID returns the index of a hall, or false.
func (s *Site) HallByID(id string) (int, bool) {
	for i := range s.Halls {
		if s.Halls[i].ID == id {
			return i, true
		}
	}
	return 0, false
}

// SUByID returns the number of an SU, or false.
func (s *Site) SUByID(id string) (int, bool) {
	su, ok := s.sus[id]
	return su, ok
}

// LeafOf returns the leaf that port p is cabled to.
func (s *Site) LeafOf(p Port) Leaf {
	return Leaf(s.NodeSU[p.Node()]*NICs + uint32(p.NIC()))
}

// LeafPort returns the number of the leaf port that p is cabled to, from 1:
// the node's position in its SU plus one.
func (s *Site) LeafPort(p Port) int {
	n := p.Node()
	if ports := s.SUs[s.NodeSU[n]].Ports; ports != nil {
		return int(ports[s.NodePos[n]])
	}
	return int(s.NodePos[n]) + 1
}

// PortAt returns the edge port that is cabled to port number of leaf l, or
// false where no node is.
func (s *Site) PortAt(l Leaf, number int) (Port, bool) {
	if !s.HasLeaf(l) {
		return 0, false
	}
	nodes := s.SUs[l.SU()].Nodes
	if ports := s.SUs[l.SU()].Ports; ports != nil {
		pos := slices.IndexFunc(ports, func(p uint8) bool { return int(p) == number })
		if pos < 0 {
			return 0, false
		}
		return PortOf(nodes[pos], l.NIC()), true
	}
	if number < 1 || number > len(nodes) {
		return 0, false
	}
	return PortOf(nodes[number-1], l.NIC()), true
}

// LeafID returns the id of leaf l, for example "a1-su07-leaf3" or "a1-su07-front". A
// number that the site has no leaf of, as a driver may say one, has a text as well.
func (s *Site) LeafID(l Leaf) string {
	if !s.HasLeaf(l) {
		return fmt.Sprintf("leaf number %d, which the site does not have", l)
	}
	return leafID(s.SUs[l.SU()].ID, l.NIC())
}

// LeafByID returns the leaf of that id, or false.
func (s *Site) LeafByID(id string) (Leaf, bool) {
	for i := len(id) - 1; i > 0; i-- {
		if id[i] != '-' {
			continue
		}
		su, ok := s.sus[id[:i]]
		if !ok {
			return 0, false
		}
		for _, nic := range s.LeavesOf(su) {
			if leafID(s.SUs[su].ID, nic) == id {
				return Leaf(su*NICs + nic), true
			}
		}
		return 0, false
	}
	return 0, false
}

// PortName returns how people name port p, for example "a1-su07-n12/rail3". A number
// that the site has no port of has a text as well.
func (s *Site) PortName(p Port) string {
	if int(p.Node()) >= len(s.NodeID) {
		return fmt.Sprintf("port number %d, which the site does not have", p)
	}
	return s.NodeID[p.Node()] + "/" + NICName(p.NIC())
}

// PortByID returns the edge port whose NIC has this GUID or MAC, or false.
func (s *Site) PortByID(id uint64) (Port, bool) {
	p, ok := s.ports[id]
	return p, ok
}

// KindOf returns the GPU kind of n.
func (s *Site) KindOf(n Index) string { return s.SUs[s.NodeSU[n]].Kind }

// Kind returns what a kind is made of, golden firmware included, or false.
func (s *Site) Kind(id string) (Kind, bool) {
	for _, k := range s.Kinds {
		if k.ID == id {
			return k, true
		}
	}
	return Kind{}, false
}

// NVLinkRacks reports whether the racks of a kind are one NVLink domain each.
func (s *Site) NVLinkRacks(kind string) bool {
	k, ok := s.Kind(kind)
	return ok && k.NVLinkRacks
}

// InService returns when n is to be in service: its hall's date.
func (s *Site) InService(n Index) time.Time { return s.Halls[s.HallOf(n)].InService }

// IsSpare reports whether n is a spare: one of the last Spares positions of its SU.
func (s *Site) IsSpare(n Index) bool {
	su := &s.SUs[s.NodeSU[n]]
	return int(s.NodePos[n]) >= len(su.Nodes)-su.Spares
}

// IsRetired reports whether n was retired. A retired node keeps its index.
func (s *Site) IsRetired(n Index) bool { return s.retired.Has(n) }

// HostOf returns the host name of n: its id, unless its inventory says otherwise.
func (s *Site) HostOf(n Index) string {
	if host := s.Host[n]; host != "" {
		return host
	}
	return s.NodeID[n]
}

// Lookup returns the index of the node with this id or host name, or false.
func (s *Site) Lookup(id string) (Index, bool) {
	n, ok := s.nodes[id]
	return n, ok
}

// Class is a kind of GPU on a compute fabric: what leases are sold of.
type Class struct {
	Fabric string
	Kind   string
}

func (c Class) String() string { return c.Kind + " on fabric " + c.Fabric }

// Supply is how much of a class a hall adds from a date.
type Supply struct {
	Class
	Hall      string
	InService time.Time
	Nodes     int // all that are not retired
	Spares    int // of these, spares: not for sale
}

// Sellable returns the nodes that may be sold: without spares.
func (s Supply) Sellable() int { return s.Nodes - s.Spares }

// Supplies returns what every hall adds, in the order of halls, one row a
// (hall, class). It takes about 1 ms at 50,000 nodes.
func (s *Site) Supplies() []Supply {
	type key struct {
		hall int
		Class
	}
	at := map[key]int{}
	var rows []Supply
	for hall := range s.Halls {
		for i := range s.SUs {
			su := &s.SUs[i]
			pod := s.Pods[su.Pod]
			if pod.Hall != hall {
				continue
			}
			k := key{hall, Class{s.Fabrics[pod.Fabric].ID, su.Kind}}
			row, ok := at[k]
			if !ok {
				row = len(rows)
				at[k] = row
				rows = append(rows, Supply{Class: k.Class, Hall: s.Halls[hall].ID, InService: s.Halls[hall].InService})
			}
			for pos, n := range su.Nodes {
				if s.retired.Has(n) {
					continue
				}
				rows[row].Nodes++
				if pos >= len(su.Nodes)-su.Spares {
					rows[row].Spares++
				}
			}
		}
	}
	return rows
}

// NodesOf returns the nodes of a class, spares included, retired ones not. The
// set is the caller's own. An unknown class gives the empty set.
func (s *Site) NodesOf(fabric, kind string) *Set {
	set := NewSet(s.Nodes())
	for i := range s.SUs {
		su := &s.SUs[i]
		if su.Kind == kind && s.Fabrics[s.Pods[su.Pod].Fabric].ID == fabric {
			for _, n := range su.Nodes {
				set.Add(n)
			}
		}
	}
	set.Subtract(s.retired)
	return set
}

// Spares returns all spare nodes that are not retired. The set is the caller's own.
func (s *Site) Spares() *Set {
	set := NewSet(s.Nodes())
	for i := range s.SUs {
		su := &s.SUs[i]
		for _, n := range su.Nodes[len(su.Nodes)-su.Spares:] {
			set.Add(n)
		}
	}
	set.Subtract(s.retired)
	return set
}

// InServiceAt returns the nodes whose hall's in-service date is not after t,
// without retired ones. The set is the caller's own.
func (s *Site) InServiceAt(t time.Time) *Set {
	set := NewSet(s.Nodes())
	for i := range s.SUs {
		su := &s.SUs[i]
		if s.Halls[s.Pods[su.Pod].Hall].InService.After(t) {
			continue
		}
		for _, n := range su.Nodes {
			set.Add(n)
		}
	}
	set.Subtract(s.retired)
	return set
}
