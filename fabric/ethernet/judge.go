package ethernet

import (
	"fmt"
	"net/netip"
	"slices"

	"bulkhead/fabric"
	"bulkhead/site"
)

// Readings returns what the capture of a leaf shows of its ports. Besides the
// labels that each carries it judges the leaf's dealings with the fabric's inside
// by the inventory alone, and never by the rows that were compiled:
//
//   - VXLAN is unpacked from leaves of this fabric only, and edge ports do not reach
//     the underlay, else [fabric.FaultUnderlay] at every port;
//   - it speaks BGP with the fabric's route reflectors only, and sends from its own
//     address; each VNI takes and gives routes under its own target only; what it
//     announces was made by it, and is of kind 2 or 3: else [fabric.FaultRoutes] at
//     the ports of that VNI; and is behind it, else [fabric.FaultForged] there;
//   - flooded and forwarded packets go to leaves of this fabric only, else
//     [fabric.FaultPath] at the ports of that VNI;
//   - no mirror session, else [fabric.FaultMirror];
//   - traffic classes are treated as in Classes, and packets of MTU pass, else
//     [fabric.FaultClass];
//   - route reflectors that were asked pass its routes on under the target of each
//     VNI of its ports, else [fabric.FaultPolicy] at the ports of that VNI;
//   - it announces each VNI of its ports (kind 3, RFC 7432, section 7.3), else
//     [fabric.FaultUnannounced] at them: other leaves send it nothing that they flood,
//     and so no answer to ARP either;
//   - it floods to every leaf of the fabric that announces a VNI of its ports, else
//     [fabric.FaultUnlearnt] at them.
//
// What belongs to a VNI that no port carries counts against every port of the leaf.
// A port that takes packets from any source address does not enforce its table. A
// VLAN that is bridged on this leaf only becomes a member with the VLAN's number,
// which no owner ever has.
//
// A capture of another leaf is an error, as is one without the collector's word:
// nothing is known then. Cost: O(ports + VNIs + routes).
func Readings(s *site.Site, leaf site.Leaf, c *Capture) ([]fabric.Reading, error) {
	if !s.HasLeaf(leaf) {
		return nil, fmt.Errorf("ethernet capture of %s", s.LeafID(leaf))
	}
	if id := s.LeafID(leaf); c.Switch != id {
		return nil, fmt.Errorf("ethernet capture of %s: it says that it is %s", id, c.Switch)
	}
	if !c.RoutesSeen {
		return nil, fmt.Errorf("ethernet capture of %s: no route collector saw what it announces", c.Switch)
	}
	j := judge{s: s, leaf: leaf, fabric: s.FabricOfLeaf(leaf), c: c}
	j.underlay()
	j.vnis()
	j.routes()
	j.reflectors()
	if !slices.Equal(c.Classes, planned) {
		j.all |= fabric.FaultClass
	}
	return j.readings(), nil
}

// Read decodes a raw capture and returns its Readings.
func Read(s *site.Site, leaf site.Leaf, raw []byte) ([]fabric.Reading, error) {
	c, err := Decode(raw)
	if err != nil {
		return nil, err
	}
	return Readings(s, leaf, &c)
}

// judge collects the faults of one leaf.
type judge struct {
	s      *site.Site
	leaf   site.Leaf
	fabric int
	c      *Capture
	all    fabric.Faults            // at every port
	of     map[uint32]fabric.Faults // at the ports of a VNI
}

func (j *judge) blame(vni uint32, f fabric.Faults) {
	for i := range j.c.Ports {
		for _, v := range j.c.Ports[i].VLANs {
			if v.VNI == vni {
				if j.of == nil {
					j.of = map[uint32]fabric.Faults{}
				}
				j.of[vni] |= f
				return
			}
		}
	}
	j.all |= f
}

func (j *judge) known(a netip.Addr) bool {
	_, known := LeafOf(j.s, j.fabric, a)
	return known
}

func (j *judge) underlay() {
	u := &j.c.Underlay
	if u.AcceptElse || u.Forwards {
		j.all |= fabric.FaultUnderlay
	}
	for _, r := range u.Accept {
		if !j.accepts(r) {
			j.all |= fabric.FaultUnderlay
		}
	}
	if u.VTEP != VTEP(j.fabric, j.leaf) {
		j.all |= fabric.FaultRoutes
	}
	for _, p := range u.Peers {
		if !isReflector(j.fabric, p) {
			j.all |= fabric.FaultRoutes
		}
	}
}

// accepts reports whether a range has leaves of the fabric only. Its ends settle
// it where the leaves' numbers have no gap between them.
func (j *judge) accepts(r Range) bool {
	from, known := LeafOf(j.s, j.fabric, r.From)
	to, also := LeafOf(j.s, j.fabric, r.To)
	if !known || !also {
		return false
	}
	if rails := j.s.SUs[from.SU()].Rails(); from.NIC() != site.Frontend && rails < site.Rails && from.SU() != to.SU() {
		return false // between them are addresses of leaves that there are none of
	}
	for su := from.SU() + 1; su < to.SU(); su++ {
		if j.s.FabricOfLeaf(site.Leaf(su*site.NICs+from.NIC())) != j.fabric {
			return false
		}
	}
	return true
}

