package main

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"bulkhead/lab/await"
	"bulkhead/lab/ethnet"
)

// run runs bulkhead and returns what it printed, and whether it succeeded.
func runBulkhead(t *testing.T, args ...string) (said string, ok bool) {
	t.Helper()
	path, err := exec.LookPath("bulkhead")
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(path, args...).CombinedOutput()
	return string(out), err == nil
}

// labUp brings a small fabric up that ends with the test.
func labUp(t *testing.T, name string) ethnet.Lab {
	t.Helper()
	t.Cleanup(func() { runBulkhead(t, "lab", "eth", "down", name) })
	said, ok := runBulkhead(t, "lab", "eth", "up", name, "--fabric", "frontend", "-o", "json")
	var l ethnet.Lab
	if i := strings.Index(said, "{"); !ok || i < 0 || json.Unmarshal([]byte(said[i:]), &l) != nil {
		t.Fatalf("lab eth up %s: %s", name, said)
	}
	return l
}

func gone(t *testing.T, what string, is func() bool) {
	t.Helper()
	await.Must(t, what+" to be gone", is)
}

func noFolder(path string) func() bool {
	return func() bool { _, err := os.Stat(path); return errors.Is(err, os.ErrNotExist) }
}

// Two fabrics are up at once by name. One's process is killed without warning: its
// daemons end with it, the other goes on, and down removes what is left. Then the
// other is taken down, and nothing of either is left.
func TestEthLabsUpAndDown(t *testing.T) {
	if testing.Short() {
		t.Skip("starts FRR in network namespaces: not in short mode")
	}
	if missing := ethnet.Missing(true); missing != "" {
		t.Skip("needs " + missing + ": as root on Debian, apt-get install frr nftables iproute2 lldpd")
	}
	first, second := labUp(t, labName()), labUp(t, labName())
	routes := regexp.MustCompile(`frontend +ok +routes are heard in full`)
	answers := func(l ethnet.Lab) (string, bool) {
		said, _ := runBulkhead(t, "drivers", "posture", l.Drivers) // nobody has filtered its gateway yet, so it fails
		return said, routes.MatchString(said)
	}
	for _, l := range []ethnet.Lab{first, second} {
		if said, ok := answers(l); !ok {
			t.Fatalf("%s does not hear its reflectors: %s", l.Name, said)
		}
	}
	if said, ok := runBulkhead(t, "lab", "eth", "up", first.Name, "--fabric", "frontend"); ok || !strings.Contains(said, "is there already") {
		t.Fatalf("a second fabric of one name: %s", said)
	}
	if said, _ := runBulkhead(t, "lab", "eth", "list"); !strings.Contains(said, first.Name+"  up") || !strings.Contains(said, second.Name+"  up") {
		t.Fatalf("list: %s", said)
	}
	daemons := childrenOf(first)
	if len(daemons) < 10 {
		t.Fatalf("the fabric has %d processes: this test shows nothing", len(daemons))
	}
	if err := syscall.Kill(first.Process, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	gone(t, "a process of the fabric that was killed", func() bool { return len(childrenOf(first)) == 0 })
	// Whoever brings another lab up meanwhile, as other tests do, removes what is left of it.
	if said, _ := runBulkhead(t, "lab", "eth", "list"); !strings.Contains(said, first.Name+"  killed") && strings.Contains(said, first.Name) {
		t.Fatalf("list after the kill: %s", said)
	}
	if said, ok := answers(second); !ok {
		t.Fatalf("the other fabric no longer answers: %s", said)
	}
	for _, l := range []ethnet.Lab{first, second} {
		if said, ok := runBulkhead(t, "lab", "eth", "down", l.Name); !ok && (l.Name != first.Name || !strings.Contains(said, "no lab")) {
			t.Fatalf("down %s: %s", l.Name, said)
		}
		if !noFolder(l.Folder)() || len(childrenOf(l)) > 0 {
			t.Fatalf("after down %s there is still %s, or a process", l.Name, l.Folder)
		}
		if spaces, _ := filepath.Glob("/var/run/frr/bulkhead-" + l.Name + "-*"); len(spaces) > 0 {
			t.Fatalf("after down %s there is still %v", l.Name, spaces)
		}
	}
	if said, ok := runBulkhead(t, "lab", "eth", "down", first.Name); ok || !strings.Contains(said, "no lab") {
		t.Fatalf("down again: %s", said)
	}
}

// childrenOf lists the daemons of a fabric: their command lines name its folder or its
// path spaces.
func childrenOf(l ethnet.Lab) (pids []string) {
	lines, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, path := range lines {
		text, err := os.ReadFile(path)
		if err == nil && (strings.Contains(string(text), l.Folder+"/") || strings.Contains(string(text), "bulkhead-"+l.Name+"-")) {
			pids = append(pids, filepath.Base(filepath.Dir(path)))
		}
	}
	return pids
}

// Who brings a fabric up is killed before it is up: nobody would know of it, so it ends
// by itself and leaves nothing.
func TestEthLabKilledWhileComingUp(t *testing.T) {
	if testing.Short() || ethnet.Missing(true) != "" {
		t.Skip("needs root, FRR and time")
	}
	l := ethnet.Lab{Name: labName()}
	l.Folder = filepath.Join(ethnet.Base, l.Name)
	p := launch(t, nil, "lab", "eth", "up", l.Name, "--fabric", "frontend")
	p.until(t, "word of FRR", func() bool { return strings.Contains(p.said(), "FRR starts") })
	p.kill()
	gone(t, l.Folder, noFolder(l.Folder))
	gone(t, "a process of the fabric", func() bool { return len(childrenOf(l)) == 0 })
}
