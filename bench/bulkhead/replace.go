package bulkhead

import (
	"bulkhead/place"
	"bulkhead/site"
)

// Replace finds a node among the candidates for each failed one, all of them
// together; -1 where there is none.
func (b *Bulkhead) Replace(candidates, failed []int32) []int32 {
	free := site.NewSet(b.Site.Nodes())
	for _, n := range candidates {
		free.Add(site.Index(n))
	}
	lost := make([]site.Index, len(failed))
	for i, n := range failed {
		lost[i] = site.Index(n)
	}
	out := make([]int32, len(failed))
	for i, n := range place.Replace(b.Site, free, lost) {
		out[i] = int32(n)
		if n == place.NoNode {
			out[i] = -1
		}
	}
	return out
}

// Sold returns the nodes that are sold: all but the spares.
func (b *Bulkhead) Sold() []int32 {
	var out []int32
	for n := range site.Index(b.Site.Nodes()) {
		if !b.Site.IsSpare(n) {
			out = append(out, int32(n))
		}
	}
	return out
}
