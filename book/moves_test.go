package book_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"bulkhead/book"
	"bulkhead/claim"
	"bulkhead/node"
	"bulkhead/node/wipe"
	"bulkhead/site"
)

// proof is a true proof that a node is severed.
func (s *stage) proof(n site.Index) book.SeverProof {
	p := book.SeverProof{Node: s.id(n), Turnover: s.Nodes.Turnover[n], Origin: claim.Simulated}
	for nic := range site.NICs {
		p.Ports = append(p.Ports, book.SeveredPort{Fabric: s.Site.Fabrics[s.Site.FabricOf(site.PortOf(n, nic))].ID, NIC: nic, Labels: []uint32{0x400000 + uint32(n)}})
	}
	return p
}

func fencing(spoil func(s *stage, n site.Index, p *book.SeverProof)) func(s *stage) book.Command {
	return func(s *stage) book.Command {
		n := s.first(node.Reclaiming)
		p := s.proof(n)
		spoil(s, n, &p)
		return book.Sever{Nodes: []site.Index{n}, Proofs: []book.SeverProof{p}}
	}
}

func TestMovesRefuse(t *testing.T) {
	one := func(make func(n []site.Index) book.Command, st node.State) func(s *stage) book.Command {
		return func(s *stage) book.Command { return make([]site.Index{s.first(st)}) }
	}
	commission := func(n []site.Index) book.Command { return book.Commission{Nodes: n} }
	sanitize := func(n []site.Index) book.Command { return book.Sanitize{Nodes: n} }
	quarantine := func(n []site.Index) book.Command { return book.Quarantine{Nodes: n, Reason: []string{"x"}} }
	refuseAll(t, []refused{
		{"commissioned twice", atTurnover, one(commission, node.Commissioning), "node", "expected discovered"},
		{"commissioned before its hall is in service", atSite, func(s *stage) book.Command {
			return commission([]site.Index{site.Index(s.Site.Nodes() - 1)})
		}, "node", "in service from 2026-06-24"},
		{"a delivered node sanitized", atRunning, one(sanitize, node.Delivered), "node", "expected fenced"},
		{"nothing sanitized", atRunning, func(*stage) book.Command { return book.Sanitize{} }, "", ""},
		{"a delivered node quarantined", atRunning, one(quarantine, node.Delivered), "node", "can't be quarantined"},
		{"nothing quarantined", atRunning, func(*stage) book.Command { return book.Quarantine{} }, "", ""},
		{"no steps", atRunning, func(*stage) book.Command { return book.BeginSteps{} }, "", ""},
		{"fenced while it runs", atRunning, func(s *stage) book.Command {
			n := s.up("flagship/t1")
			return book.Sever{Nodes: []site.Index{n}, Proofs: []book.SeverProof{s.proof(n)}}
		}, "node", "expected reclaiming"},
		{"the proof of another node", atReturning, fencing(func(s *stage, n site.Index, p *book.SeverProof) { p.Node = s.id(0) }), "proof", "expected"},
		{"the proof of another turnover", atReturning, fencing(func(_ *stage, _ site.Index, p *book.SeverProof) { p.Turnover++ }), "proof", "turnover"},
		{"grants left", atReturning, fencing(func(_ *stage, _ site.Index, p *book.SeverProof) { p.Grants = 1 }), "proof", "1 storage grants"},
		{"sessions left", atReturning, fencing(func(_ *stage, _ site.Index, p *book.SeverProof) { p.Sessions = 2 }), "proof", "2 BMC sessions"},
		{"a port not read back", atReturning, fencing(func(_ *stage, _ site.Index, p *book.SeverProof) { p.Ports = p.Ports[1:] }), "proof", "8 ports read back"},
		{"a volume that its lease can still reach", atReturning, fencing(func(*stage, site.Index, *book.SeverProof) {}), "proof", "can still reach"},
		{"a fabric that is none", atSevered, fencing(func(_ *stage, _ site.Index, p *book.SeverProof) { p.Ports[0].Fabric = "x" }), "proof", `in fabric "x", which the site does not have`},
		{"its tenant's label on it", atSevered, fencing(func(s *stage, n site.Index, p *book.SeverProof) {
			l := s.Leases[s.Nodes.Owner[n]]
			label, _ := s.Labels[p.Ports[3].Fabric].ValueOf(book.ProjectOwner(l.Tenant, l.Project))
			p.Ports[3].Labels = append(p.Ports[3].Labels, label.Value)
		}), "proof", "NIC 3 still carries label"},
	})
}

