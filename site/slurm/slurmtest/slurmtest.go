// Package slurmtest asks a real slurmctld, of Debian's package, how it reads a
// network: for tests of what is written for Slurm and of what reads Slurm's files.
package slurmtest

import (
	"bufio"
	"context"
	"fmt"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"bulkhead/site/hostlist"
)

var topologyLine = regexp.MustCompile(`^SwitchName=(\S+) Level=\d+ LinkSpeed=\d+ Nodes=(.*?)( Switches=.*)?$`)

// Topology starts a controller without node daemons on loopback, in a folder of its
// own with these files, topology.conf among them, and returns the nodes below each
// switch that it knows, sorted. It skips the test where Slurm is missing.
func Topology(t *testing.T, files map[string]string, nodes []string) map[string]string {
	t.Helper()
	if testing.Short() {
		t.Skip("it starts a controller of Slurm")
	}
	program := find(t, "slurmctld")
	find(t, "scontrol")
	dir := t.TempDir()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := listener.Addr().(*net.TCPAddr).Port
	listener.Close()
	conf := fmt.Sprintf(`ClusterName=test
SlurmctldHost=localhost(127.0.0.1)
SlurmctldPort=%d
SlurmUser=%s
AuthType=auth/none
CredType=cred/none
CommunicationParameters=NoInAddrAny,NoCtldInAddrAny
SelectType=select/cons_tres
TopologyPlugin=topology/tree
ProctrackType=proctrack/linuxproc
ResumeProgram=/bin/true
SuspendProgram=/bin/true
SuspendTime=3600000
StateSaveLocation=%s
SlurmctldPidFile=%s/pid
SlurmctldLogFile=%s/log
NodeName=%s CPUs=8 RealMemory=1000 State=CLOUD
PartitionName=p Nodes=ALL Default=YES State=UP
`, port, user(), dir, dir, dir, strings.Join(nodes, ","))
	files = maps.Clone(files)
	files["slurm.conf"] = conf
	for name, text := range files {
		at := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(at, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	controller := exec.CommandContext(ctx, program, "-D", "-f", filepath.Join(dir, "slurm.conf"))
	if err := controller.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { _ = controller.Wait(); close(ended) }()
	t.Cleanup(func() { cancel(); <-ended })
	for {
		show := exec.CommandContext(ctx, "scontrol", "show", "topology")
		show.Env = append(os.Environ(), "SLURM_CONF="+filepath.Join(dir, "slurm.conf"))
		out, err := show.Output()
		if shown := readTopology(t, string(out)); err == nil && len(shown) > 0 { // it answers with nothing while it starts
			return shown
		}
		select {
		case <-ended:
			log, _ := os.ReadFile(filepath.Join(dir, "log"))
			t.Fatalf("slurmctld ended:\n%s", log)
		case <-ctx.Done():
			log, _ := os.ReadFile(filepath.Join(dir, "log"))
			t.Fatalf("slurmctld does not answer: %v\n%s", err, log)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

func user() string {
	if os.Getuid() == 0 {
		return "root"
	}
	return os.Getenv("USER")
}

func readTopology(t *testing.T, text string) map[string]string {
	t.Helper()
	shown := map[string]string{}
	lines := bufio.NewScanner(strings.NewReader(text))
	for lines.Scan() {
		m := topologyLine.FindStringSubmatch(strings.TrimSpace(lines.Text()))
		if m == nil {
			continue
		}
		nodes, err := hostlist.Expand(m[2], 1000)
		if err != nil {
			t.Fatal(err)
		}
		slices.Sort(nodes)
		shown[m[1]] = strings.Join(nodes, " ")
	}
	return shown
}

// find finds a program of others.
func find(t *testing.T, name string) string {
	t.Helper()
	for _, at := range []string{name, "/usr/sbin/" + name} {
		if path, err := exec.LookPath(at); err == nil {
			return path
		}
	}
	t.Skipf("%s is missing: run lab/peers as root", name)
	return ""
}
