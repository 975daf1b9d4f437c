package iblab

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"bulkhead/book"
)

// settle lives until every delivered port is proven again, for at most a day.
func (l *Lab) settle(ctx context.Context, t *testing.T) {
	t.Helper()
	for range 24 {
		if err := l.Live(ctx, time.Hour, time.Hour); err != nil {
			t.Fatal(err)
		}
		locked, holds := 0, false
		l.Plane.View(func(s *book.State) { locked, holds = len(s.Locked), s.Postures[FabricID].Holds })
		if locked == 0 && holds && len(l.Findings()) == 0 {
			return
		}
	}
	l.Plane.View(func(s *book.State) {
		t.Fatalf("a day later: findings %v, %d ports locked, posture %+v, brake %+v", l.Findings(), len(s.Locked), s.Postures[FabricID], s.Control.Brake)
	})
}

// TestAttacks mounts the corpus, one attack after the other, on one fabric.
func TestAttacks(t *testing.T) {
	ctx := context.Background()
	l := begin(t)
	if err := l.Sell(ctx); err != nil {
		t.Fatal(err)
	}
	if err := l.Live(ctx, 74*time.Hour, 2*time.Hour); err != nil {
		t.Fatal(err)
	}
	if d := l.Delivered(); d[Rivals[0]] != 6 || d[Rivals[1]] != 6 {
		t.Fatalf("delivered %v", d)
	}
	l.settle(ctx, t)
	for i, a := range Attacks() {
		t.Run(a.Name, func(t *testing.T) {
			if leaks, cut := l.Leaks(), l.CutOff(); len(leaks) > 0 || len(cut) > 0 {
				t.Fatalf("before the attack: leaks %v, cut off %v", leaks, cut)
			}
			head := l.Head()
			undo, err := a.Mount(ctx, l)
			if err != nil {
				t.Fatal(err)
			}
			open := l.Leaks()
			if a.Ends == Prevented && len(open) > 0 {
				t.Errorf("it was to be prevented, and %d packets pass: %s", len(open), open[0])
			}
			if err := l.Live(ctx, time.Hour, time.Hour); err != nil {
				t.Fatal(err)
			}
			kinds, notes, err := l.Recorded(ctx, head)
			if err != nil {
				t.Fatal(err)
			}
			said := strings.Join(notes, "\n")
			for kind := range kinds {
				said += "\n" + kind
			}
			for check := range l.Findings() {
				said += "\n" + check
			}
			if a.Check != "" && !strings.Contains(said, a.Check) {
				t.Errorf("one sweep later nothing says %q: recorded %v, findings %v, notes %.2000s", a.Check, kinds, l.Findings(), notes)
			}
			if leaks := l.Leaks(); len(leaks) > 0 && a.Ends != Detected {
				t.Errorf("one sweep later %d packets pass: %s", len(leaks), leaks[0])
			}
			t.Logf("%s: %d leaks at first, %d after a sweep; recorded %v, findings %v", a.Ends, len(open), len(l.Leaks()), kinds, l.Findings())
			if err := undo(ctx); err != nil {
				t.Fatal(err)
			}
			if i < len(Attacks())-1 {
				l.settle(ctx, t)
			}
		})
	}
	names := map[string]bool{}
	for _, a := range Attacks() {
		if names[a.Name] || a.By == "" || a.Action == "" || !slices.Contains([]string{Prevented, Detected}, a.Ends) {
			t.Errorf("attack %+v is not described", a)
		}
		names[a.Name] = true
	}
}
