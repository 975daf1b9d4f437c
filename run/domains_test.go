package run_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"bulkhead/book"
	"bulkhead/contract"
)

// TestRivalsOfHalfARack lives through two projects that both ask for nine trays of the
// last rack of 18, and both let racks be split: one of them has them, the other is refused. The
// bundle of each tenant is proven, and says what of NVLink was shown and what was not.
func TestRivalsOfHalfARack(t *testing.T) {
	ctx := context.Background()
	w, template := traysWorld(t)
	p := w.audited(t, template, w.sim.Fabrics())
	// The site has eight racks. One project has seven, and of the last one a half is asked
	// for twice.
	asks := func(tenant, gpus, also string) *contract.Contract {
		return lighthouse(t, "gpus: 144", "gpus: "+gpus, "links: shared", "links: shared, node_gpus: 4"+also, "tenant: lighthouse", "tenant: "+tenant, "id: lighthouse", "id: "+tenant)
	}
	sign := func(c *contract.Contract) error {
		w.submit(t, p, book.RegisterTenant{Tenant: c.Tenant, Name: c.Tenant})
		if _, err := p.Quote(ctx, "q-"+c.Tenant, c, 0); err != nil {
			return err
		}
		w.submit(t, p, book.SignQuote{Quote: "q-" + c.Tenant, By: "test", Signed: contract.ByTenant("test")})
		return nil
	}
	for _, c := range []*contract.Contract{asks("whale", "504", ""), asks("one", "36", ", split_racks: true")} {
		if err := sign(c); err != nil {
			t.Fatal(err)
		}
	}
	if err := sign(asks("two", "36", ", split_racks: true")); err == nil || !strings.Contains(err.Error(), "a domain is never shared") {
		t.Errorf("nine trays beside a rival's nine: %v", err)
	}
	w.until(t, p, time.Date(2026, 5, 3, 0, 0, 0, 0, time.UTC))
	if n := delivered(p); n != 126+9 {
		t.Fatalf("%d nodes were delivered, expected 135", n)
	}
	rivals := []string{"whale", "one"}
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
