package run

import (
	"context"
	"errors"
	"testing"
	"time"

	"bulkhead/fabric"
)

// alarm is a fabric whose devices say when they change.
type alarm struct {
	fabric.Driver
	rung chan struct{}
}

func (a alarm) Await(ctx context.Context, since uint64) error {
	select {
	case <-a.rung:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// TestAwait: the first fabric with news ends the waiting, and none that was not
// looked at is waited for.
func TestAwait(t *testing.T) {
	quiet, loud := alarm{rung: make(chan struct{})}, alarm{rung: make(chan struct{}, 1)}
	p := &Plane{seen: &seen{cursors: map[string]uint64{}, woken: map[string]bool{}}}
	p.driven.Store(&Devices{Fabrics: map[string]fabric.Driver{"a": quiet, "b": loud}})
	loud.rung <- struct{}{}
	if err := p.Await(t.Context()); !errors.Is(err, ErrNotLooked) {
		t.Fatalf("before the first look: %v", err)
	}
	p.seen.cursors["a"] = 7
	bounded, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := p.Await(bounded); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("with a quiet fabric: %v", err)
	}
	p.seen.cursors["b"] = 9
	if err := p.Await(t.Context()); err != nil {
		t.Fatalf("with news: %v", err)
	}
}
