package book_test

import (
	"crypto/ed25519"
	"slices"
	"strings"
	"testing"
	"time"

	"bulkhead/book"
	"bulkhead/claim"
	"bulkhead/contract"
	"bulkhead/fabric"
	"bulkhead/lease"
	"bulkhead/node"
	"bulkhead/prove"
	"bulkhead/site"
)

// certify proves the ports of nodes from a read-back that shows on every port
// what is wanted of it, and signs that with a key of this test's own.
func (s *stage) certify(t *testing.T, id lease.ID, nodes ...site.Index) []byte {
	t.Helper()
	prover := prove.NewProver(s.Site, fabric.NewTables(s.Site.Ports()))
	paths := map[string]prove.Path{}
	for i, f := range s.Site.Fabrics {
		paths[f.ID] = prove.Path{Fencing: fabric.FencedByDeadline, Source: "a test"}
		for _, a := range s.Labels[f.ID].Allocations() {
			must(t, prover.Own(i, a.Value, uint32(s.HolderOf(a.Owner))))
		}
	}
	for i := range s.Site.Leaves() {
		leaf := site.Leaf(i)
		var readings []fabric.Reading
		for _, n := range s.Site.SUs[leaf.SU()].Nodes {
			port := site.PortOf(n, leaf.NIC())
			w := s.Wants(n)
			label, ok := s.Label(s.Site.FabricOf(port), n, w.Owner)
			if !ok {
				t.Fatalf("%s has no label for %s", s.Site.PortName(port), w.Owner)
			}
			prover.Hold(port, uint32(w.Holder))
			row := fabric.Compile(s.Site.Fabrics[s.Site.FabricOf(port)].Family, label.Value)
			readings = append(readings, fabric.Reading{LeafPort: s.Site.LeafPort(port), NIC: row.NIC, Leaf: row.Leaf, EnforceIn: true, EnforceOut: true, Class: row.Class, Neighbour: s.Site.PortID[port]})
		}
		if !s.silent {
			prover.Read(leaf, s.now, readings)
		}
	}
	l, ok := s.LeaseByID(id)
	if !ok {
		t.Fatalf("no lease %s", id)
	}
	c, _ := prover.Certify(prove.Request{Lease: string(id), Tenant: l.Tenant, Epoch: l.Epoch + 1, Nodes: site.SetOf(nodes...), Issued: s.now.UTC(), Window: time.Hour, Paths: paths})
	return signed(t, &c)
}

func signed(t *testing.T, c *prove.Certificate) []byte {
	t.Helper()
	key := ed25519.NewKeyFromSeed(make([]byte, 32))
	statement, err := claim.NewStatement(c.Lease, claim.DigestOf(nil), prove.PredicateType, c)
	must(t, err)
	out, err := claim.Sign(statement, claim.Signer{KeyID: claim.KeyID(key.Public().(ed25519.PublicKey)), Key: key})
	must(t, err)
	return out
}

// delivery is the hand-over of what is reserved of a lease in one scalable unit.
func (s *stage) delivery(t *testing.T, id lease.ID) book.Deliver {
	t.Helper()
	l, ok := s.LeaseByID(id)
	if !ok {
		t.Fatalf("no lease %s", id)
	}
	c := book.Deliver{Lease: id, SU: -1, Reason: "ready"}
	for _, n := range l.Slots {
		if s.Nodes.State[n] == node.Reserved && (c.SU < 0 || int(s.Site.NodeSU[n]) == c.SU) {
			c.SU = int(s.Site.NodeSU[n])
			c.Nodes = append(c.Nodes, n)
		}
	}
	slices.Sort(c.Nodes)
	c.Isolation = s.certify(t, id, c.Nodes...)
	return c
}

// atHandOver is the instant at which leases begin, with every volume in reach and
// nothing handed over.
func atHandOver(s *book.State) bool {
	l, ok := s.LeaseByID("tidewater/w1")
	if !ok || s.Time.Before(l.Begin) || s.Nodes.By[node.Delivered].Len() > 0 || s.Nodes.By[node.Reserved].Len() == 0 {
		return false
	}
	return len(s.MissingVolumes(l, s.Time)) == 0
}

