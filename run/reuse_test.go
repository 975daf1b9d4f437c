package run_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"bulkhead/book"
	"bulkhead/fabric"
	"bulkhead/sim"
	"bulkhead/site"
)

// A label is given to nobody else while a leaf may carry it that does not answer, also
// when the writer that saw the leaf last is gone: a new one has read nothing of it, and
// that must not count as nothing there.
func TestALabelWaitsForASilentLeaf(t *testing.T) {
	for _, again := range []bool{false, true} {
		w := imported(t)
		p := w.lease(t, w.sim.Storage(), 1)
		must(t, p.ActAsShown(t.Context(), "", noticeOf("tidewater"), nil))
		var cooling fabric.Label
		for days := 0; cooling.Value == 0; days++ {
			if days > 120 {
				t.Fatal("the lease's label is not released")
			}
			w.live(t, p, 24)
			p.View(func(s *book.State) {
				for _, f := range s.Site.Fabrics {
					for _, a := range s.Labels[f.ID].Allocations() {
						if _, is := s.Labels[f.ID].CoolUntil(a.Value); is {
							cooling = fabric.Label{Fabric: f.ID, Value: a.Value}
						}
					}
				}
			})
		}
		held := func() (is bool) {
			p.View(func(s *book.State) { _, is = s.Labels[cooling.Fabric].CoolUntil(cooling.Value) })
			return is
		}
		var silent site.Leaf
		p.View(func(s *book.State) {
			for s.Site.Fabrics[s.Site.FabricOfLeaf(silent)].ID != cooling.Fabric {
				silent++
			}
		})
		down := sim.Fault{Kind: sim.LeafDown, Leaf: silent, For: 72 * time.Hour}
		if err := w.sim.Inject(context.Background(), w.clock.Now(), down); err != nil {
			t.Fatal(err)
		}
		if again {
			p = w.open(t)
		}
		w.live(t, p, 71)
		if !held() {
			t.Errorf("begun again: %t: label %d of %s is free, and a leaf has not said that it does not carry it", again, cooling.Value, cooling.Fabric)
		}
		if said := p.Plan(context.Background()).Deferred; !slices.ContainsFunc(said, func(why string) bool { return strings.Contains(why, "labels of "+cooling.Fabric) }) {
			t.Errorf("begun again: %t: the plan does not say why: %q", again, said)
		}
		w.live(t, p, 3)
		if held() {
			t.Errorf("begun again: %t: every leaf answers, and label %d of %s is not free", again, cooling.Value, cooling.Fabric)
		}
		// Nobody of an older term can put it anywhere any more.
		var term uint64
		p.View(func(s *book.State) { term = s.Term })
		if _, err := w.sim.Fabrics()[cooling.Fabric].Apply(context.Background(), fabric.NewChange(cooling.Fabric, nil), fabric.Fence{Term: term - 1, Generation: 1 << 60}); !errors.Is(err, fabric.ErrFenced) {
			t.Errorf("begun again: %t: the label is free, and the term before is still heard: %v", again, err)
		}
	}
}
