// Package slurmtest asks a real slurmctld, of Debian's package, how it reads a network. It
// is for tests of what is written for Slurm and of what reads Slurm's files.
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

var topologyLine = regexp.MustCompile(`^(?:SwitchName=(\S+) Level=\d+ LinkSpeed=\d+|BlockName=(\S+) BlockIndex=\d+)(?: Nodes=(.*?))?(?: (?:Switches|BlockSize)=.*)?$`)

// Topology starts a controller without node daemons on loopback, in a folder of its
// own with these files, topology.conf among them, and returns the nodes below each
// switch that it knows, sorted. It skips the test where Slurm is missing.
func Topology(t *testing.T, files map[string]string, nodes []string) map[string]string {
	t.Helper()
	if testing.Short() {
		t.Skip("it starts a controller of Slurm")
	}
	find(t, "scontrol")
	dir := t.TempDir()
	i := installed{controller: find(t, "slurmctld"), outside: dir, inside: dir}
	shown, why := i.show(t, files, nodes, "TopologyPlugin=topology/tree\n")
	if why != "" {
		t.Fatalf("slurmctld does not answer:\n%s", why)
	}
	return shown
}

// installed is a Slurm, of this machine or in a folder that is its root, and the
// folder for its files as it is called from both sides.
type installed struct{ root, controller, outside, inside string }

func (i installed) command(ctx context.Context, name string, args ...string) *exec.Cmd {
	if i.root == "" {
		return exec.CommandContext(ctx, name, args...)
	}
	return exec.CommandContext(ctx, "chroot", append([]string{i.root, name}, args...)...)
}

// show runs the controller until it has shown its topology, or says why it ended.
func (i installed) show(t *testing.T, files map[string]string, nodes []string, plugin string) (shown map[string]string, why string) {
	t.Helper()
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
%sProctrackType=proctrack/linuxproc
ResumeProgram=/bin/true
SuspendProgram=/bin/true
SuspendTime=3600000
StateSaveLocation=%s
SlurmctldPidFile=%s/pid
SlurmctldLogFile=%s/log
NodeName=%s CPUs=8 RealMemory=1000 State=CLOUD
PartitionName=p Nodes=ALL Default=YES State=UP
`, port, user(), plugin, i.inside, i.inside, i.inside, strings.Join(nodes, ","))
	files = maps.Clone(files)
	files["slurm.conf"] = conf
	for name, text := range files {
		at := filepath.Join(i.outside, name)
		if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(at, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	controller := i.command(ctx, i.controller, "-D", "-f", i.inside+"/slurm.conf")
	if err := controller.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { _ = controller.Wait(); close(ended) }()
	defer func() { cancel(); <-ended }()
	said := func() string { log, _ := os.ReadFile(filepath.Join(i.outside, "log")); return string(log) }
	for {
		show := i.command(ctx, "scontrol", "show", "topology")
		show.Env = append(os.Environ(), "SLURM_CONF="+i.inside+"/slurm.conf")
		out, err := show.Output()
		if shown := readTopology(t, string(out)); err == nil && len(shown) > 0 { // it answers with nothing while it starts
			return shown, ""
		}
		select {
		case <-ended:
			return nil, "it ended:\n" + said()
		case <-ctx.Done():
			t.Fatalf("slurmctld does not answer: %v\n%s", err, said())
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
		if m[3] == "" {
			shown[m[1]+m[2]] = ""
			continue
		}
		nodes, err := hostlist.Expand(m[3], 1000)
		if err != nil {
			t.Fatal(err)
		}
		slices.Sort(nodes)
		shown[m[1]+m[2]] = strings.Join(nodes, " ")
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
