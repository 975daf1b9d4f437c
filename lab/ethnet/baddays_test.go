//go:build labs

package ethnet

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"bulkhead/fabric"
	"bulkhead/fabric/ethernet"
	"bulkhead/fabric/ethernet/linux"
	"bulkhead/lab/await"
	"bulkhead/site"
)

// Days on which things break, at a leaf and its agent. Whatever breaks, nobody reaches
// a rival, what can't be read is an error, and the same call again ends where the
// first one would have.

// twoRivals brings a lab up with a member of each rival at both leaves, who have the
// same addresses.
func twoRivals(t *testing.T) (n *Net, at map[string]*linux.Client) {
	t.Helper()
	n = up(t, Options{Only: []string{"frontend"}, Agent: SelfLeaf})
	at = map[string]*linux.Client{}
	for _, leaf := range []string{first, second} {
		at[leaf] = carries(t, n, leaf, map[int]uint32{1: 5001, 2: 5002})
	}
	for host, k := range map[string]int{"a1-su01-n01": 0, "a1-su02-n01": 1, "a1-su01-n02": 0, "a1-su02-n02": 7} {
		if err := n.SetMember(host, k); err != nil {
			t.Fatal(err)
		}
	}
	reaches(t, n, "a1-su01-n01", "frontend", 1)
	reaches(t, n, "a1-su01-n02", "frontend", 7)
	return n, at
}

// neverMeet expects that no rival reaches the other.
func neverMeet(t *testing.T, n *Net, when string) {
	t.Helper()
	var all sync.WaitGroup
	for _, p := range []struct {
		host string
		k    int
	}{{"a1-su01-n01", 7}, {"a1-su01-n02", 1}, {"a1-su02-n01", 7}, {"a1-su02-n02", 1}} {
		all.Go(func() {
			if got, err := n.Ping(t.Context(), p.host, "frontend", TenantAddress(site.Frontend, p.k), 1); err != nil || got > 0 {
				t.Errorf("%s: %s reaches member %d, who is the rival's: %d answers, %v", when, p.host, p.k, got, err)
			}
		})
	}
	all.Wait()
}

func compiled(rows map[int]uint32) map[int]fabric.Row {
	out := map[int]fabric.Row{}
	for port, value := range rows {
		out[port] = fabric.Compile(site.RoCE, value)
	}
	return out
}

