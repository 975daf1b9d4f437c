package wire_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"bulkhead/fabric"
	"bulkhead/wire"
)

// TestCallsThatEndEarly: a call that is given up while its answer is awaited says so at
// once, and no later call gets that answer.
func TestCallsThatEndEarly(t *testing.T) {
	c, _, _ := serve(t, simulated(t, 10, false))
	o, err := c.Fabrics["roce"].Observe(t.Context(), fabric.Scope{})
	must(t, err)
	for range 50 {
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		began := time.Now()
		if err := c.Fabrics["roce"].Await(ctx, o.Cursor); !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, wire.ErrGone) {
			t.Fatalf("a wait that ended: %v", err)
		}
		cancel()
		if took := time.Since(began); took > 30*time.Second {
			t.Fatalf("it was given up after %s", took)
		}
		if now, err := c.Sim.Now(t.Context()); err != nil || now.IsZero() {
			t.Fatalf("the next call: %s, %v", now, err)
		}
	}
}
