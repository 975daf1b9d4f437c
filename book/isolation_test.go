package book_test

import (
	"strings"
	"testing"

	"bulkhead/book"
	"bulkhead/fabric"
	"bulkhead/lease"
	"bulkhead/node"
	"bulkhead/site"
)

// drift is a drift of ports of the fabric of the first of them.
func drift(ports ...site.Port) book.ReportDrift {
	d := book.ReportDrift{Fabric: "roce", Evidence: []byte("{}")}
	for _, p := range ports {
		d.Ports = append(d.Ports, book.PortFinding{Port: p, Check: "foreign-label"})
	}
	return d
}

func TestIsolationRefuses(t *testing.T) {
	refuseAll(t, []refused{
		{"a drift of nothing", atRunning, func(*stage) book.Command { return book.ReportDrift{} }, "", ""},
		{"nothing locked", atRunning, func(*stage) book.Command { return book.ReportLocked{} }, "", ""},
		{"restored without a drift", atRunning, func(*stage) book.Command {
			return book.ReportRestored{Fabric: "roce", Ports: []book.PortFinding{{Port: 3}}}
		}, "", ""},
		{"unread again", atUnread, func(s *stage) book.Command {
			for leaf := range s.Unread {
				return book.ReportUnread{Leaves: []site.Leaf{leaf}}
			}
			return nil
		}, "", ""},
		{"readable and never unread", atRunning, func(*stage) book.Command {
			return book.ReportUnread{Leaves: []site.Leaf{0}, Readable: true}
		}, "", ""},
		{"a label in no fabric", atRunning, func(*stage) book.Command { return book.FreeLabel{Label: fabric.Label{Fabric: "x"}} }, "label", "no fabric"},
		{"a label that nobody has", atRunning, func(*stage) book.Command {
			return book.FreeLabel{Label: fabric.Label{Fabric: "roce", Value: 9999}}
		}, "", ""},
	})
}

// A drift is told to the tenant that it concerns and to nobody else, and stops
// being billed as up.
func TestDrift(t *testing.T) {
	s := on(t, atRunning)
	a, b := s.up("flagship/t1"), s.up("research/r1")
	l, other := s.LeaseOn(a), s.LeaseOn(b)
	billed := len(l.Events)
	got := kinds(s.do(t, drift(site.PortOf(a, 3), site.PortOf(a, 4), site.PortOf(b, 3))))
	want := "site fabric.drifted/1, tenant/flagship fabric.drifted/1, tenant/research fabric.drifted/1, tenant/flagship lease.slots/1, tenant/research lease.slots/1"
	if got != want {
		t.Errorf("a drift is %s, expected %s", got, want)
	}
	if s.Nodes.Exposed[a] != 2 || s.Nodes.Exposed[b] != 1 || len(s.Drifted) != 3 || !l.Dirty || !other.Dirty {
		t.Errorf("exposed %d and %d, %d ports", s.Nodes.Exposed[a], s.Nodes.Exposed[b], len(s.Drifted))
	}
	if e := l.Events[len(l.Events)-1]; len(l.Events) != billed+1 || e.State != "isolation-unproven" {
		t.Errorf("billed %+v", e)
	}
	lock := book.ReportLocked{Fabric: "roce", Ports: []book.PortFinding{{Port: site.PortOf(a, 3)}}}
	if got := kinds(s.do(t, lock)); got != "site fabric.locked/1, tenant/flagship fabric.locked/1" {
		t.Errorf("a lockdown is %s", got)
	}
	if s.Drifted[site.PortOf(a, 3)].State != book.DriftClosed || s.Drifted[site.PortOf(a, 4)].State == book.DriftClosed {
		t.Errorf("locks %v", s.Drifted)
	}
	restored := func(p ...site.Port) book.ReportRestored {
		return book.ReportRestored{Fabric: "roce", Ports: drift(p...).Ports}
	}
	if e := l.Events[len(l.Events)-1]; e.Ports != (lease.Ports{Owner: 2}) {
		t.Errorf("two red ports are billed as %+v", e.Ports)
	}
	// One port of two: the node is exposed still, by half.
	if got := kinds(s.do(t, restored(site.PortOf(a, 3), site.PortOf(a, 8)))); got != "site fabric.restored/1, tenant/flagship fabric.restored/1, tenant/flagship lease.slots/1" {
		t.Errorf("half a restoration is %s", got)
	}
	if e := l.Events[len(l.Events)-1]; e.State != "isolation-unproven" || e.Ports != (lease.Ports{Owner: 1}) {
		t.Errorf("half a restoration is billed as %+v", e)
	}
	if got := kinds(s.do(t, restored(site.PortOf(a, 4)))); got != "site fabric.restored/1, tenant/flagship fabric.restored/1, tenant/flagship lease.slots/1" {
		t.Errorf("a restoration is %s", got)
	}
	if e := l.Events[len(l.Events)-1]; e.State != "up" || s.Nodes.Exposed[a] != 0 || len(s.Drifted) != 1 {
		t.Errorf("billed %+v, exposed %d", e, s.Nodes.Exposed[a])
	}
	// What can't be is not folded: a port that drifts twice, one restored that had
	// not drifted.
	notes := []fabric.PortNote{{Port: uint32(site.PortOf(b, 3)), Node: s.id(b), NIC: 3, Check: "foreign-label"}}
	if err := on(t, atRunning).apply(book.SiteScope, fabric.KindRestored, fabric.Restored{Fabric: "roce", Ports: notes}); err == nil {
		t.Error("a port was restored that had not drifted")
	}
	if err := s.apply(book.SiteScope, fabric.KindDrifted, fabric.Drifted{Fabric: "roce", Ports: notes}); err == nil {
		t.Error("a port drifted twice")
	}
}

