package run_test

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"bulkhead/book"
	"bulkhead/claim"
	"bulkhead/fabric"
	"bulkhead/node"
	"bulkhead/prove"
	"bulkhead/sim"
	"bulkhead/site"
)

// TestWhoReachesABMCIsPartOfIsolation lives through a lease at a site that names its
// management network: nothing is handed over before each BMC is proven to be a zone of its
// own, one that is opened turns the verdict, and the tenant's own verifier sees it all.
func TestWhoReachesABMCIsPartOfIsolation(t *testing.T) {
	ctx := context.Background()
	w, template := traysWorld(t, "phases:\n", "management: bmc\n\nphases:\n")
	fabrics := w.sim.Fabrics()
	gate := &deafGate{Mender: fabrics["frontend"].(fabric.Mender), Driver: fabrics["frontend"]}
	fabrics["frontend"] = gate
	p := w.audited(t, template, fabrics)
	c := lighthouse(t)
	w.signs(t, p, c)

	gate.silent = true
	w.until(t, p, time.Date(2026, 5, 2, 0, 0, 0, 0, time.UTC))
	if n := delivered(p); n != 0 {
		t.Fatalf("%d nodes were handed over while nobody knew who reaches their BMCs", n)
	}
	gate.silent = false
	w.live(t, p, 3)
	if n := delivered(p); n == 0 {
		t.Fatal("nothing was handed over when the gateway was read")
	}
	var first *book.Lease
	p.View(func(s *book.State) { first = s.Leases[0] })
	lease, opened := string(first.ID), first.Slots[0]
	verdict := func() (v string) {
		p.View(func(s *book.State) { v = s.Leases[0].Verdict })
		return v
	}
	w.live(t, p, 30)
	if got := verdict(); got != prove.Proven.String() {
		t.Fatalf("the verdict is %q", got)
	}

	if err := w.sim.Inject(ctx, w.clock.Now(), sim.Fault{Kind: sim.OpenBMC, Node: opened}); err != nil {
		t.Fatal(err)
	}
	gate.deaf = true
	w.live(t, p, 3)
	if got := verdict(); got != prove.Red.String() {
		t.Errorf("another reaches the BMC of a node, and the verdict is %q", got)
	}
	if now, _ := p.Isolation(first.ID); now.Verdict != prove.Red || now.Red == 0 || !strings.HasPrefix(strings.Join(now.Findings, "; "), "BMCs: ") {
		t.Errorf("another reaches the BMC of a node, and isolation is %+v", now)
	}
	gate.deaf = false
	w.live(t, p, 4)
	if got := verdict(); got != prove.Proven.String() {
		t.Errorf("the gateway was put back, and the verdict is %q", got)
	}
	if now, _ := p.Isolation(first.ID); now.Verdict != prove.Proven || now.Ports != 36*6 {
		t.Errorf("the gateway was put back, and isolation is %+v", now)
	}

	// A writer that has only just begun does not call unknown what it has not heard of yet,
	// whatever else is wrong meanwhile.
	stranger := site.Index(0)
	p.View(func(s *book.State) {
		for s.LeaseOn(stranger) != nil {
			stranger++
		}
	})
	if err := w.sim.Inject(ctx, w.clock.Now(), sim.Fault{Kind: sim.Miscabled, Node: stranger}); err != nil {
		t.Fatal(err)
	}
	w.live(t, p, 2)
	gate.silent = true
	p = w.audited(t, nil, fabrics)
	before := verdicts(t, w)
	w.live(t, p, 1)
	p.View(func(s *book.State) {
		if len(s.Drifted) == 0 {
			t.Error("nothing has drifted: this shows nothing")
		}
	})
	gate.silent = false
	w.live(t, p, 4)
	for _, v := range verdicts(t, w)[len(before):] {
		if v == prove.Unknown.String() {
			t.Error("the first verdict of a new writer is that nobody had looked")
		}
	}

	report, err := takenHome(ctx, p, w.keys, "nvl72", c.Tenant)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(report.Claims, func(c claim.Claim) bool {
		return c.Subject == lease && strings.HasPrefix(c.Sentence, "isolated on bmc (management, 1 port a node)")
	}) {
		t.Errorf("no claim is about the management network: %+v", report.Claims)
	}
	said := strings.Join(report.NotProven, "\n")
	for _, want := range []string{"isolation of " + lease + " was red", "at 1 ports of bmc"} {
		if !strings.Contains(said, want) {
			t.Errorf("not proven says\n%s\nand not %q", said, want)
		}
	}
	if strings.Contains(said, "no port of a BMC") {
		t.Errorf("the BMCs were shown, and not proven says\n%s", said)
	}
}

