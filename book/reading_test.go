package book

import (
	"reflect"
	"testing"
)

// notRead is what the copy for planning leaves out, with why planning does not ask
// for it. Whatever is added to the state is copied, or is named here.
var notRead = map[string]string{
	"Scopes": "where entries go", "Staged": "no part of the site yet", "Labels": "given when a lease is bound", "Volumes": "the loop's", "Postures": "of the day of the hand-over",
	"Placements": "bodies of certificates", "projects": "numbers for the prover", "Unserved": "what is told of a search", "Drifted": "billed, and no reason not to sell",
	"Unread": "billed, and no reason not to sell", "Silent": "billed, and no reason not to sell", "Invoices": "past", "Disputes": "past", "Notes": "past", "Found": "Kept is what follows from it",
	"Control": "the loop's", "Commands": "the writer's", "rebooked": "for the invariants", "Stays": "the loop's: planning replaces nothing",
	"Tokens": "of who calls", "Approvers": "of who calls",
}

var notReadOfNodes = map[string]string{
	"Since": "the loop's", "Seq": "the writer's", "Turnover": "the loop's", "Attempt": "the loop's", "Begun": "the loop's", "Waiting": "the loop's", "Exposed": "billed", "Unclear": "billed", "Forged": "billed",
	"Statement": "evidence", "Asked": "evidence", "WipeAsked": "evidence", "Wiped": "evidence",
}

// TestReadingHasWhatPlanningReads: a field that a copy forgets is a rule that planning
// breaks: it offered nodes that were kept as they were found, and none of its quotes was taken.
func TestReadingHasWhatPlanningReads(t *testing.T) {
	s := New()
	s.Nodes.State = append(s.Nodes.State, 0) // columns of one node
	columns := reflect.ValueOf(&s.Nodes).Elem()
	for i := range columns.NumField() {
		if f := columns.Field(i); f.Kind() == reflect.Slice && f.Len() == 0 {
			f.Set(reflect.MakeSlice(f.Type(), 1, 1))
		}
	}
	s.Seq, s.Term = 1, 1
	s.Time = s.Time.AddDate(2026, 0, 0)
	compare(t, reflect.ValueOf(*s), reflect.ValueOf(*s.Reading()), notRead)
	compare(t, reflect.ValueOf(s.Nodes), reflect.ValueOf(s.Reading().Nodes), notReadOfNodes)
}

func compare(t *testing.T, state, reading reflect.Value, left map[string]string) {
	t.Helper()
	for i := range state.NumField() {
		name := state.Type().Field(i).Name
		_, out := left[name]
		if copied := !reading.Field(i).IsZero(); !state.Field(i).IsZero() && copied == out {
			t.Errorf("%s: copied %v, and left out on purpose %v", name, copied, out)
		}
		delete(left, name)
	}
	for name := range left {
		t.Errorf("%s is listed as left out, and is no field", name)
	}
}