func TestDeliverRefuses(t *testing.T) {
	handing := func(spoil func(s *stage, c *book.Deliver)) func(s *stage) book.Command {
		return func(s *stage) book.Command {
			c := s.delivery(t, "tidewater/w1")
			spoil(s, &c)
			return c
		}
	}
	dirty := func(change func(s *stage, n site.Index)) func(s *stage) book.Command {
		return handing(func(s *stage, c *book.Deliver) { change(s, c.Nodes[0]) })
	}
	recertify := func(change func(c *prove.Certificate)) func(s *stage) book.Command {
		return handing(func(s *stage, d *book.Deliver) {
			predicate, err := claim.Peek(d.Isolation)
			must(t, err)
			c, err := prove.DecodeCertificate(predicate)
			must(t, err)
			change(c)
			d.Isolation = signed(t, c)
		})
	}
	refuseAll(t, []refused{
		{"no such lease", atHandOver, handing(func(_ *stage, c *book.Deliver) { c.Lease = "tidewater/w9" }), "lease", "no lease"},
		{"before it begins", atHandOver, func(s *stage) book.Command {
			return book.Deliver{Lease: "flagship/t2a"}
		}, "lease", "begins at 2026-06-01"},
		{"while it is returned", atReturning, func(*stage) book.Command { return book.Deliver{Lease: "tidewater/w1"} }, "lease", "being returned"},
		{"without its volumes", atHandOver, handing(func(s *stage, c *book.Deliver) {
			for _, v := range s.Volumes {
				delete(v.Grants, "tidewater/w1")
			}
		}), "lease", "can't reach its volumes"},
		{"without proof", atHandOver, handing(func(_ *stage, c *book.Deliver) { c.Isolation = nil }), "isolation", "nothing is delivered unproven"},
		{"a proof that is none", atHandOver, handing(func(_ *stage, c *book.Deliver) { c.Isolation = []byte("{}") }), "isolation", "not a DSSE envelope"},
		{"a proof of something else", atHandOver, handing(func(_ *stage, c *book.Deliver) {
			statement, err := claim.NewStatement("x", claim.DigestOf(nil), prove.PredicateType, map[string]int{"version": 9})
			must(t, err)
			key := ed25519.NewKeyFromSeed(make([]byte, 32))
			c.Isolation, err = claim.Sign(statement, claim.Signer{KeyID: claim.KeyID(key.Public().(ed25519.PublicKey)), Key: key})
			must(t, err)
		}), "isolation", "not in canonical form"},
		{"a proof that contradicts itself", atHandOver, recertify(func(c *prove.Certificate) { c.Fabrics[0].Proven-- }), "isolation", "isolation certificate of"},
		{"a proof of another lease", atHandOver, recertify(func(c *prove.Certificate) { c.Lease = "flagship/t1" }), "isolation", "the certificate is of flagship/t1"},
		{"a proof of other nodes", atHandOver, handing(func(_ *stage, c *book.Deliver) { c.Nodes = c.Nodes[1:] }), "isolation", "the certificate is of"},
		{"a verdict that is unknown", atHandOver, handing(func(s *stage, c *book.Deliver) {
			s.silent = true
			c.Isolation = s.certify(t, c.Lease, c.Nodes...)
		}), "isolation", "the verdict is unknown"},
		{"a node that is not reserved", atHandOver, dirty(func(s *stage, n site.Index) { s.Nodes.State[n] = node.Ready }), "node", "expected reserved"},
		{"a node of another lease", atHandOver, dirty(func(s *stage, n site.Index) { s.Nodes.Lease[n] = 0 }), "node", "is not in a slot of tidewater/w1"},
		{"a node of another unit", atHandOver, handing(func(_ *stage, c *book.Deliver) { c.SU = 0 }), "node", "is not in"},
		{"a node without a statement", atHandOver, dirty(func(s *stage, n site.Index) { s.Nodes.Statement[n] = claim.Digest{} }), "node", "no signed turnover statement"},
		{"a node with a red port", atHandOver, dirty(func(s *stage, n site.Index) { s.Nodes.Exposed[n] = 2 }), "node", "2 of its ports is not proven"},
		{"a node that is cordoned", atHandOver, dirty(func(s *stage, n site.Index) { s.Nodes.Cordoned[n] = true }), "node", "cordoned or not healthy"},
		{"a node that is down", atHandOver, dirty(func(s *stage, n site.Index) { s.Nodes.Health[n] = book.Failed }), "node", "cordoned or not healthy"},
		{"no nodes", atHandOver, handing(func(_ *stage, c *book.Deliver) { c.Nodes = nil }), "isolation", "the certificate is of"},
	})
}

