package solve

import (
	"testing"

	"bulkhead/lease"
	"bulkhead/place"
	"bulkhead/place/check"
	"bulkhead/place/placetest"
	"bulkhead/site"
)

// FuzzSolve lets the fuzzer draw the site, the free nodes and the ask.
func FuzzSolve(f *testing.F) {
	f.Add([]byte{2, 3, 4, 4, 4, 2, 7}, []byte{0xff, 0x0f, 0xaa}, 9)
	f.Add([]byte{1, 1, 1}, []byte{1}, 1)
	f.Fuzz(func(t *testing.T, layout, occupied []byte, nodes int) {
		p := placetest.Plot{RackNodes: 3, SUNodes: 12, Halls: [][]placetest.PodPlot{nil}}
		sus := 0
		for i, b := range layout {
			if b%5 == 0 || i == 0 {
				p.Halls = append(p.Halls, nil)
			}
			hall := &p.Halls[len(p.Halls)-1]
			if b%3 == 0 || len(*hall) == 0 {
				*hall = append(*hall, placetest.PodPlot{Kinds: []string{"H100"}})
			}
			if sus++; sus > 3 {
				break
			}
			pod := &(*hall)[len(*hall)-1]
			pod.SUs = append(pod.SUs, 1+int(b)%12)
		}
		s := placetest.Grow(p)
		free := site.NewSet(0)
		for n := range s.Nodes() {
			if n/8 < len(occupied) && occupied[n/8]>>(n%8)&1 == 1 {
				free.Add(site.Index(n))
			}
		}
		free.Add(1 << 21) // what the site does not have
		ask := place.Ask{Nodes: nodes, Fabric: "roce", Kind: "H100", Links: lease.Shared}
		slice, err := Among(s, free, ask)
		if err != nil {
			if nodes > 0 && nodes < free.Len() {
				t.Fatalf("%d of %d: %v", nodes, free.Len()-1, err)
			}
			return
		}
		if best := exhaustive(s, inSite(s, free), 0, "H100"); best[nodes] != slice.Certificate.Cost {
			t.Fatalf("solved %s, exhaustively %s", slice.Certificate.Cost, best[nodes])
		}
		if err := check.Among(s, free, slice); err != nil {
			t.Fatal(err)
		}
	})
}

func inSite(s *site.Site, free *site.Set) *site.Set {
	set := placetest.All(s)
	set.Intersect(free)
	return set
}
