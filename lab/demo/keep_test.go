package demo

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"bulkhead/lab/story"
)

// TestKeepIsWhole: the file of what devices hold is written when the process is asked
// to end, and an unreadable one stops the next, which leaves it alone.
func TestKeepIsWhole(t *testing.T) {
	file := filepath.Join(t.TempDir(), "state")
	w := Which{Size: "tiny", Seed: 1, State: file}
	s, err := w.simulated(t.Context(), story.Begin)
	if err != nil {
		t.Fatal(err)
	}
	later := story.Begin.Add(36 * time.Hour)
	if err := s.Advance(t.Context(), later); err != nil {
		t.Fatal(err)
	}
	ended, end := context.WithCancel(t.Context())
	end()
	if err := keep(ended, s, file); err != nil {
		t.Fatal(err)
	}
	next, err := w.simulated(t.Context(), story.Begin)
	if err != nil {
		t.Fatal(err)
	}
	if now, err := next.Now(t.Context()); err != nil || !now.Equal(later) {
		t.Errorf("it is %s at the resumed site (%v), expected %s", now, err, later)
	}
	if next, err = w.simulated(t.Context(), later.Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	if now, _ := next.Now(t.Context()); !now.Equal(later.Add(time.Hour)) {
		t.Errorf("begun an hour later it is %s at the resumed site", now)
	}
	const torn = `{"version":1,`
	if err := os.WriteFile(file, []byte(torn), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := w.simulated(t.Context(), story.Begin); err == nil {
		t.Error("a torn file was resumed")
	}
	if data, err := os.ReadFile(file); err != nil || string(data) != torn {
		t.Errorf("the torn file is %q now: %v", data, err)
	}
}
