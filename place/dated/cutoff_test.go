package dated

import (
	"strings"
	"testing"

	"bulkhead/lease"
)

// TestCutOffNodesAreNotPromised: an SU of which a hermetic booking has the last
// uplink is nothing for shared links, as long as the booking lasts, and no longer.
func TestCutOffNodesAreNotPromised(t *testing.T) {
	s := grow(2, 4, 0, plot{from: on(0), pods: [][]int{{4, 4, 4}}})
	s.Shape.Spines, s.Shape.PodSUs, s.Shape.PodTaper = 4, 3, 1
	c := New(s, on(0), nil)
	for i, end := range []int{10, 20} {
		a := ask([]string{"first", "second"}[i], 6, 0, end)
		a.Links = lease.Hermetic
		p, err := c.Plan(a)
		if err != nil {
			t.Fatal(err)
		}
		slice := p.Prefixes[0].Slice
		if err := c.Promise(Booking{ID: a.Steps[0].ID, Fabric: "roce", Kind: "H100", Links: lease.Hermetic, Begin: on(0), End: on(end), Nodes: slice.Nodes, Assigned: slice.Certificate.Links}); err != nil {
			t.Fatal(err)
		}
	}
	first, _ := c.ByID("first")
	second, _ := c.ByID("second")
	if !second.Assigned.Planes[0].Rest.Has(3) {
		t.Fatalf("the second does not hold the last uplink: %s", second.Assigned.Encode())
	}
	// From the tenth day on the first one's whole SU is free, and its two nodes
	// of the other are for hermetic links only.
	if got := c.Free(on(10), on(20)).Len(); got != 4 {
		t.Errorf("%d nodes are free for shared links, expected 4", got)
	}
	if got := c.Occupancy(on(10), on(10), on(20)).Free().Len(); got != 4 {
		t.Errorf("the occupancy has %d nodes for shared links, expected 4", got)
	}
	if got := c.Free(on(20), on(30)).Len(); got != 12 {
		t.Errorf("%d nodes are free when both are over, expected all 12", got)
	}
	if _, err := c.Plan(ask("late", 5, 10, 20)); err == nil {
		t.Error("5 nodes with shared links were planned, of which one is cut off")
	}
	a := ask("again", 6, 10, 20)
	a.Links = lease.Hermetic
	if _, err := c.Plan(a); err != nil {
		t.Errorf("hermetic links would do: %v", err)
	}
	// Nor may anybody say so by himself, in either order.
	shared := Booking{ID: "shared", Fabric: "roce", Kind: "H100", Links: lease.Shared, Begin: on(12), End: on(14), Nodes: first.Nodes[4:]}
	if s.SUOf(shared.Nodes[0]) == s.SUOf(first.Nodes[0]) {
		shared.Nodes = first.Nodes[:2]
	}
	if err := c.Book(shared); err == nil || !strings.Contains(err.Error(), "last uplink") {
		t.Errorf("held without a common link: %v", err)
	}
	c.Drop("second")
	if err := c.Book(shared); err != nil {
		t.Fatal(err)
	}
	if err := c.Book(second); err == nil || !strings.Contains(err.Error(), "last uplink") {
		t.Errorf("the last uplink was taken from a lease with shared links: %v", err)
	}
}
