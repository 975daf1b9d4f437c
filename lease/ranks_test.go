package lease_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// While a slot is absent no other slot's rank moves, in no file, and every file says
// which rank is absent. In files with an order of ranks it says so in that slot's place.
func TestRanksStayWhileASlotIsAbsent(t *testing.T) {
	whole := handOverWithout(t)
	for _, absent := range [][]int{{0}, {3}, {4}, {0, 1}, {1, 3}, {0, 2, 4}} {
		h := handOverWithout(t, absent...)
		for _, host := range h.Hosts {
			if host.Rank != host.Slot || host != whole.Hosts[host.Slot] {
				t.Errorf("without %v: %+v was %+v", absent, host, whole.Hosts[host.Slot])
			}
		}
		for name, perSlot := range map[string]int{"hosts.txt": 1, "hosts.json": 1} {
			before, after := strings.Split(whole.Files[name], "\n"), strings.Split(h.Files[name], "\n")
			if len(before) != len(after) {
				t.Errorf("without %v: %s has %d lines, it had %d", absent, name, len(after), len(before))
				continue
			}
			for i := range before {
				gone := slices.Contains(absent, i/perSlot)
				if gone == (before[i] == after[i]) || gone && !strings.Contains(after[i], "absent") {
					t.Errorf("without %v: line %d of %s is %q, it was %q", absent, i, name, after[i], before[i])
				}
			}
		}
		for name, file := range whole.Files {
			rest := strings.Split(h.Files[name], "\n")
			for _, slot := range absent {
				said := slices.ContainsFunc(rest, func(line string) bool {
					return strings.Contains(line, "absent") && (strings.Contains(line, fmt.Sprintf("(slot %d)", slot)) || strings.Contains(line, fmt.Sprintf(`"slot":%d,`, slot)))
				})
				if !said {
					t.Errorf("without %v: %s does not say that slot %d is absent:\n%s", absent, name, slot, h.Files[name])
				}
			}
			if name == "topology.conf" || name == "topology.yaml" || name == "ssh_config" {
				continue // lists of hosts: those that are absent are missing from them
			}
			before := strings.Split(file, "\n")
			for _, line := range rest {
				if !strings.Contains(line, "absent") && !slices.Contains(before, line) {
					t.Errorf("without %v: %s says %q, which it did not before", absent, name, line)
				}
			}
		}
		for _, host := range h.Hosts {
			if !strings.Contains(h.Files["ssh_config"], fmt.Sprintf("Host %s rank%d\n", host.Host, host.Slot)) {
				t.Errorf("without %v: ssh_config:\n%s", absent, h.Files["ssh_config"])
			}
		}
	}
	// Before anything has been handed over there are no ranks, and no hosts.
	if h := handOverWithout(t, 0, 1, 2, 3, 4); h.Files["hosts.txt"] != "" || len(h.Absent) != 0 {
		t.Errorf("nothing is handed over: %q", h.Files["hosts.txt"])
	}
}
