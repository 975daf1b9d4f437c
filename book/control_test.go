package book_test

import (
	"errors"
	"testing"
	"time"

	"bulkhead/book"
	"bulkhead/node"
	"bulkhead/site"
)

var (
	operator = book.Actor{Subject: "operator on duty", Role: "operator"}
	approver = book.Actor{Subject: "approver on duty", Role: "approver"}
)

func TestControlRefuses(t *testing.T) {
	refuseAll(t, []refused{
		{"a clock behind the ledger", atSite, func(s *stage) book.Command { s.later(-time.Second); return book.BeginTerm{} }, "time", "set the clock right"},
		{"a pause of no hall", atSite, func(*stage) book.Command { return book.PauseLoop{Hall: "hall-z"} }, "hall", `no hall "hall-z"`},
		{"a pause of a hall before there is one", atNothing, func(*stage) book.Command { return book.PauseLoop{Hall: "hall-a"} }, "hall", "no hall"},
		{"resumed and not paused", atSite, func(*stage) book.Command { return book.ResumeLoop{} }, "", ""},
		{"a second brake", atBrake, func(*stage) book.Command { return book.EngageBrake{} }, "", ""},
		{"released and not engaged", atSite, func(*stage) book.Command { return book.ReleaseBrake{By: approver, Reason: "x"} }, "brake", "not engaged"},
		{"released by an operator", atBrake, func(*stage) book.Command { return book.ReleaseBrake{By: operator, Reason: "x"} }, "brake", "role approver"},
		{"released by who made it stop", atBrake, func(s *stage) book.Command {
			return book.ReleaseBrake{By: book.Actor{Subject: s.Control.Brake.Trigger.Subject, Role: "approver"}, Reason: "x"}
		}, "brake", "a second person"},
		{"released without a reason", atBrake, func(*stage) book.Command { return book.ReleaseBrake{By: approver} }, "reason", "why it is safe"},
		{"the same key again", atSite, func(s *stage) book.Command {
			for purpose, id := range s.Control.Keys {
				return book.RecordKey{Purpose: purpose, KeyID: id}
			}
			return nil
		}, "", ""},
		{"adopted again", atEnd, func(*stage) book.Command { return book.Adopt{} }, "", ""},
	})
}

func TestPause(t *testing.T) {
	s := on(t, atRunning)
	s.do(t, book.PauseLoop{Hall: "hall-a", By: "op", Reason: "power"})
	if p := s.Control.Paused["hall-a"]; p != (book.Pause{By: "op", Reason: "power", Since: s.now}) {
		t.Errorf("paused %+v", p)
	}
	if !s.PausedAt("hall-a") || s.PausedAt("hall-b") || s.PausedAt("") {
		t.Error("another hall is paused")
	}
	if _, err := s.decide(t, book.PauseLoop{Hall: "hall-a"}); !errors.Is(err, book.ErrNothing) {
		t.Error(err)
	}
	s.do(t, book.PauseLoop{By: "op", Reason: "all of it"})
	if !s.PausedAt("hall-b") {
		t.Error("a pause of everything leaves a hall out")
	}
	p := book.Next(s.State, blind{s.State}, s.now)
	if !p.Empty() || len(p.Deferred) != 1 {
		t.Errorf("the loop is paused and plans %+v", p)
	}
	s.do(t, book.ResumeLoop{By: "op"})
	for _, w := range book.Next(s.State, blind{s.State}, s.now).Ports {
		if h := s.Site.Halls[s.Site.HallOf(w.Port.Node())].ID; h == "hall-a" {
			t.Fatalf("a port of %s is written, which is paused", h)
		}
	}
	s.do(t, book.ResumeLoop{Hall: "hall-a", By: "op"})
	if s.PausedAt("hall-a") {
		t.Error("it is paused still")
	}
}

func TestTerm(t *testing.T) {
	s := on(t, atNothing)
	for term := uint64(1); term < 4; term++ {
		s.do(t, book.BeginTerm{Writer: "w"})
		if s.Term != term {
			t.Errorf("term %d, expected %d", s.Term, term)
		}
	}
}

