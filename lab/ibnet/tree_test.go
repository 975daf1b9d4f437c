package ibnet

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
)

// TestEveryCableHasTwoEnds reads what was written: each end must be named by the
// other, and no port twice.
func TestEveryCableHasTwoEnds(t *testing.T) {
	for _, tree := range []Tree{
		{Hosts: 1, PerLeaf: 1, Spines: 1},
		{Hosts: 16, PerLeaf: 4, Spines: 2, Spare: 2},
		{Hosts: 100, PerLeaf: 7, Spines: 3, PerPod: 4},
	} {
		var b bytes.Buffer
		if err := tree.Write(&b); err != nil {
			t.Fatal(err)
		}
		ends, nodes := map[string]string{}, 0
		name := ""
		for line := range strings.Lines(b.String()) {
			var kind, peer string
			var ports, local, remote int
			if n, _ := fmt.Sscanf(line, "[%d] %q[%d]", &local, &peer, &remote); n == 3 {
				here := fmt.Sprintf("%s[%d]", name, local)
				if ends[here] != "" {
					t.Fatalf("%+v: %s twice", tree, here)
				}
				ends[here] = fmt.Sprintf("%s[%d]", peer, remote)
			} else if n, _ := fmt.Sscanf(line, "%s %d %q", &kind, &ports, &name); n == 3 {
				nodes++
			}
		}
		if nodes != tree.Hosts+tree.Switches() {
			t.Errorf("%+v: %d nodes, expected %d", tree, nodes, tree.Hosts+tree.Switches())
		}
		for here, there := range ends {
			if ends[there] != here {
				t.Errorf("%+v: %s leads to %s, which leads to %s", tree, here, there, ends[there])
			}
		}
		if len(ends) == 0 || len(ends) > 2*tree.Ports() {
			t.Errorf("%+v: %d ends, %d ports", tree, len(ends), tree.Ports())
		}
	}
}

func TestTooLargeSwitchesAreRefused(t *testing.T) {
	for _, tree := range []Tree{{}, {Hosts: 300, PerLeaf: 255, Spines: 1}, {Hosts: 300, PerLeaf: 1, Spines: 1}} {
		if err := tree.Write(&bytes.Buffer{}); err == nil {
			t.Errorf("%+v was written", tree)
		}
	}
}
