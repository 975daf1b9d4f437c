package sim

import (
	"fmt"
	"testing"
	"time"

	"bulkhead/node"
	"bulkhead/site"
)

// Where the log no longer reaches back, the newest of each node is still there,
// and a reader that goes on from cursor to cursor comes to the end.
func TestWhatIsNoLongerKept(t *testing.T) {
	template, err := site.ParseTemplate("site.yaml", []byte(readExample(t)))
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 4, 20, 0, 0, 0, 0, time.UTC)
	config := DefaultConfig(1, now)
	config.FailureRate, config.DeadShare = 0, 0
	s, err := FromTemplate(template, config)
	if err != nil {
		t.Fatal(err)
	}
	s.nodes.keep = 16
	ctx := t.Context()
	var last map[site.Index]string
	for turnover := range 6 {
		last = map[site.Index]string{}
		var steps []node.Step
		for n := range site.Index(64) {
			id := fmt.Sprintf("%d/%d", n, turnover)
			last[n] = id
			steps = append(steps, node.Step{ID: id, Node: n, Kind: node.StepSever, Turnover: uint32(turnover)})
		}
		if _, err := s.Nodes().Apply(ctx, steps, node.Fence{}); err != nil {
			t.Fatal(err)
		}
		now = now.Add(24 * time.Hour)
		if err := s.Advance(ctx, now); err != nil {
			t.Fatal(err)
		}
		if err := s.Inject(ctx, now, Fault{Kind: Fails, Class: LinkFlap, Node: site.Index(turnover)}); err != nil {
			t.Fatal(err)
		}
	}
	if len(s.nodes.log) > 2*16 || s.nodes.floor == 0 {
		t.Fatalf("%d records kept, floor %d", len(s.nodes.log), s.nodes.floor)
	}
	for _, since := range []uint64{0, 1, 64, s.nodes.floor - 1, s.nodes.floor, s.nodes.seq + 9} {
		seen := map[site.Index]string{}
		o, err := s.Nodes().Observe(ctx, since)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range o.Reports {
			if r.Step != "" {
				seen[r.Node] = r.Step
			}
		}
		if since < s.nodes.floor || since > s.nodes.seq {
			for n, id := range last {
				if told := since < s.nodes.seq && s.nodes.state[n].endedSeq <= since; !told && seen[n] != id {
					t.Errorf("since %d: node %d says %q, its newest is %q", since, n, seen[n], id)
				}
			}
		}
		if o.Cursor != s.nodes.seq || o.More {
			t.Errorf("since %d: cursor %d of %d, more %t", since, o.Cursor, s.nodes.seq, o.More)
		}
	}
}
