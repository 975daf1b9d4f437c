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
	faults := func(o fabric.Observation) map[site.Leaf]fabric.Faults {
		found := map[site.Leaf]fabric.Faults{}
		for _, dev := range o.Devices {
			r, err := ethernet.Read(s, dev.Leaf, dev.Raw)
			if err != nil {
				t.Fatal(err)
			}
			found[dev.Leaf] = r[0].Faults
		}
		return found
	}
	leaves[0].put(1, row)
	leaves[1].put(1, row)
	set(0, 1)
	o := observe(t, d, 0)
	if f := faults(o); f[0] != fabric.FaultUnlearnt || f[1] != 0 {
		t.Errorf("leaf 0 does not flood to leaf 1, and the faults are %v", f)
	}

	set(0)
	leaves[0].mu.Lock()
	leaves[0].changes++
	leaves[0].mu.Unlock()
	o = observe(t, d, o.Cursor)
	if f := faults(o); len(f) != 1 || f[0] != 0 {
		t.Errorf("leaf 0 has learnt of leaf 1, and the faults are %v", f)
	}

	set(0, 2)
	leaves[2].put(1, row) // leaf 0 itself has no news
	o = observe(t, d, o.Cursor)
	if f := faults(o); f[0] != fabric.FaultUnlearnt || f[2] != 0 {
		t.Errorf("leaf 0 does not know of leaf 2, which came later, and the faults are %v", f)
	}
	leaves[2].put(1, fabric.Compile(site.RoCE, 5002))
	o = observe(t, d, o.Cursor)
	if f := faults(o); f[0] != 0 {
		t.Errorf("leaf 2 has left the VNI, and the faults are %v", f)
	}
}
