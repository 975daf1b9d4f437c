package book_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"bulkhead/book"
	"bulkhead/node"
	"bulkhead/site"
)

// What ends, moves, wipes, destroys, hands over, sells or bills waits while the time is
// in doubt, whoever asks for it. A command that nobody thought of waits too.
func TestWhatWaitsForACertainTime(t *testing.T) {
	s := on(t, func(s *book.State) bool { return s.Site != nil && len(s.Leases) > 0 && s.Leases[0].Delivered > 0 })
	for _, c := range []book.Command{
		book.ReturnLease{}, book.FinishReturn{}, book.Deliver{}, book.Reserve{}, book.Sever{}, book.Sanitize{}, book.Commission{}, book.BeginSteps{},
		book.SendToRepair{}, book.IssueInvoice{}, book.OfferQuote{}, book.SignQuote{}, book.LapseQuote{}, book.PerformAct{}, book.NoteLate{}, book.NoteUnserved{},
		book.ProposeReplacement{}, book.AcknowledgeReplacement{}, book.FreeLabel{}, book.RecordVerdict{}, book.ProposeDefrag{}, book.ConsentDefrag{},
		book.AcceptDefrag{}, book.EndDefrag{}, book.ImportSite{}, book.RescheduleHall{}, book.Manage{}, book.TakeOver{}, book.FileProbe{},
		book.IfUnmoved{Command: book.SendToRepair{}},
	} {
		_, err := book.Decide(s.State, c, book.Env{Now: s.now, Doubt: "the clock shows 2028"})
		var refused *book.Refusal
		if !errors.As(err, &refused) || refused.Field != "" || !strings.Contains(err.Error(), "in doubt") || !strings.Contains(err.Error(), "the clock shows 2028") {
			t.Errorf("%T while the time is in doubt: %v", c, err)
		}
	}
	for _, c := range []book.Command{book.PauseLoop{Reason: "look at it", By: "operator"}, book.Cordon{Node: s.Site.NodeID[0], Reason: "look at it", By: "operator"}} {
		if _, err := book.Decide(s.State, c, book.Env{Now: s.now, Doubt: "the clock shows 2028"}); err != nil {
			t.Errorf("%T while the time is in doubt: %v", c, err)
		}
	}
}

// A doubt that is recorded holds back what is due and every step, also for a time by which
// everything has ended; ports that differ are still written, and its end brings it all back.
func TestADoubtHoldsWhatIsDue(t *testing.T) {
	s := on(t, func(s *book.State) bool { return s.Site != nil && s.Nodes.By[node.Attesting].Len() > 0 })
	after := s.now.AddDate(20, 0, 0)
	seen := seen{pending: site.NewSet(64)}
	due, plan := book.Due(s.State, after), book.Next(s.State, seen, after)
	if len(due) == 0 || len(plan.Steps)+len(plan.Commands) == 0 {
		t.Fatalf("nothing is due in twenty years: %d commands, plan %+v", len(due), plan)
	}
	s.do(t, book.NoteClock{Machine: after, Why: "the clock shows 2046"})
	if held := book.Due(s.State, after); len(held) > 0 {
		t.Errorf("in doubt %d commands are due, the first %T", len(held), held[0])
	}
	plan = book.Next(s.State, seen, after)
	if len(plan.Steps)+len(plan.Commands)+len(plan.Volumes) > 0 || len(plan.Deferred) == 0 || !strings.Contains(plan.Deferred[0], "the clock shows 2046") {
		t.Errorf("in doubt the plan is %+v", plan)
	}
	if _, err := s.decide(t, book.NoteClock{Machine: after, Why: "still"}); !errors.Is(err, book.ErrNothing) {
		t.Errorf("a doubt that is known: %v", err)
	}
	approver := book.Actor{Subject: "approver", Role: "approver"}
	for name, c := range map[string]book.ConfirmClock{
		"an operator": {Machine: after, Said: after, By: book.Actor{Subject: "operator", Role: "operator"}, Reason: "so"},
		"no reason":   {Machine: after, Said: after, By: approver},
		"too early":   {Machine: after, Said: after.Add(-book.SaidWithin - time.Second), By: approver, Reason: "so"},
		"too late":    {Machine: after, Said: after.Add(book.SaidWithin + time.Second), By: approver, Reason: "so"},
	} {
		if _, err := s.decide(t, c); err == nil {
			t.Errorf("%s confirms the clock", name)
		}
	}
	s.do(t, book.ConfirmClock{Machine: after, Said: after.Add(time.Minute), By: approver, Reason: "the host was off"})
	if s.Control.Doubt != nil || len(book.Due(s.State, after)) != len(due) {
		t.Errorf("confirmed: doubt %+v, %d commands due, expected %d", s.Control.Doubt, len(book.Due(s.State, after)), len(due))
	}
}
