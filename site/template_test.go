package site_test

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"

	"bulkhead/claim"
	"bulkhead/site"
)

func tinyYAML(t testing.TB) string {
	t.Helper()
	data, err := os.ReadFile("../examples/tiny/site.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// TestTemplateRefuses edits a good site file in one place and expects the line,
// the field and what to do in the error.
func TestTemplateRefuses(t *testing.T) {
	good := tinyYAML(t)
	for _, c := range []struct {
		what, old, new string
		field, text    string // of the problem, which must be in the line of new's last line
	}{
		{"unknown field", "  su-nodes: 8", "  su-nodez: 8", "shape.su-nodez", "unknown field: expected one of cores"},
		{"unknown field at the top", "seed: tiny-2026", "seeds: tiny-2026", "seeds", "unknown field"},
		{"field twice", "seed: tiny-2026", "seed: tiny-2026\nseed: other", "seed", "twice (first in line"},
		{"duplicate pod", "id: d2,", "id: d1,", "halls[3].pods[1].id", "twice (first in line"},
		{"duplicate hall", "id: hall-b", "id: hall-a", "halls[1].id", "twice"},
		{"duplicate fabric", "{id: ib,", "{id: roce,", "fabrics[1].id", "twice"},
		{"unknown kind", "{id: c1, fabric: roce, kind: H200", "{id: c1, fabric: roce, kind: B300", "halls[2].pods[0].kind", `"B300": no such thing in this file; expected one of H100, H200`},
		{"unknown fabric", "{id: c1, fabric: roce", "{id: c1, fabric: rocket", "halls[2].pods[0].fabric", "expected one of roce, ib, frontend"},
		{"frontend as compute", "{id: c1, fabric: roce", "{id: c1, fabric: frontend", "halls[2].pods[0].fabric", "expected a compute fabric"},
		{"unknown phase", "phase: p3", "phase: p4", "halls[3].phase", "expected one of p1, p2, p3"},
		{"unknown family", "{id: ib, family: infiniband}", "{id: ib, family: myrinet}", "fabrics[1].family", "expected roce or infiniband"},
		{"BMCs on a fabric", "phases:\n", "management: roce\nphases:\n", "management", `"roce": a fabric on line 50 is called so`},
		{"BMCs nowhere", "phases:\n", "management: [a]\nphases:\n", "management", "expected text"},
		{"two frontends", "{id: ib, family: infiniband}", "{id: ib, family: infiniband, frontend: true}", "", `2 fabrics with "frontend: true"`},
		{"negative count", "{id: c1, fabric: roce, kind: H200, nodes: 16", "{id: c1, fabric: roce, kind: H200, nodes: -16", "halls[2].pods[0].nodes", "expected 1 to 64"},
		{"absurd count", "{id: c1, fabric: roce, kind: H200, nodes: 16", "{id: c1, fabric: roce, kind: H200, nodes: 1000000000000000000", "halls[2].pods[0].nodes", "expected 1 to 64"},
		{"overflowing count", "{id: c1, fabric: roce, kind: H200, nodes: 16", "{id: c1, fabric: roce, kind: H200, nodes: 1e99", "halls[2].pods[0].nodes", "whole number"},
		{"wrong SU count", "nodes: 16, sus: 2}", "nodes: 16, sus: 3}", "halls[0].pods[0].sus", "16 nodes in SUs of 8 make 2"},
		{"an SU of spares only", "{id: c1, fabric: roce, kind: H200, nodes: 16, sus: 2", "{id: c1, fabric: roce, kind: H200, nodes: 9, sus: 2", "halls[2].pods[0].nodes", "spares use up"},
		{"wrong total", "nodes: 64,", "nodes: 65,", "totals.nodes", "65, but the halls add up to 64"},
		{"leaf too small", "leaf-ports: 32", "leaf-ports: 12", "", "do not fit into 12 leaf ports"},
		{"rack larger than SU", "  rack-nodes: 4", "  rack-nodes: 9", "", "more than the 8 nodes"},
		{"all spares", "  spares-per-su: 1", "  spares-per-su: 8", "", "leave nothing to sell"},
		{"bad date", "in-service: 2026-05-25", "in-service: 25.5.2026", "phases[1].in-service", "expected a date such as 2026-04-01"},
		{"date in the year 9000", "in-service: 2026-05-25", "in-service: 9000-05-25", "phases[1].in-service", "between the years"},
		{"hardware", "origin: simulated", "origin: hardware", "origin", "only a simulated site"},
		{"unknown origin", "origin: simulated", "origin: real", "origin", "expected simulated"},
		{"missing value", "seed: tiny-2026", "seed:", "seed", "found nothing"},
		{"list for text", "seed: tiny-2026", "seed: [a, b]", "seed", "expected text, found a list"},
		{"text for list", "fabrics:\n  - {id: roce, family: roce}", "fabrics: 3\nx:\n  - {id: roce, family: roce}", "", ""},
		{"alias", "seed: tiny-2026", "seed: *x", "seed", "not supported"},
		{"anchor", "seed: tiny-2026", "seed: &x tiny", "seed", "not supported"},
		{"tag", "seed: tiny-2026", "seed: !!str tiny", "seed", "not supported"},
		{"control character", "seed: tiny-2026", `seed: "a\u0007b"`, "seed", "printable"},
		{"pod id in upper case", "{id: c1,", "{id: C1,", "halls[2].pods[0].id", "lower case"},
		{"id with a dot", "id: hall-b", "id: hall.b", "halls[1].id", "inner hyphens"},
		{"poll longer than window", "  poll: 10m", "  poll: 1h", "", "isolation window"},
		{"policy out of range", "  sweep: 168h", "  sweep: 90d", "policy.sweep", "out of range"},
		{"policy not a duration", "  sweep: 168h", "  sweep: often", "policy.sweep", "expected a duration"},
		{"policy unknown", "  spares-per-su: 1", "  isolaton-window: 15m", "policy.isolaton-window", "unknown field"},
		{"second document", "  spares-per-su: 1", "  spares-per-su: 1\n---\nsite: x", "", "second document"},
		{"list for a duration", "poll: 10m", "poll: [10m]", "policy.poll", "expected a duration such as 15m, 1h30m or 14d, found a list"},
		{"duration out of range", "poll: 10m", "poll: -10m", "policy.poll", "-10m is out of range: expected 1s to 24h"},
		{"duration with a unit that is none", "poll: 10m", "poll: 10 minutes", "policy.poll", "\"10 minutes\": expected a duration such as 15m, 1h30m or 14d"},
		{"durations at odds", "poll: 10m", "poll: 20h", "policy.poll", "20h is longer than the isolation window 15m: "},
		{"fields for a date", "in-service: 2026-05-25", "in-service: {a: b}", "phases[1].in-service", "expected a date such as 2026-04-01 (midnight UTC) or 2026-04-01T07:00:00Z, found fields"},
		{"no YAML", "seed: tiny-2026", "seed: [tiny", "", "not YAML"},
		{"override of no node", "policy:", "nodes: [{id: a1-su09-n01, serial: X}]\npolicy:", "", "the site has no such node"},
		{"override of nothing", "policy:", "nodes: [{id: a1-su01-n01}]\npolicy:", "", "says nothing"},
		{"override twice", "policy:", "nodes: [{id: a1-su01-n01, serial: X}, {id: a1-su01-n01, serial: Y}]\npolicy:", "", "twice"},
		{"serial twice", "policy:", "nodes: [{id: a1-su01-n01, serial: X}, {id: a1-su01-n02, serial: X}]\npolicy:", "", "serial of node a1-su01-n01 already"},
		{"firmware of what", "policy:", "nodes: [{id: a1-su01-n01, firmware: {cpu: 1}}]\npolicy:", "", "unknown field"},
		{"link to nowhere", "policy:", "links: [{from: \"a1-su01-leaf0:20\", to: \"a9-su01-leaf0:20\"}]\npolicy:", "", "leads nowhere"},
		{"link from a spine", "policy:", "links: [{from: \"a1-rail0-spine01:5\", to: \"a1-su01-leaf0:20\"}]\npolicy:", "", "a link begins at a leaf"},
		{"link into a node's port", "policy:", "links: [{from: \"a1-su01-leaf0:20\", to: \"a1-su02-leaf0:3\"}]\npolicy:", "", "two cables in a port: node a1-su02-n03"},
		{"link into the last node's port", "policy:", "links: [{from: \"a1-su01-leaf0:20\", to: \"a1-su02-leaf0:8\"}]\npolicy:", "", "two cables in a port: node a1-su02-n08"},
		{"link into an uplink", "policy:", "links: [{from: \"a1-su01-leaf0:9\", to: \"a1-su02-leaf0:20\"}]\npolicy:", "", "two cables in a port: uplink to a1-rail0-spine01 is there already; free ports of a1-su01-leaf0 are 17 to 32"},
		{"link into a used spine port", "policy:", "links: [{from: \"a1-su01-leaf0:20\", to: \"a1-rail0-spine01:2\"}]\npolicy:", "", "two cables in a port: a1-su02-leaf0"},
		{"link into a core uplink", "policy:", "links: [{from: \"a1-su01-leaf0:20\", to: \"a1-rail0-spine01:30\"}]\npolicy:", "", "uplink to the cores"},
		{"link beyond the switch", "policy:", "links: [{from: \"a1-su01-leaf0:33\", to: \"a1-su02-leaf0:20\"}]\npolicy:", "", "a leaf has ports 1 to 32"},
		{"two links in a port", "policy:", "links: [{from: \"a1-su01-leaf0:20\", to: \"a1-su02-leaf0:20\"}, {from: \"a1-su01-leaf0:20\", to: \"a1-su02-leaf0:21\"}]\npolicy:", "", "two cables in a port: line"},
		{"link to itself", "policy:", "links: [{from: \"a1-su01-leaf0:20\", to: \"a1-su01-leaf0:20\"}]\npolicy:", "", "two cables in a port"},
		{"link without port", "policy:", "links: [{from: a1-su01-leaf0, to: \"a1-su01-leaf0:20\"}]\npolicy:", "", "expected switch:port"},
	} {
		t.Run(c.what, func(t *testing.T) {
			at := strings.Index(good, c.old)
			if at < 0 {
				t.Fatalf("%q is not in the example", c.old)
			}
			bad := good[:at] + c.new + good[at+len(c.old):]
			_, err := site.ParseTemplate("tiny.yaml", []byte(bad))
			var problems claim.Problems
			if !errors.As(err, &problems) {
				t.Fatalf("accepted, or another error: %v", err)
			}
			lines := strings.Count(bad, "\n") + 1
			first := strings.Count(good[:at], "\n") + 1
			last := first + strings.Count(c.new, "\n")
			found := false
			for _, p := range problems {
				if p.Line < 1 || p.Line > lines {
					t.Errorf("line %d of %d", p.Line, lines)
				}
				if c.field == "" && strings.Contains(p.Reason, c.text) ||
					p.Field == c.field && strings.Contains(p.Reason, c.text) && p.Line >= first && p.Line <= last {
					found = true
				}
			}
			if !found {
				t.Errorf("want line %d-%d, %s: %s; got\n%v", first, last, c.field, c.text, err)
			}
			if strings.HasPrefix(c.field, "shape.") && len(problems) > 2 {
				t.Errorf("what follows from the shape is complained about as well: %v", err)
			}
			if !strings.HasPrefix(err.Error(), fmt.Sprintf("tiny.yaml:%d:%d: ", problems[0].Line, problems[0].Column)) {
				t.Errorf("the error does not begin with file, line and column: %v", err)
			}
			if _, again := site.ParseTemplate("tiny.yaml", []byte(bad)); again.Error() != err.Error() {
				t.Errorf("another error at the second time:\n%v\n%v", err, again)
			}
		})
	}
}

// TestTemplateMissing removes each line of the example by itself: what is then
// missing is either optional or complained about, never a panic.
func TestTemplateMissing(t *testing.T) {
	lines := strings.SplitAfter(tinyYAML(t), "\n")
	for i := range lines {
		data := strings.Join(lines[:i], "") + strings.Join(lines[i+1:], "")
		if template, err := site.ParseTemplate("tiny.yaml", []byte(data)); err == nil {
			if _, err := template.Build(); err != nil {
				t.Errorf("without line %d: accepted, but does not build: %v", i+1, err)
			}
		}
	}
	for _, data := range []string{"", "\n", "# nothing", "---\n", "3", "- a", "{}", "site: x", "\x00", "\xff\xfe", "a: b: c",
		strings.Repeat("[", 100_000), strings.Repeat("- ", 100_000), strings.Repeat("{a: ", 5000), strings.Repeat("a", 2<<20)} {
		if _, err := site.ParseTemplate("x.yaml", []byte(data)); err == nil {
			t.Errorf("%.40q: accepted", data)
		}
	}
}

func TestInfiniBandAddresses(t *testing.T) {
	data, err := os.ReadFile("../examples/colossus/site.yaml")
	if err != nil {
		t.Fatal(err)
	}
	// Two InfiniBand halls of 25,000 NICs are more than one subnet can address.
	bad := strings.Replace(string(data), "{id: c1, fabric: roce", "{id: c1, fabric: ib", 1)
	if _, err := site.ParseTemplate("c.yaml", []byte(bad)); err == nil || !strings.Contains(err.Error(), "a subnet has 49151") {
		t.Errorf("got %v", err)
	}
}

func TestOverridesAndLinks(t *testing.T) {
	text := tinyYAML(t) + `
nodes:
  - {id: a1-su01-n03, serial: CHASSIS-7, firmware: {bmc: 9.9, nic: 1.10}}
links:
  - {from: "a1-su02-leaf3:32", to: "a1-su01-leaf3:31"}
  - {from: "a1-su02-leaf3:20", to: "a1-rail3-spine08:8"}
`
	template, err := site.ParseTemplate("x.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	list := inventories(t, template)
	node := list[0].Nodes[2]
	if node.Serial != "CHASSIS-7" || node.BMC.Firmware != "9.9" || node.NICs[8].Firmware != "1.10" || node.GPUs[0].Firmware != "96.00.CF.00.01" {
		t.Errorf("overrides were not applied: %+v", node)
	}
	got := list[1].Links[len(list[1].Links)-2:]
	if got[0].From != "a1-su02-leaf3:20" || got[1].To != "a1-su01-leaf3:31" {
		t.Errorf("links were not added: %v", got)
	}
	s, err := template.Build()
	if err != nil {
		t.Fatal(err)
	}
	if n, ok := s.Lookup("a1-su01-n03"); !ok || s.Serial[n] != "CHASSIS-7" {
		t.Error("the serial is not its")
	}
}

// TestCommentedExample uncomments what the largest example says of single nodes.
func TestCommentedExample(t *testing.T) {
	data, err := os.ReadFile("../examples/colossus/site.yaml")
	if err != nil {
		t.Fatal(err)
	}
	head, tail, ok := strings.Cut(string(data), "\n#   nodes:")
	if !ok {
		t.Fatal("the example says nothing of single nodes any more")
	}
	template, err := site.ParseTemplate("x.yaml", []byte(head+strings.ReplaceAll("\n#   nodes:"+tail, "\n#   ", "\n")))
	if err != nil || template.Nodes() != 50_000 {
		t.Errorf("%v", err)
	}
}

func FuzzParseTemplate(f *testing.F) {
	f.Add([]byte(tinyYAML(f)))
	f.Add([]byte("site: x\norigin: simulated\nseed: s\nhalls:\n- id: a\n  pods: [{id: b}]\nnodes: [{id: b-su01-n01}]\n"))
	f.Add([]byte("a: &x [1]\nb: *x\n<<: {c: d}\n? e\n: !!f |\n  g\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		template, err := site.ParseTemplate("f.yaml", data)
		if err != nil {
			return
		}
		if template.Nodes() > 5000 {
			return
		}
		if _, err := template.Build(); err != nil {
			t.Fatalf("accepted, but does not build: %v", err)
		}
	})
}
