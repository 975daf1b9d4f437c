package api

import (
	"context"
	"strings"
	"testing"

	"connectrpc.com/connect"

	"bulkhead/api/bulkheadv1"
	"bulkhead/book"
)

// What was decided of a node that has moved on since is refused, and changes
// nothing.
func TestCommandsOfAStaleGeneration(t *testing.T) {
	w := newWorld(t)
	ctx := context.Background()
	op := w.client("operator")
	var id string
	var now uint64
	w.plane.View(func(b *book.State) { id, now = b.Site.NodeID[3], uint64(b.Nodes.Seq[3]) })
	stale := now + 1
	for name, call := range map[string]func(generation uint64, command string) error{
		"cordon": func(g uint64, command string) error {
			_, err := op.CordonNode(ctx, connect.NewRequest(&bulkheadv1.CordonNodeRequest{CommandId: command, Node: id, Reason: "test", IfGeneration: &g}))
			return err
		},
		"repair": func(g uint64, command string) error {
			_, err := op.RepairNode(ctx, connect.NewRequest(&bulkheadv1.RepairNodeRequest{CommandId: command, Node: id, Reason: "test", IfGeneration: &g}))
			return err
		},
	} {
		before := w.seq()
		if err := call(stale, name+" stale"); err == nil || !strings.Contains(err.Error(), "if_generation") {
			t.Errorf("%s of generation %d, the node is at %d: %v", name, stale, now, err)
		}
		if w.seq() != before {
			t.Errorf("%s: something was carried out", name)
		}
	}
	if _, err := op.CordonNode(ctx, connect.NewRequest(&bulkheadv1.CordonNodeRequest{CommandId: "fresh", Node: id, Reason: "test", IfGeneration: &now})); err != nil {
		t.Errorf("cordon of the present generation: %v", err)
	}
}
