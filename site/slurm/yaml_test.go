package slurm

import (
	"fmt"
	"strings"
	"testing"
)

const twoLeaves = `- topology: t
  cluster_default: true
  tree:
    switches:
      - switch: r
        children: s[1-2]
      - switch: s1
        nodes: n[1-2]
      - switch: s2
        nodes: n[3-4]
`

// yamlOddities are ways in which files are written that a Slurm reads, each with
// what follows from it. Where they are seen: the manual page and the test suite of
// Slurm 25.05 to 26.05 (no common root, switches that wait for nodes, options of a
// flat topology), what Slurm itself writes (kinds that mean nothing), and the files
// that cloud vendors' programs generate (commas for ranges, slashes in names, JSON).
var yamlOddities = map[string]struct{ text, want string }{
	"as in the manual":      {twoLeaves, "r/r/r/s1 n[1-2]\nr/r/r/s2 n[3-4]\n"},
	"begins as a document":  {"---\n# by a program\n\n" + twoLeaves + "...\n", "r/r/r/s1 n[1-2]\nr/r/r/s2 n[3-4]\n"},
	"lines end as on DOS":   {strings.ReplaceAll(twoLeaves, "\n", "\r\n"), "r/r/r/s1 n[1-2]\nr/r/r/s2 n[3-4]\n"},
	"commas":                {strings.Replace(twoLeaves, "s[1-2]", "s1,s2", 1), "r/r/r/s1 n[1-2]\nr/r/r/s2 n[3-4]\n"},
	"a space after a comma": {strings.Replace(twoLeaves, "n[1-2]", "n1, n2", 1), "r/r/r/s1 n[1-2]\nr/r/r/s2 n[3-4]\n"},
	"quotes":                {strings.Replace(twoLeaves, "n[1-2]", "'n[1-2]'", 1), "r/r/r/s1 n[1-2]\nr/r/r/s2 n[3-4]\n"},
	"a number for a name":   {strings.Replace(twoLeaves, "switch: r", "switch: 7", 1), "7/7/7/s1 n[1-2]\n7/7/7/s2 n[3-4]\n"},
	"a slash in a name":     {strings.Replace(twoLeaves, ": t\n", ": topology/tree\n", 1), "r/r/r/s1 n[1-2]\nr/r/r/s2 n[3-4]\n"},
	"the name not first":    {"- cluster_default: true\n  topology: t\n" + strings.SplitN(twoLeaves, "true\n", 2)[1], "r/r/r/s1 n[1-2]\nr/r/r/s2 n[3-4]\n"},
	"yes for true":          {strings.Replace(twoLeaves, "true", "yes", 1), "r/r/r/s1 n[1-2]\nr/r/r/s2 n[3-4]\n"},
	"no list around it":     {strings.ReplaceAll("  "+strings.TrimPrefix(twoLeaves, "- "), "\n  ", "\n")[2:], "r/r/r/s1 n[1-2]\nr/r/r/s2 n[3-4]\n"},
	"one switch, no list":   {"- topology: t\n  tree:\n    switches:\n      switch: s1\n      nodes: n[1-4]\n", "s1/s1/s1/s1 n[1-4]\n"},
	"JSON": {`[{"topology": "t", "cluster_default": true, "tree": {"switches": [{"switch": "s1", "nodes": "n[1-4]"}]}}]`,
		"s1/s1/s1/s1 n[1-4]\n"},
	"kinds that mean nothing": {strings.Replace(twoLeaves, "  tree:", "  block: {}\n  flat: false\n  ring: {}\n  torus3d: {}\n  tree:", 1),
		"r/r/r/s1 n[1-2]\nr/r/r/s2 n[3-4]\n"},
	"a switch that waits for nodes": {strings.Replace(twoLeaves, "s[1-2]", "s[1-3]", 1) + "      - switch: s3\n", "r/r/r/s1 n[1-2]\nr/r/r/s2 n[3-4]\n"},
	"a root that waits for nodes":   {"- topology: t\n  tree:\n    switches:\n      - switch: s1\n        nodes: n[1-4]\n      - switch: s9\n", "s1/s1/s1/s1 n[1-4]\n"},
	"no common root": {"- topology: t\n  tree:\n    switches:\n      - switch: s1\n        nodes: n[1-2]\n      - switch: s2\n        nodes: n[3-4]\n",
		"s1/s1/s1/s1 n[1-2]\ns2/s2/s2/s2 n[3-4]\n"},
	"two defaults, the first counts": {twoLeaves + "- topology: u\n  cluster_default: true\n  flat: true\n", "r/r/r/s1 n[1-2]\nr/r/r/s2 n[3-4]\n"},
	"a flat one with options beside": {twoLeaves + "- topology: u\n  flat:\n    alpha_step_rank: true\n", "r/r/r/s1 n[1-2]\nr/r/r/s2 n[3-4]\n"},
	"blocks":                         {"- topology: b\n  block:\n    block_sizes: [2, 4]\n    blocks:\n      - {block: b1, nodes: 'n[1-2]'}\n      - {block: b2, nodes: 'n[3-4]'}\n", "fabric/hall/pod1/b1 n[1-2]\nfabric/hall/pod1/b2 n[3-4]\n"},
	"blocks of one size":             {"- topology: b\n  block:\n    block_sizes: 2\n    blocks:\n      - {block: b1, nodes: 'n[1-2]'}\n      - {block: b2, nodes: 'n[3-4]'}\n", "fabric/hall/pod1/b1 n[1-2]\nfabric/hall/pod1/b2 n[3-4]\n"},
	"blocks without a size":          {"- topology: b\n  block:\n    blocks:\n      - {block: b1, nodes: 'n[1-2]'}\n      - {block: b2, nodes: 'n[3-4]'}\n", "fabric/hall/pod1/b1 n[1-2]\nfabric/hall/pod1/b2 n[3-4]\n"},
	"a block that waits for nodes":   {"- topology: b\n  block:\n    block_sizes: [2]\n    blocks:\n      - {block: b1, nodes: 'n[1-4]'}\n      - block: b2\n", "fabric/hall/pod1/b1 n[1-4]\n"},
}

