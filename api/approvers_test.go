package api

import (
	"slices"
	"testing"
)

// TestWhatASecondPersonDoes: what only an approver may call is what needs an
// approver's signature (the book's table), and the keys themselves.
func TestWhatASecondPersonDoes(t *testing.T) {
	var found []string
	for method, rule := range policy {
		if slices.Equal(rule.roles, []Role{Approver}) {
			found = append(found, method)
		}
	}
	slices.Sort(found)
	want := []string{"AcceptDefrag", "ConfirmClock", "ManageSite", "OfferSitting", "RegisterApprover", "ReleaseBrake", "RevokeApprover", "TakeOver"}
	if !slices.Equal(found, want) {
		t.Errorf("an approver alone may call %v; book.secondPerson and its verbs know %v: add what is new to both", found, want)
	}
}
