package meter

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"bulkhead/contract"
)

// monthOf makes a month of a contract's tranches in which each node changes
// its state about perDay times a day, in the order of a ledger; a change is one
// entry of batch slots on average. Half of the changes bring slots down, half up.
func monthOf(tb testing.TB, versions []*contract.Contract, period Period, slots int, perDay float64, batch int) *Changes {
	tb.Helper()
	c := &Changes{}
	last := versions[len(versions)-1]
	type part struct {
		ref   LeaseRef
		slots int
	}
	var parts []part
	entry := uint64(0)
	cause := c.Cause("")
	for _, t := range last.Tranches {
		n := min(t.Slots(), slots)
		if slots -= n; n == 0 {
			continue
		}
		ref := c.Lease("lease/"+t.ID, t.ID)
		parts = append(parts, part{ref, n})
		entry++
		if err := c.Set(entry, t.Delivery.Unix()-3600, ref, 0, uint32(n-1), Up, cause); err != nil {
			tb.Fatal(err)
		}
	}
	total := 0
	for _, p := range parts {
		total += p.slots
	}
	seconds := period.seconds()
	count := int(float64(total) * perDay * float64(seconds) / 86400 / float64(batch))
	c.Grow(count)
	random := rand.New(rand.NewPCG(1, 2))
	states := []SlotState{DownOwner, DownOwner, Degraded, IsolationUnproven, Unknown, MaintenanceNoticed}
	at := period.From.Unix()
	for i := range count {
		n := random.IntN(total)
		p := parts[0]
		for _, p = range parts {
			if n < p.slots {
				break
			}
			n -= p.slots
		}
		state := Up
		if random.IntN(2) == 0 {
			state = states[random.IntN(len(states))]
		}
		entry++
		lastSlot := min(n+random.IntN(2*batch-1), p.slots-1)
		if err := c.Set(entry, at+int64(i)*seconds/int64(count), p.ref, uint32(n), uint32(lastSlot), state, cause); err != nil {
			tb.Fatal(err)
		}
	}
	return c
}

// The budget: a month of 50,000 nodes re-rated in under 1 s.
func BenchmarkRateMonth(b *testing.B) {
	flagship := exampleContract(b, "colossus", "flagship")
	period, err := Month(flagship.TimeZone, 2026, time.July)
	if err != nil {
		b.Fatal(err)
	}
	// A contract of 50,000 nodes: one more tranche than the flagship has.
	big := flagship.Clone()
	rest := big.Tranches[3]
	rest.ID, rest.GPUs = "t5", 400_000-350_000
	big.Tranches = append(big.Tranches, rest)
	big.Rates[2].Tranches = append(big.Rates[2].Tranches, "t5")
	versions := []*contract.Contract{big}
	for _, load := range []struct {
		name   string
		perDay float64
		batch  int
		shake  bool
	}{
		{"5-changes-a-node-and-day", 5, 1, false},
		{"5-changes-a-node-and-day-unordered", 5, 1, true},
		{"published-failure-rates", 2 * 8 * 4.7e-4, 1, false},
	} {
		b.Run(load.name, func(b *testing.B) {
			changes := monthOf(b, versions, period, 50_000, load.perDay, load.batch)
			if load.shake {
				random := rand.New(rand.NewPCG(3, 4))
				random.Shuffle(len(changes.rows), func(i, j int) { changes.rows[i], changes.rows[j] = changes.rows[j], changes.rows[i] })
				changes.unsorted = true
			}
			var invoice *Invoice
			b.ResetTimer()
			for b.Loop() {
				if invoice, err = RateInput(Input{Versions: versions, Changes: changes, Period: period, Number: "N-1"}); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(b.Elapsed().Seconds()/float64(b.N), "s/month")
			b.ReportMetric(1, "s/budget")
			b.ReportMetric(float64(changes.Len()), "changes")
			b.ReportMetric(float64(len(invoice.Encode())), "invoice-bytes")
		})
	}
}

// The same through []Event with range strings, as the book keeps them.
func BenchmarkRateEvents(b *testing.B) {
	flagship := exampleContract(b, "colossus", "flagship")
	period, err := Month(flagship.TimeZone, 2026, time.July)
	if err != nil {
		b.Fatal(err)
	}
	versions := []*contract.Contract{flagship}
	changes := monthOf(b, versions, period, 43_750, 2*8*4.7e-4, 1)
	events := make([]Event, 0, changes.Len())
	for _, r := range changes.rows {
		name := changes.leases[r.lease]
		events = append(events, Event{Entry: r.entry, Lease: name.lease, Tranche: name.tranche, Slots: fmt.Sprintf("%d-%d", r.first, r.last),
			At: time.Unix(r.at, 0), State: stateNames[r.state], Cause: changes.causes[r.cause].text})
	}
	slices.Reverse(events)
	b.ResetTimer()
	for b.Loop() {
		if _, err := Rate(versions, events, period, "N-1"); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(len(events)), "events")
}
