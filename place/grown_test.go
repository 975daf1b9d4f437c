package place

import (
	"fmt"
	"math/rand/v2"

	"bulkhead/site"
)

// plot describes a site to grow: per hall its pods, per pod its SUs, per SU the
// number of nodes.
type plot struct {
	rackNodes, suNodes, spares int
	halls                      [][]podPlot
}

type podPlot struct {
	fabric int // 0 or 1
	kinds  []string
	sus    []int // nodes
}

// grow makes a site without inventory: only what placement reads. The site's
// own tests cover how it comes from a template.
func grow(p plot) *site.Site {
	s := &site.Site{
		Name:    "grown",
		Shape:   site.Shape{SUNodes: p.suNodes, RackNodes: p.rackNodes, PodSUs: 64, Spines: 64, Cores: 32, LeafPorts: 128, LinkGbps: 400, PodTaper: 2},
		Fabrics: []site.Fabric{{ID: "roce", Family: site.RoCE}, {ID: "ib", Family: site.InfiniBand}, {ID: "frontend", Family: site.RoCE, Frontend: true}},
	}
	s.RackNodes = p.rackNodes
	for h, pods := range p.halls {
		s.Halls = append(s.Halls, site.Hall{ID: fmt.Sprintf("h%d", h)})
		for _, pod := range pods {
			number := len(s.Pods)
			s.Pods = append(s.Pods, site.Pod{ID: fmt.Sprintf("p%d", number), Hall: h, Fabric: pod.fabric})
			for i, nodes := range pod.sus {
				su := site.SU{ID: fmt.Sprintf("p%d-su%d", number, i), Pod: number, Kind: pod.kinds[i%len(pod.kinds)], Spares: min(p.spares, nodes-1)}
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

// large grows 50,000 nodes of one class: halls of pods of equal size.
func large(halls, pods int) *site.Site {
	p := plot{rackNodes: 8, suNodes: 64}
	const nodes = 50_000
	done := 0
	for h := range halls {
		var hall []podPlot
		for i := range pods {
			number := h*pods + i + 1
			size := nodes*number/(halls*pods) - done
			done += size
			pod := podPlot{kinds: []string{"H100"}}
			for size > 0 {
				pod.sus = append(pod.sus, min(size, 64))
				size -= 64
			}
			hall = append(hall, pod)
		}
		p.halls = append(p.halls, hall)
	}
	return grow(p)
}

// randomHalf frees each node with probability 1/2.
func randomHalf(s *site.Site, r *rand.Rand) *site.Set {
	free := site.NewSet(s.Nodes())
	for n := range site.Index(s.Nodes()) {
		if r.IntN(2) == 0 {
			free.Add(n)
		}
	}
	return free
}

// leasedHalf takes about half of the site by leases of random size, each from
// a random place on, and fails one node in a hundred.
func leasedHalf(s *site.Site, r *rand.Rand) *site.Set {
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

func all(s *site.Site) *site.Set { return site.RangeSet(0, site.Index(s.Nodes())) }
