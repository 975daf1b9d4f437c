package book_test

import (
	"strings"
	"testing"
	"time"

	"bulkhead/book"
	"bulkhead/fabric"
	"bulkhead/lease"
	"bulkhead/node"
	"bulkhead/site"
)

var second = book.Actor{Subject: "second person", Role: "approver"}

// atFound is the tiny site, adopted, with a label of somebody else at three nodes
// of its first unit in each of their fabrics, and one at a node of the second.
func (s *stage) found(t *testing.T) {
	t.Helper()
	s.do(t, book.Adopt{By: "op", Found: "who was here before"})
	s.do(t, book.ReportFound{Fabric: "roce", Labels: []book.FoundNoted{{Label: 5000, Nodes: "0-2", Ports: 24}, {Label: 5001, Nodes: "8", Ports: 8}}})
	s.do(t, book.ReportFound{Fabric: "frontend", Labels: []book.FoundNoted{{Label: 5000, Nodes: "0-2", Ports: 3}}})
}

// TestFound adopts a site on which somebody is already: its nodes are not written
// to, not sold, not commissioned, and its labels are given to nobody else.
func TestFound(t *testing.T) {
	s := on(t, atSite)
	begin, end := time.Date(2026, 8, 1, 0, 0, 0, 0, time.UTC), time.Date(2026, 9, 1, 0, 0, 0, 0, time.UTC)
	free := s.Free(begin, end)
	s.found(t)
	if s.Kept.String() != "0-2,8" {
		t.Fatalf("kept are %s", s.Kept)
	}
	lost := free.Clone()
	lost.Subtract(s.Free(begin, end))
	if lost.String() != "0-2,8" {
		t.Errorf("not for sale any more are %s", lost)
	}
	sellable := 0
	for n := range free.All() {
		if s.Site.KindOf(n) == "H100" && s.Site.Fabrics[s.Site.FabricOf(site.PortOf(n, 0))].ID == "roce" {
			sellable++
		}
	}
	fits := func(nodes int) error {
		return s.Calendar().Fits(lease.Booking{ID: "x", Fabric: "roce", Kind: "H100", Nodes: nodes, Begin: begin, End: end})
	}
	if err := fits(sellable - 4); err != nil {
		t.Error(err)
	}
	if fits(sellable-3) == nil {
		t.Error("the calendar promises nodes that somebody else is on")
	}
	if w := s.Wants(1); w.Owner != "" || s.FoundHolder("roce", 1) == book.NoHolder || s.FoundHolder("roce", 1) == s.FoundHolder("roce", 8) || s.FoundHolder("ib", 1) != book.NoHolder {
		t.Errorf("node 1 wants %+v, its holder is %d", w, s.FoundHolder("roce", 1))
	}
	if _, err := s.Labels["roce"].Clone().Assign(book.ProjectOwner("a", "b"), s.now); err != nil {
		t.Error(err)
	}
	if owner, taken := s.Labels["roce"].OwnerOf(5000); !taken || owner != book.FoundOwner(5000) {
		t.Errorf("label 5000 is of %q", owner)
	}
	// The same again is no news; what has changed is.
	if _, err := s.decide(t, book.ReportFound{Fabric: "frontend", Labels: []book.FoundNoted{{Label: 5000, Nodes: "0-2", Ports: 3}}}); err != book.ErrNothing {
		t.Errorf("the same again: %v", err)
	}
	if got := kinds(s.do(t, book.ReportFound{Fabric: "roce", Labels: []book.FoundNoted{{Label: 5000, Nodes: "0-2", Ports: 24}}})); got != "site site.found/1" || s.Kept.String() != "0-2" {
		t.Errorf("one label less is %s, kept are %s", got, s.Kept)
	}
	if _, cooling := s.Labels["roce"].CoolUntil(5001); !cooling {
		t.Error("a label that was found, and is gone, does not cool down")
	}
	s.do(t, book.ReportFound{Fabric: "roce", Labels: []book.FoundNoted{{Label: 5000, Nodes: "0-2", Ports: 24}, {Label: 5001, Nodes: "8", Ports: 8}}})
	if _, cooling := s.Labels["roce"].CoolUntil(5001); cooling {
		t.Error("a label that is found again cools down")
	}
	plan := book.Next(s.State, blind{s.State}, s.now)
	if held := strings.Join(plan.Deferred, "\n"); !plan.Empty() || !strings.Contains(held, "wipe and attest 60 nodes") || !strings.Contains(held, "4 nodes are kept as they were found, with 3 labels of others") {
		t.Errorf("an adopted site's plan: %+v", plan)
	}

	// Managed, everything but the kept nodes is commissioned.
	s.do(t, book.Manage{By: second, Reason: "read back for a week"})
	for range 3 {
		for _, c := range book.Due(s.State, s.now) {
			if c, ok := c.(book.Commission); ok {
				for _, n := range c.Nodes {
					if s.Kept.Has(n) {
						t.Errorf("node %d is kept and would be commissioned", n)
					}
				}
				s.do(t, c)
			}
		}
	}
	if waiting := s.Nodes.By[node.Discovered].Clone(); !waiting.Has(0) || s.Nodes.By[node.Commissioning].Empty() {
		t.Errorf("discovered are %s", waiting)
	}
	for _, w := range book.Next(s.State, blind{s.State}, s.now).Ports {
		if s.Kept.Has(w.Port.Node()) {
			t.Fatalf("port %d of a kept node would be written", w.Port)
		}
	}

	// Taken over, they are like every other node, and the label is given out again
	// only when it has cooled down.
	s.do(t, book.TakeOver{Fabric: "roce", Label: 5000, By: second, Reason: "its tenant has left"})
	if s.Kept.String() != "8" || len(s.Found["frontend"]) != 0 || s.Wants(0).Owner != fabric.Quarantine {
		t.Errorf("kept are %s, found is %v, node 0 wants %+v", s.Kept, s.Found, s.Wants(0))
	}
	for _, id := range []string{"roce", "frontend"} {
		if _, cooling := s.Labels[id].CoolUntil(5000); !cooling {
			t.Errorf("label 5000 of %s does not cool down", id)
		}
	}
}

