package linux

import (
	"net/netip"
	"os"
	"path/filepath"
	"testing"

	"bulkhead/fabric"
	"bulkhead/fabric/ethernet"
	"bulkhead/fabric/ethernet/agent"
)

// Orders that can't be kept, or that name a leaf that is not there, change nothing: when
// they are given again they are kept.
func TestOrdersCountOnceTheyAreKept(t *testing.T) {
	leaf, stranger := netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("10.0.0.9")
	state := t.TempDir()
	fence, err := agent.OpenFence(state)
	if err != nil {
		t.Fatal(err)
	}
	r := &Reflector{conf: &ReflectorConfig{Leaves: []netip.Addr{leaf}, State: state, PathSpace: "nosuch"}, fence: fence, orders: ethernet.Orders{}}
	order := ethernet.Orders{leaf: {1: {4097}}}
	inTheWay := filepath.Join(state, ordersFile)
	if err := os.MkdirAll(filepath.Join(inTheWay, "x"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := r.Allow(t.Context(), order, false, fabric.Fence{}); err == nil || len(r.ordered(leaf)) > 0 {
		t.Errorf("orders that could not be kept count: %v, error %v", r.orders, err)
	}
	if err := os.RemoveAll(inTheWay); err != nil {
		t.Fatal(err)
	}
	both := ethernet.Orders{leaf: {1: {4097}}, stranger: {1: {4098}}}
	for range 8 { // maps have no order
		if err := r.Allow(t.Context(), both, false, fabric.Fence{}); err == nil || len(r.ordered(leaf)) > 0 {
			t.Errorf("half of the orders count: %v, error %v", r.orders, err)
		}
	}
	_ = r.Allow(t.Context(), order, false, fabric.Fence{}) // there may be no FRR here to tell
	if kept, err := os.ReadFile(inTheWay); err != nil || len(r.ordered(leaf)) != 1 || len(kept) < 10 {
		t.Errorf("given again they are not kept: %q, %v, error %v", kept, r.orders, err)
	}
}
