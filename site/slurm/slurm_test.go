package slurm

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"bulkhead/site"
	"bulkhead/site/draft"
	"bulkhead/site/hostlist"
)

var options = draft.Options{Name: "drafted", InService: time.Date(2026, 4, 1, 0, 0, 0, 0, time.UTC)}

// outline is a draft in a line a unit.
func outline(d *draft.Draft) string {
	var b strings.Builder
	for _, h := range d.Halls {
		for _, p := range h.Pods {
			for _, u := range p.Units {
				fmt.Fprintf(&b, "%s/%s/%s/%s %s\n", d.Fabrics[p.Fabric].Name, h.Name, p.Name, u.Name, hostlist.Fold(u.Hosts))
			}
		}
	}
	return b.String()
}

func TestConf(t *testing.T) {
	d, err := Conf("testdata/tree.conf", os.ReadFile, options)
	if err != nil {
		t.Fatal(err)
	}
	want := `island/island/island/island lone[1-2]
core/core/pod1/leaf01 gpu[001-032,040]
core/core/pod1/leaf03 r1n[1-4],odd-a,odd_b
core/core/pod1/Leaf02 gpu[101-110,120]
core/core/pod2/leaf04 n[07-12],n[1-3]
core/core/pod2/leaf05 m1
`
	if got := outline(d); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	if d.From != "tree.conf, more.conf, empty.conf (Slurm)" {
		t.Errorf("from %s", d.From)
	}
	s := build(t, d)
	if len(s.Fabrics) != 3 || s.Nodes() != 62 || len(s.SUs) != 6 {
		t.Errorf("%d fabrics, %d nodes, %d SUs", len(s.Fabrics), s.Nodes(), len(s.SUs))
	}
	// Hosts are found by their own names, and stand under their own leaf.
	for host, su := range map[string]string{"gpu040": "pod1-su01", "odd_b": "pod1-su02", "n12": "pod2-su01", "lone2": "island-su01"} {
		n, ok := s.Lookup(host)
		if !ok || s.HostOf(n) != host || s.SUs[s.SUOf(n)].ID != su {
			t.Errorf("%s: node %d, %v", host, n, ok)
		}
	}
}

