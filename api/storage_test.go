package api

import (
	"context"
	"strings"
	"testing"

	"connectrpc.com/connect"

	"bulkhead/api/bulkheadv1"
)

// A volume that a lease can't reach gives its administrator no credential, and
// no access to anybody.
func TestGetMountGivesNothingAway(t *testing.T) {
	w := newWorld(t)
	for _, volume := range []string{"", "tidewater/scratch", "rival/datasets", "../etc"} {
		m, err := w.client("administrator flagship").GetMount(context.Background(), connect.NewRequest(&bulkheadv1.MountRequest{Lease: "flagship/t1", Volume: volume}))
		if err == nil {
			t.Errorf("volume %q: %v", volume, m.Msg)
		}
	}
}

// What is no probe of the caller's own is not filed.
func TestFileProbeRefuses(t *testing.T) {
	w := newWorld(t)
	before := w.seq()
	for name, statement := range map[string][]byte{"nothing": nil, "noise": []byte("{}"), "too much": make([]byte, maxProbe+1)} {
		_, err := w.client("administrator flagship").FileProbe(context.Background(), connect.NewRequest(&bulkheadv1.FileProbeRequest{CommandId: name, Lease: "flagship/t1", Statement: statement}))
		if err == nil || !strings.Contains(err.Error(), "statement") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if w.seq() != before {
		t.Error("something was filed")
	}
}
