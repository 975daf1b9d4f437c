package sqlite_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"bulkhead/ledger"
	"bulkhead/ledger/ledgertest"
)

const entrySize = 300 // bytes of a frame, about

// group is entries of about entrySize bytes each, frame and all.
func group(after uint64, n int) []ledger.Entry {
	return ledgertest.Entries("b", after, n, entrySize-90)
}

// BenchmarkAppend appends groups, and beside it writes the same frames to a
// plain file with fdatasync: what this disk could do at best. The two take
// turns, and medians are compared. Budget: at 1,000 entries a group at least
// 20 % of the file.
func BenchmarkAppend(b *testing.B) {
	for _, batch := range []int{1, 100, 1000} {
		b.Run(fmt.Sprintf("batch=%d", batch), func(b *testing.B) {
			dir := b.TempDir()
			log := open(b, filepath.Join(dir, "ledger.db"))
			file, err := os.Create(filepath.Join(dir, "file"))
			must(b, err)
			defer file.Close()
			var store, plain []time.Duration
			var head uint64
			for b.Loop() {
				entries := group(head, batch)
				var frames []byte
				for i := range entries {
					frames = append(frames, ledger.Encode(&entries[i])...)
				}
				begin := time.Now()
				if err := log.Append(b.Context(), head, entries, nil); err != nil {
					b.Fatal(err)
				}
				store = append(store, time.Since(begin))
				begin = time.Now()
				if _, err := file.Write(frames); err != nil {
					b.Fatal(err)
				}
				if err := syscall.Fdatasync(int(file.Fd())); err != nil {
					b.Fatal(err)
				}
				plain = append(plain, time.Since(begin))
				head += uint64(batch)
			}
			ours, disk := median(store), median(plain)
			b.ReportMetric(float64(batch)/ours.Seconds(), "entries/s")
			b.ReportMetric(float64(batch)/disk.Seconds(), "file-entries/s")
			b.ReportMetric(100*disk.Seconds()/ours.Seconds(), "%-of-file")
			if batch == 1000 {
				b.ReportMetric(20, "%-of-file-limit")
			}
			b.ReportMetric(0, "ns/op") // both took turns in it: it says nothing
		})
	}
}

func median(list []time.Duration) time.Duration {
	slices.Sort(list)
	return list[len(list)/2]
}

// BenchmarkReplay reads and decodes a ledger of 200,000 entries. Budget: 500,000
// entries/s.
func BenchmarkReplay(b *testing.B) {
	log, n := replayed(b)
	entries := 0
	for b.Loop() {
		for _, err := range log.Read(b.Context(), 1) {
			must(b, err)
			entries++
		}
	}
	if entries%n != 0 || entries == 0 {
		b.Fatalf("%d entries, expected a multiple of %d", entries, n)
	}
	b.ReportMetric(float64(entries)/b.Elapsed().Seconds(), "entries/s")
	b.ReportMetric(500_000, "entries/s-limit")
}

// BenchmarkVerify computes the trees too.
func BenchmarkVerify(b *testing.B) {
	log, n := replayed(b)
	for b.Loop() {
		r, err := ledger.Verify(b.Context(), log, nil)
		if err != nil || r.Size != uint64(n) {
			b.Fatalf("%d entries, %v", r.Size, err)
		}
	}
	b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "entries/s")
}

func replayed(b *testing.B) (ledger.Log, int) {
	b.Helper()
	log := open(b, filepath.Join(b.TempDir(), "ledger.db"))
	const n, batch = 200_000, 2000
	for head := uint64(0); head < n; head += batch {
		must(b, log.Append(b.Context(), head, group(head, batch), nil))
	}
	b.ResetTimer()
	return log, n
}