// build writes the site file of a draft and builds its site.
func build(t testing.TB, d *draft.Draft) *site.Site {
	t.Helper()
	data, err := d.SiteFile(options)
	if err != nil {
		t.Fatal(err)
	}
	template, err := site.ParseTemplate("drafted.yaml", data)
	if err != nil {
		t.Fatal(err)
	}
	s, err := template.Build()
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestYAML(t *testing.T) {
	for part, want := range map[string]string{
		"":       "root/root/root/s1 node[01-02]\nroot/root/root/s2 node[03-04]\n",
		"fabric": "root/root/root/s1 node[01-02]\nroot/root/root/s2 node[03-04]\n",
		"nvl": "fabric/hall/pod1/b1 tray[01-04]\nfabric/hall/pod1/b2 tray[05-08]\nfabric/hall/pod1/b3 tray[09-12]\n" +
			"fabric/hall/pod1/b4 tray[13-16]\nfabric/hall/pod2/b5 tray[17-20]\n",
	} {
		o := options
		o.Part = part
		d, err := YAML("testdata/topology.yaml", os.ReadFile, o)
		if err != nil {
			t.Fatal(err)
		}
		if got := outline(d); got != want {
			t.Errorf("%q: got\n%swant\n%s", part, got, want)
		}
		build(t, d)
	}
}

func TestBlocksOfConf(t *testing.T) {
	d, err := Conf("t", text("BlockName=b1 Nodes=n[1-18]\nBlockName=b2 Nodes=n[19-36]\nBlockSizes=18\n"), options)
	if err != nil {
		t.Fatal(err)
	}
	if got := outline(d); got != "fabric/hall/pod1/b1 n[1-18]\nfabric/hall/pod1/b2 n[19-36]\n" {
		t.Error(got)
	}
}

// A spine with hundreds of leaves, and a tree of four levels.
func TestLargeTrees(t *testing.T) {
	var b strings.Builder
	for leaf := range 200 {
		fmt.Fprintf(&b, "SwitchName=leaf%d Nodes=n[%d-%d]\n", leaf, leaf*8, leaf*8+7)
	}
	b.WriteString("SwitchName=root Switches=leaf[0-199]\n")
	d, err := Conf("t", text(b.String()), options)
	if err != nil {
		t.Fatal(err)
	}
	s := build(t, d)
	if s.Nodes() != 1600 || len(s.SUs) != 200 || len(s.Pods) != 4 || !strings.Contains(fmt.Sprint(d.Notes, d.Remarks), "borders mean nothing") {
		t.Errorf("%d nodes, %d SUs, %d pods, %q", s.Nodes(), len(s.SUs), len(s.Pods), d.Notes)
	}
	d, err = Conf("t", text(`SwitchName=f Switches=h[1-2]
SwitchName=h1 Switches=p1,x
SwitchName=h2 Switches=p2
SwitchName=p1 Switches=a,b
SwitchName=p2 Switches=c
SwitchName=x Nodes=x1
SwitchName=a Nodes=a1
SwitchName=b Nodes=b1
SwitchName=c Nodes=c1
`), options)
	if err != nil {
		t.Fatal(err)
	}
	if got := outline(d); got != "f/h1/p1/a a1\nf/h1/p1/b b1\nf/f/h1/x x1\nf/h2/p2/c c1\n" {
		t.Error(got)
	}
	build(t, d)
}

func text(content string) draft.Reader {
	return func(name string) ([]byte, error) {
		if name == "t" {
			return []byte(content), nil
		}
		return nil, fmt.Errorf("open %s: no such file", name)
	}
}

// said is what a reader says of a file: its error, or its notes.
func said(d *draft.Draft, err error) string {
	if err != nil {
		return err.Error()
	}
	var b strings.Builder
	for _, n := range d.Notes {
		fmt.Fprintln(&b, n)
	}
	return b.String()
}

// Whatever is wrong is told with file and line.
func TestConfRefuses(t *testing.T) {
	for content, want := range map[string]string{
		"":                                  "no SwitchName",
		"SwitchName=a Nodes=n1\nSwitch=b\n": "t:2: \"Switch=b\": expected a line that begins",
		"\n\nSwitchName=a\n":                "t:3: switch a: left out, no nodes are below it",
		"SwitchName=a Nodes=n1 Switches=b":  "t:1: switch a: both Nodes and Switches",
		"SwitchName=a Nodes=n[1-":           "t:1: Nodes: host list",
		"SwitchName=a Nodes=n[3-1]":         "t:1: Nodes: host list: range \"3-1\"",
		"SwitchName=a Nodes=n1,n1":          "t:1: node n1: it is under",
		"SwitchName=a Nodes=n1\nSwitchName=b \\\nNodes=N1":                        "t:2: node N1: it is under a in line 1 of t already",
		"SwitchName=a Nodes=n1\nSwitchName=a Nodes=n2":                            "t:2: switch a: left out, there is one of this name in line 1",
		"SwitchName=a Switches=b":                                                 "t:1: switch a: b is below it and is no switch",
		"SwitchName=c Nodes=n1\nSwitchName=a Switches=c\nSwitchName=b Switches=c": "t:3: switch b: c is below it, and below a in line 2",
		"SwitchName=a Switches=b\nSwitchName=b Switches=a":                        "go round in a circle",
		"SwitchName=a Nodes=n1 Colour=red":                                        "t:1: colour: not known",
		"SwitchName=a Nodes=n1 Nodes=n2":                                          "t:1: Nodes: twice",
		"SwitchName=a Nodes=n1, n2":                                               "t:1: \"n2\": expected Key=value",
		"SwitchName=a Nodes=\"n1":                                                 "t:1: Nodes: a quote without",
		"SwitchName=a Nodes=":                                                     "t:1: switch a: left out, no nodes are below it",
		"SwitchName=[a-b] Nodes=n1":                                               "expected the name of one switch",
		"SwitchName=a Nodes=n1\nInclude gone.conf":                                "t:2: Include: open gone.conf",
		"Include t":                                                 "expected fewer; does a file include itself?",
		"SwitchName=a Nodes=n[1-129]":                               "t:1: 129 nodes under a",
		"BlockSizes=4,12\nBlockName=a Nodes=n1":                     "t:1: BlockSizes: 12",
		"BlockSizes=4\nBlockSizes=4":                                "t:2: BlockSizes: passed over, they are in line 1",
		"BlockSizes=4\nBlockName=b Nodes=n1\nSwitchName=a Nodes=n2": "t:2: BlockName in a file with SwitchName",
		"SwitchName=a Nodes=n1\x00":                                 "t:1: a character that no text has",
		"SwitchName=1 Switches=2\nSwitchName=2 Switches=3\nSwitchName=3 Switches=4\nSwitchName=4 Switches=5\nSwitchName=5 Nodes=n": "t:1: switch 1 only joins what is below it",
	} {
		d, err := Conf("t", text(content), options)
		if got := said(d, err); !strings.Contains(got, want) {
			t.Errorf("%q:\n  %v\n  expected %s", content, got, want)
		}
	}
}

func TestYAMLRefuses(t *testing.T) {
	tree := "- topology: a\n  tree:\n    switches:\n"
	for content, want := range map[string]string{
		"":        "t:1:1: empty",
		"a: b":    "t:1:1: a: unknown field: expected one of block, cluster_default",
		"nothing": "t:1:1: expected a list of topologies",
		tree + "      - {switch: s, nodes: [n1, n2]}":                                    "t:4:21: [0].tree.switches[0].nodes: a list, expected one text",
		tree + "      - {switch: s, children: [a]}":                                      "t:4:21: [0].tree.switches[0].children: a list, expected one text",
		"- topology: a\n  tree:\n    Switches:\n      - {switch: s, nodes: n1}":          "t:3:5: [0].tree.Switches: unknown field: expected one of switches",
		tree + "      - {switch: s, children: b}\n      - {switch: b}":                   "t:5: switch b: left out, no nodes",
		"- topology: a\n  ring:\n    rings:\n      - {ring: r, nodes: n1}":               "t:2:3: [0].ring: topology a is a ring",
		"- topology: a\n  torus3d: {toruses: []}":                                        "t:2:3: [0].torus3d: topology a is a torus3d",
		"- topology: a\n  tree: {}\n  block: {}":                                         "t:1:3: [0]: topology a: expected one of tree, block, flat, ring, torus3d",
		"- topology: a\n  block: {block_sizes: [2, 5], blocks: [{block: b, nodes: n1}]}": "BlockSizes: 5",
		"- topology: a\n":                                            "expected one of tree, block, flat, ring, torus3d",
		"- tree: {switches: []}":                                     "t:1:3: [0].topology: missing; add the field",
		"- topology: a\n  flat: true":                                "t:2:3: [0].flat: topology a is flat",
		"- topology: a\n  flat: true\n  tree: x":                     "both tree and flat",
		"- topology: a\n  torus: true":                               "t:2:3: [0].torus: unknown field: expected one of",
		tree + "      - {switch: s, nodes: n1}\n      - {switch: s}": "t:5: switch s: left out, there is one",
		tree + "      - {switch: s, node: n1}":                       "t:4:21: [0].tree.switches[0].node: unknown field: expected one of",
		tree + "      - {nodes: n1}":                                 "t:4:9: [0].tree.switches[0].switch: missing; add the field",
		tree + "      - {switch: s, nodes: n1, children: x}":         "t:4: switch s: both nodes and children",
		tree + "      - switch: s\n        nodes: n[1":               "t:5: nodes: host list",
		"- topology: a\n  flat: true\n- topology: a\n  flat: true\n": "t:3:3: [1]: topology a: there is one of this name in line 1",
		"- topology: a\n  flat: true\n- topology: b\n  flat: true\n": "2 topologies and none with cluster_default: true",
		"- topology: a\n  block:\n    blocks:\n      - block: b\n":   "t:4: block b: left out, no nodes",
		"- topology: a\n  block:\n    block_sizes: [4]\n":            "t:2:3: [0].block.blocks: missing; add the field",
		"- topology: a\n  cluster_default: maybe\n  flat: true":      "t:2:3: [0].cluster_default: expected true or false",
		"---\n- topology: a\n  flat: true\n---\n- topology: b":       "a second document",
		"- topology: &x a\n  tree: *x":                               "expected",
		"- [[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]":                 "nested too deeply",
		"a: [":                           "not YAML",
		"- topology: x\n  topology: y\n": "t:2:3: [0].topology: the field is here twice (first in line 1)",
		"- topology: a\n  tree:\n    switches:\n      - {switch: r, children: gone}": "t:4: switch r: gone is below it",
	} {
		d, err := YAML("t", text(content), options)
		if got := said(d, err); !strings.Contains(got, want) || !strings.HasPrefix(got, "t:") {
			t.Errorf("%q:\n  %v\n  expected %s", content, got, want)
		}
	}
	o := options
	o.Part = "gone"
	if _, err := YAML("testdata/topology.yaml", os.ReadFile, o); err == nil || !strings.Contains(err.Error(), "expected one of nvl, fabric, simple") {
		t.Error(err)
	}
}

// checkDraft: what a reader takes makes a site with the same hosts, or is refused
// with a reason.
func checkDraft(t *testing.T, d *draft.Draft, err error) {
	if err != nil {
		if d != nil || err.Error() == "" {
			t.Fatalf("%v, %v", d, err)
		}
		return
	}
	hosts := 0
	for _, h := range d.Halls {
		for _, p := range h.Pods {
			for _, u := range p.Units {
				hosts += len(u.Hosts)
			}
		}
	}
	data, err := d.SiteFile(options)
	if err != nil {
		return // a site needs what Slurm does not, and the error says what
	}
	template, err := site.ParseTemplate("f", data)
	if err != nil || template.Nodes() != hosts {
		t.Fatalf("%v\n%s", err, data)
	}
}

func FuzzConf(f *testing.F) {
	for _, name := range []string{"tree.conf", "more.conf"} {
		data, err := os.ReadFile("testdata/" + name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(data))
	}
	f.Add("BlockName=b1 Nodes=n[1-18]\nBlockSizes=18,36\nInclude t\n")
	f.Fuzz(func(t *testing.T, content string) {
		d, err := Conf("t", text(content), options)
		checkDraft(t, d, err)
	})
}

func FuzzYAML(f *testing.F) {
	data, err := os.ReadFile("testdata/topology.yaml")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(string(data))
	f.Add("- topology: a\n  tree: {switches: [{switch: s, nodes: n1}]}")
	f.Fuzz(func(t *testing.T, content string) {
		d, err := YAML("t", text(content), options)
		checkDraft(t, d, err)
	})
}
