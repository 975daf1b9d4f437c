package run_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"runtime"
	"slices"
	"testing"
	"time"

	"bulkhead/book"
	"bulkhead/contract"
	"bulkhead/examples"
	"bulkhead/keystore"
	"bulkhead/ledger/memory"
	"bulkhead/run"
	"bulkhead/site"
)

func example[T any](b *testing.B, path string, parse func(file string, data []byte) (T, error)) T {
	b.Helper()
	data, err := examples.Files.ReadFile(path)
	if err != nil {
		b.Fatal(err)
	}
	parsed, err := parse(path, data)
	if err != nil {
		b.Fatal(err)
	}
	return parsed
}

// fullPlane is a control plane over the full site, in memory, with the small
// tenant's lease on it.
func fullPlane(b *testing.B) (*run.Plane, *memory.Log) {
	b.Helper()
	ctx := context.Background()
	start := time.Date(2026, 4, 27, 0, 0, 0, 0, time.UTC)
	keys, err := keystore.InMemory(rand.Reader, start)
	if err != nil {
		b.Fatal(err)
	}
	log := memory.New()
	plane, err := run.Open(ctx, run.Config{Log: log, Signers: keys, Clock: run.NewVirtualClock(start), Writer: "bench"})
	if err != nil {
		b.Fatal(err)
	}
	if err := plane.Import(ctx, example(b, "colossus/site.yaml", site.ParseTemplate), nil); err != nil {
		b.Fatal(err)
	}
	for _, tenant := range []string{"flagship", "tidewater", "research"} {
		if _, err := plane.Submit(ctx, "", book.RegisterTenant{Tenant: tenant, Name: tenant}); err != nil {
			b.Fatal(err)
		}
	}
	const name = "tidewater"
	if _, err := plane.Quote(ctx, name, example(b, "colossus/"+name+".yaml", contract.Parse), 0); err != nil {
		b.Fatal(err)
	}
	if _, err := plane.Submit(ctx, "", book.SignQuote{Quote: name, By: "bench", Signed: contract.ByTenant("bench")}); err != nil {
		b.Fatal(err)
	}
	return plane, log
}

// BenchmarkQuote350k quotes 350,000 GPUs on the site of 400,000 with
// another lease on it: calendar, placement of four tranches, certificates, the book's
// own check and the entries. The budget is p99 under 500 ms.
func BenchmarkQuote350k(b *testing.B) {
	plane, _ := fullPlane(b)
	flagship := example(b, "colossus/flagship.yaml", contract.Parse)
	var took []time.Duration
	for b.Loop() {
		began := time.Now()
		if _, err := plane.Quote(context.Background(), fmt.Sprintf("q%d", len(took)), flagship, 0); err != nil {
			b.Fatal(err)
		}
		took = append(took, time.Since(began))
		// The quote holds its capacity: without this the next would be refused.
		b.StopTimer()
		plane.View(func(s *book.State) { clear(s.Quotes) })
		b.StartTimer()
	}
	slices.Sort(took)
	b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "ms/p50")
	b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "ms/p99")
	b.ReportMetric(500, "ms/budget")
}

// BenchmarkFullState reports the memory of the state of the full site. The
// budget is 1 GiB.
func BenchmarkFullState(b *testing.B) {
	for b.Loop() {
		plane, log := fullPlane(b)
		state := book.New()
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		for e, err := range log.Read(context.Background(), 1) {
			if err != nil {
				b.Fatal(err)
			}
			if err := book.Apply(state, &e, run.BodiesOf(log)); err != nil {
				b.Fatal(err)
			}
		}
		runtime.GC()
		runtime.ReadMemStats(&after)
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/(1<<20), "MiB/state")
		b.ReportMetric(1024, "MiB/budget")
		runtime.KeepAlive(state)
		runtime.KeepAlive(plane)
	}
}