func TestYAMLOddities(t *testing.T) {
	for name, odd := range yamlOddities {
		d, err := YAML("t", text(odd.text), options)
		if err != nil {
			t.Errorf("%s: %v\n%s", name, err, odd.text)
			continue
		}
		if got := outline(d); got != odd.want {
			t.Errorf("%s: got\n%swant\n%s", name, got, odd.want)
		}
		build(t, d)
		if waits := strings.Contains(name, "waits"); waits != strings.Contains(fmt.Sprint(d.Notes, d.Remarks), "left out, no nodes are below it") {
			t.Errorf("%s: notes %q", name, d.Notes)
		}
	}
}

// What Slurm does not read.
var yamlRefused = map[string]string{
	"a list of nodes":    strings.Replace(twoLeaves, "n[1-2]", "[n1, n2]", 1),
	"a list of switches": strings.Replace(twoLeaves, "s[1-2]", "[s1, s2]", 1),
	"large letters":      strings.Replace(twoLeaves, "switches:", "Switches:", 1),
	"no switches":        "- topology: t\n  tree:\n    switches: []\n",
	"a circle":           strings.Replace(twoLeaves, "nodes: n[1-2]", "children: r", 1),
	"two kinds":          strings.Replace(twoLeaves, "  tree:", "  flat: true\n  tree:", 1),
	"text":               "nothing\n",
}

func TestYAMLRefusesWhatSlurmDoes(t *testing.T) {
	for name, content := range yamlRefused {
		if _, err := YAML("t", text(content), options); err == nil || !strings.HasPrefix(err.Error(), "t:") {
			t.Errorf("%s: the importer takes it: %v", name, err)
		}
	}
}