func TestDeliver(t *testing.T) {
	s := on(t, atHandOver)
	l, _ := s.LeaseByID("tidewater/w1")
	before := l.Delivered
	c := s.delivery(t, l.ID)
	got := kinds(s.do(t, c))
	if want := "tenant/tidewater lease.delivered/1, site node.moved/1, tenant/tidewater node.moved/1"; got != want {
		t.Errorf("a hand-over is %s, expected %s", got, want)
	}
	if l.Delivered != before+len(c.Nodes) || !l.Dirty {
		t.Errorf("%d slots up, dirty %t", l.Delivered, l.Dirty)
	}
	for _, n := range c.Nodes {
		if s.Nodes.Owner[n] != s.Nodes.Lease[n] || s.Nodes.State[n] != node.Delivered || !s.SlotUp(l, int(s.Nodes.Slot[n])) {
			t.Errorf("node %d is %s of %d", n, s.Nodes.State[n], s.Nodes.Owner[n])
		}
	}
	e := l.Events[len(l.Events)-1]
	if e.State != "up" || !e.At.Equal(s.now) || e.Entry != s.Scopes["tenant/tidewater"]-1 {
		t.Errorf("it is billed by %+v", e)
	}
	h, err := s.HandOver(l)
	if err != nil || !strings.Contains(h.Files["volumes.json"], `"tidewater/w1"`) {
		t.Errorf("hand-over %v: %v", h.Files, err)
	}
	s.do(t, book.RecordVerdict{Lease: l.ID, Verdict: "proven", Ports: len(c.Nodes) * site.NICs, Certificate: c.Isolation})
	if l.Dirty || l.Epoch != 1 || l.Verdict != "proven" || l.Certified != claim.DigestOf(c.Isolation) {
		t.Errorf("verdict %q, epoch %d", l.Verdict, l.Epoch)
	}
}

func TestReserve(t *testing.T) {
	give := func(pick func(s *stage) site.Index) func(s *stage) book.Command {
		return func(s *stage) book.Command { return book.Reserve{Nodes: []site.Index{pick(s)}} }
	}
	refuseAll(t, []refused{
		{"nothing", atContracts, func(*stage) book.Command { return book.Reserve{} }, "", ""},
		{"a node that is not ready", atTurnover, give(func(s *stage) site.Index { return s.first(node.Commissioning) }), "node", "expected ready"},
		{"a spare", atRunning, give(func(s *stage) site.Index { return s.spare() }), "node", "booked by no lease"},
		{"a node that is cordoned", atReserved, give(func(s *stage) site.Index {
			n := s.first(node.Reserved)
			s.Nodes.State[n], s.Nodes.Cordoned[n] = node.Ready, true
			return n
		}), "node", "cordoned"},
	})
}

func TestReturn(t *testing.T) {
	refuseAll(t, []refused{
		{"no such lease", atRunning, func(*stage) book.Command { return book.ReturnLease{Lease: "x"} }, "lease", "no lease"},
		{"one that runs", atRunning, func(*stage) book.Command { return book.ReturnLease{Lease: "tidewater/w1"} }, "lease", "give notice first"},
		{"one that is being returned", atReturning, func(*stage) book.Command { return book.ReturnLease{Lease: "tidewater/w1"} }, "", ""},
		{"finished and never begun", atRunning, func(*stage) book.Command { return book.FinishReturn{Lease: "tidewater/w1"} }, "", ""},
		{"finished with a volume in reach", atReturning, func(*stage) book.Command { return book.FinishReturn{Lease: "tidewater/w1"} }, "", ""},
		{"finished with data on a node", atSevered, func(*stage) book.Command { return book.FinishReturn{Lease: "tidewater/w1"} }, "", ""},
		{"finished twice", atClosed, func(*stage) book.Command { return book.FinishReturn{Lease: "tidewater/w1"} }, "", ""},
		{"late and no such lease", atRunning, func(*stage) book.Command { return book.NoteLate{Lease: "x"} }, "lease", "no lease"},
		{"late with nothing missing", atRunning, func(*stage) book.Command { return book.NoteLate{Lease: "flagship/t1"} }, "", ""},
		{"a verdict of no lease", atRunning, func(*stage) book.Command { return book.RecordVerdict{Lease: "x"} }, "lease", "no lease"},
	})
	s := on(t, atRunning)
	l, _ := s.LeaseByID("tidewater/w1")
	s.now = l.End
	running := s.Nodes.By[node.Delivered].Len()
	if got := kinds(s.do(t, book.ReturnLease{Lease: l.ID, Reason: "over"})); !strings.HasPrefix(got, "tenant/tidewater lease.returning/1, site node.moved/1") {
		t.Errorf("a return is %s", got)
	}
	back := s.Nodes.By[node.Reclaiming].Len()
	if back == 0 || s.Nodes.By[node.Delivered].Len() != running-back || !l.Returning.Equal(s.now) {
		t.Errorf("%d nodes are taken back", back)
	}
	for n := range s.Nodes.By[node.Reclaiming].All() {
		if s.LeaseOn(n) == l || s.Leases[s.Nodes.Owner[n]] != l {
			t.Errorf("node %d: held by %v", n, s.LeaseOn(n))
		}
		if w := s.Wants(n); !strings.HasPrefix(string(w.Owner), "turnover/") || w.Holder != s.HolderOf("project/tidewater/forecast") {
			t.Errorf("node %d: a node that is reclaimed is its last tenant's until read-back shows the turnover label, got %+v", n, w)
		}
	}
}

