package slurm

import (
	"os"
	"slices"
	"strings"
	"testing"

	"bulkhead/site/draft"
	"bulkhead/site/slurm/slurmtest"
)

// What Slurm's own controller makes of a file with all its oddities is what the
// importer makes of it: the same nodes under the same leaf, pod and fabric.
func TestSlurmReadsItAlike(t *testing.T) {
	t.Parallel() // it waits
	files := map[string]string{}
	for name, as := range map[string]string{"tree.conf": "topology.conf", "more.conf": "more.conf", "sub/empty.conf": "sub/empty.conf"} {
		data, err := os.ReadFile("testdata/" + name)
		if err != nil {
			t.Fatal(err)
		}
		files[as] = string(data)
	}
	d, err := Conf("topology.conf", func(name string) ([]byte, error) { return []byte(files[name]), nil }, options)
	if err != nil {
		t.Fatal(err)
	}
	ours, all := below(d)
	shown := slurmtest.Topology(t, files, all)
	for name, nodes := range ours {
		if shown[name] != nodes {
			t.Errorf("switch %s: Slurm has %q below it, the draft %q", name, shown[name], nodes)
		}
	}
	if len(shown) != len(ours) {
		t.Errorf("Slurm knows %d switches, the draft %d", len(shown), len(ours))
	}
}

// below is the nodes below each switch of a draft, sorted, and all of them.
func below(d *draft.Draft) (nodes map[string]string, all []string) {
	under := map[string][]string{}
	for _, h := range d.Halls {
		for _, p := range h.Pods {
			for _, u := range p.Units {
				all = append(all, u.Hosts...)
				names := []string{u.Name, p.Name, d.Fabrics[p.Fabric].Name}
				slices.Sort(names)
				for _, name := range slices.Compact(names) { // a switch may stand for several levels
					under[name] = append(under[name], u.Hosts...)
				}
			}
		}
	}
	nodes = map[string]string{}
	for name, hosts := range under {
		slices.Sort(hosts)
		nodes[name] = strings.Join(hosts, " ")
	}
	return nodes, all
}
