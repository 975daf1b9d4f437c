package wire_test

import (
	"reflect"
	"strings"
	"testing"

	"bulkhead/fabric"
	"bulkhead/sim"
	"bulkhead/site"
)

// Fabrics that are asked in one call say what each says by itself, and one that is
// not there, or is asked for a leaf that it does not have, takes nothing from the others.
func TestAskedTogether(t *testing.T) {
	s := simulated(t, 5, false)
	c, _, _ := serve(t, s)
	must(t, c.Sim.Inject(t.Context(), start, sim.Fault{Kind: sim.LeafDown, Leaf: 0}.JSON()))
	asks := []fabric.Ask{{Fabric: "roce"}, {Fabric: "none"}, {Fabric: "ib"}, {Fabric: "frontend", Scope: fabric.Scope{Leaves: []site.Leaf{1 << 20}}}}
	joint := c.Fabrics["ib"].(fabric.Joined).Joint()
	answers := joint.ObserveAll(t.Context(), asks)
	if len(answers) != len(asks) {
		t.Fatalf("%d answers", len(answers))
	}
	for i, a := range answers {
		if i%2 == 1 {
			if a.Err == nil || len(a.Observation.Devices) > 0 {
				t.Errorf("%+v: %+v", asks[i], a)
			}
			continue
		}
		alone, err := c.Fabrics[asks[i].Fabric].Observe(t.Context(), asks[i].Scope)
		must(t, err)
		must(t, a.Err)
		if !reflect.DeepEqual(alone, a.Observation) || len(alone.Devices) == 0 {
			t.Errorf("%s says %d devices by itself, %d in company", asks[i].Fabric, len(alone.Devices), len(a.Observation.Devices))
		}
	}
	if !strings.Contains(answers[1].Err.Error(), "none") {
		t.Errorf("it says %q", answers[1].Err)
	}
}
