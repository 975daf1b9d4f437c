package site_test

import (
	"runtime"
	"testing"

	"bulkhead/claim"
	"bulkhead/site"
)

// BenchmarkCompile makes the inventory of 50,000 nodes, every SU as its JSON
// body with its digest. Limit: 3 s on one core.
func BenchmarkCompile(b *testing.B) {
	template, _ := load(b, "colossus")
	for b.Loop() {
		bytes := 0
		_, err := template.Compile(func(inv *site.SUInventory) error {
			body := inv.Encode()
			bytes += len(body)
			claim.DigestOf(body)
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
		b.ReportMetric(float64(bytes)/50_000, "bytes/node")
	}
}

// BenchmarkBuild folds the bodies of 50,000 nodes into a site, as a replay does:
// decoding included.
func BenchmarkBuild(b *testing.B) {
	template, _ := load(b, "colossus")
	var bodies [][]byte
	header, err := template.Compile(func(inv *site.SUInventory) error {
		bodies = append(bodies, inv.Encode())
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
	var before, after runtime.MemStats
	for b.Loop() {
		runtime.GC()
		runtime.ReadMemStats(&before)
		s := site.New(*header)
		for _, body := range bodies {
			inv, err := site.DecodeSU(body)
			if err != nil {
				b.Fatal(err)
			}
			if _, err := s.AddSU(inv, claim.DigestOf(body)); err != nil {
				b.Fatal(err)
			}
		}
		runtime.GC()
		runtime.ReadMemStats(&after)
		runtime.KeepAlive(s)
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/(1<<20), "MiB/site")
	}
}

// BenchmarkSnapshot takes what a reader keeps while a site of 50,000 nodes grows.
func BenchmarkSnapshot(b *testing.B) {
	_, s := load(b, "colossus")
	for b.Loop() {
		if s.Snapshot().Nodes() != s.Nodes() {
			b.Fatal("not the same site")
		}
	}
}
