package wire_test

import (
	"context"
	"testing"
	"time"

	"bulkhead/fabric"
	"bulkhead/lab/await"
	"bulkhead/wire"
)

// Whoever lets the time of a simulated site pass knows whether anybody else is there who may
// still look at it: as long as that process lives, however busy it is.
func TestWhoElseIsThere(t *testing.T) {
	c, _, socket := serve(t, simulated(t, 4, true))
	there := func(want bool) {
		t.Helper()
		await.Must(t, "it to be known who is there", func() bool {
			_, is, err := c.Sim.Asked(context.Background())
			return err == nil && is == want
		})
	}
	there(false)
	other, err := wire.Dial(socket)
	if err != nil {
		t.Fatal(err)
	}
	there(true)
	other.Close()
	there(false)
}

// A look counts for when it was asked for, by the clock of whoever asks: it may have been
// under way while time passed.
func TestALookCountsFromWhenItWasAskedFor(t *testing.T) {
	s := simulated(t, 4, true)
	c, _, _ := serve(t, s)
	looked := func(asked, want time.Time) {
		t.Helper()
		ctx := fabric.WithAsked(t.Context(), asked)
		for _, f := range c.Fabrics {
			_, err := f.Observe(ctx, fabric.Scope{})
			must(t, err)
		}
		_, err := c.Nodes.Observe(ctx, 0)
		must(t, err)
		if at, _, err := c.Sim.Asked(t.Context()); err != nil || !at.Equal(want) {
			t.Errorf("asked for at %s: it counts for %s, expected %s, %v", asked, at, want, err)
		}
	}
	must(t, c.Sim.Advance(t.Context(), start.Add(time.Hour)))
	looked(start.Add(50*time.Minute), start.Add(50*time.Minute))
	looked(start.Add(time.Hour), start.Add(time.Hour))
	looked(start.Add(2*time.Hour), start.Add(time.Hour)) // a clock that is ahead sees nothing that is to come
	looked(time.Time{}, start.Add(time.Hour))
}
