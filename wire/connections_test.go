package wire_test

import (
	"context"
	"testing"

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
