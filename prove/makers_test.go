package prove

import (
	"testing"

	"bulkhead/fabric"
	"bulkhead/site"
)

// TestWhoCouldHaveMadeIt is the table of findings: seen at the leaf each is the owner's;
// seen at the host only those are anybody else's that a host has a hand in.
func TestWhoCouldHaveMadeIt(t *testing.T) {
	want := map[Check]Maker{
		ForeignLabel: ByEither, UnownedLabel: ByEither, SharedFull: ByEither, TableFull: ByEither, WrongNeighbour: ByEither, ForeignRoute: ByTenant,
		Unlabelled: ByEither, MissingOwnLabel: ByEither, Unreached: ByEither,
	}
	for _, c := range Checks() {
		if m, ok := MakerOf(c.String(), AtLeaf); m != ByOwner || !ok {
			t.Errorf("%s at the leaf is by %s (%t)", c, m, ok)
		}
		m, ok := MakerOf(c.String(), AtHost)
		if maker, known := want[c]; ok != known || known && m != maker || !known && m != ByOwner {
			t.Errorf("%s at the host is by %s (%t)", c, m, ok)
		}
	}
	if m, ok := MakerOf("mirrored", "elsewhere"); m != ByOwner || ok {
		t.Errorf("an end that there is not: by %s (%t)", m, ok)
	}
}

// TestWhereAttacksShow: what a host can do by itself shows at its end alone; all that the
// owner's leaf does shows at the leaf, also where the host's end is wrong beside it.
func TestWhereAttacksShow(t *testing.T) {
	atHost := map[string]bool{
		"what is for its LID is sent elsewhere": true, "own P_Key missing at the HCA": true,
		"cables of two tenants swapped": true, "unknown device plugged in": true, "foreign P_Key at the HCA only": true,
		"an address forged behind the port": true,
	}
	for _, family := range families {
		list := attacks(family)
		a := railPort(0)
		if family != site.InfiniBand {
			list = append(list, attack{"an address forged behind the port", ForeignRoute, a, false, func(w *world) { w.ports[a].faults = fabric.FaultForged }, nil})
			list = append(list, attack{"a forged address, and the owner's routes", ForeignRoute, a, false, func(w *world) { w.ports[a].faults = fabric.FaultForged | fabric.FaultRoutes }, nil})
		}
		for _, one := range list {
			_, p := one.carry(family, everyCheck)
			if verdict, check := p.Verdict(one.port); verdict != Red && verdict != Cut || check == TableFull {
				continue // nothing is billed for it; or a table that may be either's
			}
			want := AtLeaf
			if atHost[one.name] {
				want = AtHost
			}
			if got := p.SeenAt(one.port); got != want {
				t.Errorf("%s, %s: shows at the %s, expected the %s", family, one.name, got, want)
			}
		}
	}
}
