package api

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"

	"bulkhead/api/bulkheadv1"
	"bulkhead/node"
)

// tick lets the world live on.
func (w *world) tick(t *testing.T, for_ time.Duration) {
	t.Helper()
	ctx := context.Background()
	for end := w.clock.Now().Add(for_); w.clock.Now().Before(end); {
		now := w.clock.Now().Add(10 * time.Minute)
		if err := w.devices.Advance(ctx, now); err != nil {
			t.Fatal(err)
		}
		w.clock.Set(now)
		if err := w.plane.Tick(ctx); err != nil {
			t.Fatal(err)
		}
	}
}

// A lease is spread by a replacement. The owner plans, the operator proposes, the
// tenant consents, an approver accepts, and its nodes move by replacements, each
// with a question; nobody else's node moves, and no other of the lease's.
func TestDefragmentationByBothParties(t *testing.T) {
	w := newWorld(t)
	ctx := context.Background()
	operator, approver, tenant, viewer := w.client("operator"), w.client("approver"), w.client("administrator tidewater"), w.client("viewer tidewater")
	const id = "tidewater/w1"
	lease := connect.NewRequest(&bulkheadv1.LeaseRef{Lease: id})

	// Slot 0 goes to another SU, as a failure could have sent it.
	nodes, err := viewer.ListNodes(ctx, connect.NewRequest(&bulkheadv1.ListNodesRequest{}))
	if err != nil {
		t.Fatal(err)
	}
	var first *bulkheadv1.Node
	for _, n := range nodes.Msg.Nodes {
		if n.Slot == 0 {
			first = n
		}
	}
	far := ""
	ready, err := operator.ListNodes(ctx, connect.NewRequest(&bulkheadv1.ListNodesRequest{State: node.Ready.String()}))
	if err != nil {
		t.Fatal(err)
	}
	s := w.devices.Site()
	for _, n := range ready.Msg.Nodes {
		i, _ := s.Lookup(n.Id)
		if n.Lease == "" && n.Su != first.Su && n.Su[:2] == first.Su[:2] && !s.IsSpare(i) {
			far = n.Id
		}
	}
	done(t)(operator.CordonNode(ctx, connect.NewRequest(&bulkheadv1.CordonNodeRequest{CommandId: "c", Node: first.Id, Reason: "fan"})))
	done(t)(operator.ReplaceNode(ctx, connect.NewRequest(&bulkheadv1.ReplaceNodeRequest{CommandId: "r", Lease: id, Slot: 0, Node: far, Reason: "fan"})))
	done(t)(tenant.AcknowledgeReplacement(ctx, connect.NewRequest(&bulkheadv1.AcknowledgeRequest{CommandId: "a", Lease: id, Slot: 0})))
	w.tick(t, 24*time.Hour)
	l, err := tenant.GetLease(ctx, lease)
	if err != nil || l.Msg.ObservedUp != l.Msg.DesiredSlots {
		t.Fatalf("%v, %v", l, err)
	}
	spreadTime := l.Msg.Estimate.AllToAllNs

	plan, err := operator.PlanDefrag(ctx, connect.NewRequest(&bulkheadv1.PlanDefragRequest{Lease: id}))
	if err != nil || len(plan.Msg.Points) < 2 {
		t.Fatalf("plan %v, %v", plan, err)
	}
	for i, p := range plan.Msg.Points[1:] {
		before := plan.Msg.Points[i]
		if p.Moves <= before.Moves || slices.Compare([]int32{p.Halls, p.Pods, p.Sus, p.Racks}, []int32{before.Halls, before.Pods, before.Sus, before.Racks}) >= 0 {
			t.Errorf("point %v after %v", p, before)
		}
	}
	moves := plan.Msg.Points[1].Moves
	if _, err := operator.ProposeDefrag(ctx, connect.NewRequest(&bulkheadv1.ProposeDefragRequest{CommandId: "p0", Lease: id, Moves: moves})); err == nil || !strings.Contains(err.Error(), "reason") {
		t.Errorf("without a reason: %v", err)
	}
	if _, err := operator.ProposeDefrag(ctx, connect.NewRequest(&bulkheadv1.ProposeDefragRequest{CommandId: "p0", Lease: id, Moves: 100, Reason: "x"})); err == nil || !strings.Contains(err.Error(), "no line of the plan has 100 moves") {
		t.Errorf("a point that is none: %v", err)
	}
	propose := connect.NewRequest(&bulkheadv1.ProposeDefragRequest{CommandId: "p", Lease: id, Moves: moves, Reason: "closer together"})
	done(t)(operator.ProposeDefrag(ctx, propose))
	if again, err := operator.ProposeDefrag(ctx, propose); err != nil || !again.Msg.Repeated {
		t.Errorf("the same again: %v, %v", again, err)
	}
	shown, err := viewer.ShowDefrag(ctx, lease)
	if err != nil || shown.Msg.ConsentedBy != "" || len(shown.Msg.Moves) != int(moves) {
		t.Fatalf("shown %v, %v", shown, err)
	}
	if _, err := w.client("administrator flagship").ShowDefrag(ctx, lease); connect.CodeOf(err) != connect.CodeNotFound {
		t.Errorf("a rival is shown it: %v", err)
	}
	ref := func(command string) *connect.Request[bulkheadv1.DefragRef] {
		return connect.NewRequest(&bulkheadv1.DefragRef{CommandId: command, Lease: id, Proposal: shown.Msg.Proposal, Reason: "test"})
	}
	if _, err := w.client("administrator flagship").ConsentDefrag(ctx, ref("rival")); connect.CodeOf(err) != connect.CodeNotFound {
		t.Errorf("a rival consents: %v", err)
	}
	if _, err := approver.AcceptDefrag(ctx, ref("early")); err == nil || !strings.Contains(err.Error(), "has not consented") {
		t.Errorf("accepted before the tenant: %v", err)
	}
	before := slotsOf(t, tenant)
	w.tick(t, 2*time.Hour)
	if got := slotsOf(t, tenant); !slices.Equal(got, before) {
		t.Errorf("nodes moved without a yes: %v, were %v", got, before)
	}
	done(t)(tenant.ConsentDefrag(ctx, ref("yes")))
	w.tick(t, 2*time.Hour)
	if got := slotsOf(t, tenant); !slices.Equal(got, before) {
		t.Errorf("nodes moved without the owner's yes: %v, were %v", got, before)
	}
	rival := slotsOf(t, w.client("administrator flagship"))
	done(t)(approver.AcceptDefrag(ctx, ref("accept")))
	w.tick(t, 10*time.Minute)
	if asked, err := tenant.GetLease(ctx, lease); err != nil || len(asked.Msg.Replacements) == 0 {
		t.Errorf("nobody is asked: %v, %v", asked, err)
	}
	w.tick(t, 48*time.Hour)
	after := slotsOf(t, tenant)
	for slot := range after {
		i := slices.IndexFunc(shown.Msg.Moves, func(m *bulkheadv1.DefragMove) bool { return int(m.Slot) == slot })
		want := before[slot]
		if i >= 0 {
			want = shown.Msg.Moves[i].Node
		}
		if after[slot] != want {
			t.Errorf("slot %d holds %s, expected %s", slot, after[slot], want)
		}
	}
	if got := slotsOf(t, w.client("administrator flagship")); !slices.Equal(got, rival) {
		t.Errorf("the rival's nodes are %v, were %v", got, rival)
	}
	l, err = tenant.GetLease(ctx, lease)
	if err != nil || l.Msg.Defrag != nil || l.Msg.ObservedUp != l.Msg.DesiredSlots || l.Msg.Isolation != "proven" {
		t.Errorf("in the end: %v, %v", l, err)
	}
	if l.Msg.Estimate.AllToAllNs > spreadTime {
		t.Errorf("all-to-all took %d ns, takes %d", spreadTime, l.Msg.Estimate.AllToAllNs)
	}
}

