package bundle_test

import (
	"bytes"
	"syscall"
	"testing"
	"time"

	"bulkhead/bundle"
	"bulkhead/bundle/bundletest"
	"bulkhead/node"
)

// The budgets of one node holding: one node, one tenancy.
const (
	budgetBytes = 5000
	budgetCPU   = 450 * time.Microsecond
)

// delivered is the log of a lease of so many nodes: handed over, or handed over
// and taken back.
func delivered(nodes int, returned bool) *bundletest.Story {
	s := bundletest.NewStory(owner, nodes, 0)
	s.Until(s.Contract.Begin.Add(-24 * time.Hour))
	s.Reserve(s.Slots...)
	s.Until(s.Contract.Begin)
	s.Deliver(s.Slots...)
	s.Wait(time.Minute)
	s.Verdict()
	s.Until(time.Date(2026, 6, 1, 8, 0, 0, 0, time.UTC))
	s.Invoice(2026, time.May)
	if returned {
		s.Return()
	}
	return s
}

func cpu() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

func BenchmarkHolding(b *testing.B) {
	for _, c := range []struct {
		name     string
		returned bool
	}{{"delivered", false}, {"returned", true}} {
		s := delivered(512, c.returned)
		data := write(b, s.Input())
		policy := owner.Policy(bundletest.Tenant)
		b.Run("verify/"+c.name, func(b *testing.B) {
			began := cpu()
			for b.Loop() {
				if _, err := verify(data, policy, bundle.Options{}); err != nil {
					b.Fatal(err)
				}
			}
			each := float64(cpu()-began) / float64(b.N) / 512
			b.ReportMetric(each/1e3, "cpu-µs/holding")
			b.ReportMetric(float64(budgetCPU.Microseconds()), "limit-µs")
			b.ReportMetric(float64(len(data))/512, "B/holding")
			b.ReportMetric(budgetBytes, "limit-B")
		})
		b.Run("write/"+c.name, func(b *testing.B) {
			in := s.Input()
			for b.Loop() {
				var out bytes.Buffer
				if _, err := bundle.Write(&out, in); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N)/512, "µs/holding")
		})
	}
}

// TestBudgets holds a holding to its budget of bytes; BenchmarkHolding prints
// its CPU beside the limit.
func TestBudgets(t *testing.T) {
	for _, returned := range []bool{false, true} {
		var out bytes.Buffer
		s := delivered(128, returned)
		m, err := bundle.Write(&out, s.Input())
		if err != nil {
			t.Fatal(err)
		}
		each := out.Len() / 128
		t.Logf("returned %t: %d bytes a holding; bodies %d of %d bytes, entries %d of %d; nodes end as %s",
			returned, each, m.Bodies.Stored, m.Bodies.Plain, m.Entries.Stored, m.Entries.Plain, s.Slots[0].State)
		if each > budgetBytes || returned && s.Slots[0].State != node.Ready {
			t.Errorf("%d bytes a holding, at most %d", each, budgetBytes)
		}
	}
}