func readNow(t *testing.T, c *linux.Client) ethernet.Capture {
	t.Helper()
	got, err := c.Read(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// bgpd is killed: the leaf can't be read, ports can be closed but not opened, and who
// is a member stays one. When it is back, the same call opens them.
func TestRoutingDaemonKilled(t *testing.T) {
	n, at := twoRivals(t)
	if err := n.KillDaemon(second, "bgpd"); err != nil {
		t.Fatal(err)
	}
	if c, err := at[second].Read(t.Context()); err == nil {
		t.Fatalf("a leaf without bgpd reads as %+v", c)
	}
	rows := compiled(map[int]uint32{1: 5001, 2: 0, 3: 5003})
	failed, err := at[second].Write(t.Context(), rows, fabric.Fence{Term: 1})
	if err != nil || failed[2] != "" || !strings.Contains(failed[3], "bgpd") {
		t.Fatalf("written without bgpd: %v, ports %v; expected port 2 closed, port 3 refused by bgpd", err, failed)
	}
	neverMeet(t, n, "without bgpd")
	if err := n.StartDaemon(t.Context(), second, "bgpd"); err != nil {
		t.Fatal(err)
	}
	if err := n.AwaitSessions(t.Context(), second); err != nil {
		t.Fatal(err)
	}
	got := readNow(t, at[second])
	judged(t, n, second, got, map[int]uint32{1: 5001})
	if failed, err := at[second].Write(t.Context(), rows, fabric.Fence{Term: 1}); err != nil || len(failed) > 0 {
		t.Fatal(err, failed)
	}
	judged(t, n, second, readNow(t, at[second]), map[int]uint32{1: 5001, 3: 5003})
	reaches(t, n, "a1-su01-n01", "frontend", 1)
	neverMeet(t, n, "after bgpd came back")
}

// All of FRR is restarted with its startup configuration, which knows of no VNI: the
// leaf comes back as it was, because FRR finds VNIs in the kernel and their targets
// are the ones that it derives itself.
func TestFRRRestarted(t *testing.T) {
	n, at := twoRivals(t)
	for _, daemon := range []string{"bgpd", "ospfd", "zebra"} {
		if err := n.KillDaemon(second, daemon); err != nil {
			t.Fatal(err)
		}
	}
	neverMeet(t, n, "without FRR")
	for _, daemon := range []string{"zebra", "ospfd", "bgpd"} {
		if err := n.StartDaemon(t.Context(), second, daemon); err != nil {
			t.Fatal(err)
		}
	}
	if err := n.AwaitSessions(t.Context(), second); err != nil {
		t.Fatal(err)
	}
	reaches(t, n, "a1-su01-n01", "frontend", 1)
	judged(t, n, second, readNow(t, at[second]), map[int]uint32{1: 5001, 2: 5002})
	neverMeet(t, n, "after FRR was restarted")
}

// The agent is killed somewhere within a change that moves ports from one rival to the
// other and back; wherever it was, the change again, by a new agent, ends it.
func TestAgentKilledWithinAChange(t *testing.T) {
	n, at := twoRivals(t)
	states := []map[int]uint32{{1: 5003, 2: 0, 3: 5001}, {1: 5001, 2: 5002, 3: 0}}
	cut := 0
	for i := 0; i < 8 || cut == 0; i++ {
		if i == 64 {
			t.Fatal("no change was cut short: this test shows nothing")
		}
		rows := compiled(states[i%2])
		done := make(chan error, 1)
		ctx, cancel := context.WithCancel(await.Context(t))
		go func() {
			_, err := at[second].Write(ctx, rows, fabric.Fence{Term: 1})
			done <- err
		}()
		time.Sleep(time.Duration(25*(i%8)) * time.Millisecond) // at any time of it
		if err := n.KillDaemon(second, "agent"); err != nil {
			t.Fatal(err)
		}
		if <-done != nil {
			cut++
		}
		cancel()
		neverMeet(t, n, fmt.Sprintf("after the agent was killed %d ms into a change", 25*(i%8)))
		if err := n.RestartAgent(t.Context(), second); err != nil {
			t.Fatal(err)
		}
		if failed, err := at[second].Write(t.Context(), rows, fabric.Fence{Term: 1}); err != nil || len(failed) > 0 {
			t.Fatalf("the change again: %v, ports %v", err, failed)
		}
		judged(t, n, second, readNow(t, at[second]), states[i%2])
	}
	reaches(t, n, "a1-su01-n01", "frontend", 1)
}

// A leaf is out of reach at any step of a change that spans two: taken away at both,
// then given at both. Who can't be reached is an error, the other leaf is written, and
// when the link is back the same calls end the change.
func TestUnreachableAtAnyStep(t *testing.T) {
	n, at := twoRivals(t)
	// The first rival's ports become the second's, remove before add.
	steps := []struct {
		leaf string
		rows map[int]uint32
	}{
		{first, map[int]uint32{1: 0}}, {second, map[int]uint32{1: 0}},
		{first, map[int]uint32{1: 5002}}, {second, map[int]uint32{1: 5002}},
	}
	for broken := range steps {
		for _, leaf := range []string{first, second} {
			if failed, err := at[leaf].Write(t.Context(), compiled(map[int]uint32{1: 5001, 2: 5002}), fabric.Fence{Term: 1}); err != nil || len(failed) > 0 {
				t.Fatal(err, failed)
			}
		}
		write := func(i int, limit time.Duration) error {
			ctx, cancel := context.WithTimeout(t.Context(), limit)
			defer cancel()
			failed, err := at[steps[i].leaf].Write(ctx, compiled(steps[i].rows), fabric.Fence{Term: 1})
			if err == nil && len(failed) > 0 {
				err = fmt.Errorf("ports %v", failed)
			}
			return err
		}
		for i := range steps {
			if i != broken {
				if err := write(i, await.Patience); err != nil {
					t.Fatal(err)
				}
				continue
			}
			if err := n.SetManaged(steps[i].leaf, false); err != nil {
				t.Fatal(err)
			}
			if err := write(i, 400*time.Millisecond); err == nil {
				t.Fatalf("step %d was written over a link that is cut", i)
			}
			ctx, cancel := context.WithTimeout(t.Context(), 400*time.Millisecond)
			if _, err := at[steps[i].leaf].Read(ctx); err == nil {
				t.Fatal("a leaf was read over a link that is cut")
			}
			cancel()
			if err := n.SetManaged(steps[i].leaf, true); err != nil {
				t.Fatal(err)
			}
			// The plane waits for read-back of the absence before it adds: it comes again.
			if err := write(i, await.Patience); err != nil {
				t.Fatalf("step %d again: %v", i, err)
			}
		}
		for _, leaf := range []string{first, second} {
			judged(t, n, leaf, readNow(t, at[leaf]), map[int]uint32{1: 5002, 2: 5002})
		}
	}
}

// Somebody edits the leaf by hand, in every way at once. It shows, and the rows again
// undo it.
func TestHandEdited(t *testing.T) {
	n, at := twoRivals(t)
	for name, script := range map[string]string{
		"lock":             "bridge link set dev swp1 locked off learning on",
		"port filter":      "nft flush chain netdev bulkhead swp1",
		"port filter open": "nft insert rule netdev bulkhead swp1 accept",
		"leaf filter":      "nft delete table inet bulkhead",
		"isolation":        "bridge link set dev vni5001 isolated off",
		"VXLAN joined":     "ip link set vni5002 master bd5001",
		"flood":            "bridge fdb append 00:00:00:00:00:00 dev vni5001 dst 192.0.2.9",
		"static":           "bridge fdb add 02:00:00:00:00:77 dev vni5001 dst 192.0.2.9 static",
		"another MAC":      "bridge fdb add 02:00:00:00:00:77 dev swp1 master static",
		"address":          "ip addr add 10.0.8.254/24 dev bd5001",
		"mirror":           "tc qdisc add dev swp1 clsact",
		"moved":            "ip link set swp1 master bd5002",
		"local bridge":     "ip link add br9 type bridge\nip link set swp1 master br9",
		"another VTEP":     "ip link del vni5001\nip link add vni5001 type vxlan id 5001 local 10.65.0.9 dstport 4789 nolearning\nip link set vni5001 master bd5001 up",
		"class":            "nft flush chain netdev bulkhead swp1\nnft add rule netdev bulkhead swp1 meta priority set 0:6\nnft add rule netdev bulkhead swp1 accept",
		"targets":          "vtysh -N " + n.PathSpace(second) + " -f " + targetsFile(t),
	} {
		want := map[int]uint32{1: 5001, 2: 5002}
		before := readNow(t, at[second])
		judged(t, n, second, before, want)
		number, err := at[second].Changes(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if err := n.Run(t.Context(), second, script); err != nil {
			t.Fatal(err)
		}
		if after, err := at[second].Changes(t.Context()); err != nil || after == number {
			t.Errorf("%s: the leaf does not say that something changed: %v", name, err)
		}
		got := readNow(t, at[second])
		if name != "isolation" && agrees(t, n, second, got, want) {
			t.Errorf("%s: the leaf reads as before", name)
		}
		for range 2 {
			if failed, err := at[second].Write(t.Context(), compiled(want), fabric.Fence{Term: 1}); err != nil || len(failed) > 0 {
				t.Errorf("%s: %v, ports %v", name, err, failed)
			}
		}
		if got := readNow(t, at[second]); !agrees(t, n, second, got, want) {
			t.Errorf("%s: written again, the leaf reads %+v", name, got)
		}
	}
	reaches(t, n, "a1-su01-n01", "frontend", 1)
	neverMeet(t, n, "after all that")
}
