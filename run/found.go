package run

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"bulkhead/book"
	"bulkhead/fabric"
	"bulkhead/node"
	"bulkhead/prove"
	"bulkhead/site"
)

// recordFound records which labels an adopted site carries that this ledger did
// not give out, and at which nodes: its occupancy, as somebody else made it. It is
// looked at again at every tick for as long as the site is only observed.
// Cost: O(ports).
func (p *Plane) recordFound(ctx context.Context) error {
	s := p.w.state
	if !s.Control.Adopted || !p.seen.Fresh() {
		return nil
	}
	for index, f := range s.Site.Fabrics {
		if err := p.carry(ctx, book.ReportFound{Fabric: f.ID, Labels: p.foundIn(index)}); err != nil {
			return err
		}
	}
	return nil
}

// foundIn lists what the ports of one fabric carry that is nobody's in the ledger.
func (p *Plane) foundIn(index int) []book.FoundNoted {
	s := p.w.state
	f := s.Site.Fabrics[index]
	found := map[uint32]*book.FoundLabel{}
	var values []uint32
	for n := range s.Nodes.By[node.Discovered].All() {
		for _, nic := range s.Site.NICsOf(n) {
			port := site.PortOf(n, nic)
			if s.Site.FabricOf(port) != index {
				continue
			}
			values = values[:0]
			for _, side := range [2][]fabric.Member{p.seen.tables.Leaf(port), p.seen.tables.NIC(port)} {
				for _, m := range side {
					if v := m.Value(); v != 0 && !slices.Contains(values, v) && foreign(s, f, n, v) {
						values = append(values, v)
					}
				}
			}
			for _, v := range values {
				l := found[v]
				if l == nil {
					l = &book.FoundLabel{Nodes: site.NewSet(s.Site.Nodes())}
					found[v] = l
				}
				l.Nodes.Add(n)
				l.Ports++
			}
		}
	}
	var out []book.FoundNoted
	for _, v := range slices.Sorted(maps.Keys(found)) {
		out = append(out, book.FoundNoted{Label: v, Nodes: found[v].Nodes.String(), Ports: found[v].Ports})
	}
	return out
}

// foreign says whether a label at a port of a node is somebody else's: not of the
// shared set, not the node's own turnover label, not given out by this ledger.
func foreign(s *book.State, f site.Fabric, n site.Index, value uint32) bool {
	if fabric.IsShared(f.Family, value) {
		return false
	}
	if own, ok := fabric.TurnoverNode(f.Family, value); ok && own == n {
		return false
	}
	owner, taken := s.Labels[f.ID].OwnerOf(value)
	return !taken || owner == book.FoundOwner(value)
}

// Found is what was found of one label of an adopted site, and what read-back
// proves of its ports now: that they carry it and nobody else's.
type Found struct {
	Label                book.FoundNoted
	Name                 string // of the label
	Nodes                []string
	Proven, Red, Unknown int
	Findings             []string // the first few ports that are not proven, with every check that fails there
	Same                 []string // names of other found labels that the same ports carry
}

// OpenPartition is the default partition of an InfiniBand fabric whose full members reach every
// port of the fabric, whatever other labels either carries.
type OpenPartition struct {
	Name  string   // of the label
	Ports int      // of the inventory that are full members
	At    []string // the first few
}

// OpenPartitions lists the fabrics in whose default partition ports of the inventory are
// full members, as last read back. Cost: O(ports).
func (p *Plane) OpenPartitions() []OpenPartition {
	p.view.mu.RLock()
	defer p.view.mu.RUnlock()
	p.seen.mu.RLock()
	defer p.seen.mu.RUnlock()
	s := p.view.state
	if s.Site == nil {
		return nil
	}
	var out []OpenPartition
	for index, f := range s.Site.Fabrics {
		if f.Family != site.InfiniBand {
			continue
		}
		service := fabric.Full(fabric.DefaultPartition)
		open := OpenPartition{Name: fabric.Label{Fabric: f.ID, Kind: fabric.PKey, Value: fabric.DefaultPartition}.String()}
		for n := range site.Index(s.Site.Nodes()) {
			for _, nic := range s.Site.NICsOf(n) {
				port := site.PortOf(n, nic)
				if s.Site.FabricOf(port) != index || !slices.Contains(p.seen.tables.NIC(port), service) && !slices.Contains(p.seen.tables.Leaf(port), service) {
					continue
				}
				if open.Ports++; len(open.At) < maxFindings {
					open.At = append(open.At, s.Site.PortName(port))
				}
			}
		}
		if open.Ports > 0 {
			out = append(out, open)
		}
	}
	return out
}

// maxFindings is how many ports of a found label are named.
const maxFindings = 5

// Found lists what an adopted site carried before, by fabric and label.
func (p *Plane) Found() []Found {
	p.view.mu.RLock()
	defer p.view.mu.RUnlock()
	p.seen.mu.RLock()
	defer p.seen.mu.RUnlock()
	s := p.view.state
	var out []Found
	carriers := map[string][]int{} // what carries a label, with the labels of out that it carries
	for _, id := range slices.Sorted(maps.Keys(s.Found)) {
		index, _ := s.Site.FabricByID(id)
		family := s.Site.Fabrics[index].Family
		for _, value := range slices.Sorted(maps.Keys(s.Found[id])) {
			l := s.Found[id][value]
			one := Found{
				Label: book.FoundNoted{Fabric: id, Label: value, Nodes: l.Nodes.String(), Ports: l.Ports},
				Name:  fabric.Label{Fabric: id, Kind: fabric.KindOf(family), Value: value}.String(),
			}
			ports := []byte(id)
			for n := range l.Nodes.All() {
				one.Nodes = append(one.Nodes, s.Site.NodeID[n])
				for _, nic := range s.Site.NICsOf(n) {
					port := site.PortOf(n, nic)
					if s.Site.FabricOf(port) != index {
						continue
					}
					one.judge(s, port, p.seen.prover)
					if p.seen.carries(port, value) {
						ports = fmt.Appendf(ports, " %d", port)
					}
				}
			}
			carriers[string(ports)] = append(carriers[string(ports)], len(out))
			out = append(out, one)
		}
	}
	for _, labels := range carriers {
		for _, i := range labels {
			for _, other := range labels {
				if other != i {
					out[i].Same = append(out[i].Same, out[other].Name)
				}
			}
		}
	}
	return out
}

// carries reports whether a port was last read with a label, at its adapter or its leaf.
func (v *seen) carries(port site.Port, value uint32) bool {
	has := func(m fabric.Member) bool { return m.Value() == value }
	return slices.ContainsFunc(v.tables.Leaf(port), has) || slices.ContainsFunc(v.tables.NIC(port), has)
}

func (f *Found) judge(s *book.State, port site.Port, prover *prove.Prover) {
	verdict, _ := prover.Verdict(port)
	switch verdict {
	case prove.Proven:
		f.Proven++
		return
	case prove.Red:
		f.Red++
	default:
		f.Unknown++
	}
	if len(f.Findings) < maxFindings {
		var failed []string
		for _, check := range prover.Failed(port) {
			failed = append(failed, check.String())
		}
		f.Findings = append(f.Findings, s.Site.PortName(port)+": "+strings.Join(failed, ", "))
	}
}