func TestBudgetOfTheBrake(t *testing.T) {
	s := on(t, atRunning)
	all := s.Policy.Brake.Ports
	if got := s.Budget("lockdown", s.now); got != all {
		t.Fatalf("budget %d, the policy says %d", got, all)
	}
	n := s.up("flagship/t1")
	var ports []book.PortFinding
	for nic := range site.NICs {
		ports = append(ports, book.PortFinding{Port: site.PortOf(n, nic), Check: "foreign-label"})
	}
	s.do(t, book.ReportDrift{Fabric: "roce", Ports: ports, Evidence: []byte("{}")})
	s.do(t, book.ReportLocked{Fabric: "roce", Ports: ports})
	if got := s.Budget("lockdown", s.now); got != max(all-len(ports), 0) {
		t.Errorf("budget %d after %d of %d", got, len(ports), all)
	}
	if got := s.Budget(book.CauseReplacement, s.now); got != all {
		t.Errorf("another cause has %d left", got)
	}
	if got := s.Budget("lockdown", s.now.Add(s.Policy.Brake.Window)); got != all {
		t.Errorf("budget %d after the window, expected all %d", got, all)
	}
	// What has left the window is forgotten.
	if len(s.Control.Acts) != 1 || s.Control.Acts[0].Count != len(ports) {
		t.Errorf("acts %+v", s.Control.Acts)
	}
	s.later(s.Policy.Brake.Window)
	s.do(t, book.ReportLocked{Fabric: "roce", Ports: ports[:1]})
	if len(s.Control.Acts) != 1 || s.Control.Acts[0].Count != 1 {
		t.Errorf("acts %+v", s.Control.Acts)
	}
	s.do(t, book.EngageBrake{Cause: "lockdown", Detail: "too many", By: operator})
	if got := s.Budget(book.CauseReplacement, s.now.Add(s.Policy.Brake.Window)); got != 0 {
		t.Errorf("the brake is engaged and leaves %d", got)
	}
	if b := s.Control.Brake; b.Cause != "lockdown" || b.Trigger.Subject != operator.Subject || !b.Since.Equal(s.now) {
		t.Errorf("brake %+v", b)
	}
	s.do(t, book.ReleaseBrake{By: approver, Reason: "a false alarm"})
	if got := s.Budget("lockdown", s.now); got != all {
		t.Errorf("budget %d after the release", got)
	}
}

func TestKeysAndAdoption(t *testing.T) {
	s := on(t, atRunning)
	s.do(t, book.RecordKey{Purpose: "statement", KeyID: "another", By: "op"})
	if s.Control.Keys["statement"] != "another" {
		t.Error("the key is not named")
	}
	s.do(t, book.Adopt{By: "op", Found: "64 nodes"})
	if due := book.Due(s.State, s.now.AddDate(1, 0, 0)); due != nil {
		t.Errorf("a site that was adopted read-only has %d things due", len(due))
	}
	if p := book.Next(s.State, blind{s.State}, s.now); !p.Empty() {
		t.Errorf("a site that was adopted read-only is written to: %+v", p)
	}
	approver := book.Actor{Subject: "second person", Role: "approver"}
	for name, c := range map[string]book.Manage{
		"an operator": {By: book.Actor{Subject: "op", Role: "operator"}, Reason: "x"}, "no reason": {By: approver},
	} {
		if _, err := book.Decide(s.State, c, book.Env{Now: s.now}); err == nil {
			t.Errorf("%s ends the adoption", name)
		}
	}
	s.do(t, book.Manage{By: approver, Reason: "what was found is what is wanted"})
	if s.Control.Adopted || len(book.Due(s.State, s.now.AddDate(1, 0, 0))) == 0 {
		t.Error("the adoption was ended, and nothing is due")
	}
}

func TestIfUnmoved(t *testing.T) {
	s := on(t, atRunning)
	n := s.up("flagship/t1")
	cordon := book.Cordon{Node: s.id(n), Reason: "x", By: "op"}
	is := uint64(s.Nodes.Seq[n])
	for name, c := range map[string]struct {
		command     book.IfUnmoved
		field, says string
	}{
		"a node that is none":     {book.IfUnmoved{Node: "n", Command: cordon}, "node", "no node of this id"},
		"a node that has moved":   {book.IfUnmoved{Node: s.id(n), Generation: is - 1, Command: cordon}, "if_generation", "look at it again"},
		"a node still to come on": {book.IfUnmoved{Node: s.id(n), Generation: is + 1, Command: cordon}, "if_generation", "look at it again"},
	} {
		var r *book.Refusal
		if _, err := s.decide(t, c.command); !errors.As(err, &r) || r.Field != c.field {
			t.Errorf("%s: %v", name, err)
		}
	}
	s.do(t, book.IfUnmoved{Node: s.id(n), Generation: is, Command: cordon})
	if !s.Nodes.Cordoned[n] || s.Nodes.State[n] != node.Delivered {
		t.Error("it is not cordoned")
	}
}