// slotsOf lists the nodes of a tenant's slots, lease by lease.
func slotsOf(t *testing.T, c interface {
	ListNodes(context.Context, *connect.Request[bulkheadv1.ListNodesRequest]) (*connect.Response[bulkheadv1.Nodes], error)
}) []string {
	t.Helper()
	nodes, err := c.ListNodes(context.Background(), connect.NewRequest(&bulkheadv1.ListNodesRequest{Page: &bulkheadv1.Page{PageSize: 1000}}))
	if err != nil {
		t.Fatal(err)
	}
	held := slices.DeleteFunc(nodes.Msg.Nodes, func(n *bulkheadv1.Node) bool { return n.Lease == "" })
	slices.SortFunc(held, func(a, b *bulkheadv1.Node) int {
		if a.Lease != b.Lease {
			return strings.Compare(a.Lease, b.Lease)
		}
		return int(a.Slot) - int(b.Slot)
	})
	var out []string
	for _, n := range held {
		out = append(out, n.Id)
	}
	return out
}

func TestPlanSparesOfTheSite(t *testing.T) {
	w := newWorld(t)
	ctx := context.Background()
	plan, err := w.client("finance").PlanSpares(ctx, connect.NewRequest(&bulkheadv1.PlanSparesRequest{}))
	if err != nil || plan.Msg.SuNodes != 8 || plan.Msg.PerSuNow != 1 || plan.Msg.SparesNow != 8 || len(plan.Msg.Classes) != 4 {
		t.Fatalf("%v, %v", plan, err)
	}
	worse, err := w.client("operator").PlanSpares(ctx, connect.NewRequest(&bulkheadv1.PlanSparesRequest{SuShort: 0.01,
		Classes: []*bulkheadv1.FailureClass{{Name: "vendor", PerGpuDay: 4.7e-4, RepairSeconds: 30 * 24 * 3600}}}))
	if err != nil || worse.Msg.PerSu <= plan.Msg.PerSu {
		t.Errorf("%v, %v", worse, err)
	}
	for _, bad := range []*bulkheadv1.PlanSparesRequest{{Classes: make([]*bulkheadv1.FailureClass, 65)}, {Classes: []*bulkheadv1.FailureClass{{Name: "a\nb"}}}, {SuShort: 2}, {SuShort: -1}, {Classes: []*bulkheadv1.FailureClass{{PerGpuDay: -1}}}} {
		if _, err := w.client("operator").PlanSpares(ctx, connect.NewRequest(bad)); connect.CodeOf(err) != connect.CodeInvalidArgument {
			t.Errorf("%v: %v", bad, err)
		}
	}
}