// The end of the story's return: labels are released and cool down, the contract
// is closed.
func TestReturned(t *testing.T) {
	s := on(t, atClosed)
	l, _ := s.LeaseByID("tidewater/w1")
	if l.Returned.IsZero() {
		t.Error("the contract is closed and the lease runs")
	}
	for _, a := range s.Labels["ib"].Allocations() {
		if a.Owner == "project/tidewater/forecast" && !a.Cooling() {
			t.Error("its label is in use")
		}
	}
	label := s.Labels["ib"].Allocations()[0]
	for _, a := range s.Labels["ib"].Allocations() {
		if a.Cooling() {
			label = a
		}
	}
	free := book.FreeLabel{Label: fabric.Label{Fabric: "ib", Kind: fabric.KindOf("infiniband"), Value: label.Value}}
	if _, err := s.decide(t, free); err == nil {
		t.Error("a label is free before it has cooled down")
	}
	s.later(s.Policy.LabelCoolDown)
	free.Occurrences = 1
	if _, err := s.decide(t, free); err == nil {
		t.Error("a label is free that read-back shows somewhere")
	}
	free.Occurrences, free.Unseen = 0, 1
	if _, err := s.decide(t, free); err == nil {
		t.Error("a label is free that a port may still hold which nobody has read")
	}
	free.Unseen = 0
	if got := kinds(s.do(t, free)); got != "site fabric.labelled/1" {
		t.Errorf("freeing is %s", got)
	}
	if _, err := s.decide(t, free); err != book.ErrNothing {
		t.Errorf("freed twice: %v", err)
	}
	free.Label.Fabric = "x"
	if _, err := s.decide(t, free); err == nil || !strings.Contains(err.Error(), `no fabric "x"`) {
		t.Error(err)
	}
}

// A label outlives a lease that is returned while another one of the same project
// carries it.
func TestSharedLabelStays(t *testing.T) {
	s := on(t, atTenants)
	for _, id := range []string{"tidewater", "tidewater-b"} {
		s.do(t, s.offer(id, sold("tidewater", func(c *contract.Contract) { c.ID = id })))
		s.do(t, book.SignQuote{Quote: id, By: "officer", Signed: contract.ByTenant("officer")})
	}
	over := func(id lease.ID) string {
		l, _ := s.LeaseByID(id)
		if s.now.Before(l.End) {
			s.now = l.End
		}
		s.do(t, book.ReturnLease{Lease: id})
		return kinds(s.do(t, book.FinishReturn{Lease: id}))
	}
	s.act(t, contract.ActNotice, "tidewater-b", officer("tidewater"))
	if got := over("tidewater-b/w1"); got != "tenant/tidewater lease.returned/1, tenant/tidewater contract.closed/1" {
		t.Errorf("the first return is %s", got)
	}
	if _, has := s.Labels["ib"].ValueOf("project/tidewater/forecast"); !has {
		t.Error("the label of a lease that runs is gone")
	}
	if got := over("tidewater/w1"); strings.Count(got, "site fabric.labelled/1") != 2 {
		t.Errorf("the last return is %s, expected both labels released", got)
	}
}
