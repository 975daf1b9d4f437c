package run_test

import (
	"testing"

	"bulkhead/claim"
)

// TestOtherNumbers: drivers are started anew with another site file than was imported.
// What they read counts for nothing, until they number their ports as the site does.
func TestOtherNumbers(t *testing.T) {
	w, p, cable := leased(t, "  poll: 1m\n  isolation-window: 5m\n")
	if unknown, other := unknowns(p); unknown+other > 0 {
		t.Fatalf("%d ports are unknown, %d not proven", unknown, other)
	}
	cable.numbers = claim.DigestOf([]byte("another site file"))
	cable.restarted = true // so that they answer with all that there is
	w.minutes(t, p, 10)
	cable.restarted = false
	if unknown, _ := unknowns(p); unknown != w.sim.Site().Ports() {
		t.Errorf("read by other numbers %d ports are unknown, expected all %d", unknown, w.sim.Site().Ports())
	}
	cable.numbers = claim.Digest{}
	w.minutes(t, p, 90)
	if unknown, other := unknowns(p); unknown+other > 0 {
		t.Errorf("with the site's own numbers again %d ports are unknown, %d not proven", unknown, other)
	}
}
