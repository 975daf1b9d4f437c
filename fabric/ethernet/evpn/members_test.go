package evpn_test

import (
	"net/netip"
	"testing"

	"bulkhead/fabric"
	"bulkhead/fabric/ethernet"
	"bulkhead/fabric/fabrictest"
	"bulkhead/site"
)

// TestUnlearnt: a leaf that does not flood to another of its VNI is found, also where only
// the other one has news, and is not where it has learnt of it since.
func TestUnlearnt(t *testing.T) {
	s := fabrictest.NewSite(2, 2, site.RoCE)
	d, leaves, _ := newDriver(s, 1)
	row := fabric.Compile(site.RoCE, 5001)
	set := func(l site.Leaf, of ...site.Leaf) {
		leaves[l].mu.Lock()
		defer leaves[l].mu.Unlock()
		leaves[l].deaf = map[netip.Addr]bool{}
		for _, a := range of {
			leaves[l].deaf[ethernet.VTEP(1, a)] = true
		}
	}
	// Three looks: who is in the VNI, who is missing, and still is.
	cursor := uint64(0)
	look := func() map[site.Leaf]fabric.Faults {
		found := map[site.Leaf]fabric.Faults{}
		for range 3 {
			o := observe(t, d, cursor)
			cursor = o.Cursor
			for _, dev := range o.Devices {
				r, err := ethernet.Read(s, dev.Leaf, dev.Raw)
				if err != nil {
					t.Fatal(err)
				}
				found[dev.Leaf] = r[0].Faults
			}
		}
		return found
	}
	leaves[0].put(1, row)
	leaves[1].put(1, row)
	set(0, 1)
	if f := look(); f[0] != fabric.FaultUnlearnt || f[1] != 0 {
		t.Errorf("leaf 0 does not flood to leaf 1, and the faults are %v", f)
	}

	set(0)
	leaves[0].mu.Lock()
	leaves[0].changes++
	leaves[0].mu.Unlock()
	if f := look(); len(f) != 1 || f[0] != 0 {
		t.Errorf("leaf 0 has learnt of leaf 1, and the faults are %v", f)
	}

	set(0, 2)
	leaves[2].put(1, row) // leaf 0 itself has no news
	if f := look(); f[0] != fabric.FaultUnlearnt || f[2] != 0 {
		t.Errorf("leaf 0 does not know of leaf 2, which came later, and the faults are %v", f)
	}
	leaves[2].put(1, fabric.Compile(site.RoCE, 5002))
	if f := look(); f[0] != 0 {
		t.Errorf("leaf 2 has left the VNI, and the faults are %v", f)
	}

	// Who announces a VNI and has no port of it is no member.
	leaves[3].heard.put(ethernet.VTEP(1, 3), ethernet.Route{Kind: 3, VNI: 5001, Targets: []ethernet.Target{ethernet.TargetOf(5001)}, Originator: ethernet.VTEP(1, 3)})
	set(0, 3)
	if f := look(); f[0] != 0 {
		t.Errorf("leaf 3 has no port of what it announces, and the faults are %v", f)
	}
}
