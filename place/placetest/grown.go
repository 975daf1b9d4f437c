// Package placetest grows small sites for the tests of placement, and occupies them.
package placetest

import (
	"fmt"
	"math/rand/v2"

	"bulkhead/site"
)

// Plot describes a site to grow: per hall its pods, per pod its SUs, per SU the
// number of nodes.
type Plot struct {
	RackNodes, SUNodes, Spares int
	Halls                      [][]PodPlot
}

// PodPlot is a pod of a plot.
type PodPlot struct {
	Fabric int // 0 or 1
	Kinds  []string
	SUs    []int // nodes
}

// Grow makes a site without inventory: only what placement reads. The site's
// own tests cover how it comes from a template.
func Grow(p Plot) *site.Site {
	s := &site.Site{
		Name:    "grown",
		Shape:   site.Shape{SUNodes: p.SUNodes, RackNodes: p.RackNodes, PodSUs: 64, Spines: 64, Cores: 32, LeafPorts: 128, LinkGbps: 400, PodTaper: 2},
		Fabrics: []site.Fabric{{ID: "roce", Family: site.RoCE}, {ID: "ib", Family: site.InfiniBand}, {ID: "frontend", Family: site.RoCE, Frontend: true}},
	}
	s.RackNodes = p.RackNodes
	for h, pods := range p.Halls {
		s.Halls = append(s.Halls, site.Hall{ID: fmt.Sprintf("h%d", h)})
		for _, pod := range pods {
			number := len(s.Pods)
			s.Pods = append(s.Pods, site.Pod{ID: fmt.Sprintf("p%d", number), Hall: h, Fabric: pod.Fabric})
			for i, nodes := range pod.SUs {
				su := site.SU{ID: fmt.Sprintf("p%d-su%d", number, i), Pod: number, Kind: pod.Kinds[i%len(pod.Kinds)], Spares: min(p.Spares, nodes-1)}
				for pos := range nodes {
					n := site.Index(len(s.NodeID))
					su.Nodes = append(su.Nodes, n)
					s.NodeID = append(s.NodeID, fmt.Sprintf("%s-n%d", su.ID, pos))
					s.NodeSU = append(s.NodeSU, uint32(len(s.SUs)))
					s.NodePos = append(s.NodePos, uint8(pos))
				}
				s.SUs = append(s.SUs, su)
			}
		}
	}
	return s
}

// Large grows 50,000 nodes of one class: halls of pods of equal size.
func Large(halls, pods int) *site.Site {
	p := Plot{RackNodes: 8, SUNodes: 64}
	const nodes = 50_000
	done := 0
	for h := range halls {
		var hall []PodPlot
		for i := range pods {
			number := h*pods + i + 1
			size := nodes*number/(halls*pods) - done
			done += size
			pod := PodPlot{Kinds: []string{"H100"}}
			for size > 0 {
				pod.SUs = append(pod.SUs, min(size, 64))
				size -= 64
			}
			hall = append(hall, pod)
		}
		p.Halls = append(p.Halls, hall)
	}
	return Grow(p)
}

// RandomHalf frees each node with probability 1/2.
func RandomHalf(s *site.Site, r *rand.Rand) *site.Set {
	free := site.NewSet(s.Nodes())
	for n := range site.Index(s.Nodes()) {
		if r.IntN(2) == 0 {
			free.Add(n)
		}
	}
	return free
}

// LeasedHalf takes about half of the site by leases of random size, each from
// a random place on, and fails one node in a hundred.
func LeasedHalf(s *site.Site, r *rand.Rand) *site.Set {
	free := site.RangeSet(0, site.Index(s.Nodes()))
	taken := 0
	for taken < s.Nodes()/2 {
		size := 1 << r.IntN(11)
		at := r.IntN(s.Nodes())
		for n := at; n < min(at+size, s.Nodes()); n++ {
			if free.Has(site.Index(n)) {
				free.Remove(site.Index(n))
				taken++
			}
		}
	}
	for range s.Nodes() / 100 {
		free.Remove(site.Index(r.IntN(s.Nodes())))
	}
	return free
}

// All is every node.
func All(s *site.Site) *site.Set { return site.RangeSet(0, site.Index(s.Nodes())) }

// RandomPlot draws a small, uneven site with at most maxRacks racks.
func RandomPlot(r *rand.Rand, maxRacks int) Plot {
	p := Plot{RackNodes: 1 + r.IntN(5), Spares: r.IntN(2)}
	racks := 0
	for range 1 + r.IntN(4) {
		var hall []PodPlot
		for range 1 + r.IntN(3) {
			pod := PodPlot{Kinds: []string{"H100"}}
			if r.IntN(6) == 0 {
				pod.Fabric = 1
			}
			if r.IntN(5) == 0 {
				pod.Kinds = []string{"H100", "H200"}
			}
			for range 1 + r.IntN(3) {
				nodes := 1 + r.IntN(4*p.RackNodes)
				more := (nodes + p.RackNodes - 1) / p.RackNodes
				if racks+more > maxRacks {
					break
				}
				racks += more
				p.SUNodes = max(p.SUNodes, nodes)
				pod.SUs = append(pod.SUs, nodes)
			}
			hall = append(hall, pod)
		}
		p.Halls = append(p.Halls, hall)
	}
	if p.SUNodes == 0 {
		p.SUNodes = p.RackNodes
		p.Halls[0][0].SUs = []int{p.RackNodes}
	}
	return p
}
