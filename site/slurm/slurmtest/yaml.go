//go:build slurmnext

package slurmtest

import (
	"os"
	"path/filepath"
	"testing"
)

// rootVariable names a folder in which a Slurm of 25.05 or later was unpacked, which
// Debian's stable releases do not have: lab/slurm-next makes one.
const rootVariable = "BULKHEAD_SLURM_ROOT"

// YAML is Topology for a topology.yaml: the nodes below each switch, or in each
// block, of its default topology.
func YAML(t *testing.T, text string, nodes []string) map[string]string {
	t.Helper()
	shown, why := next(t).show(t, map[string]string{"topology.yaml": text}, nodes, "")
	if why != "" {
		t.Fatalf("slurmctld does not read\n%s\nit says\n%s", text, why)
	}
	return shown
}

// RefusesYAML returns why the controller does not start with a topology.yaml, or ""
// if it does.
func RefusesYAML(t *testing.T, text string, nodes []string) string {
	t.Helper()
	_, why := next(t).show(t, map[string]string{"topology.yaml": text}, nodes, "")
	return why
}

func next(t *testing.T) installed {
	t.Helper()
	root := os.Getenv(rootVariable)
	if root == "" {
		t.Fatal("no Slurm that reads topology.yaml: run lab/slurm-next FOLDER as root, and set " + rootVariable + " to the folder")
	}
	dir, err := os.MkdirTemp(root, "test")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return installed{root: root, controller: "/usr/sbin/slurmctld-wlm", outside: dir, inside: "/" + filepath.Base(dir)}
}
