package solve

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"bulkhead/place"
	"bulkhead/place/placetest"
	"bulkhead/site"
)

// everyPoint tries every slice of the lease's size over its own and the free nodes:
// the smallest cost by number of moves, and of these the best compromises.
func everyPoint(s *site.Site, slots []site.Index, free *site.Set, most int) []place.Cost {
	own := site.SetOf(slots...)
	var pool []site.Index
	for n := range site.Index(s.Nodes()) {
		same := s.KindOf(n) == s.KindOf(slots[0]) && s.ComputeFabric(n) == s.ComputeFabric(slots[0])
		if own.Has(n) || free.Has(n) && same && sellable(s, n) {
			pool = append(pool, n)
		}
	}
	best := make([]*place.Cost, len(slots)+1)
	var taken []site.Index
	var try func(i, moves int)
	try = func(i, moves int) {
		if len(taken) == len(slots) {
			c := place.CostOf(s, taken)
			if best[moves] == nil || c.Less(*best[moves]) {
				best[moves] = &c
			}
			return
		}
		if len(pool)-i < len(slots)-len(taken) {
			return
		}
		taken = append(taken, pool[i])
		more := 0
		if !own.Has(pool[i]) {
			more = 1
		}
		try(i+1, moves+more)
		taken = taken[:len(taken)-1]
		try(i+1, moves)
	}
	try(0, 0)
	var out []place.Cost
	for moves, c := range best {
		if c == nil || moves > most || len(out) > 0 && !c.Less(place.Cost{Halls: out[len(out)-1].Halls, Pods: out[len(out)-1].Pods, SUs: out[len(out)-1].SUs, Racks: out[len(out)-1].Racks, Moves: 0}) {
			continue
		}
		c.Moves = moves
		out = append(out, *c)
	}
	return out
}

// spreadLease takes nodes of one class from anywhere, and frees some of the rest.
func spreadLease(r *rand.Rand, s *site.Site, most int) (slots []site.Index, free *site.Set) {
	free = site.NewSet(s.Nodes())
	first := site.Index(r.IntN(s.Nodes()))
	for _, i := range r.Perm(s.Nodes()) {
		n := site.Index(i)
		same := s.KindOf(n) == s.KindOf(first) && s.ComputeFabric(n) == s.ComputeFabric(first)
		switch r.IntN(3) {
		case 0:
			if same && len(slots) < most {
				slots = append(slots, n)
			}
		case 1:
			free.Add(n)
		}
	}
	if len(slots) == 0 {
		slots = append(slots, first)
		free.Remove(first)
	}
	place.RankOrder(s, slots)
	return slots, free
}

func TestFrontierAgainstEverySlice(t *testing.T) {
	longest := 0
	for seed := range uint64(1000) {
		r := rand.New(rand.NewPCG(seed, 21))
		s := placetest.Grow(placetest.RandomPlot(r, 14))
		slots, free := spreadLease(r, s, 5)
		if r.IntN(4) == 0 {
			free.Add(slots[0]) // its own are no targets, whatever free says
		}
		most := r.IntN(8)
		points, err := Frontier(s, slots, free, most)
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		var got []place.Cost
		for _, p := range points {
			got = append(got, p.Cost)
			checkPoint(t, s, slots, free, p)
		}
		want := everyPoint(s, slots, free, most)
		if fmt.Sprint(got) != fmt.Sprint(want) {
			t.Fatalf("seed %d: slots %v, free %v, at most %d moves:\n got %v\nwant %v", seed, slots, free, most, got, want)
		}
		longest = max(longest, len(got))
	}
	if longest < 4 {
		t.Errorf("no frontier had more than %d points: the sites are too easy", longest)
	}
}

// checkPoint counts what a point says.
func checkPoint(t *testing.T, s *site.Site, slots []site.Index, free *site.Set, p place.Point) {
	t.Helper()
	after := append([]site.Index(nil), slots...)
	own := site.SetOf(slots...)
	for i, m := range p.Moves {
		if after[m.Slot] != m.From || own.Has(m.To) || !free.Has(m.To) || !sellable(s, m.To) || i > 0 && p.Moves[i-1].Slot >= m.Slot {
			t.Fatalf("move %+v", m)
		}
		after[m.Slot] = m.To
	}
	if site.SetOf(after...).Len() != len(slots) || len(p.Moves) != p.Cost.Moves {
		t.Fatalf("%d nodes in %d slots, %d moves of %d", site.SetOf(after...).Len(), len(slots), len(p.Moves), p.Cost.Moves)
	}
	if c := place.CostOf(s, after); c != (place.Cost{Halls: p.Cost.Halls, Pods: p.Cost.Pods, SUs: p.Cost.SUs, Racks: p.Cost.Racks}) {
		t.Fatalf("costs %s, said to cost %s", c, p.Cost)
	}
}

// With as many moves as it takes, the last point is the optimum over its own nodes
// and the free ones: what Solve finds by another program.
func TestFrontierEndsAtTheOptimum(t *testing.T) {
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 22))
		s := placetest.Grow(placetest.RandomPlot(r, 80))
		slots, free := spreadLease(r, s, 40)
		points, err := Frontier(s, slots, free, place.MaxMoves)
		if err != nil {
			t.Fatal(err)
		}
		pool := site.SetOf(slots...)
		pool.Union(free)
		for _, n := range slots {
			if !sellable(s, n) {
				pool = nil // a spare in a slot: Solve would not take it
			}
		}
		if pool == nil {
			continue
		}
		best, err := Among(s, pool, place.Ask{Nodes: len(slots), Fabric: s.Fabrics[s.ComputeFabric(slots[0])].ID, Kind: s.KindOf(slots[0]), Links: "shared"})
		if err != nil {
			t.Fatal(err)
		}
		last := points[len(points)-1].Cost
		last.Moves = 0
		if last != best.Certificate.Cost {
			t.Fatalf("seed %d: the frontier ends at %s, the optimum is %s", seed, last, best.Certificate.Cost)
		}
		// More free nodes never cost more, at any number of moves.
		more := free.Clone()
		more.Add(site.Index(r.IntN(s.Nodes())))
		better, err := Frontier(s, slots, more, place.MaxMoves)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range points {
			if !anyAsGood(better, p.Cost) {
				t.Fatalf("seed %d: with one more free node nothing is as good as %s", seed, p.Cost)
			}
		}
	}
}

func anyAsGood(points []place.Point, c place.Cost) bool {
	for _, p := range points {
		q := p.Cost
		q.Moves = 0
		d := c
		d.Moves = 0
		if p.Cost.Moves <= c.Moves && !d.Less(q) {
			return true
		}
	}
	return false
}

func TestFrontierRefuses(t *testing.T) {
	s := placetest.Grow(placetest.Plot{RackNodes: 2, SUNodes: 4, Halls: [][]placetest.PodPlot{{{Kinds: []string{"H100", "H200"}, SUs: []int{4, 4}}}}})
	for name, slots := range map[string][]site.Index{"none": nil, "twice": {1, 1}, "two kinds": {0, 4}, "stranger": {99}} {
		if _, err := Frontier(s, slots, placetest.All(s), 2); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
	for _, most := range []int{-1, place.MaxMoves + 1} {
		if _, err := Frontier(s, []site.Index{0}, placetest.All(s), most); err == nil {
			t.Errorf("at most %d moves: taken", most)
		}
	}
}