// A drift of a node that nobody has concerns the site alone.
func TestDriftOfASpare(t *testing.T) {
	s := on(t, atRunning)
	if got := kinds(s.do(t, drift(site.PortOf(s.spare(), 0)))); got != "site fabric.drifted/1" {
		t.Errorf("it is %s", got)
	}
}

func TestUnreadLeaf(t *testing.T) {
	s := on(t, atRunning)
	n := s.up("flagship/t1")
	l, leaf := s.LeaseOn(n), s.Site.LeafOf(site.PortOf(n, 2))
	got := kinds(s.do(t, book.ReportUnread{Leaves: []site.Leaf{leaf}, Reason: "no answer"}))
	if !strings.HasPrefix(got, "site fabric.unread/1, tenant/flagship fabric.unread/1") || !strings.Contains(got, "tenant/flagship lease.slots/1") {
		t.Errorf("an unread leaf is %s", got)
	}
	if s.Nodes.Exposed[n] != 1 || !s.Unread[leaf].Equal(s.now) || l.Events[len(l.Events)-1].State != "isolation-unproven" {
		t.Errorf("exposed %d", s.Nodes.Exposed[n])
	}
	if len(s.Drifted) != 0 {
		t.Error("unknown ports are locked down")
	}
	s.do(t, book.ReportUnread{Leaves: []site.Leaf{leaf}, Readable: true})
	if s.Nodes.Exposed[n] != 0 || len(s.Unread) != 0 || l.Events[len(l.Events)-1].State != "up" {
		t.Errorf("exposed %d", s.Nodes.Exposed[n])
	}
	body := fabric.Unread{Fabric: "roce", Leaf: s.Site.LeafID(leaf)}
	if err := s.apply(book.SiteScope, fabric.KindReread, body); err == nil {
		t.Error("a leaf was read again that had not been unread")
	}
	s = on(t, atRunning)
	body.Leaf = "x"
	if err := s.apply(book.SiteScope, fabric.KindUnread, body); err == nil {
		t.Error("a leaf that is none was unread")
	}
}

