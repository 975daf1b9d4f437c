package run_test

import (
	"os"
	"strings"
	"testing"
	"time"

	"bulkhead/book"
	"bulkhead/contract"
	"bulkhead/examples"
	"bulkhead/keystore"
	"bulkhead/ledger/memory"
	"bulkhead/run"
	"bulkhead/sim"
	"bulkhead/site"
)

// TestContractsOverOddMonthsAreInvoiced takes small contracts over odd months (a change of
// clocks, by an hour and by half of one, a begin on the 31st, a leap year, a zone whose
// rules may change) from the file through quote, signature, delivery and end to invoices,
// and home to the tenant's verifier. What was quoted is what is billed.
func TestContractsOverOddMonthsAreInvoiced(t *testing.T) {
	for name, want := range map[string]struct{ quoted, billed string }{
		"dst-fall":      {"45567.20", "45567.20"},
		"dst-fall-flat": {"500693.48", "500693.48"},
		"lordhowe":      {"45535.60", "45535.60"},
		"jan31":         {"996543.78", "32258.06 964285.71"},
		"leap":          {"965517.24", "965517.24"},
		"casa":          {"42533.60", "42533.60"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			data, err := os.ReadFile("../contract/testdata/cases/" + name + ".yaml")
			if err != nil {
				t.Fatal(err)
			}
			c, err := contract.Parse(name+".yaml", data)
			if err != nil {
				t.Fatal(err)
			}
			w, p := lookedAtRarely(t, c.Begin.Add(-48*time.Hour))
			w.submit(t, p, book.RegisterTenant{Tenant: c.Tenant, Name: "Acme"})
			q, err := p.Quote(t.Context(), "q", c, 0)
			if err != nil {
				t.Fatal(err)
			}
			if price, err := contract.Price(q.Contract); err != nil || price.Total != want.quoted {
				t.Errorf("quoted at %+v (%v), expected %s", price, err, want.quoted)
			}
			w.submit(t, p, book.SignQuote{Quote: "q", By: "test", Signed: contract.ByTenant("test")})
			_, over := contract.MonthOf(c.Location(), c.End.Add(-time.Second)) // an invoice is of a whole month
			for at := w.clock.Now(); at.Before(over.Add(12 * time.Hour)); at = at.Add(6 * time.Hour) {
				for _, to := range []time.Time{c.Begin, c.End, at.Add(6 * time.Hour)} {
					if to.After(w.clock.Now()) && !to.After(at.Add(6*time.Hour)) {
						w.pass(t, to.Sub(w.clock.Now()))
						if err := p.Tick(t.Context()); err != nil {
							t.Fatal(err)
						}
					}
				}
			}
			if _, err := p.IssueInvoices(t.Context()); err != nil {
				t.Fatal(err)
			}
			var billed []string
			for _, i := range (&watched{world: w, plane: p}).invoices(t) {
				billed = append(billed, i.Total)
			}
			if got := strings.Join(billed, " "); got != want.billed {
				t.Errorf("billed %s, expected %s", got, want.billed)
			}
			report, err := takenHome(t.Context(), p, w.keys, "tiny", c.Tenant)
			if err != nil {
				t.Fatal(err)
			}
			if len(report.Rejected) > 0 || len(report.Invoices) != len(billed) {
				t.Errorf("the bundle: %v, invoices %+v", report.Rejected, report.Invoices)
			}
			for _, i := range report.Invoices {
				if !i.Recomputed {
					t.Errorf("%s is not recomputed", i.Number)
				}
			}
		})
	}
}

// lookedAtRarely is the smallest site, of which all phases are in service, at an instant; no
// node fails, and looks that are half a day apart are no silence.
func lookedAtRarely(t *testing.T, at time.Time) (*world, *run.Plane) {
	t.Helper()
	data, err := examples.Files.ReadFile("tiny/site.yaml")
	if err != nil {
		t.Fatal(err)
	}
	template, err := site.ParseTemplate("site.yaml", []byte(strings.NewReplacer("  poll: 10m", "  poll: 12h\n  isolation-window: 12h").Replace(string(data))))
	if err != nil {
		t.Fatal(err)
	}
	w := &world{log: memory.New(), clock: run.NewVirtualClock(at)}
	if w.keys, err = keystore.InMemory(strings.NewReader(strings.Repeat("0123456789abcdef", 64)), at); err != nil {
		t.Fatal(err)
	}
	config := sim.DefaultConfig(1, at)
	config.FailureRate = 0
	if w.sim, err = sim.FromTemplate(template, config); err != nil {
		t.Fatal(err)
	}
	p := w.open(t)
	if err := p.Import(t.Context(), template, nil); err != nil {
		t.Fatal(err)
	}
	return w, p
}
