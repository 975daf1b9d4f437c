package run_test

import (
	"strings"
	"testing"
	"time"

	"bulkhead/book"
	"bulkhead/node"
	"bulkhead/site"
)

// TestACordonedNodeHoldsUpNobodyElse: a node that is cordoned before it is handed over
// waits, the plan names it, the rest of its lease is handed over without it, and it
// follows when the cordon is lifted.
func TestACordonedNodeHoldsUpNobodyElse(t *testing.T) {
	w := imported(t)
	p := w.lease(t, w.sim.Storage(), -1) // until half a day before its first day
	var n site.Index
	p.View(func(s *book.State) { n = s.Nodes.By[node.Reserved].Slice()[0] })
	id := w.sim.Site().NodeID[n]
	w.submit(t, p, book.Cordon{Node: id, Reason: "test", By: "test"})
	w.until(t, p, time.Date(2026, 5, 2, 12, 0, 0, 0, time.UTC))
	up := delivered(p)
	if up == 0 {
		t.Fatal("nothing was handed over")
	}
	if held := strings.Join(p.Plan(t.Context()).Deferred, "\n"); !strings.Contains(held, id+" is cordoned and not handed over to tidewater/w1") {
		t.Errorf("the plan does not say what waits: %s", held)
	}
	w.submit(t, p, book.Cordon{Node: id, Lift: true, Reason: "test", By: "test"})
	w.until(t, p, w.clock.Now().Add(3*time.Hour))
	if delivered(p) != up+1 {
		t.Errorf("%d slots are up, expected one more than %d", delivered(p), up)
	}
}
