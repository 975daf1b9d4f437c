package api

import (
	"context"
	"slices"
	"strings"
	"testing"

	"connectrpc.com/connect"

	"bulkhead/api/bulkheadv1"
	"bulkhead/contract"
)

// TestActsOverTheAPI: the roles of the table are the API's, an act is shown before it is
// done, and unconfirmed it is done by nobody.
func TestActsOverTheAPI(t *testing.T) {
	if Role(contract.RoleFinance) != Finance || Role(contract.RoleAdministrator) != Administrator {
		t.Fatal("the table of acts names roles that the API has not")
	}
	for _, method := range []string{"PreviewAct", "PerformAct"} {
		if roles := policy[method].roles; len(roles) != 2 || !slices.Contains(roles, Finance) || !slices.Contains(roles, Administrator) {
			t.Errorf("%s is for %v", method, roles)
		}
	}
	if roles := policy["DisputeLine"].roles; !slices.Equal(roles, []Role{Administrator}) {
		t.Errorf("DisputeLine is for %v", roles)
	}
	if roles := policy["SettleDispute"].roles; !slices.Equal(roles, []Role{Finance}) {
		t.Errorf("SettleDispute is for %v", roles)
	}
	w := newWorld(t)
	ctx := context.Background()
	tenant, finance := w.client("administrator tidewater"), w.client("finance")
	listed, err := tenant.ListActs(ctx, connect.NewRequest(&bulkheadv1.ContractRef{Contract: "tidewater"}))
	if err != nil || len(listed.Msg.Acts) != len(contract.Acts()) {
		t.Fatalf("%v, %v", listed, err)
	}
	for _, a := range listed.Msg.Acts {
		if a.Yours != slices.Contains(a.Parties, contract.Tenant) {
			t.Errorf("%s: yours is %t of %v", a.Act, a.Yours, a.Parties)
		}
	}
	act := &bulkheadv1.ActRequest{CommandId: "n", Contract: "tidewater", Act: "notice"}
	if _, err := tenant.PerformAct(ctx, connect.NewRequest(act)); err == nil || !strings.Contains(err.Error(), "can't be taken back") {
		t.Errorf("unconfirmed: %v", err)
	}
	late := &bulkheadv1.ActRequest{CommandId: "l", Contract: "tidewater", Act: "terminate-late"}
	if _, err := finance.PreviewAct(ctx, connect.NewRequest(late)); err == nil || !strings.Contains(err.Error(), "to the tenant only") {
		t.Errorf("the owner leaves what is late: %v", err)
	}
	if shown, err := tenant.PreviewAct(ctx, connect.NewRequest(late)); err == nil || !strings.Contains(err.Error(), "nothing of contract tidewater is late") || connect.CodeOf(err) != connect.CodeInvalidArgument {
		t.Errorf("all has come, and the tenant leaves what is late: %v, %v", shown, err)
	}
	shown, err := tenant.PreviewAct(ctx, connect.NewRequest(act))
	if err != nil || !strings.Contains(shown.Msg.Text, "paid back") || shown.Msg.Refund == "" {
		t.Fatalf("%v, %v", shown, err)
	}
	theirs, err := finance.PreviewAct(ctx, connect.NewRequest(&bulkheadv1.ActRequest{Contract: "tidewater", Act: "notice"}))
	if err != nil || theirs.Msg.Digest == shown.Msg.Digest {
		t.Errorf("the owner's notice is confirmed by the same digest: %v", err)
	}
	act.Confirmed = theirs.Msg.Digest
	if _, err := tenant.PerformAct(ctx, connect.NewRequest(act)); err == nil || !strings.Contains(err.Error(), "look at it again") {
		t.Errorf("confirmed by another's digest: %v", err)
	}
	act.Confirmed = shown.Msg.Digest
	if _, err := tenant.PerformAct(ctx, connect.NewRequest(act)); err != nil {
		t.Error(err)
	}
}
