package api

import "testing"

// TestWhoMayIsSaid: who is refused learns which token to take, and of the other party's
// roles no more than that it is theirs.
func TestWhoMayIsSaid(t *testing.T) {
	for _, c := range []struct {
		role   Role
		method string
		want   string
	}{
		{Operator, "ReleaseBrake", ": approver may"},
		{Operator, "GetInvoice", ": finance and auditor may"},
		{Administrator, "ShowPlan", ": only the owner's roles may"},
		{Operator, "RegisterTenantKey", ": only a tenant's roles may"},
		{Operator, "NoSuchMethod", ""},
	} {
		if got := whoMay(c.role, c.method); got != c.want {
			t.Errorf("%s of %s: %q, expected %q", c.method, c.role, got, c.want)
		}
	}
}
