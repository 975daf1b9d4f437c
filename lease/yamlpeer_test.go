//go:build slurmnext

package lease_test

import (
	"testing"

	"bulkhead/site/slurm/slurmtest"
)

// A controller that knows topology.yaml reads it, and shows the same tree.
func TestSlurmReadsTheTopologyYAML(t *testing.T) {
	t.Parallel() // it waits
	h := handOver(t)
	shown := slurmtest.YAML(t, h.Files["topology.yaml"], ranked)
	if len(shown) != 7 || shown["a1-su01"] != "a1-su01-n01 a1-su01-n03" || shown["pod-c1"] != "c1-su01-n01 c1-su01-n02" ||
		shown["fabric-roce"] != "a1-su01-n01 a1-su01-n03 c1-su01-n01 c1-su01-n02" {
		t.Errorf("Slurm shows %v", shown)
	}
}
