//go:build labs

package iblab

import (
	"testing"

	"bulkhead/lab/await"
)

// TestTheTryLeavesRoom: the posture makes a multicast group each time, and more often than
// there are multicast LIDs; what it makes it gives back.
func TestTheTryLeavesRoom(t *testing.T) {
	ctx := await.Context(t)
	l := begin(t)
	for i := range 1100 { // a switch of the lab holds 1024
		p, err := l.guard.Posture(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if err := p.Err(); err != nil {
			t.Fatalf("look %d: %v", i, err)
		}
	}
}
