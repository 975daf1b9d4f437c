package run_test

import (
	"context"
	"encoding/json"
	"math/big"
	"strings"
	"testing"
	"time"

	"bulkhead/book"
	"bulkhead/contract"
	"bulkhead/examples"
	"bulkhead/fabric"
	"bulkhead/keystore"
	"bulkhead/ledger/memory"
	"bulkhead/meter"
	"bulkhead/run"
	"bulkhead/sim"
	"bulkhead/site"
)

// traysWorld is the example of NVL72 racks with a text of its site file replaced, in a
// simulator in which no node fails by itself.
func traysWorld(t *testing.T, edits ...string) (*world, *site.Template) {
	t.Helper()
	data, err := examples.Files.ReadFile("nvl72/site.yaml")
	if err != nil {
		t.Fatal(err)
	}
	// The tests look by the hour: a policy that says less would make silence of it.
	hourly := strings.Replace(string(data), "policy:\n", "policy:\n  poll: 1h\n  isolation-window: 1h\n", 1)
	template, err := site.ParseTemplate("site.yaml", []byte(strings.NewReplacer(edits...).Replace(hourly)))
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 4, 28, 0, 0, 0, 0, time.UTC)
	w := &world{log: memory.New(), clock: run.NewVirtualClock(at)}
	if w.keys, err = keystore.InMemory(strings.NewReader(strings.Repeat("0123456789abcdef", 64)), at); err != nil {
		t.Fatal(err)
	}
	config := sim.DefaultConfig(1, at)
	config.FailureRate = 0
	if w.sim, err = sim.FromTemplate(template, config); err != nil {
		t.Fatal(err)
	}
	return w, template
}

