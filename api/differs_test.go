package api

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"

	"bulkhead/api/bulkheadv1"
	"bulkhead/sim"
	"bulkhead/site"
)

// TestWhatDiffersIsTold: what differs at a leaf and turns no verdict is in the plan, with
// its leaf and since when, and counted with its age.
func TestWhatDiffersIsTold(t *testing.T) {
	ctx := context.Background()
	w := newWorld(t)
	operator := w.client("operator")
	done(t)(operator.Pause(ctx, connect.NewRequest(&bulkheadv1.PauseRequest{Reason: "so that it lasts"})))
	began := w.clock.Now().Add(time.Minute)
	if err := w.devices.Inject(ctx, began, sim.Fault{Kind: sim.Differs, Leaf: site.Leaf(site.Frontend)}); err != nil {
		t.Fatal(err)
	}
	for minute := range 3 {
		now := began.Add(time.Duration(minute) * time.Minute)
		if err := w.devices.Advance(ctx, now); err != nil {
			t.Fatal(err)
		}
		w.clock.Set(now)
		if err := w.plane.Tick(ctx); err != nil {
			t.Fatal(err)
		}
	}
	plan, err := operator.ShowPlan(ctx, connect.NewRequest(&bulkheadv1.ShowPlanRequest{}))
	if err != nil {
		t.Fatal(err)
	}
	told := strings.Join(plan.Msg.Differs, "\n")
	if want := "-front: a line of its configuration is missing (since " + began.Format(time.RFC3339) + ")"; !strings.HasSuffix(told, want) || len(plan.Msg.Differs) != 1 || plan.Msg.Ports != 0 {
		t.Errorf("told is %q, %d ports to write: expected one that ends on %q, and none", told, plan.Msg.Ports, want)
	}
	r := httptest.NewRequest(http.MethodGet, "http://127.0.0.1/metrics", nil)
	r.Header.Set("Authorization", "Bearer "+w.secret["monitor"])
	answer := httptest.NewRecorder()
	w.handler(nil).ServeHTTP(answer, r)
	for _, line := range []string{"bulkhead_leaf_differences 1", "bulkhead_leaf_difference_age_seconds 120", "bulkhead_ports_unmended 0"} {
		if !strings.Contains(answer.Body.String(), line+"\n") {
			t.Errorf("%q is not in\n%s", line, grep(answer.Body.String(), "bulkhead_leaf"))
		}
	}
}
