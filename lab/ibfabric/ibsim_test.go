package ibfabric_test

import (
	"fmt"
	"slices"
	"testing"

	"bulkhead/fabric/infiniband/mad"
	"bulkhead/fabric/infiniband/smp"
	"bulkhead/lab/await"
	"bulkhead/lab/ibnet"
)

// The same topology, the same OpenSM and the same partitions give the same LIDs
// and the same P_Key tables on the emulator as on ibsim, which others wrote.
func TestSameTablesAsIbsim(t *testing.T) {
	tree := ibnet.Tree{Hosts: 24, PerLeaf: 6, Spines: 3}
	read := func(s *ibnet.Sim) []string {
		s.StartOpenSM(t, host(0), partitions())
		c := client(t, s, host(23))
		var lines []string
		await.Must(t, "the tenants' keys", func() bool {
			f, err := c.Sweep(t.Context(), smp.Keys{})
			if err != nil {
				t.Fatal(err)
			}
			tables, err := c.ReadTables(t.Context(), f, smp.TableOptions{})
			if err != nil {
				t.Fatal(err)
			}
			lines = nil
			owned := 0
			for i := range tables.Ports {
				e := &tables.Ports[i]
				if e.Host == nil {
					continue
				}
				info := mad.ParsePortInfo(&e.Host.PortInfo)
				keys, leaf := smp.PKeys(e.Host.Keys, e.HostCap), smp.PKeys(e.Keys, e.KeyCap)
				slices.Sort(keys)
				slices.Sort(leaf)
				if len(keys) == 2 {
					owned++
				}
				lines = append(lines, fmt.Sprintf("0x%x port %d, host 0x%x: lid %d, keys %v, at the leaf %v", e.Switch.Node, e.Switch.Port, e.HostGUID, info.LID, keys, leaf))
			}
			return owned == 6
		})
		slices.Sort(lines)
		return lines
	}
	ours := read(second(start(t, tree)))
	theirs := read(ibnet.Start(t, tree))
	if !slices.Equal(ours, theirs) {
		for i := range ours {
			if i >= len(theirs) || ours[i] != theirs[i] {
				t.Errorf("emulator: %s\n  ibsim:    %s", ours[i], theirs[min(i, len(theirs)-1)])
			}
		}
	}
	if len(ours) != 24 {
		t.Errorf("%d edge ports with a host, expected 24", len(ours))
	}
}

func second[A, B any](_ A, b B) B { return b }
