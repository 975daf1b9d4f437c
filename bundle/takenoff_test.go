package bundle_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"bulkhead/bundle"
	"bulkhead/bundle/bundletest"
	"bulkhead/ledger"
)

// Entries that the owner took off a log because a clock had dated them in the future are
// named in the report's first lines; where that is said in the wrong place, or of nothing,
// the log is rejected.
func TestEntriesThatWereTakenOff(t *testing.T) {
	future := time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC)
	tell := func(change func(b *ledger.TakenOff)) (*bundle.Report, error) {
		s := tellMay(func(s *bundletest.Story) {
			b := ledger.TakenOff{Entries: 18, HeadSize: uint64(len(s.Entries)), First: future, Last: future, Reason: "the time server said 2100"}
			change(&b)
			s.Add(ledger.KindTakenOff, b)
		})
		return verify(write(t, s.Input()), owner.Policy(bundletest.Tenant), bundle.Options{})
	}
	report, err := tell(func(*ledger.TakenOff) {})
	if err != nil || !strings.Contains(strings.Join(report.NotProven, "\n"), `18 entries that were shown in this log before were taken off it by the owner (dated 2100-01-01T00:00:00Z to 2100-01-01T00:00:00Z; "the time server said 2100")`) {
		t.Errorf("%v; not proven: %q", err, report.NotProven)
	}
	for name, change := range map[string]func(b *ledger.TakenOff){
		"nothing":          func(b *ledger.TakenOff) { b.Entries = 0 },
		"somewhere else":   func(b *ledger.TakenOff) { b.HeadSize-- },
		"an end before it": func(b *ledger.TakenOff) { b.Last = b.First.Add(-time.Second) },
	} {
		report, err := tell(change)
		if !errors.Is(err, bundle.ErrRejected) || len(findings(report, bundle.CheckSequence)) == 0 {
			t.Errorf("%s: %v", name, err)
		}
	}
}
