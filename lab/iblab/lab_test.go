package iblab

import (
	"context"
	"testing"
	"time"

	"bulkhead/book"
)

func begin(t *testing.T, change ...func(*Options)) *Lab {
	t.Helper()
	if testing.Short() {
		t.Skip("starts OpenSM: not in short mode")
	}
	if missing := Missing(); missing != "" {
		t.Skipf("needs %s: apt-get install %s", missing, missing)
	}
	o := Options{Dir: t.TempDir(), Bound: time.Second, Say: func(s string) { t.Log(s) }}
	for _, c := range change {
		c(&o)
	}
	l, err := Start(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	return l
}

// Two rivals lease parts of the same leaves, under a real OpenSM.
func TestRivals(t *testing.T) {
	ctx := context.Background()
	l := begin(t)
	if err := l.Sell(ctx); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	if err := l.Live(ctx, 74*time.Hour, 2*time.Hour); err != nil {
		t.Fatal(err)
	}
	t.Logf("three days in %s; delivered %v", time.Since(began).Round(time.Millisecond), l.Delivered())
	l.Plane.View(func(s *book.State) {
		for _, lease := range s.Leases {
			t.Logf("%s: %d of %d, isolation %s", lease.ID, lease.Delivered, len(lease.Slots), lease.Verdict)
		}
	})
}
