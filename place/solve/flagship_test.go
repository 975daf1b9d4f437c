package solve

import (
	"math/rand/v2"
	"testing"

	"bulkhead/place"
	"bulkhead/place/check"
	"bulkhead/place/placetest"
	"bulkhead/site"
)

// TestFlagshipOnTheExampleSite places the four tranches of 350,000 GPUs on the
// example site, beside the others, and checks each.
func TestFlagshipOnTheExampleSite(t *testing.T) {
	s := colossus(t)
	r := rand.New(rand.NewPCG(1, 350))
	free := placetest.All(s)
	for range s.Nodes() / 150 {
		free.Remove(site.Index(r.IntN(s.Nodes())))
	}
	placed := 0
	for _, ask := range append([]place.Ask{{Nodes: 512, Fabric: "ib", Kind: "H100", Links: "shared"}, {Nodes: 640, Fabric: "roce", Kind: "H100", Links: "shared"}}, flagship...) {
		slice, err := Among(s, free, ask)
		if err != nil {
			t.Fatal(err)
		}
		if err := check.Among(s, free, slice); err != nil {
			t.Fatalf("%s: %v", ask, err)
		}
		free.Subtract(site.SetOf(slice.Nodes...))
		placed += len(slice.Nodes)
	}
	if placed != 43_750+512+640 {
		t.Errorf("%d nodes placed", placed)
	}
}
