package meter

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"bulkhead/contract"
	"bulkhead/lease"

	"pgregory.net/rapid"
)

// drawContracts makes a small contract with a bit of everything, and sometimes
// an amendment or a notice. March 2026 has a change of clocks in its zone.
func drawContracts(t *rapid.T) []*contract.Contract {
	loc, err := contract.Zone("America/Los_Angeles")
	if err != nil {
		t.Fatal(err)
	}
	base := contract.StartOfDay(loc, 2026, 2, 10)
	// at is a multiple of the step within hours of the base.
	at := func(name string, low, high int) time.Time {
		return base.Add(time.Duration(rapid.IntRange(low*3600/stepS, high*3600/stepS).Draw(t, name)) * stepS * time.Second)
	}
	price := func(name string) contract.Decimal {
		d, err := contract.ParseDecimal(rapid.SampledFrom([]string{"3.95", "0.333333333", "1250000.01", "7", "0.01"}).Draw(t, name))
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	share := func(name string, of ...contract.Decimal) contract.Decimal { return rapid.SampledFrom(of).Draw(t, name) }
	end := contract.StartOfDay(loc, 2026, 4, rapid.IntRange(2, 25).Draw(t, "end"))
	c := &contract.Contract{
		ID: "c", Version: 1, Effective: base, Title: "Case", Tenant: "tenant", Project: "project", Currency: "USD",
		TimeZone: "America/Los_Angeles", Begin: base, End: end, NoticeDays: 5,
		Unknown:   contract.Unknown{GraceS: int64(rapid.IntRange(0, 4).Draw(t, "grace")) * stepS, Then: rapid.SampledFrom([]string{"up", "down-owner"}).Draw(t, "then")},
		CreditCap: share("credit cap", "", "0.3", "1", "0.05"),
	}
	tranche := func(id string, slots int, delivery time.Time) contract.Tranche {
		return contract.Tranche{ID: id, Kind: "H100", Fabric: "roce", GPUs: int64(8 * slots), Delivery: delivery, End: end, Links: lease.Shared,
			GraceDays: rapid.IntRange(0, 2).Draw(t, "grace days"), LateDiscount: share("late discount", "", "0.5", "0.333"), Acceptance: contract.OnDelivery}
	}
	second := at("second delivery", 0, 600)
	c.Tranches = []contract.Tranche{tranche("a", 3, base), tranche("b", 2, second), tranche("h", 2, at("hourly delivery", 0, 300))}
	change := at("rate change", 48, 900)
	c.Rates = []contract.Rate{
		{Tranches: []string{"a", "b"}, From: base, To: change, Basis: contract.PerMonth, Price: price("first fee"), Clause: "fee 1"},
		{Tranches: []string{"a", "b"}, From: change, To: end, Basis: contract.PerMonth, Price: price("second fee"), Clause: "fee 2"},
		{Tranches: []string{"h"}, From: base, To: end, Basis: contract.PerGPUHour, Price: price("hour"), Clause: "hour"},
	}
	if rapid.Bool().Draw(t, "take or pay") {
		c.TakeOrPay = &contract.TakeOrPay{Tranches: []string{"h"}, Share: "0.97"}
	}
	if rapid.Bool().Draw(t, "prepaid") {
		c.Prepaid = &contract.Prepaid{Amount: "100", From: contract.StartOfDay(loc, 2026, 3, 1), Months: 2, EarlyEnd: rapid.SampledFrom([]string{"", "forfeit"}).Draw(t, "early end")}
	}
	if rapid.Bool().Draw(t, "tax") {
		c.Tax = &contract.Tax{Name: "Tax", Rate: "0.0825"}
	}
	c.Storage = []contract.Volume{{ID: "v", CapacityTB: 7, KeyMode: "owner", From: base, To: end, Price: price("storage")}}
	c.FixZone()
	c.SLA = drawLevels(t)
	versions := []*contract.Contract{c}
	switch rapid.IntRange(0, 3).Draw(t, "versions") {
	case 1:
		next := c.Clone()
		next.Version, next.Effective = 2, at("amended", 100, 700)
		next.Unknown = contract.Unknown{GraceS: int64(rapid.IntRange(0, 4).Draw(t, "amended grace")) * stepS, Then: rapid.SampledFrom([]string{"up", "down-owner"}).Draw(t, "amended then")}
		next.SLA = drawLevels(t)
		next.Tranches = append(next.Tranches, tranche("n", 1, next.Effective.Add(time.Hour)))
		next.Rates = append(next.Rates, contract.Rate{Tranches: []string{"n"}, From: next.Effective.Add(time.Hour), To: end, Basis: contract.PerGPUHour, Price: "5"})
		versions = append(versions, next)
	case 2:
		if next, err := c.Notice(at("notice", 0, 700)); err == nil {
			versions = append(versions, next)
		}
	}
	for i, v := range versions {
		if err := v.Check(); err != nil {
			t.Fatalf("version %d: %v", i+1, err)
		}
	}
	return versions
}

// drawLevels draws service levels. Each metric comes once, so that the naive
// meter can name lines by it.
func drawLevels(t *rapid.T) []contract.SLA {
	tiers := [][]contract.Tier{
		{{Below: "1", Credit: "1"}},
		{{Below: "0.999", Credit: "0.1"}, {Below: "0.9", Credit: "0.5"}, {Below: "0.5", Credit: "2"}},
	}
	one := func(m contract.Metric, after, allowance int64) contract.SLA {
		return contract.SLA{Metric: m, AfterS: after * stepS, AllowanceS: allowance * stepS, Tiers: rapid.SampledFrom(tiers).Draw(t, "tiers"),
			Cap: rapid.SampledFrom([]contract.Decimal{"", "0.02", "0.5"}).Draw(t, "cap"), Clause: string(m)}
	}
	all := []contract.SLA{
		one(contract.ReplacementTime, int64(rapid.IntRange(1, 9).Draw(t, "replacement")), 0),
		one(contract.NodeAvailability, 0, 0),
		one(contract.DegradedNodes, int64(rapid.IntRange(0, 3).Draw(t, "degraded after")), 0),
		one(contract.IsolationProven, 0, 0),
		one(contract.Maintenance, 0, int64(rapid.IntRange(0, 40).Draw(t, "allowance"))),
	}
	all[3].Ports = rapid.SampledFrom([]string{"", "node"}).Draw(t, "ports")
	all[3].Unclear = rapid.SampledFrom([]string{"", "credited"}).Draw(t, "unclear")
	if rapid.Bool().Draw(t, "exclusions") {
		all[0].Exclusions = []string{"storm"}
		all[4].Exclusions = []string{"tenant"}
	}
	all = slices.DeleteFunc(all, func(contract.SLA) bool { return rapid.IntRange(0, 5).Draw(t, "left out") == 0 })
	// No contract can be signed by which an outage earns less after a while.
	for i := range all {
		if all[i].Metric == contract.ReplacementTime && !signable(all) {
			all[i].Tiers, all[i].Cap = rapid.SampledFrom([][]contract.Tier{{{Below: "1", Credit: "2"}}, {{Below: "1", Credit: "2"}, {Below: "0.99", Credit: "2.5"}}}).Draw(t, "longer"), ""
		}
	}
	return all
}

// signable reports whether a contract may have these service levels.
func signable(levels []contract.SLA) bool {
	loc := time.UTC
	from, to := contract.StartOfDay(loc, 2026, 3, 1), contract.StartOfDay(loc, 2026, 4, 1)
	c := &contract.Contract{
		ID: "c", Version: 1, Effective: from, Title: "Case", Tenant: "t", Project: "p", Currency: "USD", TimeZone: "UTC", Begin: from, End: to,
		Tranches: []contract.Tranche{{ID: "a", Kind: "H100", Fabric: "roce", GPUs: 8, Delivery: from, End: to, Links: lease.Shared, Acceptance: contract.OnDelivery}},
		Rates:    []contract.Rate{{Tranches: []string{"a"}, From: from, To: to, Basis: contract.PerMonth, Price: "1"}},
		Unknown:  contract.Unknown{Then: "up"}, SLA: levels,
	}
	c.FixZone()
	return c.Check() == nil
}

// drawEvents makes a history of all slots: most are delivered at some time,
// then anything may happen.
func drawEvents(t *rapid.T, versions []*contract.Contract) []Event {
	c := versions[len(versions)-1]
	var events []Event
	entry := uint64(0)
	for _, tr := range c.Tranches {
		// The hourly tranche comes in two leases.
		parts := map[string]int{"lease-" + tr.ID: tr.Slots()}
		order := []string{"lease-" + tr.ID}
		if tr.ID == "h" {
			parts = map[string]int{"one": 1, "two": 1}
			order = []string{"one", "two"}
		}
		for _, name := range order {
			for range rapid.IntRange(0, 14).Draw(t, "events") {
				entry++
				var slots []string
				for n := range parts[name] {
					if rapid.IntRange(0, 2).Draw(t, "slot") > 0 {
						slots = append(slots, fmt.Sprint(n))
					}
				}
				if len(slots) == 0 {
					continue
				}
				// From a day before the begin to a week after the end.
				span := int(c.End.Sub(c.Begin)/time.Second)/stepS + 8*86400/stepS
				event := Event{
					Entry: entry, Lease: name, Tranche: tr.ID, Slots: strings.Join(slots, ","),
					At:    c.Begin.Add(-24 * time.Hour).Add(time.Duration(rapid.IntRange(0, span).Draw(t, "at")) * stepS * time.Second),
					State: rapid.SampledFrom(append(States(), Up, Up, Up, DownOwner, DownOwner, Unknown)).Draw(t, "state"),
					Cause: rapid.SampledFrom([]string{"", "storm: north", "tenant", "stormy"}).Draw(t, "cause"),
				}
				if event.State == IsolationUnproven {
					port := rapid.Uint8Range(0, 5)
					event.Ports = lease.Ports{Owner: port.Draw(t, "owner's"), Either: port.Draw(t, "either's"), Tenant: port.Draw(t, "tenant's")}
				}
				events = append(events, event)
			}
		}
	}
	return events
}

// drawPeriod is a month in which the newest version is in force.
func drawPeriod(t *rapid.T, versions []*contract.Contract) Period {
	c := versions[len(versions)-1]
	period, err := Month(c.TimeZone, 2026, time.Month(rapid.IntRange(2, 4).Draw(t, "month")))
	if err == nil && !period.From.Before(c.End) {
		period, err = Month(c.TimeZone, 2026, 2)
	}
	if err != nil {
		t.Fatal(err)
	}
	return period
}
