package lease_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"bulkhead/examples"
	"bulkhead/lease"
	"bulkhead/site"
	"bulkhead/site/draft"
	"bulkhead/site/slurm"
	"bulkhead/site/slurm/slurmtest"
)

// handOver is that of a lease over three SUs in two halls, of which a slot has been
// replaced by a node of another SU and one is not delivered.
func handOver(t *testing.T) lease.HandOver { return handOverWithout(t, 3) }

// handOverWithout is the same with some slots that are absent.
func handOverWithout(t *testing.T, absent ...int) lease.HandOver {
	t.Helper()
	data, err := examples.Files.ReadFile("tiny/site.yaml")
	if err != nil {
		t.Fatal(err)
	}
	template, err := site.ParseTemplate("tiny", data)
	if err != nil {
		t.Fatal(err)
	}
	s, err := template.Build()
	if err != nil {
		t.Fatal(err)
	}
	l := lease.Lease{ID: "a/b", Fabric: "roce"}
	for _, id := range []string{"a1-su01-n01", "c1-su01-n02", "a1-su01-n03", "a1-su02-n01", "c1-su01-n01"} {
		n, ok := s.Lookup(id)
		if !ok {
			t.Fatalf("no node %s", id)
		}
		l.Slots = append(l.Slots, n)
	}
	return lease.NewHandOver(s, &l, func(slot int) bool { return !slices.Contains(absent, slot) })
}

var ranked = []string{"a1-su01-n01", "c1-su01-n02", "a1-su01-n03", "c1-su01-n01"} // those that are there, in slot order

// peer finds a program of others that a test needs.
func peer(t *testing.T, name string) string {
	t.Helper()
	if testing.Short() {
		t.Skip("it starts programs of others")
	}
	for _, at := range []string{name, "/usr/sbin/" + name} {
		if path, err := exec.LookPath(at); err == nil {
			return path
		}
	}
	t.Skipf("%s is missing: run lab/peers as root", name)
	return ""
}

// Slurm's own controller reads topology.conf, and shows the tree that was meant.
func TestSlurmReadsTheTopology(t *testing.T) {
	t.Parallel() // it waits
	h := handOver(t)
	shown := slurmtest.Topology(t, map[string]string{"topology.conf": h.Files["topology.conf"]}, ranked)
	want := map[string]string{
		"a1-su01": "a1-su01-n01 a1-su01-n03", "c1-su01": "c1-su01-n01 c1-su01-n02",
		"pod-a1": "a1-su01-n01 a1-su01-n03", "pod-c1": "c1-su01-n01 c1-su01-n02",
		"hall-hall-a": "a1-su01-n01 a1-su01-n03", "hall-hall-c": "c1-su01-n01 c1-su01-n02",
		"fabric-roce": "a1-su01-n01 a1-su01-n03 c1-su01-n01 c1-su01-n02",
	}
	for name, nodes := range want {
		if shown[name] != nodes {
			t.Errorf("switch %s has %q, expected %q", name, shown[name], nodes)
		}
	}
	if len(shown) != len(want) {
		t.Errorf("Slurm shows %v", shown)
	}
}

// Both files of the topology say the same to the importers of site/slurm: hosts, SUs,
// pods and halls come back.
func TestTopologyFilesComeBack(t *testing.T) {
	h := handOver(t)
	var outlines []string
	for name, read := range map[string]func(string, draft.Reader, draft.Options) (*draft.Draft, error){
		"topology.conf": slurm.Conf, "topology.yaml": slurm.YAML,
	} {
		d, err := read(name, func(string) ([]byte, error) { return []byte(h.Files[name]), nil }, draft.Options{Name: "x"})
		if err != nil {
			t.Fatal(err)
		}
		var b strings.Builder
		for _, hall := range d.Halls {
			for _, pod := range hall.Pods {
				for _, u := range pod.Units {
					fmt.Fprintf(&b, "%s/%s/%s/%s %v\n", d.Fabrics[pod.Fabric].Name, hall.Name, pod.Name, u.Name, u.Hosts)
				}
			}
		}
		outlines = append(outlines, b.String())
	}
	want := "fabric-roce/hall-hall-a/pod-a1/a1-su01 [a1-su01-n01 a1-su01-n03]\nfabric-roce/hall-hall-c/pod-c1/c1-su01 [c1-su01-n01 c1-su01-n02]\n"
	if outlines[0] != want || outlines[1] != want {
		t.Errorf("they come back as\n%s\n%s\nexpected\n%s", outlines[0], outlines[1], want)
	}
}

