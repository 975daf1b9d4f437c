package kueue

import (
	"testing"

	"bulkhead/bench/sites"
)

func TestKueuePlacesOnFreeNodes(t *testing.T) {
	tree := sites.NewTree("test", 2, 2, 150)
	k, err := New(tree)
	if err != nil {
		t.Fatal(err)
	}
	for seed, percent := range []int{50, 75, 0, 25} {
		o := sites.Occupy(tree, percent, uint64(seed))
		if err := k.Occupy(o); err != nil {
			t.Fatal(err)
		}
		asked := o.FreeNodes()
		d, err := k.Place(asked)
		if err != nil {
			t.Fatal(err)
		}
		if len(d.Nodes) != asked || d.Search <= 0 || d.Whole < d.Search {
			t.Fatalf("%d nodes for %d asked, search %s of %s", len(d.Nodes), asked, d.Search, d.Whole)
		}
		for _, n := range d.Nodes {
			if o.Holder[n] != sites.Free {
				t.Fatalf("node %d is not free", n)
			}
		}
		if _, err := k.Place(asked + 1); err == nil {
			t.Fatal("more than all nodes were placed")
		}
	}
}

// A rack that holds the whole ask is found: the levels are understood.
func TestKueueStaysInARack(t *testing.T) {
	tree := sites.NewTree("test", 2, 2, 150)
	k, err := New(tree)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ asked, sus int }{{8, 1}, {64, 1}, {128, 2}} {
		d, err := k.Place(c.asked)
		if err != nil {
			t.Fatal(err)
		}
		in := map[int32]bool{}
		for _, n := range d.Nodes {
			in[tree.SU[n]] = true
		}
		if len(in) != c.sus {
			t.Errorf("%d nodes touch %d SUs, expected %d", c.asked, len(in), c.sus)
		}
	}
}