// atSevered is when nothing but severing is missing.
func atSevered(s *book.State) bool {
	if !atReturning(s) {
		return false
	}
	l, _ := s.LeaseByID("tidewater/w1")
	return !l.Returning.IsZero() && len(s.Reached(l)) == 0
}

func TestTurnover(t *testing.T) {
	s := on(t, atSevered)
	n := s.first(node.Reclaiming)
	turnover, seq := s.Nodes.Turnover[n], s.Nodes.Seq[n]
	both := "site node.moved/1, tenant/tidewater node.moved/1"
	if got := kinds(s.do(t, book.Sever{Nodes: []site.Index{n}, Proofs: []book.SeverProof{s.proof(n)}})); got != both {
		t.Errorf("a fence is %s, expected it in the scope of whose data is on the node too", got)
	}
	s.do(t, book.Sanitize{Nodes: []site.Index{n}})
	root := claim.DigestOf([]byte("root"))
	s.do(t, book.BeginSteps{Root: root, Steps: []node.Step{{Node: n, Kind: node.StepSanitize, Attempt: 1}}})
	if s.Nodes.Asked[n] != root || s.Nodes.Attempt[n] != 1 || s.Nodes.Begun[n] != s.now.Unix() {
		t.Error("the step is not recorded")
	}
	if want := book.StepID(s.id(n), turnover, node.StepSanitize, 1); s.ExpectedStep(n) != want {
		t.Errorf("it waits for %q, expected %q", s.ExpectedStep(n), want)
	}
	wiped, clean := []byte("receipts"), []byte("statement")
	if got := kinds(s.do(t, book.Evidence{Items: []book.EvidenceItem{{Checked: book.CheckedAs(false, n, turnover, wiped), Body: wiped}}})); got != both {
		t.Errorf("a wipe is %s", got)
	}
	if s.Nodes.State[n] != node.Attesting || s.Nodes.Wiped[n] != claim.DigestOf(wiped) || s.Nodes.Begun[n] != 0 || s.Nodes.Owner[n] == book.NoLease {
		t.Errorf("it is %s", s.Nodes.State[n])
	}
	s.do(t, book.Evidence{Items: []book.EvidenceItem{{Checked: book.CheckedAs(true, n, turnover, clean), Body: clean}}})
	if s.Nodes.State[n] != node.Ready || s.Nodes.Statement[n] != claim.DigestOf(clean) || s.Nodes.Owner[n] != book.NoLease {
		t.Errorf("it is %s", s.Nodes.State[n])
	}
	if s.Nodes.Seq[n] != seq+4 || s.Nodes.Turnover[n] != turnover {
		t.Errorf("move %d of turnover %d, expected %d of %d", s.Nodes.Seq[n], s.Nodes.Turnover[n], seq+4, turnover)
	}
}

func TestEvidenceRefuses(t *testing.T) {
	body := []byte("evidence")
	item := func(st node.State, ready bool, spoil func(s *stage, i *book.EvidenceItem, n site.Index)) func(s *stage) book.Command {
		return func(s *stage) book.Command {
			n := s.first(st)
			i := book.EvidenceItem{Checked: book.CheckedAs(ready, n, s.Nodes.Turnover[n], body), Body: body}
			if spoil != nil {
				spoil(s, &i, n)
			}
			return book.Evidence{Items: []book.EvidenceItem{i}}
		}
	}
	refuseAll(t, []refused{
		{"none", atTurnover, func(*stage) book.Command { return book.Evidence{} }, "", ""},
		{"never checked", atTurnover, item(node.Commissioning, true, func(_ *stage, i *book.EvidenceItem, _ site.Index) { i.Checked = book.Checked{} }), "evidence", "was not checked"},
		{"of another turnover", atTurnover, item(node.Commissioning, true, func(s *stage, i *book.EvidenceItem, n site.Index) {
			i.Checked = book.CheckedAs(true, n, s.Nodes.Turnover[n]+1, body)
		}), "evidence", "is in turnover 1"},
		{"another body than was checked", atTurnover, item(node.Commissioning, true, func(_ *stage, i *book.EvidenceItem, _ site.Index) { i.Body = []byte("other") }), "evidence", "not what was checked"},
		{"a wipe of a node that is commissioned", atTurnover, item(node.Commissioning, false, nil), "evidence", "moves it nowhere"},
		{"a turnover of a node that runs", atRunning, item(node.Delivered, true, nil), "evidence", "moves it nowhere"},
		{"a turnover of a node that was not wiped", atSanitizing, item(node.Sanitizing, true, nil), "evidence", "moves it nowhere"},
	})
	// Nothing but checked evidence passes the checks.
	s := on(t, atTurnover)
	n := s.first(node.Commissioning)
	if _, err := book.CheckTurnover(s.State, n, &node.Turnover{}, body); err == nil {
		t.Error("an empty turnover was taken")
	}
	if _, err := book.CheckWipe(s.State, n, []wipe.SanitizeReceipt{}, body); err == nil {
		t.Error("no receipts were taken for a wipe")
	}
	want := s.ExpectedTurnover(n)
	if want.Node != s.id(n) || want.Serial != s.Site.Serial[n] || want.Turnover != 1 || want.Origin != claim.Simulated || want.Root != s.Nodes.Asked[n] {
		t.Errorf("expected %+v", want)
	}
}

