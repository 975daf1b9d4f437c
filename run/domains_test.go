package run_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"bulkhead/book"
	"bulkhead/contract"
	"bulkhead/run"
)

// TestRivalsOfHalfARack lives through two projects that both ask for nine trays of a rack
// of 18, and both let racks be split: no rack is of both, each is proven, and each report
// says what of NVLink was shown and what was not.
func TestRivalsOfHalfARack(t *testing.T) {
	ctx := context.Background()
	w, template := traysWorld(t)
	p, err := run.Open(ctx, run.Config{
		Log: w.log, Signers: w.keys, Clock: w.clock, Writer: "test", Audit: book.CheckInvariants,
		Devices: run.Devices{Fabrics: w.sim.Fabrics(), Nodes: w.sim.Nodes(), Storage: w.sim.Storage()},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Import(ctx, template, nil); err != nil {
		t.Fatal(err)
	}
	half := func(tenant string) *contract.Contract {
		return lighthouse(t, "gpus: 144", "gpus: 36", "links: shared", "links: shared, node_gpus: 4, split_racks: true", "tenant: lighthouse", "tenant: "+tenant, "id: lighthouse", "id: "+tenant)
	}
	rivals := []string{"one", "two"}
	for _, tenant := range rivals {
		w.submit(t, p, book.RegisterTenant{Tenant: tenant, Name: tenant})
		if _, err := p.Quote(ctx, "q-"+tenant, half(tenant), 0); err != nil {
			t.Fatal(err)
		}
		w.submit(t, p, book.SignQuote{Quote: "q-" + tenant, By: "test"})
	}
	w.until(t, p, time.Date(2026, 5, 3, 0, 0, 0, 0, time.UTC))
	if n := delivered(p); n != 18 {
		t.Fatalf("%d nodes were delivered, expected 18", n)
	}
	p.View(func(s *book.State) {
		in := map[int]string{}
		for _, l := range s.Leases {
			for _, n := range l.Slots {
				rack := s.Site.RackOf(n)
				if in[rack] != "" && in[rack] != l.Tenant {
					t.Errorf("rack %s is of %s and %s", s.Site.RackID(rack), in[rack], l.Tenant)
				}
				in[rack] = l.Tenant
			}
		}
	})
	for _, tenant := range rivals {
		report, err := takenHome(ctx, p, w.keys, "nvl72", tenant)
		if err != nil {
			t.Fatalf("%s: %v", tenant, err)
		}
		claims := 0
		for _, c := range report.Claims {
			if strings.HasPrefix(c.Sentence, "its NVLink domains were its project's alone") {
				claims++
			}
		}
		if said := strings.Join(report.NotProven, "\n"); claims == 0 || !strings.Contains(said, "and no partition was read back") {
			t.Errorf("%s: %d claims of NVLink, and not proven:\n%s", tenant, claims, said)
		}
	}
}
