package bundle_test

import (
	"strings"
	"testing"
	"time"

	"bulkhead/bundle"
	"bulkhead/bundle/bundletest"
	"bulkhead/contract"
	"bulkhead/meter"
)

// A log with a gap in its looks is proven, its silence named, and billed as such.
func TestSilenceIsNamed(t *testing.T) {
	s := bundletest.Watched(owner)
	report, err := verify(write(t, s.Input()), owner.Policy(bundletest.Tenant), bundle.Options{})
	if err != nil {
		t.Fatal(err)
	}
	from := s.Contract.Begin.Add(7*24*time.Hour + time.Minute)
	if len(report.Silence) != 1 || !report.Silence[0].From.Equal(from) || !report.Silence[0].Until.Equal(from.Add(60*time.Hour)) || report.Silence[0].What != "the nodes, fabric roce" {
		t.Errorf("the silence is %+v", report.Silence)
	}
	i := report.Invoices[0]
	if len(i.Silence) != 1 || i.Silence[0].GPUSeconds != 2*8*60*3600 || !i.Recomputed || !i.LooksFrom.IsZero() {
		t.Errorf("the invoice says %+v", i)
	}
	var text strings.Builder
	if err := report.WriteText(&text); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"Times in which nobody looked", "2026-05-08T07:01:00Z until 2026-05-10T19:01:00Z  acme-1/t1: the nodes, fabric roce", "over 1 silent stretch",
		"looks: that devices were looked at is the owner's word; between two looks there are up to 15m0s",
	} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("the report does not say %q:\n%s", want, text.String())
		}
	}
	// A log that goes on without looks is silent at its end.
	s.Wait(48 * time.Hour)
	s.Verdict()
	report, err = verify(write(t, s.Input()), owner.Policy(bundletest.Tenant), bundle.Options{})
	if err != nil || len(report.Silence) != 2 || !report.Silence[1].Open {
		t.Errorf("%v: the silence is %+v", err, report.Silence)
	}
}

// Without a log of looks the old rule holds, and the report says so.
func TestALogWithoutLooksSaysSo(t *testing.T) {
	report, err := verify(write(t, bundletest.Whole(owner).Input()), owner.Policy(bundletest.Tenant), bundle.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if text := strings.Join(report.NotProven, "\n"); !strings.Contains(text, "silence: the log does not say when devices were looked at") {
		t.Errorf("not proven is\n%s", text)
	}
}

// A tenant that wants looks told takes no log that leaves them out.
func TestATenantMayAskForLooks(t *testing.T) {
	policy := owner.Policy(bundletest.Tenant)
	policy.LooksFrom = time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC)
	if _, err := verify(write(t, bundletest.Watched(owner).Input()), policy, bundle.Options{}); err != nil {
		t.Error(err)
	}
	report, err := verify(write(t, bundletest.Whole(owner).Input()), policy, bundle.Options{})
	if report == nil || err == nil || len(findings(report, bundle.CheckLooks)) != 1 {
		t.Errorf("a log without looks is taken: %v", err)
	}
	policy.LooksFrom = time.Date(2028, 1, 1, 0, 0, 0, 0, time.UTC) // when its contract is over
	if _, err := verify(write(t, bundletest.Whole(owner).Input()), policy, bundle.Options{}); err != nil {
		t.Error(err)
	}
}

// Whoever bills silence as up is found out, with the owner's real keys on it.
func TestSilenceBilledAsUpIsRejected(t *testing.T) {
	rated := func(a *attempt, looks *meter.Looks) *meter.Invoice {
		period, err := meter.Month(a.Contract.TimeZone, 2026, time.May)
		if err != nil {
			t.Fatal(err)
		}
		invoice, err := meter.RateInput(meter.Input{
			Versions: []*contract.Contract{a.Contract}, Period: period, Number: "acme-0001", Looks: looks,
			Events:  []meter.Event{{Entry: 9, Lease: string(a.Lease), Tranche: "t1", Slots: "0-1", At: a.Contract.Begin, State: meter.Up, Cause: "delivered"}},
			Fabrics: map[string][]string{string(a.Lease): {"roce"}},
		})
		if err != nil {
			t.Fatal(err)
		}
		return invoice
	}
	for _, at := range []attack{
		{"rated without looks", bundle.CheckInvoice, "says what was looked at in its period", func(a *attempt) {
			a.reissue(0, func(i *meter.Invoice) { *i = *rated(a, nil) })
		}},
		{"rated without looks, and said to be with them", bundle.CheckInvoice, "is missing", func(a *attempt) {
			a.reissue(0, func(i *meter.Invoice) {
				through := i.Through
				*i = *rated(a, nil)
				i.Through = through
			})
		}},
		{"silence that the invoice does not tell", bundle.CheckInvoice, "its head differs", func(a *attempt) {
			a.reissue(0, func(i *meter.Invoice) { i.Silence = nil })
		}},
		{"looks from when nobody looked, found after the invoice", bundle.CheckLooks, "was invoiced before", func(a *attempt) {
			a.Add(meter.KindObserved, meter.Observed{WithinS: 900, Looks: []meter.Look{{From: a.Contract.Begin, Until: a.Now}}})
		}},
		{"an entry that closes the gap twice over", bundle.CheckLooks, "expected a stretch after", func(a *attempt) {
			bundletest.Change(a.Log, meter.KindObserved, func(i int, b *meter.Observed) {
				if i == 2 {
					b.Looks[0].From = a.Contract.Begin
				}
			})
		}},
		{"an entry that closes the gap, and the invoice as it was", bundle.CheckInvoice, "follows from nothing in the log", func(a *attempt) {
			bundletest.Change(a.Log, meter.KindObserved, func(i int, b *meter.Observed) {
				for j := range b.Looks {
					if i == 2 {
						b.Looks[j].From = b.Looks[j].From.Add(-60 * time.Hour)
					}
				}
			})
		}},
		{"silence counts from the end of the month on", bundle.CheckLooks, "", func(a *attempt) {
			bundletest.Change(a.Log, meter.KindObserved, func(i int, b *meter.Observed) {
				if i == 0 {
					b.Since = time.Date(2026, 6, 1, 7, 0, 0, 0, time.UTC)
				}
			})
		}},
	} {
		t.Run(at.name, func(t *testing.T) {
			a := &attempt{Story: bundletest.Watched(owner), policy: owner.Policy(bundletest.Tenant)}
			at.forge(a)
			report, err := verify(a.commit(), a.policy, a.opts)
			if report == nil || err == nil || report.Proven {
				t.Fatalf("expected a rejection, got %v", err)
			}
			if found := strings.Join(findings(report, at.check), "\n"); !strings.Contains(found, at.says) || found == "" {
				t.Errorf("expected a finding of %s with %q, got %v", at.check, at.says, report.Rejected)
			}
		})
	}
}