// verdicts are those of the ledger, in its order.
func verdicts(t *testing.T, w *world) (list []string) {
	t.Helper()
	for e, err := range w.log.Read(t.Context(), 1) {
		if err != nil {
			t.Fatal(err)
		}
		var b prove.Judged
		if e.Kind == prove.KindVerdict {
			if err := json.Unmarshal(e.Body, &b); err != nil {
				t.Fatal(err)
			}
			list = append(list, b.Verdict)
		}
	}
	return list
}

// deafGate is the gateway of the BMCs, which may not answer, or take nothing that is
// written.
type deafGate struct {
	fabric.Driver
	fabric.Mender
	silent, deaf bool
	unheard      string // the node whose BMC nobody hears; "": none
}

func (g *deafGate) Posture(ctx context.Context) (fabric.Posture, error) {
	p, err := g.Driver.(fabric.Postured).Posture(ctx)
	if g.silent {
		p.Zones = nil // and what it says of itself holds: only the read-back is missing
	}
	if p.Zones != nil && g.unheard != "" {
		read := *p.Zones
		read.Nodes = slices.Clone(read.Nodes)
		for i := range read.Nodes {
			if read.Nodes[i].Node == g.unheard {
				read.Nodes[i].Neighbour = 0
			}
		}
		read.Digest = fabric.Sum(read.Nodes)
		p.Zones = &read
	}
	return p, err
}

func (g *deafGate) Mend(ctx context.Context, f fabric.Fence) error {
	if g.deaf {
		return nil
	}
	return g.Mender.Mend(ctx, f)
}

// TestABMCThatNobodyHearsHoldsItsOwnNode, and no other.
func TestABMCThatNobodyHearsHoldsItsOwnNode(t *testing.T) {
	w, template := traysWorld(t, "phases:\n", "management: bmc\n\nphases:\n")
	fabrics := w.sim.Fabrics()
	gate := &deafGate{Mender: fabrics["frontend"].(fabric.Mender), Driver: fabrics["frontend"]}
	fabrics["frontend"] = gate
	p := w.audited(t, template, fabrics)
	w.signs(t, p, lighthouse(t))
	var alone site.Index
	p.View(func(s *book.State) {
		alone = s.Leases[0].Slots[0]
		gate.unheard = s.Site.NodeID[alone]
	})
	w.until(t, p, time.Date(2026, 5, 3, 0, 0, 0, 0, time.UTC))
	var slots, up int
	p.View(func(s *book.State) {
		l := s.Leases[0]
		slots = len(l.Slots)
		for _, n := range l.Slots {
			if s.Nodes.State[n] == node.Delivered {
				up++
				if n == alone {
					t.Error("a node was handed over whose BMC nobody hears")
				}
			}
		}
	})
	if up != slots-1 {
		t.Errorf("%d of %d nodes were handed over, expected all but one", up, slots)
	}
	gate.unheard = ""
	w.live(t, p, 4)
	if n := delivered(p); n != slots {
		t.Errorf("its BMC is heard, and %d of %d nodes are handed over", n, slots)
	}
}

// TestAManagementNetworkMayBeNamedLater: a lease that was bound before goes on spanning
// what it did.
func TestAManagementNetworkMayBeNamedLater(t *testing.T) {
	ctx := context.Background()
	w, template := traysWorld(t)
	p := w.audited(t, template, w.sim.Fabrics())
	c := lighthouse(t)
	w.signs(t, p, c)
	_, named := traysWorld(t, "phases:\n", "management: bmc\n\nphases:\n")
	if err := p.Import(ctx, named, nil); err != nil {
		t.Fatal(err)
	}
	p.View(func(s *book.State) {
		if s.Site.Management != "bmc" {
			t.Errorf("the site's management network is %q", s.Site.Management)
		}
	})
	w.until(t, p, time.Date(2026, 5, 3, 0, 0, 0, 0, time.UTC))
	if n := delivered(p); n == 0 {
		t.Fatal("nothing was handed over")
	}
	if _, err := takenHome(ctx, p, w.keys, "nvl72", c.Tenant); err != nil {
		t.Error(err)
	}
	_, other := traysWorld(t, "phases:\n", "management: oob\n\nphases:\n")
	if err := p.Import(ctx, other, nil); err == nil || !strings.Contains(err.Error(), `management is "bmc"`) {
		t.Errorf("another name: %v", err)
	}
}
