package await

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"
)

func TestWhatHoldsIsNotWaitedFor(t *testing.T) {
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := True(ended, "what is there", func() bool { return true }); err != nil {
		t.Errorf("it holds, and: %v", err)
	}
}

func TestUntilItHolds(t *testing.T) {
	asked := 0
	if err := True(t.Context(), "the third time", func() bool { asked++; return asked == 3 }); err != nil || asked != 3 {
		t.Errorf("asked %d times: %v", asked, err)
	}
}

func TestWhatWasThereInstead(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	err := Until(ctx, "five", func() (string, bool) { cancel(); return "there are four", false })
	if !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "for five: there are four") {
		t.Errorf("it says %v", err)
	}
}

// failing is a test that is to fail.
type failing struct {
	*testing.T
	ctx  context.Context
	said []any
}

func (f *failing) Context() context.Context { return f.ctx }
func (f *failing) Fatal(said ...any)        { f.said = said }

func TestATestEndsWhereItNeverHolds(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	f := &failing{T: t, ctx: ctx}
	Must(f, "what is there", func() bool { return true })
	if f.said != nil {
		t.Errorf("it holds, and: %v", f.said)
	}
	Must(f, "what never comes", func() bool { cancel(); return false })
	if len(f.said) != 1 || !strings.Contains(f.said[0].(error).Error(), "for what never comes") {
		t.Errorf("it says %v", f.said)
	}
}

// test is one that ends at a time.
type test struct {
	*testing.T
	end time.Time
}

func (t test) Deadline() (time.Time, bool) { return t.end, !t.end.IsZero() }

func TestContextEndsBeforeTheProgram(t *testing.T) {
	end := time.Now().Add(time.Hour)
	if got, bounded := Context(test{t, end}).Deadline(); !bounded || !got.Before(end) || got.Before(end.Add(-2*time.Minute)) {
		t.Errorf("a test that is killed at %s has until %s", end, got)
	}
	if got, bounded := Context(test{t, time.Time{}}).Deadline(); bounded {
		t.Errorf("a test that is never killed has until %s", got)
	}
}