// audited is a control plane whose every entry is checked, with a site in its ledger; no
// site: it has one.
func (w *world) audited(t *testing.T, imports *site.Template, fabrics map[string]fabric.Driver) *run.Plane {
	t.Helper()
	p, err := run.Open(t.Context(), run.Config{
		Log: w.log, Signers: w.keys, Clock: w.clock, Writer: "test", Audit: book.CheckInvariants,
		Devices: run.Devices{Fabrics: fabrics, Nodes: w.sim.Nodes(), Storage: w.sim.Storage()},
	})
	if err == nil && imports != nil {
		err = p.Import(t.Context(), imports, nil)
	}
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// signs registers a contract's tenant, quotes the contract and signs it.
func (w *world) signs(t *testing.T, p *run.Plane, c *contract.Contract) {
	t.Helper()
	w.submit(t, p, book.RegisterTenant{Tenant: c.Tenant, Name: c.Tenant})
	if _, err := p.Quote(t.Context(), "q", c, 0); err != nil {
		t.Fatal(err)
	}
	w.submit(t, p, book.SignQuote{Quote: "q", By: "test", Signed: contract.ByTenant("test")})
}

func lighthouse(t *testing.T, edits ...string) *contract.Contract {
	t.Helper()
	data, err := examples.Files.ReadFile("nvl72/lighthouse.yaml")
	if err != nil {
		t.Fatal(err)
	}
	c, err := contract.Parse("lighthouse.yaml", []byte(strings.NewReplacer(edits...).Replace(string(data))))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestRacksOfTraysAreLeased lives through a lease of two racks of 18 trays of 4 GPUs,
// on InfiniBand and on RoCE: quoted, signed, delivered, invoiced, taken home and verified.
func TestRacksOfTraysAreLeased(t *testing.T) {
	for _, family := range []string{"infiniband", "roce"} {
		t.Run(family, func(t *testing.T) { leaseTrays(t, family) })
	}
}

func leaseTrays(t *testing.T, family string) {
	ctx := context.Background()
	w, template := traysWorld(t, "{id: ib, family: infiniband}", "{id: ib, family: "+family+"}")
	p := w.audited(t, template, w.sim.Fabrics())
	w.submit(t, p, book.RegisterTenant{Tenant: "lighthouse", Name: "Lighthouse"})
	asked := lighthouse(t)
	q, err := p.Quote(ctx, "q", asked, 0)
	if err != nil {
		t.Fatal(err)
	}
	if got := q.Contract.Tranches[0]; got.NodeGPUs != 4 || got.Slots() != 36 || q.Parts[0].Slots != 36 {
		t.Fatalf("quoted: %d GPUs a node, %d slots, placed in %d", got.NodeGPUs, got.Slots(), q.Parts[0].Slots)
	}
	if !asked.SettledBy(q.Contract) || !strings.Contains(q.Parts[0].Where, "1 SUs, 2 racks") {
		t.Errorf("settled by %v, in %s", asked.SettledBy(q.Contract), q.Parts[0].Where)
	}
	w.submit(t, p, book.SignQuote{Quote: "q", By: "test", Signed: contract.ByTenant("test")})
	w.until(t, p, time.Date(2026, 6, 2, 0, 0, 0, 0, time.UTC))
	if n := delivered(p); n != 36 {
		t.Fatalf("%d nodes were delivered, expected 36", n)
	}
	if _, err := p.Frontier("lighthouse/w1", 4); err == nil || !strings.Contains(err.Error(), "none of their nodes moves by itself") {
		t.Errorf("moves were looked for that nobody could make: %v", err)
	}
	isolation, _ := p.Isolation("lighthouse/w1")
	if isolation.Verdict.String() != "proven" || isolation.Ports != 36*5 {
		t.Errorf("isolation is %s of %d ports, expected proven of 180: %v", isolation.Verdict, isolation.Ports, isolation.Findings)
	}
	p.View(func(s *book.State) {
		l := s.Leases[0]
		whole := map[int]int{}
		for _, n := range l.Slots {
			whole[s.Site.RackOf(n)]++
		}
		for rack, n := range whole {
			if n != 18 {
				t.Errorf("%d nodes of rack %s", n, s.Site.RackID(rack))
			}
		}
		handed, err := s.HandOver(l)
		if err != nil {
			t.Error(err)
			return
		}
		if lines := strings.Count(handed.Files["rankfile"], "\nrank "); lines != 144 {
			t.Errorf("the rankfile has %d ranks, expected 144", lines)
		}
		if !strings.Contains(handed.Files["rankfile"], "\nrank 143="+handed.Hosts[35].Host+" slot=3\n") {
			t.Errorf("the last rank of the rankfile: %.2000q", handed.Files["rankfile"])
		}
		if lines := strings.Count(handed.Files["hosts.txt"], " slots=4\n"); lines != 36 {
			t.Errorf("%d hosts of 4 slots", lines)
		}
	})
	if _, err := p.IssueInvoices(ctx); err != nil {
		t.Fatal(err)
	}
	var invoice *meter.Invoice
	for e, err := range w.log.Read(ctx, 1) {
		if err != nil {
			t.Fatal(err)
		}
		if e.Kind != meter.KindInvoiced {
			continue
		}
		var issued meter.Invoiced
		if err := json.Unmarshal(e.Body, &issued); err != nil {
			t.Fatal(err)
		}
		if invoice, err = p.Invoice(ctx, issued.Statement); err != nil {
			t.Fatal(err)
		}
	}
	if invoice == nil || len(invoice.Usage) != 1 {
		t.Fatalf("no invoice of May with one tranche: %+v", invoice)
	}
	const may = 31 * 24 * 3600
	if u := invoice.Usage[0]; u.GPUs != 144 || u.Promised != 144*may {
		t.Errorf("usage of %d GPUs, %d GPU-seconds promised, expected 144 and %d", u.GPUs, u.Promised, int64(144*may))
	}
	// What was not used or was credited comes off; nothing may be billed beyond 144 GPUs.
	total, _ := new(big.Rat).SetString(invoice.Total)
	full := new(big.Rat).Mul(big.NewRat(144*may, 3600), big.NewRat(850, 100))
	if least := new(big.Rat).Mul(full, big.NewRat(9, 10)); total.Cmp(full) > 0 || total.Cmp(least) < 0 {
		t.Errorf("the invoice is of %s, and 144 GPUs for all of May are %s", invoice.Total, full.FloatString(2))
	}

	report, err := takenHome(ctx, p, w.keys, "nvl72", "lighthouse")
	if err != nil {
		t.Fatal(err)
	}
	if len(report.Rejected) > 0 || report.HandedOver != 36 || len(report.Invoices) != 1 || !report.Invoices[0].Recomputed {
		t.Errorf("the bundle: %v, %d holdings, invoices %+v", report.Rejected, report.HandedOver, report.Invoices)
	}
}
