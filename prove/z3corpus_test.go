package prove

import (
	"slices"
	"strings"
	"testing"

	"bulkhead/fabric/ethernet"
	"bulkhead/site"
)

// z3SeesMore are the attacks in which z3 finds a way from one rival to the other that
// none of the packets took that were sent, and why.
var z3SeesMore = map[string]string{
	"the underlay filter is removed":                            "a node would have to send VXLAN of its own into the underlay",
	"a rule that accepts everything before the underlay filter": "a node would have to send VXLAN of its own into the underlay",
	"a tenant's bridge gets an address and routes":              "a node would have to send by way of that address",
	"a port takes any source address":                           "z3 takes it that such a port is in every bridge of its leaf",
	"a leaf announces a MAC that is not behind it":              "z3 takes it that such a port is in every bridge of its leaf",
	"the cables of two rivals are swapped":                      "z3 takes it that such a port is in every bridge of its leaf",
	"a leaf starts again with a stale configuration":            "the rival is reached on other rails; packets were sent on one",
}

// overlay is the captures of an attack, for z3.
func (c *corpus) overlay(t *testing.T, m *mounted) *overlay {
	t.Helper()
	o := &overlay{world: &world{s: c.s, holder: c.holder}, fabric: c.fabric, captures: map[site.Leaf]*ethernet.Capture{}}
	for leaf, raw := range m.leaves {
		if raw == nil {
			continue
		}
		capture, err := ethernet.Decode(raw)
		if err != nil {
			t.Fatal(err)
		}
		o.captures[leaf] = &capture
	}
	return o
}

// TestZ3AgreesOnTheCorpus asks z3 from what leaves of real FRR said of themselves, clean
// and under each attack, who can exchange packets, and compares it with the packets
// that were sent then and with the prover: what arrived z3 finds a way for; where it
// finds a way between the rivals that no packet took there is a reason; where either
// finds anything, also to strangers and the underlay, the prover does not call the
// fabric isolated.
func TestZ3AgreesOnTheCorpus(t *testing.T) {
	needZ3(t)
	c := readCorpus(t)
	arrived, found := 0, 0
	for i := range c.mounted {
		m := &c.mounted[i]
		t.Run(m.name, func(t *testing.T) {
			program, names := c.overlay(t, m).datalog()
			pairs := z3(t, program, names)
			reasons := c.judge(t, m, everyCheck)
			t.Logf("arrived %v; z3 %v; the prover says %q", m.arrived, pairs, called(reasons))
			for _, pair := range m.arrived {
				arrived++
				if !slices.Contains(pairs, pair) {
					t.Errorf("packets arrive %s, and z3 finds no way: %v", pair, pairs)
				}
			}
			more := slices.ContainsFunc(pairs, func(pair string) bool {
				return strings.Count(pair, "holder") == 2 && !slices.Contains(m.arrived, pair)
			})
			if _, is := z3SeesMore[m.name]; is != more {
				t.Errorf("z3 finds %v; of the packets that were sent arrived %v", pairs, m.arrived)
			}
			if len(pairs) > 0 {
				found++
				if len(reasons) == 0 {
					t.Errorf("z3 finds %s, the prover nothing", strings.Join(pairs, ", "))
				}
			}
			if i == 0 && len(pairs)+len(reasons) > 0 {
				t.Errorf("nothing is wrong: z3 finds %v, the prover %q", pairs, called(reasons))
			}
		})
	}
	if arrived == 0 || found < 5 {
		t.Errorf("packets arrived between %d pairs, z3 finds ways in %d attacks: nothing was compared", arrived, found)
	}
}
