//go:build slurmnext

package slurm

import (
	"maps"
	"testing"

	"bulkhead/site/slurm/slurmtest"
)

// A controller that knows topology.yaml makes of each of these files what the
// importer makes of it: the same nodes under the same switches or blocks.
func TestSlurmReadsYAMLAlike(t *testing.T) {
	for name, odd := range yamlOddities {
		d, err := YAML("t", text(odd.text), options)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		ours, all := below(d)
		delete(ours, "fabric") // what stands in for levels that blocks do not have
		delete(ours, "pod1")
		shown := slurmtest.YAML(t, odd.text, all)
		maps.DeleteFunc(shown, func(_, nodes string) bool { return nodes == "" }) // it waits for nodes
		if !maps.Equal(shown, ours) {
			t.Errorf("%s: Slurm has %v, the draft %v\n%s", name, shown, ours, odd.text)
		}
	}
}

// What Slurm does not read, the importer refuses too.
func TestSlurmRefusesYAMLAlike(t *testing.T) {
	for name, content := range yamlRefused {
		t.Run(name, func(t *testing.T) {
			if why := slurmtest.RefusesYAML(t, content, []string{"n1", "n2", "n3", "n4"}); why == "" {
				t.Error("Slurm takes it")
			}
		})
	}
}
