package dated

import (
	"fmt"
	"time"

	"bulkhead/site"
)

var epoch = time.Date(2026, 4, 1, 0, 0, 0, 0, time.UTC)

func on(n int) time.Time { return epoch.AddDate(0, 0, n) }

// plot is a hall to grow: when it is in service, and its pods as nodes an SU.
type plot struct {
	from time.Time
	pods [][]int
}

// grow makes a site of one class without inventory: only what placement reads.
func grow(rackNodes, suNodes, spares int, halls ...plot) *site.Site {
	s := &site.Site{
		Name:      "grown",
		Shape:     site.Shape{SUNodes: suNodes, RackNodes: rackNodes, PodSUs: 64, Spines: 64, Cores: 32, LeafPorts: 128, LinkGbps: 400, PodTaper: 1},
		Fabrics:   []site.Fabric{{ID: "roce", Family: site.RoCE}, {ID: "frontend", Family: site.RoCE, Frontend: true}},
		RackNodes: rackNodes,
	}
	for h, hall := range halls {
		s.Halls = append(s.Halls, site.Hall{ID: fmt.Sprintf("hall-%d", h), InService: hall.from})
		for _, pod := range hall.pods {
			number := len(s.Pods)
			s.Pods = append(s.Pods, site.Pod{ID: fmt.Sprintf("p%d", number), Hall: h})
			for i, nodes := range pod {
				su := site.SU{ID: fmt.Sprintf("p%d-su%d", number, i), Pod: number, Kind: "H100", Spares: min(spares, nodes-1)}
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

func ask(id string, nodes, begin, end int) Ask {
	return Ask{Fabric: "roce", Kind: "H100", Links: "shared", End: on(end), Steps: []Step{{ID: id, Nodes: nodes, Begin: on(begin)}}}
}
