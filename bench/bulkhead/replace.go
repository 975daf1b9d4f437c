package bulkhead

import (
	"fmt"

	"bulkhead/bench/sites"
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

// Near is the share of failed nodes whose slot gets a spare of its own SU, as
// place.PlanSpares expects it: as if every node were back where it was once it is
// repaired.
func Near(t *sites.Tree, spares int) (float64, error) {
	plan, err := place.PlanSpares(place.SparesAsk{Failures: place.DefaultFailures(), Nodes: t.Shape.SUNodes, SUs: len(t.Halls[0][0]), SUShort: 0.02, PodShort: 0.001})
	if err != nil {
		return 0, err
	}
	for _, row := range plan.Choices {
		if row.PerSU == spares {
			return row.Near, nil
		}
	}
	return 0, fmt.Errorf("place.PlanSpares says nothing of %d spares an SU", spares)
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
