package site_test

import (
	"strings"
	"testing"

	"bulkhead/site"
)

const p3 = "  - id: hall-d\n    phase: p3\n    pods:\n      - {id: d1, fabric: roce, kind: H200, nodes: 8, sus: 1}\n      - {id: d2, fabric: roce, kind: H200, nodes: 8, sus: 1}\n"

func parse(t *testing.T, text string) *site.Template {
	t.Helper()
	template, err := site.ParseTemplate("x.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return template
}

func diff(t *testing.T, s *site.Site, template *site.Template) site.Change {
	t.Helper()
	c, err := site.Diff(s, template.Header(), template)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestGrowth imports a site without its last hall, then the whole: the numbers
// of what was there stay, whatever the order of the file.
func TestGrowth(t *testing.T) {
	text := strings.Replace(tinyYAML(t), "totals:", "#", 1)
	if !strings.Contains(text, p3) {
		t.Fatal("the example changed; adapt this test")
	}
	small := parse(t, strings.Replace(text, p3, "", 1))
	// The new hall comes first in the new file.
	grown := strings.Replace(strings.Replace(text, p3, "", 1), "halls:\n", "halls:\n"+p3, 1)
	// And its phase before the others.
	const phase = "  - {id: p3, in-service: 2026-06-24}\n"
	grown = strings.Replace(strings.Replace(grown, phase, "", 1), "phases:\n", "phases:\n"+phase, 1)
	large := parse(t, grown)
	s, err := small.Build()
	if err != nil {
		t.Fatal(err)
	}
	if c := diff(t, s, small); !c.Empty() || c.String() != "no change\n" {
		t.Errorf("the same template would change: %s", c.String())
	}
	ids := append([]string(nil), s.NodeID...)
	c := diff(t, s, large)
	want := "+ hall hall-d: in service 2026-06-24\n+ pod d1: in hall-d on fabric roce\n+ pod d2: in hall-d on fabric roce\n" +
		"+ 2 SUs with 16 nodes, 128 GPUs: d1-su01, d2-su01\n"
	if c.String() != want || c.Err() != nil {
		t.Errorf("growth:\n%swant\n%s", c.String(), want)
	}
	if err := s.Extend(large.Header()); err != nil {
		t.Fatal(err)
	}
	for _, inv := range inventories(t, large) {
		if _, ok := s.SUByID(inv.SU); ok {
			continue
		}
		if _, err := s.AddSU(inv, inv.Digest()); err != nil {
			t.Fatal(err)
		}
	}
	for n, id := range ids {
		if s.NodeID[n] != id {
			t.Fatalf("node %d was %s and is %s", n, id, s.NodeID[n])
		}
	}
	if s.Nodes() != 64 || s.NodeID[48] != "d1-su01-n01" || s.Halls[s.HallOf(48)].ID != "hall-d" {
		t.Errorf("%d nodes, number 48 is %s in %s", s.Nodes(), s.NodeID[48], s.Halls[s.HallOf(48)].ID)
	}
	for n, phase := range map[site.Index]string{0: "p1", 16: "p1", 32: "p2", 48: "p3"} {
		hall := s.Halls[s.HallOf(n)]
		if s.Phases[hall.Phase].ID != phase || !hall.InService.Equal(s.Phases[hall.Phase].InService) {
			t.Errorf("node %s is in phase %s, want %s", s.NodeID[n], s.Phases[hall.Phase].ID, phase)
		}
	}
	if c := diff(t, s, large); !c.Empty() {
		t.Errorf("after the import something is left: %s", c.String())
	}

	// And back: what the file has no more can't go by a file; it is counted until
	// it has retired.
	if err := s.Retire(site.SetOf(48)); err != nil {
		t.Fatal(err)
	}
	c = diff(t, s, small)
	if c.Retire.String() != "49-63" || len(c.Gone) != 2 {
		t.Errorf("shrinking: %s", c.String())
	}
	if err := c.Err(); err == nil || !strings.Contains(err.Error(), "15 nodes of the site are not in the file: an import takes nothing away; put d1-su01, d2-su01 back") {
		t.Errorf("a file that leaves nodes out is refused with %v", err)
	}
	if err := s.Retire(c.Retire); err != nil {
		t.Fatal(err)
	}
	if c := diff(t, s, small); !c.Empty() {
		t.Errorf("after retirement something is left: %s", c.String())
	}
	if s.NodesOf("roce", "H200").Len() != 16 || !s.IsRetired(50) || s.Spares().Len() != 6 {
		t.Error("retired nodes are still offered")
	}
	if c := diff(t, s, large); !strings.Contains(c.String(), "does not come back") {
		t.Errorf("a retired SU would come back: %s", c.String())
	}
	if err := s.Retire(site.SetOf(64)); err == nil {
		t.Error("a node that does not exist was retired")
	}
}

func TestDiffEdits(t *testing.T) {
	text := strings.Replace(tinyYAML(t), "totals:", "#", 1)
	for _, c := range []struct{ what, old, new, want string }{
		{"slip of a phase", "{id: p3, in-service: 2026-06-24}", "{id: p3, in-service: 2026-07-15}",
			"~ phase p3: 2026-06-24 -> 2026-07-15\n~ hall hall-d: in service 2026-06-24 -> in service 2026-07-15\n"},
		{"slip of a hall", "phase: p3\n", "phase: p3\n    in-service: 2026-07-15T07:00:00Z\n",
			"~ hall hall-d: in service 2026-06-24 -> in service 2026-07-15T07:00:00Z\n"},
		{"policy", "  spares-per-su: 1", "  isolation-window: 20m", "~ policy.isolation-window: 15m0s -> 20m0s\n"},
		{"more nodes", "{id: c1, fabric: roce, kind: H200, nodes: 16, sus: 2}", "{id: c1, fabric: roce, kind: H200, nodes: 24}",
			"+ 1 SUs with 8 nodes, 64 GPUs: c1-su03\n"},
		{"a management network", "phases:\n", "management: bmc\nphases:\n", "+ management: bmc\n"},
		{"new fabric", "  - {id: ib, family: infiniband}\n", "  - {id: ib, family: infiniband}\n  - {id: ib2, family: infiniband}\n", "+ fabric ib2: infiniband\n"},
		{"other seed", "seed: tiny-2026", "seed: tiny-2027", `! site tiny: seed is "tiny-2026" and would become "tiny-2027"`},
		{"other shape", "link-gbps: 400", "link-gbps: 800", "! site tiny: shape.link-gbps is 400 and would become 800"},
		{"other firmware", "firmware: 1.03.18", "firmware: 1.03.19", `! site tiny: kind H100: bmc is "AST2600, firmware 1.03.18" and would become "AST2600, firmware 1.03.19"`},
		{"other domains", "    chassis: 8-GPU H100 liquid-cooled 4U\n", "    chassis: 8-GPU H100 liquid-cooled 4U\n    nvlink-racks: true\n", `! site tiny: kind H100: nvlink-racks is "false" and would become "true"`},
		{"other spares", "  spares-per-su: 1", "  spares-per-su: 2", "! SU a1-su01: 1 spares would become 2"},
		{"smaller SU", "{id: c1, fabric: roce, kind: H200, nodes: 16, sus: 2}", "{id: c1, fabric: roce, kind: H200, nodes: 15}",
			"! SU c1-su02: 8 nodes would become 7; not in the file: c1-su02-n08: an import takes nothing away: put them back"},
		{"other family", "{id: ib, family: infiniband}", "{id: ib, family: roce}", `! site tiny: fabric ib is "infiniband" and would become "roce"`},
		{"other kind", "{id: c1, fabric: roce, kind: H200", "{id: c1, fabric: roce, kind: H100", "! SU c1-su01: kind H200 would become H100"},
		{"other fabric", "{id: c1, fabric: roce", "{id: c1, fabric: ib", "! site tiny: fabric of pod c1 is \"roce\""},
		{"other phase", "phase: p2", "phase: p3", "! site tiny: phase of hall hall-c is \"p2\""},
		{"serial", "policy:", "nodes: [{id: c1-su02-n05, serial: NEW}]\npolicy:", "! node c1-su02-n05: serial"},
		{"node firmware", "policy:", "nodes: [{id: c1-su02-n05, firmware: {bmc: x}}]\npolicy:", "! SU c1-su02: its links, switches or firmware would change"},
	} {
		t.Run(c.what, func(t *testing.T) {
			if !strings.Contains(text, c.old) {
				t.Fatalf("%q is not in the example", c.old)
			}
			s, err := parse(t, text).Build()
			if err != nil {
				t.Fatal(err)
			}
			next := parse(t, strings.Replace(text, c.old, c.new, 1))
			change := diff(t, s, next)
			if !strings.Contains(change.String(), c.want) {
				t.Errorf("got\n%swant\n%s", change.String(), c.want)
			}
			if refused := strings.HasPrefix(c.want, "!"); refused != (change.Err() != nil) {
				t.Errorf("refused %v: %v", refused, change.Err())
			}
			before := s.Header()
			if err := s.Extend(next.Header()); strings.HasPrefix(c.want, "! site") {
				if err == nil {
					t.Error("Extend took what Diff refuses")
				}
				if !equalHeaders(t, before, s.Header()) {
					t.Error("a refused header left something behind")
				}
			} else if err != nil {
				t.Errorf("Extend: %v", err)
			}
		})
	}
}

// A node that was off at the first discovery can't be added to its SU later, nor does an SU
// lose one that is off at the second: the refusal names them, and without them nothing is.
func TestDiffNamesTheNodesOfAnSU(t *testing.T) {
	text := strings.Replace(tinyYAML(t), "totals:", "#", 1)
	with := func(hosts string) *site.Template {
		return parse(t, strings.Replace(text, "{id: c1, fabric: roce, kind: H200, nodes: 16, sus: 2}", "{id: c1, fabric: roce, kind: H200, hosts: ["+hosts+"]}", 1))
	}
	s, err := with(`"g[1-2,4-5]", "g[11-14]"`).Build()
	if err != nil {
		t.Fatal(err)
	}
	for hosts, want := range map[string]string{
		`"g[1-2,4-5]", "g[11-14]"`:             "no change",
		`"g[1-2,4-5]", "g[11-14]", "g[21-24]"`: "+ 1 SUs with 4 nodes, 32 GPUs: c1-su03",
		`"g[1-5]", "g[11-14]"`:                 "! SU c1-su01: 4 nodes would become 5; new in it: g3 (leaf port 3): none can be added to an SU that was imported",
		`"g[1-2,4]", "g[11-14]"`:               "! SU c1-su01: 4 nodes would become 3; not in the file: g5: an import takes nothing away",
		`"g[1-4]", "g[11-14]"`:                 "! SU c1-su01: 4 nodes would become 4; new in it: g3 (leaf port 3): ",
	} {
		c := diff(t, s, with(hosts))
		if !strings.Contains(c.String(), want) || strings.HasPrefix(want, "!") != (c.Err() != nil) {
			t.Errorf("%s:\ngot  %s\nwant %s", hosts, c.String(), want)
		}
	}
}

func equalHeaders(t *testing.T, a, b site.Header) bool {
	t.Helper()
	x, err := a.Encode()
	if err != nil {
		t.Fatal(err)
	}
	y, err := b.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return string(x) == string(y)
}