// Labels are folded as they were decided, or not at all.
func TestLabelsFold(t *testing.T) {
	for name, b := range map[string]fabric.Labelled{
		"no fabric":       {Owner: "project/x/y", Label: fabric.Label{Fabric: "x"}, Action: "assigned"},
		"another value":   {Owner: "project/x/y", Label: fabric.Label{Fabric: "roce", Kind: fabric.VNI, Value: 77}, Action: "assigned"},
		"no owner's":      {Owner: "project/x/y", Label: fabric.Label{Fabric: "roce"}, Action: "released"},
		"not cooled down": {Label: fabric.Label{Fabric: "roce", Value: 77}, Action: "freed"},
		"no action":       {Owner: "project/x/y", Label: fabric.Label{Fabric: "roce"}, Action: "painted"},
	} {
		if err := on(t, atRunning).apply(book.SiteScope, fabric.KindLabelled, b); err == nil {
			t.Errorf("%s: it was folded", name)
		}
	}
}

func TestWants(t *testing.T) {
	for name, c := range map[string]struct {
		at   moment
		node func(s *stage) site.Index
		want func(s *stage, n site.Index) book.Wanted
	}{
		"delivered": {atRunning, func(s *stage) site.Index { return s.up("flagship/t1") }, func(s *stage, n site.Index) book.Wanted {
			return book.Wanted{Owner: "project/flagship/train", Holder: s.HolderOf("project/flagship/train")}
		}},
		"reserved": {atReserved, func(s *stage) site.Index { return s.first(node.Reserved) }, func(s *stage, n site.Index) book.Wanted {
			l := s.LeaseOn(n)
			return book.Wanted{Owner: book.ProjectOwner(l.Tenant, l.Project), Holder: s.HolderOf(book.ProjectOwner(l.Tenant, l.Project))}
		}},
		"ready": {atRunning, func(s *stage) site.Index { return s.spare() }, func(*stage, site.Index) book.Wanted {
			return book.Wanted{Owner: fabric.Quarantine, Holder: book.QuarantineHolder}
		}},
		"not in service": {atRunning, func(s *stage) site.Index { return s.first(node.Discovered) }, func(*stage, site.Index) book.Wanted {
			return book.Wanted{Owner: fabric.Quarantine, Holder: book.QuarantineHolder}
		}},
		"in turnover": {atTurnover, func(s *stage) site.Index { return s.first(node.Commissioning) }, func(s *stage, n site.Index) book.Wanted {
			return book.Wanted{Owner: fabric.TurnoverOwner(s.id(n)), Holder: s.HolderOf(fabric.TurnoverOwner(s.id(n)))}
		}},
	} {
		s := on(t, c.at)
		n := c.node(s)
		if got, want := s.Wants(n), c.want(s, n); got != want || got.Holder == book.NoHolder {
			t.Errorf("%s: %+v, expected %+v", name, got, want)
		}
		label, ok := s.Label(s.Site.FabricOf(site.PortOf(n, 0)), n, s.Wants(n).Owner)
		if !ok || label.Value == 0 {
			t.Errorf("%s: no label", name)
		}
	}
	s := on(t, atRunning)
	if s.HolderOf("turnover/none") != book.NoHolder || s.HolderOf("project/none/none") != book.NoHolder || s.HolderOf(fabric.Quarantine) != book.QuarantineHolder {
		t.Error("somebody holds what is nobody's")
	}
	if _, ok := s.Label(0, 0, ""); ok {
		t.Error("nobody has a label")
	}
	// No two projects, and no project and turnover, have one number.
	seen := map[book.HolderNumber]fabric.Owner{}
	for _, owner := range []fabric.Owner{"project/flagship/train", "project/tidewater/forecast", fabric.TurnoverOwner(s.id(0)), fabric.TurnoverOwner(s.id(1)), fabric.Quarantine} {
		if other, twice := seen[s.HolderOf(owner)]; twice {
			t.Errorf("%s and %s have one number", owner, other)
		}
		seen[s.HolderOf(owner)] = owner
	}
}
