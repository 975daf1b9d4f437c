package run

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"bulkhead/book"
)

// TestACallerWhoHasGone gives commands whose callers go at every moment: one that
// went before its turn is not carried out, whatever is carried out is found by its
// id, and also after a restart.
func TestACallerWhoHasGone(t *testing.T) {
	p, log := emptyPlane(t)
	register := func(ctx context.Context, name string) (Result, error) {
		return p.Submit(ctx, CommandID(name, []byte(name)), book.RegisterTenant{Tenant: name, Name: name})
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	before := p.Position()
	if r, err := register(gone, "gone"); !errors.Is(err, context.Canceled) || r != (Result{}) {
		t.Errorf("%+v, %v", r, err)
	}
	// It waits for its turn when its caller goes.
	waits, leave := context.WithCancel(t.Context())
	p.mu.Lock()
	answered := make(chan error)
	go func() { _, err := register(waits, "waited"); answered <- err }()
	leave()
	p.mu.Unlock()
	if err := <-answered; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if p.Position() != before {
		t.Errorf("something was carried out: entry %d, before %d", p.Position(), before)
	}
	r, err := register(t.Context(), "stayed")
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		for name, want := range map[string]uint64{"gone": 0, "waited": 0, "stayed": r.Entry, "": 0, "stay": 0} {
			c, found, err := p.Find(t.Context(), name)
			if err != nil || found != (want > 0) || c.Entry != want || found == c.Time.IsZero() {
				t.Errorf("%q: %+v, %v, %v, expected entry %d", name, c, found, err, want)
			}
		}
		p = openOn(t, log)
	}
	// Whoever gives one at the same moment and goes learns it by the id.
	var all sync.WaitGroup
	for i := range 30 {
		all.Go(func() {
			name := "race-" + string(rune('a'+i))
			ctx, leave := context.WithCancel(t.Context())
			go leave()
			_, err := register(ctx, name)
			if _, found, findErr := p.Find(t.Context(), name); findErr != nil || found != (err == nil) {
				t.Errorf("%s: answered %v, found %v, %v", name, err, found, findErr)
			}
		})
	}
	all.Wait()
}

func TestWaitForAPosition(t *testing.T) {
	p, _ := emptyPlane(t)
	at := p.Position()
	if at == 0 || p.Wait(t.Context(), at) != nil || p.Wait(t.Context(), 0) != nil {
		t.Fatalf("at %d", at)
	}
	short, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if err := p.Wait(short, at+1); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
	var all sync.WaitGroup
	for n := range uint64(20) {
		all.Go(func() {
			if err := p.Wait(t.Context(), at+1+n); err != nil {
				t.Error(err)
			}
			p.View(func(s *book.State) {
				if s.Seq < at+1+n {
					t.Errorf("waited for entry %d and sees %d", at+1+n, s.Seq)
				}
			})
		})
	}
	for n := 0; p.Position() < at+20; n++ {
		if _, err := p.Submit(t.Context(), "", book.RegisterTenant{Tenant: fmt.Sprintf("t%d", n), Name: "x"}); err != nil {
			t.Fatal(err)
		}
	}
	all.Wait()
}
