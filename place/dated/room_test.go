package dated

import (
	"errors"
	"strings"
	"testing"

	"bulkhead/lease"
	"bulkhead/place/placetest"
	"bulkhead/site"
)

// What is short on one fabric: the refusal says what each other fabric that has the kind
// can be promised for all of that time, what is booked there for a part of it taken off.
func TestARefusalSaysWhatOtherFabricsHaveRoomFor(t *testing.T) {
	pod := func(fabric int, kind string, sus ...int) placetest.PodPlot {
		return placetest.PodPlot{Kinds: []string{kind}, SUs: sus, Fabric: fabric}
	}
	s := placetest.Grow(placetest.Plot{RackNodes: 4, SUNodes: 8, Halls: [][]placetest.PodPlot{{pod(0, "H100", 8, 8), pod(1, "H100", 8), pod(1, "H200", 8)}}})
	s.Halls[0].InService = on(0)
	c := New(s, on(0), site.NewSet(s.Nodes()))
	booked, err := c.Plan(Ask{Fabric: "ib", Kind: "H100", Links: lease.Shared, Steps: []Step{{ID: "before", Nodes: 3, Begin: on(20)}}, End: on(30)})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Commit(booked); err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		fabric, kind string
		nodes        int
		says         string // "" nothing of another fabric
	}{
		{"roce", "H100", 20, "only 16 nodes (128 GPUs) can be promised, 4 nodes (32 GPUs) too few; no later date would do with what is planned today, a smaller quantity would: up to 16 nodes (128 GPUs); on fabric ib there is room for 5 nodes (40 GPUs), 15 nodes (120 GPUs) too few"},
		{"ib", "H100", 8, "only 5 nodes (40 GPUs) can be promised, 3 nodes (24 GPUs) too few; all of it is there from 2026-05-01, in 1 hall, 1 pod, 1 SU, 2 racks, and 5 nodes (40 GPUs) from 2026-04-11 already; on fabric roce there is room for it: 16 nodes (128 GPUs)"},
		{"ib", "H200", 9, ""},
	} {
		_, err := c.Plan(Ask{Fabric: row.fabric, Kind: row.kind, Links: lease.Shared, Steps: []Step{{ID: "asked", Nodes: row.nodes, Begin: on(10)}}, End: on(25)})
		var short *ShortError
		if !errors.As(err, &short) {
			t.Fatalf("%d nodes on %s: %v, expected a shortfall", row.nodes, row.fabric, err)
		}
		if !strings.Contains(err.Error(), row.says) || row.says == "" && strings.Contains(err.Error(), "there is") {
			t.Errorf("%v; expected %q", err, row.says)
		}
	}
}
