package sim

import (
	"fmt"
	"os"
	"runtime"
	"testing"
	"time"

	"bulkhead/fabric"
	"bulkhead/node"
	"bulkhead/site"
)

func readExample(t testing.TB) string { return readSize(t, "tiny") }

func readSize(t testing.TB, size string) string {
	t.Helper()
	data, err := os.ReadFile("../examples/" + size + "/site.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func full(b *testing.B) *Sim {
	b.Helper()
	template, err := site.ParseTemplate("site.yaml", []byte(readSize(b, "colossus")))
	if err != nil {
		b.Fatal(err)
	}
	s, err := FromTemplate(template, DefaultConfig(1, time.Date(2026, 4, 20, 0, 0, 0, 0, time.UTC)))
	if err != nil {
		b.Fatal(err)
	}
	return s
}

// The whole site is commissioned and all evidence is read: 50,000 turnovers.
func BenchmarkFiftyThousandTurnovers(b *testing.B) {
	ctx := b.Context()
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	began := time.Now()
	s := full(b)
	build := time.Since(began).Seconds()
	runtime.GC()
	runtime.ReadMemStats(&after)
	empty := float64(after.HeapAlloc-before.HeapAlloc) / (1 << 20)
	turnover := uint32(0)
	for b.Loop() {
		turnover++
		var steps []node.Step
		for n := range site.Index(s.site.Nodes()) {
			steps = append(steps, node.Step{ID: fmt.Sprintf("%d/%d/c/1", n, turnover), Node: n, Kind: node.StepCommission, Turnover: turnover, Attempt: 1})
		}
		if _, err := s.Nodes().Apply(ctx, steps, node.Fence{}); err != nil {
			b.Fatal(err)
		}
		_, cursor := s.nodes.log, s.nodes.seq
		if err := s.Advance(ctx, s.now.Add(12*time.Hour)); err != nil {
			b.Fatal(err)
		}
		reports, bytes := 0, 0
		for more := true; more; {
			o, err := s.Nodes().Observe(ctx, cursor)
			if err != nil {
				b.Fatal(err)
			}
			cursor, more = o.Cursor, o.More
			for i := range o.Reports {
				if len(o.Reports[i].Raw) > 0 {
					reports++
					bytes += len(o.Reports[i].Raw)
				}
			}
		}
		b.ReportMetric(float64(reports), "turnovers")
		b.ReportMetric(float64(bytes)/float64(reports), "B/turnover")
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/(1<<20), "MiB-after")
	b.ReportMetric(build, "s-build")
	b.ReportMetric(empty, "MiB-site")
	runtime.KeepAlive(s)
}

// Ninety days of failures on the whole site, looked at every ten minutes.
func BenchmarkNinetyDays(b *testing.B) {
	ctx := b.Context()
	s := full(b)
	for n := range s.nodes.state {
		s.nodes.state[n].powered = true
	}
	drivers := s.Fabrics()
	for b.Loop() {
		cursor, failures := s.nodes.seq, 0
		for end := s.now.Add(90 * 24 * time.Hour); s.now.Before(end); {
			if err := s.Advance(ctx, s.now.Add(10*time.Minute)); err != nil {
				b.Fatal(err)
			}
			o, err := s.Nodes().Observe(ctx, cursor)
			if err != nil {
				b.Fatal(err)
			}
			cursor = o.Cursor
			failures += len(o.Reports)
			for i, f := range s.site.Fabrics {
				if _, err := drivers[f.ID].Observe(ctx, fabric.Scope{Since: s.ports.fabrics[i].seq}); err != nil {
					b.Fatal(err)
				}
			}
		}
		b.ReportMetric(float64(failures), "reports")
	}
}

func BenchmarkReadBackEverything(b *testing.B) {
	ctx := b.Context()
	s := full(b)
	for p := range site.Port(s.site.Ports()) {
		f := s.site.Fabrics[s.site.FabricOf(p)]
		s.ports.carry(s.site, p, fabric.Compile(f.Family, 5000&0xfff|1))
	}
	for b.Loop() {
		bytes, leaves := 0, 0
		for id, d := range s.Fabrics() {
			o, err := d.Observe(ctx, fabric.Scope{})
			if err != nil {
				b.Fatal(id, err)
			}
			for i := range o.Devices {
				bytes += len(o.Devices[i].Raw)
				leaves++
			}
		}
		b.ReportMetric(float64(bytes)/(1<<20), "MiB")
		b.ReportMetric(float64(leaves), "leaves")
	}
}
