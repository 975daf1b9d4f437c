package place

import (
	"math"
	"math/bits"
	"slices"

	"bulkhead/site"
)

// Reference messages of the collective bounds.
const (
	AllReduceBytes = 1 << 30 // a gradient bucket: bytes that every node reduces
	AllToAllBytes  = 4 << 10 // an expert's tokens: bytes from every GPU to every other
)

// Collective is a lower bound on the time of a collective operation over the
// slice, beside that of the ideal slice: as many nodes on the empty site, the
// largest domains filled first. It is what the links allow, not a forecast:
// latency, protocol and other tenants' traffic come on top.
//
// Ideal means compact. A slice that is spread over more pods has more uplinks,
// so that its bound for all-to-all may be lower than the ideal's.
type Collective struct {
	SliceNS int64  `json:"slice_ns"`        // nanoseconds, rounded down
	IdealNS int64  `json:"ideal_ns"`        // nanoseconds, rounded down
	Limit   string `json:"limit,omitempty"` // whose uplinks are the limit: node, SU or pod
}

// spread is how many nodes of a slice are in each domain that has uplinks of
// its own. Racks have none (an SU's leaves serve all its racks), and neither
// have halls (their pods' uplinks go to the cores). The order does not matter.
type spread struct {
	nodes int
	sus   []int
	pods  []int
}

// allReduceNS is the bound T >= 2(n-1)/n * S/B for n nodes, where B is what the
// rail NICs of a node carry together. Inside a node NVLink is faster. With ranks
// in RankOrder a ring crosses every domain's border once each way, so no taper
// enters. S bytes over r rails of G gigabits a second take 8S/rG ns.
func allReduceNS(shape site.Shape, rails, nodes int) int64 {
	if nodes < 2 {
		return 0
	}
	n := int64(nodes)
	return 2 * (n - 1) * AllReduceBytes * 8 / (n * int64(rails) * int64(shape.LinkGbps))
}

// allToAllNS is the bound T >= max over domains d of n_d (n - n_d) m / U_d,
// where n counts GPUs and U_d is what the uplinks of d carry, on all rails
// together:
//
//	node: one link a rail
//	SU:   a leaf's uplinks, one to each spine of the plane; the taper of a leaf
//	      is its nodes against its uplinks
//	pod:  as the spines are built, for PodSUs leaves, divided by the pod taper
func allToAllNS(shape site.Shape, rails int, d spread) (ns int64, limit string) {
	gpus := int64(rails) // a rail is a GPU's
	link := int64(shape.LinkGbps) * gpus
	worst := func(level string, inside int, gbps, taper int64) {
		pairs := int64(inside) * gpus * int64(d.nodes-inside) * gpus
		// pairs stays below 2^45, the bits to carry below 2^60 before the taper.
		high, low := bits.Mul64(uint64(pairs)*AllToAllBytes*8, uint64(taper))
		t := uint64(math.MaxInt64)
		if high < uint64(gbps) {
			quotient, _ := bits.Div64(high, low, uint64(gbps))
			t = min(t, quotient)
		}
		if int64(t) > ns {
			ns, limit = int64(t), level
		}
	}
	worst("node", 1, link, 1)
	for _, inside := range d.sus {
		worst("SU", inside, link*int64(shape.Spines), 1)
	}
	for _, inside := range d.pods {
		worst("pod", inside, link*int64(shape.Spines)*int64(shape.PodSUs), int64(shape.PodTaper))
	}
	return ns, limit
}

// fill spreads nodes over domains of these capacities, the largest first.
func fill(nodes int, capacities []int) []int {
	capacities = slices.Clone(capacities)
	slices.Sort(capacities)
	var out []int
	for _, c := range slices.Backward(capacities) {
		if c = min(c, nodes); c == 0 {
			break
		}
		nodes -= c
		out = append(out, c)
	}
	return out
}

// Collectives bounds the collectives of nodes of one class, in any order, beside
// those of the ideal slice of as many on the empty site: what a certificate says
// of a slice. Cost: O(nodes of the class).
func Collectives(s *site.Site, nodes []site.Index) (allReduce, allToAll Collective) {
	if len(nodes) == 0 {
		return Collective{}, Collective{}
	}
	kind, fabric := s.KindOf(nodes[0]), s.ComputeFabric(nodes[0])
	slice, empty := newSpread(s, len(nodes)), newSpread(s, len(nodes))
	for _, n := range nodes {
		slice.sus[s.SUOf(n)]++
		slice.pods[s.PodOf(n)]++
	}
	for i := range s.SUs {
		su := &s.SUs[i]
		if su.Kind != kind || s.Pods[su.Pod].Fabric != fabric {
			continue
		}
		for _, n := range su.Nodes {
			if !s.IsSpare(n) && !s.IsRetired(n) {
				empty.sus[i]++
			}
		}
		empty.pods[su.Pod] += empty.sus[i]
	}
	empty.sus, empty.pods = fill(len(nodes), empty.sus), fill(len(nodes), empty.pods)
	rails := s.RailsOf(nodes[0])
	allReduce = Collective{SliceNS: allReduceNS(s.Shape, rails, len(nodes)), IdealNS: allReduceNS(s.Shape, rails, len(nodes))}
	if allReduce.SliceNS > 0 {
		allReduce.Limit = "node"
	}
	allToAll.SliceNS, allToAll.Limit = allToAllNS(s.Shape, rails, slice)
	allToAll.IdealNS, _ = allToAllNS(s.Shape, rails, empty)
	return allReduce, allToAll
}

func newSpread(s *site.Site, nodes int) spread {
	return spread{nodes: nodes, sus: make([]int, len(s.SUs)), pods: make([]int, len(s.Pods))}
}
