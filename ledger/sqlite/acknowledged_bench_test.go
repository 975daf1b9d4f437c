package sqlite

import (
	"path/filepath"
	"slices"
	"testing"
	"time"

	"bulkhead/ledger"
)

// BenchmarkAcknowledge is what it costs to keep the acknowledged head beside the store:
// the same appends of one entry with the head kept as it is, and flushed with each. They
// take turns, and medians are compared.
func BenchmarkAcknowledge(b *testing.B) {
	l, err := Open(filepath.Join(b.TempDir(), "ledger.db"))
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	var kept, flushed, alone []time.Duration
	for seq := uint64(1); b.Loop(); seq++ {
		begin := time.Now()
		if err := l.Append(b.Context(), seq-1, []ledger.Entry{entryAt(seq)}, nil); err != nil {
			b.Fatal(err)
		}
		if seq%2 == 0 {
			kept = append(kept, time.Since(begin))
			begin = time.Now()
			if err := l.acknowledged.write(Acknowledged{Seq: seq}); err != nil {
				b.Fatal(err)
			}
			alone = append(alone, time.Since(begin))
			continue
		}
		if err := fdatasync(l.acknowledged.f); err != nil {
			b.Fatal(err)
		}
		flushed = append(flushed, time.Since(begin))
	}
	for what, list := range map[string][]time.Duration{"append-µs": kept, "of-it-head-µs": alone, "append-flushed-µs": flushed} {
		slices.Sort(list)
		if len(list) > 0 {
			b.ReportMetric(float64(list[len(list)/2].Nanoseconds())/1000, what)
		}
	}
	b.ReportMetric(0, "ns/op")
}
