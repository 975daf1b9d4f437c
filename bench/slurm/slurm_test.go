package slurm

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"bulkhead/bench/sites"
)

func TestTopologyNamesEveryNodeOnce(t *testing.T) {
	tree := sites.NewTree("test", 2, 2, 150)
	want := `SwitchName=su0 Nodes=n[0-63]
SwitchName=su1 Nodes=n[64-127]
SwitchName=su2 Nodes=n[128-149]
SwitchName=pod0 Switches=su[0-2]
`
	if got := topology(tree, false); !strings.HasPrefix(got, want) || !strings.HasSuffix(got, "SwitchName=hall1 Switches=pod[2-3]\nSwitchName=site Switches=hall[0-1]\n") {
		t.Errorf("topology.conf begins or ends otherwise:\n%s", got)
	}
	if got := topology(tree, true); !strings.Contains(got, "SwitchName=su2r2 Nodes=n[144-149]\nSwitchName=su2 Switches=su2r[0-2]\n") {
		t.Errorf("racks are not in:\n%s", got)
	}
}

func TestHostLists(t *testing.T) {
	var nodes []int32
	for n := int32(0); n < 50_000; n += 2 {
		nodes = append(nodes, n)
	}
	var back []int32
	for _, list := range hostLists(nodes) {
		if len(list) > 131_000 {
			t.Errorf("%d bytes do not fit an argument", len(list))
		}
		part, err := parseHosts(list)
		if err != nil {
			t.Fatal(err)
		}
		back = append(back, part...)
	}
	if !slices.Equal(nodes, back) {
		t.Error("the nodes read back are others")
	}
	if one, err := parseHosts("n17"); err != nil || !slices.Equal(one, []int32{17}) {
		t.Errorf("n17: %v, %v", one, err)
	}
}

func TestRealSlurmPlacesOnFreeNodes(t *testing.T) {
	if testing.Short() {
		t.Skip("needs a slurmctld; left out of the short run")
	}
	tree := sites.NewTree("test", 2, 2, 150)
	s, err := Start(t.TempDir(), tree, false)
	if errors.Is(err, ErrMissing) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}()
	for seed, percent := range []int{50, 75, 0, 25} {
		o := sites.Occupy(tree, percent, uint64(seed))
		if err := s.Occupy(o); err != nil {
			t.Fatal(err)
		}
		asked := o.FreeNodes() // all of them: one that is wrongly up or down shows
		d, err := s.Place(asked)
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
	}
}
