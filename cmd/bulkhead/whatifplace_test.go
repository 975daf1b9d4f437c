package main

import (
	"strings"
	"testing"

	v1 "bulkhead/api/bulkheadv1"
	"bulkhead/place"
)

// Of a slice whose search was ended a person reads that it is not proven optimal, and
// what the best costs at least.
func TestWhatIfSaysWhatIsNotProven(t *testing.T) {
	c := place.Certificate{Cost: place.Cost{Halls: 4, Pods: 8, SUs: 178, Racks: 1423}, Least: &place.Cost{Halls: 4, Pods: 5, SUs: 177, Racks: 1411}, Cut: true}
	var ended, through strings.Builder
	placedTable(&ended, &v1.PlacedContract{Tranches: []*v1.PlacedTranche{{Tranche: "t1", Unproven: c.Unproven()}}, Price: "{}"})
	if want := "not proven optimal: the search was ended by its bound on work; this slice costs 4/8/178/1423 (halls/pods/SUs/racks), and the best costs 4/5/177/1411 at least"; !strings.Contains(ended.String(), want) {
		t.Errorf("printed %q, expected %q in it", ended.String(), want)
	}
	c.Cut, c.Least = false, nil
	placedTable(&through, &v1.PlacedContract{Tranches: []*v1.PlacedTranche{{Tranche: "t1", Unproven: c.Unproven()}}, Price: "{}"})
	if strings.Contains(through.String(), "proven") {
		t.Errorf("printed %q of a search that went through", through.String())
	}
}
