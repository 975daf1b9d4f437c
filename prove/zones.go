package prove

import (
	"iter"
	"slices"
	"time"

	"bulkhead/fabric"
	"bulkhead/site"
)

// Zones proves a network on which every node is by itself, as the management network
// is: each node's BMC holds its node's zone, the label that no other ever has, and the
// checks are those of every fabric. The verdict of a node is that of its port
// [site.Frontend], behind which the BMC is expected in place of the frontend NIC. A node
// that no read-back names is unknown; where several name it, all that they say of it
// counts. s is not changed. Cost: O(ports).
func Zones(s *site.Site, reads ...*fabric.Zones) *Prover {
	view := s.Snapshot()
	view.PortID = make([]uint64, len(s.PortID)) // nothing is behind the rails
	view.Fabrics = slices.Clone(s.Fabrics)
	for i := range view.Fabrics {
		view.Fabrics[i].Family = site.RoCE // a management network is Ethernet, whatever the frontend is
	}
	for n, mac := range s.BMC {
		view.PortID[site.PortOf(site.Index(n), site.Frontend)] = mac
	}
	p := NewProver(view, fabric.NewTables(view.Ports()))
	for n := range site.Index(len(s.NodeID)) {
		p.Hold(site.PortOf(n, site.Frontend), TurnoverHolder(n))
	}
	byID := make(map[string]site.Index, len(s.NodeID))
	for n, id := range s.NodeID {
		byID[id] = site.Index(n)
	}
	found := map[site.Index]*fabric.Reading{}
	at := map[site.Leaf]time.Time{} // the oldest of the read-backs that name one of its nodes
	for _, z := range reads {
		for i := range z.Nodes {
			n, known := byID[z.Nodes[i].Node]
			if !known {
				continue
			}
			r := zoneReading(s, byID, n, &z.Nodes[i])
			if first := found[n]; first != nil {
				r = bothSay(first, r)
			}
			found[n] = r
			leaf := s.LeafOf(site.PortOf(n, site.Frontend))
			if was, has := at[leaf]; !has || z.At.Before(was) {
				at[leaf] = z.At
			}
		}
	}
	for leaf, read := range at {
		var readings []fabric.Reading
		for _, n := range s.SUs[leaf.SU()].Nodes {
			if r := found[n]; r != nil {
				readings = append(readings, *r)
			}
		}
		p.Read(leaf, read, readings)
	}
	return p
}

// ZonePorts are the ports that stand for nodes' BMCs in what Zones returns.
func ZonePorts(nodes iter.Seq[site.Index]) (ports []site.Port) {
	for n := range nodes {
		ports = append(ports, site.PortOf(n, site.Frontend))
	}
	return ports
}

// zoneReading is what was read of a node's BMC as a reading of the port that stands for
// it: a zone is the label that only its node ever carries.
func zoneReading(s *site.Site, byID map[string]site.Index, n site.Index, z *fabric.Zone) *fabric.Reading {
	r := &fabric.Reading{LeafPort: s.LeafPort(site.PortOf(n, site.Frontend)), EnforceIn: z.Filtered, EnforceOut: z.Filtered, Faults: z.Faults, Neighbour: z.Neighbour}
	for _, id := range z.Joined {
		other, known := byID[id]
		if !known { // whose zone it is, nobody can say
			r.Faults |= fabric.FaultPath
			continue
		}
		r.Leaf = append(r.Leaf, fabric.Full(fabric.TurnoverLabel("", site.RoCE, other).Value))
	}
	slices.Sort(r.Leaf)
	r.Leaf = slices.Compact(r.Leaf)
	return r
}

// bothSay is the worst that two gateways say of one BMC.
func bothSay(a, b *fabric.Reading) *fabric.Reading {
	r := *a
	r.EnforceIn, r.EnforceOut, r.Faults = a.EnforceIn && b.EnforceIn, a.EnforceOut && b.EnforceOut, a.Faults|b.Faults
	r.Leaf = append(slices.Clone(a.Leaf), b.Leaf...)
	slices.Sort(r.Leaf)
	r.Leaf = slices.Compact(r.Leaf)
	if a.Neighbour != b.Neighbour {
		r.Neighbour = fabric.NeighbourConflict
	}
	return &r
}

// Expire makes what was read before a time count no more.
func (p *Prover) Expire(before time.Time) {
	for leaf := range p.readAt {
		if at, counts := p.LastRead(site.Leaf(leaf)); counts && at.Before(before) {
			p.MarkUnknown(site.Leaf(leaf))
		}
	}
}

// MarkAllRead records that whatever was read once is as last read at a time.
func (p *Prover) MarkAllRead(at time.Time) {
	for leaf := range p.readAt {
		if p.readAt[leaf] != 0 {
			p.MarkRead(site.Leaf(leaf), at)
		}
	}
}

// ZonesTally counts the verdicts of a view's nodes, and lists those that are red.
func ZonesTally(p *Prover) (t Tally, red []site.Index) {
	for n := range site.Index(len(p.Facts().site.NodeID)) {
		v, _ := p.Verdict(site.PortOf(n, site.Frontend))
		if t.count(v, 1); v == Red {
			red = append(red, n)
		}
	}
	return t, red
}

// zones adds to a certificate what was read of the BMCs of its nodes. Without any
// read-back each is unknown.
func (c *Certificate) zones(network string, p *Prover, nodes *site.Set, path Path) Verdict {
	ports := ZonePorts(nodes.All())
	verdict, tallies, findings := p.judge(ports)
	for f := range tallies {
		if tallies[f].Ports() == 0 {
			continue
		}
		part := p.part(f, tallies[f], ports, path)
		part.Fabric, part.Role, part.Family, part.Each = network, site.RoleManagement, site.RoCE, 1
		part.Labels = []LabelPart{} // a zone a node, and each has its own
		c.Fabrics = append(c.Fabrics, part)
	}
	for _, f := range findings {
		c.Failed = append(c.Failed, Failure{Check: f.Check.String(), Fabric: network, Ports: f.Count, Elsewhere: f.Elsewhere})
	}
	c.Ports += len(ports)
	return verdict
}
