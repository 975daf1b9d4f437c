package dated

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

// colossal is a site of 50,000 nodes in 13 pods of up to 64 SUs: half of it is
// there at once, the rest comes in two years.
func colossal() *Schedule {
	var halls []plot
	left := 50_000
	for pod := range 13 {
		var sus []int
		for len(sus) < 64 && left > 0 {
			sus = append(sus, min(64, left))
			left -= sus[len(sus)-1]
		}
		from := on(0)
		if pod >= 7 {
			from = on((pod - 6) * 120)
		}
		halls = append(halls, plot{from, [][]int{sus}})
	}
	return New(grow(8, 64, 1, halls...), on(0), nil)
}

// busy is that site with what was signed for three years: a ramp of half of it
// and a stream of smaller leases.
func busy(b *testing.B) *Schedule {
	s := colossal()
	p, err := s.Plan(Ask{Ramp: "big", Fabric: "roce", Kind: "H100", Links: "shared", End: on(1100), Steps: []Step{
		{ID: "big/1", Nodes: 12_000, Begin: on(30)}, {ID: "big/2", Nodes: 6_000, Begin: on(130)}, {ID: "big/3", Nodes: 7_000, Begin: on(380)}}})
	if err == nil {
		err = s.Commit(p)
	}
	if err != nil {
		b.Fatal(err)
	}
	r := rand.New(rand.NewPCG(1, 1))
	for i := range 150 {
		begin := r.IntN(900)
		if p, err := s.Plan(ask(fmt.Sprintf("small/%d", i), 1<<r.IntN(11), begin, begin+30+r.IntN(360))); err == nil {
			if err := s.Commit(p); err != nil {
				b.Fatal(err)
			}
		}
	}
	return s
}

// BenchmarkPlanFull plans a lease of 5,000 nodes in three steps among 150 others.
func BenchmarkPlanFull(b *testing.B) {
	s := busy(b)
	for b.Loop() {
		if _, err := s.Plan(Ask{Ramp: "r", Fabric: "roce", Kind: "H100", Links: "shared", End: on(1000), Steps: []Step{
			{ID: "r/1", Nodes: 1_000, Begin: on(400)}, {ID: "r/2", Nodes: 2_000, Begin: on(500)}, {ID: "r/3", Nodes: 2_000, Begin: on(640)}}}); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkEarliestFull asks from when seven sizes can be had, among 150 leases.
func BenchmarkEarliestFull(b *testing.B) {
	s := busy(b)
	for b.Loop() {
		if _, err := s.Earliest(Query{Fabric: "roce", Kind: "H100", Links: "shared", Sizes: []int{64, 512, 2_048, 5_000, 10_000, 20_000, 30_000},
			From: on(30), Length: 365 * 24 * time.Hour}); err != nil {
			b.Fatal(err)
		}
	}
}