func (j *judge) vnis() {
	for i := range j.c.VNIs {
		v := &j.c.VNIs[i]
		own := TargetOf(v.VNI)
		for _, t := range [2][]Target{v.Import, v.Export} {
			if len(t) != 1 || t[0] != own {
				j.blame(v.VNI, fabric.FaultRoutes)
			}
		}
		for _, list := range [2][]netip.Addr{v.Flood, v.Static} {
			for _, a := range list {
				if !j.known(a) {
					j.blame(v.VNI, fabric.FaultPath)
				}
			}
		}
		if slices.ContainsFunc(v.Unlearnt, j.known) {
			j.blame(v.VNI, fabric.FaultUnlearnt)
		}
	}
	// A VNI that is bridged here and of which nothing is said could do anything.
	for i := range j.c.Ports {
		for _, v := range j.c.Ports[i].VLANs {
			if _, said := slices.BinarySearchFunc(j.c.VNIs, v.VNI, func(n VNI, vni uint32) int { return int(n.VNI) - int(vni) }); v.VNI != 0 && !said {
				j.blame(v.VNI, fabric.FaultRoutes|fabric.FaultPath)
			}
		}
	}
}

func (j *judge) routes() {
	vtep := VTEP(j.fabric, j.leaf)
	announced := map[uint32]bool{}
	for i := range j.c.Routes {
		r := &j.c.Routes[i]
		honest := r.Honest(vtep)
		switch r.Kind {
		case 2:
			if honest && !j.behind(r.MAC) {
				j.blame(r.VNI, fabric.FaultForged)
			}
		case 3:
			announced[r.VNI] = announced[r.VNI] || honest
		default: // multi-homing and IP prefixes, which leaves here have nothing to say of
			honest = false
		}
		if !honest {
			j.blame(r.VNI, fabric.FaultRoutes)
		}
	}
	for i := range j.c.Ports {
		for _, v := range j.c.Ports[i].VLANs {
			if v.VNI != 0 && !announced[v.VNI] {
				j.blame(v.VNI, fabric.FaultUnannounced)
			}
		}
	}
}

// reflectors looks for VNIs of ports whose routes a reflector stops. What it lets
// through beyond them leaks nothing by itself, and is there for a moment within every
// change.
func (j *judge) reflectors() {
	for _, r := range j.c.Reflectors {
		if !isReflector(j.fabric, r.At) {
			j.all |= fabric.FaultPolicy
			continue
		}
		for i := range j.c.Ports {
			for _, v := range j.c.Ports[i].VLANs {
				if _, passes := slices.BinarySearch(r.Passes, TargetOf(v.VNI)); v.VNI != 0 && !passes {
					j.blame(v.VNI, fabric.FaultPolicy)
				}
			}
		}
	}
}

// behind reports whether the inventory has a NIC of this MAC at the leaf.
func (j *judge) behind(mac uint64) bool {
	for _, n := range j.s.SUs[j.leaf.SU()].Nodes {
		if j.s.PortID[site.PortOf(n, j.leaf.NIC())] == mac {
			return true
		}
	}
	return false
}

func (j *judge) readings() []fabric.Reading {
	c := j.c
	out := make([]fabric.Reading, len(c.Ports))
	members := make([]fabric.Member, 0, len(c.Ports))
	for i := range c.Ports {
		p := &c.Ports[i]
		r := &out[i]
		*r = fabric.Reading{LeafPort: p.Number, EnforceIn: p.FilterIn && p.Locked, EnforceOut: p.FilterOut, Class: p.Class,
			Full: c.TableUsed >= c.TableSize, Faults: j.all, Neighbour: p.LLDP}
		first := len(members)
		for _, v := range p.VLANs {
			value := v.VNI
			if value == 0 {
				value = uint32(v.VID)
			}
			m := fabric.Full(value)
			if v.Isolated {
				m = fabric.Limited(value)
			}
			members = append(members, m)
			r.Faults |= j.of[v.VNI]
		}
		if n := len(members); n > first {
			r.Leaf = members[first:n:n]
		}
		if len(p.VLANs) > 0 && p.MTU < MTU {
			r.Faults |= fabric.FaultClass
		}
		if p.Mirrored {
			r.Faults |= fabric.FaultMirror
		}
		switch {
		case p.More:
			r.Neighbour = fabric.NeighbourConflict
		case p.LLDP == 0:
			r.Neighbour = p.FDB
		case p.FDB != 0 && p.FDB != p.LLDP:
			r.Neighbour = fabric.NeighbourConflict
		}
	}
	return out
}