func atSanitizing(s *book.State) bool { return s.Nodes.By[node.Sanitizing].Len() > 0 }

// A move is folded from where its node is, in order, and from nowhere else.
func TestMovesFoldInOrder(t *testing.T) {
	s := on(t, atRunning)
	n := s.first(node.Ready)
	for name, change := range map[string]func(m *node.Moved){
		"from another state":   func(m *node.Moved) { m.From = node.Severed },
		"a number left out":    func(m *node.Moved) { m.Nodes[0].Seq++ },
		"a number used before": func(m *node.Moved) { m.Nodes[0].Seq-- },
		"a node that is none":  func(m *node.Moved) { m.Nodes[0].Index = 64 },
	} {
		s := on(t, atRunning)
		m := node.Moved{SU: "x", From: node.Ready, To: node.Repair, Nodes: []node.MovedNode{{Node: s.id(n), Index: uint32(n), Seq: s.Nodes.Seq[n] + 1}}}
		change(&m)
		if err := s.apply(book.SiteScope, node.KindMoved, m); err == nil {
			t.Errorf("%s: it was folded", name)
		}
	}
	// The tenant's copy moves nothing.
	m := node.Moved{SU: "x", From: node.Ready, To: node.Repair, Nodes: []node.MovedNode{{Node: s.id(n), Index: uint32(n), Seq: s.Nodes.Seq[n] + 1}}}
	must(t, s.apply(book.TenantScope("flagship"), node.KindMoved, m))
	if s.Nodes.State[n] != node.Ready {
		t.Error("the copy in a tenant's scope has moved a node")
	}
}

// Many nodes are moved by several entries: each fits into a frame.
func TestMovesAreBatched(t *testing.T) {
	s := on(t, atSite)
	s.now = s.now.AddDate(1, 0, 0)
	var all []site.Index
	for n := range s.Site.Nodes() {
		all = append(all, site.Index(n))
	}
	got := s.do(t, book.Commission{Nodes: all})
	if len(got) != len(s.Site.SUs) {
		t.Errorf("%d entries, expected one for each of %d scalable units", len(got), len(s.Site.SUs))
	}
	for _, d := range got {
		var m node.Moved
		must(t, json.Unmarshal(d.Body, &m))
		if len(m.Nodes) > node.MaxBatch || !strings.HasPrefix(m.Nodes[0].Node, m.SU) {
			t.Errorf("%d nodes of %s in one entry", len(m.Nodes), m.SU)
		}
	}
	if s.Nodes.By[node.Commissioning].Len() != 64 || s.Nodes.Turnover[63] != 1 {
		t.Error("not every node is commissioned")
	}
}

func TestQuarantine(t *testing.T) {
	s := on(t, atSevered)
	n := s.first(node.Reclaiming)
	d, err := s.decide(t, book.Quarantine{Nodes: []site.Index{n}, Reason: []string{"it lies"}, Evidence: [][]byte{[]byte("what was found")}})
	must(t, err)
	if len(d.Bodies) != 1 {
		t.Errorf("%d bodies, expected the evidence", len(d.Bodies))
	}
	s.fold(t, d.Drafts...)
	if s.Nodes.State[n] != node.Quarantined || s.Nodes.Owner[n] == book.NoLease {
		t.Error("a quarantined node has forgotten whose data is on it")
	}
	for _, c := range book.Due(s.State, s.now.Add(time.Hour)) {
		if r, ok := c.(book.SendToRepair); ok {
			t.Errorf("nothing moves on from quarantine by itself: %+v", r)
		}
	}
}

// apply folds an entry that nobody decided.
func (s *stage) apply(scope, kind string, body any) error {
	encoded, err := json.Marshal(body)
	if err != nil {
		return err
	}
	e := entry(s, scope, kind, encoded)
	return book.Apply(s.State, &e, s.bodies)
}