// TestFoundTurnoverLabel finds a label that is some node's turnover label: that
// node must not change hands while somebody else uses it.
func TestFoundTurnoverLabel(t *testing.T) {
	s := on(t, atSite)
	s.do(t, book.Adopt{By: "op"})
	label := fabric.TurnoverLabel("roce", site.RoCE, 5).Value
	s.do(t, book.ReportFound{Fabric: "roce", Labels: []book.FoundNoted{{Label: label, Nodes: "9", Ports: 8}}})
	if s.Kept.String() != "5,9" {
		t.Errorf("kept are %s", s.Kept)
	}
	s.do(t, book.ReportFound{Fabric: "roce"})
	if !s.Kept.Empty() || len(s.Found) != 0 {
		t.Errorf("kept are %s", s.Kept)
	}
}

// A label that is the turnover label of a node which this ledger has commissioned
// takes nothing from that node's tenant.
func TestFoundTurnoverLabelOfOurs(t *testing.T) {
	s := on(t, atRunning)
	l, _ := s.LeaseByID("flagship/t1")
	n := l.Slots[0]
	waiting, ok := s.Nodes.By[node.Discovered].First()
	if !ok {
		t.Fatal("no node is discovered")
	}
	s.do(t, book.Adopt{By: "op"})
	label := fabric.TurnoverLabel("roce", site.RoCE, n).Value
	s.do(t, book.ReportFound{Fabric: "roce", Labels: []book.FoundNoted{{Label: label, Nodes: site.SetOf(waiting).String(), Ports: 8}}})
	if s.Kept.Has(n) || s.Wants(n).Owner == "" || !s.Kept.Has(waiting) {
		t.Errorf("kept are %s; node %d is delivered and wants %+v", s.Kept, n, s.Wants(n))
	}
}

func TestFoundRefuses(t *testing.T) {
	report := func(fabricID string, l book.FoundNoted) func(*stage) book.Command {
		return func(s *stage) book.Command {
			s.do(t, book.Adopt{By: "op"})
			return book.ReportFound{Fabric: fabricID, Labels: []book.FoundNoted{l}}
		}
	}
	take := func(by book.Actor, label uint32, reason string, managed bool) func(*stage) book.Command {
		return func(s *stage) book.Command {
			s.found(t)
			if managed {
				s.do(t, book.Manage{By: second, Reason: "x"})
			}
			return book.TakeOver{Fabric: "roce", Label: label, By: by, Reason: reason}
		}
	}
	refuseAll(t, []refused{
		{"not adopted", atSite, func(*stage) book.Command { return book.ReportFound{Fabric: "roce"} }, "site", "not adopted"},
		{"no such fabric", atSite, report("x", book.FoundNoted{Label: 5000, Nodes: "0"}), "label", "no fabric"},
		{"no such node", atSite, report("roce", book.FoundNoted{Label: 5000, Nodes: "64"}), "label", "below 64"},
		{"no label", atSite, report("roce", book.FoundNoted{Nodes: "0"}), "label", "expected 1 to"},
		{"a label of a project", atRunning, func(s *stage) book.Command {
			l, _ := s.LeaseByID("flagship/t1")
			own, _ := s.Labels["roce"].ValueOf(book.ProjectOwner(l.Tenant, l.Project))
			return report("roce", book.FoundNoted{Label: own.Value, Nodes: "0"})(s)
		}, "label", "is of project/"},
		{"a node that is ours", atRunning, report("roce", book.FoundNoted{Label: 5000, Nodes: "0"}), "label", "this ledger's doing"},
		{"taken by an operator", atSite, take(operator, 5000, "x", true), "by", "an approver takes nodes over"},
		{"taken while it is only observed", atSite, take(second, 5000, "x", false), "site", "only observed"},
		{"taken without a reason", atSite, take(second, 5000, "", true), "reason", "loses them"},
		{"another label", atSite, take(second, 6000, "x", true), "label", "no such label"},
		{"commissioned", atSite, func(s *stage) book.Command {
			s.found(t)
			return book.Commission{Nodes: []site.Index{1}}
		}, "node", "kept as it was found"},
	})
}

func TestFoundFolds(t *testing.T) {
	s := on(t, atSite)
	s.found(t)
	snapshot, err := s.Snapshot()
	must(t, err)
	again, err := book.Restore(snapshot, s.bodies)
	must(t, err)
	if hashOf(t, again) != hashOf(t, s.State) || !again.Kept.Equal(s.Kept) {
		t.Errorf("a snapshot comes back with %s kept, expected %s", again.Kept, s.Kept)
	}
}
