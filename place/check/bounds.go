package check

import (
	"math"
	"math/big"
	"slices"

	"bulkhead/place"
	"bulkhead/site"
)

// spreading is how many nodes of a slice are in each SU and in each pod.
type spreading struct {
	nodes int
	sus   []int
	pods  []int
}

// boundsOf reckons the collective bounds of a slice and of the ideal one from the
// formulas of [place.Collective], in integers of any length.
func boundsOf(shape site.Shape, rails int, slice, ideal spreading) (allReduce, allToAll place.Collective) {
	// 2(n-1)/n * S/B: eight bits a byte, and a gigabit a second is a bit a nanosecond.
	if n := int64(slice.nodes); n > 1 {
		ns := quotient([]int64{2, n - 1, place.AllReduceBytes, 8}, []int64{n, int64(rails), int64(shape.LinkGbps)})
		allReduce = place.Collective{SliceNS: ns, IdealNS: ns}
		if ns > 0 {
			allReduce.Limit = "node"
		}
	}
	allToAll.SliceNS, allToAll.Limit = slowest(shape, int64(rails), slice)
	allToAll.IdealNS, _ = slowest(shape, int64(rails), ideal)
	return allReduce, allToAll
}

// slowest is the longest that the uplinks of one domain need for what its GPUs
// send to all others, and which domain that is.
func slowest(shape site.Shape, rails int64, d spreading) (ns int64, limit string) {
	sends := func(level string, inside int, links, taper int64) {
		out := quotient([]int64{int64(inside), rails, int64(d.nodes - inside), rails, place.AllToAllBytes, 8, taper}, []int64{links, rails, int64(shape.LinkGbps)})
		if out > ns {
			ns, limit = out, level
		}
	}
	sends("node", 1, 1, 1)
	for _, inside := range sizes(d.sus) {
		sends("SU", inside, int64(shape.Spines), 1)
	}
	for _, inside := range sizes(d.pods) {
		sends("pod", inside, int64(shape.Spines)*int64(shape.PodSUs), int64(shape.PodTaper))
	}
	return ns, limit
}

// sizes lists each number once.
func sizes(of []int) []int {
	of = slices.Clone(of)
	slices.Sort(of)
	return slices.Compact(of)
}

// quotient divides two products, and rounds down.
func quotient(above, below []int64) int64 {
	product := func(factors []int64) *big.Int {
		p := big.NewInt(1)
		for _, f := range factors {
			p.Mul(p, big.NewInt(f))
		}
		return p
	}
	q := product(above)
	if q.Quo(q, product(below)); !q.IsInt64() {
		return math.MaxInt64
	}
	return q.Int64()
}