// Open MPI maps a rank a GPU as the rankfile says, on the hosts of the host file, and
// while a slot is absent it starts nothing and names the first rank that has no place:
// no rank runs where another belongs. Its daemons all run on this machine, started by a
// stand-in for ssh, with a made-up topology of 64 cores; what is tested is what mpirun
// reads, not a network.
func TestOpenMPIMapsTheRanks(t *testing.T) {
	t.Parallel() // it waits
	peer(t, "mpirun")
	out, err := mpirun(t, handOverWithout(t), 5)
	if err != nil {
		t.Fatalf("mpirun: %v\n%s", err, out)
	}
	at := map[string]string{} // host by rank
	host := ""
	for line := range strings.Lines(out) {
		if m := regexp.MustCompile(`Data for node: (\S+)`).FindStringSubmatch(line); m != nil {
			host = m[1]
		}
		if m := regexp.MustCompile(`Process rank: (\d+) Bound: .*core (\d+)`).FindStringSubmatch(line); m != nil {
			at[m[1]] = host + " core " + m[2]
		}
	}
	all := slices.Insert(slices.Clone(ranked), 3, "a1-su02-n01")
	for rank := range len(all) * site.GPUs {
		if want := fmt.Sprintf("%s core %d", all[rank/site.GPUs], rank%site.GPUs); at[fmt.Sprint(rank)] != want {
			t.Errorf("rank %d is on %q, expected %q", rank, at[fmt.Sprint(rank)], want)
		}
	}
	for _, nodes := range []int{4, 5} {
		out, err := mpirun(t, handOver(t), nodes)
		if err == nil || !regexp.MustCompile(`Rank: +24\b`).MatchString(out) {
			t.Errorf("slot 3 is absent, mpirun on %d nodes: %v\n%s", nodes, err, out)
		}
	}
}

// mpirun starts a rank a GPU of so many nodes with the files of a hand-over.
func mpirun(t *testing.T, h lease.HandOver, nodes int) (string, error) {
	t.Helper()
	dir := t.TempDir()
	remote := "#!/bin/sh\nhost=$1\nshift\nexport TMPDIR=\"$LAB/$host\"\nmkdir -p \"$TMPDIR\"\nexec sh -c \"$*\"\n"
	for name, text := range map[string]string{"hosts.txt": h.Files["hosts.txt"], "rankfile": h.Files["rankfile"], "remote": remote} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	run := exec.CommandContext(ctx, "mpirun", "--mca", "plm", "rsh", "--mca", "plm_rsh_agent", filepath.Join(dir, "remote"),
		"--mca", "routed", "direct", "--mca", "oob_tcp_if_include", "lo", "-np", fmt.Sprint(nodes*site.GPUs),
		"--hostfile", filepath.Join(dir, "hosts.txt"), "--rankfile", filepath.Join(dir, "rankfile"), "--display-map", "true")
	run.Env = append(os.Environ(), "LAB="+dir, "TMPDIR="+dir, "HWLOC_SYNTHETIC=pack:2 core:32 pu:1", "OMPI_ALLOW_RUN_AS_ROOT=1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1")
	run.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	run.Cancel = func() error { return syscall.Kill(-run.Process.Pid, syscall.SIGTERM) }
	run.WaitDelay = 5 * time.Second
	out, err := run.CombinedOutput()
	return string(out), err
}
