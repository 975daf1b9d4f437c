package run_test

import (
	"context"
	"errors"
	"maps"
	"strings"
	"testing"
	"time"

	"bulkhead/book"
	"bulkhead/claim"
	"bulkhead/contract"
	"bulkhead/fabric"
	"bulkhead/lab/demo"
	"bulkhead/lease"
	"bulkhead/node"
	"bulkhead/run"
	"bulkhead/site"
)

const sittingContract = `
id: sitter
version: 1
title: Who was here before
fictional: true
tenant: sitter
project: old
currency: USD
time_zone: UTC
begin: 2026-04-20
end: 2026-05-20
notice_days: 10
tranches:
  - {id: t1, kind: H100, fabric: roce, gpus: 64, delivery: 2026-04-20, links: shared, clause: "2.1"}
rates:
  - {tranches: [t1], from: 2026-04-20, basis: gpu-hour, price: 3.95, clause: "3.1"}
sla:
  - {metric: node-availability, tiers: [{below: 100%, credit: 100%}], clause: "5.1"}
unknown: {grace: 15m, then: down-owner}
`

// TestASittingTenantStays adopts a site with somebody on it: their nodes and labels
// become a tenant's lease without a change at any port, are billed, and are wiped when
// the lease ends, like any other's.
func TestASittingTenantStays(t *testing.T) {
	ctx := context.Background()
	w, template := newWorld(t)
	if err := demo.Occupy(ctx, w.sim.Site(), w.sim.Fabrics(), 12); err != nil {
		t.Fatal(err)
	}
	p := w.open(t)
	if err := p.Import(ctx, template, nil); err != nil {
		t.Fatal(err)
	}
	w.submit(t, p, book.Adopt{By: "test", Found: "served to observe"})
	observer, err := run.Open(ctx, run.Config{Log: w.log, Signers: w.keys, Clock: w.clock, Writer: "observer", Observe: true,
		Devices: run.Devices{Fabrics: w.sim.Fabrics(), Nodes: w.sim.Nodes(), Storage: w.sim.Storage()}})
	if err != nil {
		t.Fatal(err)
	}
	w.live(t, observer, 2)
	p = w.open(t)
	approver := book.Actor{Subject: "second", Role: "approver"}
	c, err := contract.Parse("sitter.yaml", []byte(sittingContract))
	if err != nil {
		t.Fatal(err)
	}
	labels := []fabric.Label{{Fabric: "roce", Kind: fabric.VNI, Value: 5000}, {Fabric: "frontend", Kind: fabric.VNI, Value: 5000}}
	offer := func(name string, by book.Actor, labels ...fabric.Label) error {
		_, err := p.OfferSitting(ctx, run.Offer{Quote: name, Contract: c}, labels, by)
		return err
	}
	refused := func(what string, err error, want string) {
		t.Helper()
		var r *book.Refusal
		if !errors.As(err, &r) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, expected a refusal with %q", what, err, want)
		}
	}
	w.submit(t, p, book.RegisterTenant{Tenant: "sitter", Name: "Sitter"})
	refused("observed", offer("q", approver, labels...), "it is only observed")
	w.submit(t, p, book.Manage{By: approver, Reason: "as found"})
	refused("an operator", offer("q", book.Actor{Subject: "one", Role: "operator"}, labels...), "an approver offers")
	refused("half of the labels", offer("q", approver, labels[0]), "carry frontend/vni/5000 as well")
	refused("another's label", offer("q", approver, labels[0], labels[1], fabric.Label{Fabric: "roce", Kind: fabric.VNI, Value: 5001}), "two projects'")
	refused("no such label", offer("q", approver, fabric.Label{Fabric: "ib", Kind: fabric.PKey, Value: 7}), "was found")
	refused("nobody's", offer("q", approver), "expected the found labels")
	if err := offer("q", approver, labels...); err != nil {
		t.Fatal(err)
	}
	before := map[site.Port]string{}
	for port, row := range w.carried(t) {
		if port.Node() < 8 {
			before[port] = row
		}
	}
	same := func(when string) {
		t.Helper()
		now := map[site.Port]string{}
		for port, row := range w.carried(t) {
			if port.Node() < 8 {
				now[port] = row
			}
		}
		if !maps.Equal(before, now) {
			t.Errorf("%s the ports of who sits there are other than they were found", when)
		}
	}
	w.live(t, p, 3)
	w.submit(t, p, book.SignQuote{Quote: "q", By: "officer", Signed: contract.ByTenant("officer")})
	w.live(t, p, 3)
	same("signed,")
	if err := func() error {
		_, err := p.Submit(ctx, "", book.TakeOver{Fabric: "roce", Label: 5000, By: approver, Reason: "x"})
		return err
	}(); err == nil {
		t.Error("the nodes of a lease were taken over")
	}
	p.View(func(s *book.State) {
		for n := range site.Index(8) {
			if s.Nodes.State[n] != node.Reserved {
				t.Errorf("node %d is %s before the lease begins", n, s.Nodes.State[n])
			}
		}
		if s.Kept.Len() != 4 {
			t.Errorf("%d nodes are kept, expected those of the other label", s.Kept.Len())
		}
	})
	w.until(t, p, time.Date(2026, 4, 21, 0, 0, 0, 0, time.UTC))
	same("handed over,")
	p.View(func(s *book.State) {
		l, _ := s.LeaseByID("sitter/t1")
		label, _ := s.Labels["roce"].ValueOf(book.ProjectOwner("sitter", "old"))
		if l.Delivered != 8 || l.Verdict != "proven" || label.Value != 5000 || len(s.Drifted) > 0 {
			t.Errorf("%d slots delivered, isolation %s, label %s, %d ports drifted", l.Delivered, l.Verdict, label, len(s.Drifted))
		}
		for n := range site.Index(8) {
			if !s.Nodes.Statement[n].IsZero() || !s.Sits(n) {
				t.Errorf("node %d has a statement, or does not sit", n)
			}
		}
	})
	w.same(t, p)
	p = w.open(t)
	w.live(t, p, 3)
	same("with another writer")
	w.until(t, p, time.Date(2026, 5, 22, 0, 0, 0, 0, time.UTC))
	p.View(func(s *book.State) {
		l, _ := s.LeaseByID(lease.ID("sitter/t1"))
		if l.Returned.IsZero() {
			t.Error("the lease was not returned")
		}
		for n := range site.Index(8) {
			if s.Nodes.State[n] != node.Ready && s.Nodes.State[n] != node.Quarantined && s.Nodes.State[n] != node.Repair || s.Nodes.State[n] == node.Ready && s.Nodes.Statement[n].IsZero() {
				t.Errorf("node %d is %s after the lease, with statement %s", n, s.Nodes.State[n], s.Nodes.Statement[n])
			}
		}
	})
	w.same(t, p)
	report, err := takenHome(ctx, p, w.keys, "tiny", "sitter")
	if err != nil || !report.Proven {
		t.Fatalf("the tenant's verifier: %v: %v", err, report.Rejected)
	}
	said := strings.Join(report.NotProven, "\n")
	if want := "8 nodes came into a lease with their tenant on them"; !strings.Contains(said, want) {
		t.Errorf("the report does not say %q:\n%s", want, said)
	}
	absent := 0
	for _, claimed := range report.Claims {
		if claimed.Grade == claim.Absent && strings.HasPrefix(claimed.Sentence, "clean when it was handed over") {
			absent++
		}
	}
	if absent != 8 {
		t.Errorf("%d nodes are said to have come without a word about being clean, expected 8", absent)
	}
}
