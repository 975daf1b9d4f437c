package opensm

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"bulkhead/fabric"
	"bulkhead/fabric/fabrictest"
	"bulkhead/lab/await"
	"bulkhead/site"
)

// silentReader reads of every leaf that it does not answer.
type silentReader struct{ reads atomic.Int64 }

func (r *silentReader) Read(_ context.Context, leaves []uint64) ([]Capture, error) {
	r.reads.Add(1)
	return make([]Capture, len(leaves)), nil
}

func (r *silentReader) Guard(context.Context) (Guard, error) { return Guard{}, nil }

// bell is an alarm that is rung by hand.
type bell struct {
	notices atomic.Uint64
	rung    chan struct{}
}

func (b *bell) Count() uint64 { return b.notices.Load() }

func (b *bell) Wait(ctx context.Context, than uint64) error {
	for b.notices.Load() <= than {
		select {
		case <-b.rung:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

func (b *bell) ring() {
	b.notices.Add(1)
	select {
	case b.rung <- struct{}{}:
	default:
	}
}

// TestAwait: a notice that came since the last look began ends the waiting, but not
// before the driver has rested from that look; one that the look covers does not.
func TestAwait(t *testing.T) {
	s := fabrictest.NewSite(1, 2, site.InfiniBand)
	b := &bell{rung: make(chan struct{}, 1)}
	d := &Driver{Site: s, Fabric: 1, Leaves: map[site.Leaf]uint64{s.LeafOf(0): 1, s.LeafOf(1): 2}, Reader: &silentReader{}}
	short := func(since uint64) error {
		ctx, cancel := context.WithTimeout(t.Context(), 2*leastRest)
		defer cancel()
		return d.Await(ctx, since)
	}
	long := func(since uint64) error {
		ctx, cancel := context.WithTimeout(t.Context(), await.Patience)
		defer cancel()
		return d.Await(ctx, since)
	}
	look := func(scope fabric.Scope) uint64 {
		t.Helper()
		o, err := d.Observe(t.Context(), scope)
		if err != nil {
			t.Fatal(err)
		}
		return o.Cursor
	}
	cursor := look(fabric.Scope{})
	if err := short(cursor); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatalf("nothing tells it of a change: %v", err)
	}
	d.Alarm = b
	b.ring()
	cursor = look(fabric.Scope{})
	if err := short(cursor); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a notice from before the look: %v", err)
	}
	cursor = look(fabric.Scope{})
	looked := time.Now()
	b.ring()
	if err := long(cursor); err != nil {
		t.Errorf("with a notice: %v", err)
	}
	if rested := time.Since(looked); rested < leastRest-100*time.Millisecond {
		t.Errorf("it rested %s only", rested)
	}
	// Part of the leaves: that look covers nothing.
	cursor = look(fabric.Scope{Leaves: []site.Leaf{s.LeafOf(0)}})
	if err := long(cursor); err != nil {
		t.Errorf("after a look at one leaf: %v", err)
	}
	cursor = look(fabric.Scope{})
	if err := long(cursor - 1); err != nil {
		t.Errorf("with an old cursor: %v", err)
	}
}
