package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"bulkhead/lab/await"
	"bulkhead/lab/ibnet"
)

// TestKilledLab kills the InfiniBand lab without warning in the middle of its
// story: its OpenSM goes with it, its fabric can't be reached any more, and the next
// lab removes its folder, and leaves nothing itself.
func TestKilledLab(t *testing.T) {
	if testing.Short() {
		t.Skip("starts OpenSM: not in short mode")
	}
	if missing := ibnet.Missing(); missing != "" {
		t.Skipf("needs %s: apt-get install %s", missing, missing)
	}
	dir := t.TempDir()
	in := func(c *exec.Cmd) { c.Env = append(os.Environ(), "TMPDIR="+dir) }
	p := launch(t, in, "lab", "ib")
	p.until(t, "lease", func() bool { return strings.Contains(p.said(), "sign:") })
	left, err := filepath.Glob(filepath.Join(dir, "bulkhead-lab-ib-*"))
	if err != nil || len(left) != 1 {
		t.Fatalf("folders of the lab: %v, %v", left, err)
	}
	pid, err := os.ReadFile(filepath.Join(left[0], "opensm.pid"))
	if err != nil {
		t.Fatal(err)
	}
	runs := func() bool { // a process that nobody has waited for yet has ended all the same
		status, err := os.ReadFile(filepath.Join("/proc", strings.TrimSpace(string(pid)), "status"))
		return err == nil && strings.HasPrefix(string(status), "Name:\topensm\n") && !strings.Contains(string(status), "State:\tZ")
	}
	if !runs() {
		t.Fatal("OpenSM does not run")
	}
	p.kill()
	next := launch(t, in, "lab", "ib")
	next.until(t, "word of the lab that was killed", func() bool {
		return strings.Contains(next.said(), "cleaning up after a lab that was killed: "+left[0])
	})
	if err := await.True(await.Context(t), "the OpenSM of the lab that was killed to end", func() bool { return !runs() }); err != nil {
		t.Error(err)
	}
	if err := next.wait(t); err != nil {
		t.Fatalf("the next lab: %v: %s", err, next.said())
	}
	if rest, err := os.ReadDir(dir); err != nil || len(rest) > 0 {
		t.Errorf("left behind: %v, %v", rest, err)
	}
}
