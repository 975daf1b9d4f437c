package main

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	v1 "bulkhead/api/bulkheadv1"
	"bulkhead/api/bulkheadv1/bulkheadv1connect"
	"bulkhead/run/datadir"
)

// fullMemory is the most that a server of 50,000 nodes may take while it imports them.
const fullMemory = 1 << 30

// TestImportOfTheFullSite imports 50,000 nodes through a server whose devices are all
// there from the beginning and whose loop goes on meanwhile, asks it for the site, and starts it again.
// It takes about a minute, so -short leaves it out.
func TestImportOfTheFullSite(t *testing.T) {
	if testing.Short() {
		t.Skip("50,000 nodes take about a minute")
	}
	d := datadir.Dir(filepath.Join(t.TempDir(), "data"))
	socket := simulateSize(t, "full", "60")
	text, err := os.ReadFile(filepath.Join("..", "..", "examples", "colossus", "site.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	serve := func() (*process, *client) {
		p := launch(t, nil, "serve", "--data", string(d), "--simulated", "--devices", "unix:"+socket, "--listen", "127.0.0.1:0")
		return p, &client{Server: p.address(t), TokenFile: filepath.Join(string(d), "operator.token")}
	}
	p, operator := serve()
	done, err := ask(t.Context(), operator, bulkheadv1connect.ControlPlaneClient.ImportSite, &v1.SiteTemplate{CommandId: "import", File: "site.yaml", Template: text})
	if err != nil {
		t.Fatalf("import: %v: %s", explain(err), p.said())
	}
	for i := range 2 {
		site, err := ask(t.Context(), operator, bulkheadv1connect.ControlPlaneClient.ShowSite, &v1.ShowSiteRequest{})
		if err != nil || site.Nodes != 50_000 {
			t.Fatalf("the site has %v, expected 50,000 nodes: %v: %s", site.GetNodes(), err, p.said())
		}
		if peak := peakMemory(t, p.command.Process.Pid); peak > fullMemory {
			t.Errorf("the server took %d MiB, expected at most %d", peak>>20, fullMemory>>20)
		} else {
			t.Logf("the server took %d MiB", peak>>20)
		}
		if i == 1 {
			break
		}
		p.kill()
		p, operator = serve()
		again, err := ask(t.Context(), operator, bulkheadv1connect.ControlPlaneClient.ImportSite, &v1.SiteTemplate{CommandId: "import", File: "site.yaml", Template: text})
		if err != nil || !again.Repeated || again.Entry != done.Entry {
			t.Errorf("the same import again: %+v, %v, expected what entry %d was", again, err, done.Entry)
		}
	}
	if said := p.said(); strings.Contains(said, "panic") || strings.Contains(said, `"level":"ERROR"`) {
		t.Errorf("it said: %s", said)
	}
	if err := p.interrupt(t); err != nil {
		t.Errorf("it ended: %v: %s", err, p.said())
	}
}

var highWater = regexp.MustCompile(`(?m)^VmHWM:\s+(\d+) kB$`)

// peakMemory is the most memory that a process has had.
func peakMemory(t *testing.T, pid int) int64 {
	t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Skip("this system does not say how much memory a process takes")
	}
	m := highWater.FindSubmatch(status)
	if m == nil {
		t.Fatalf("no VmHWM in:\n%s", status)
	}
	kb, err := strconv.ParseInt(string(m[1]), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return kb << 10
}
