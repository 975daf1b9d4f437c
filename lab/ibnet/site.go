package ibnet

import (
	"bufio"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"bulkhead/site"
)

// The names of what a lab's fabric has beside a site's inventory.
const (
	Manager = "sm-host" // the host on which the subnet manager runs, at the first top switch
	Canary  = "canary"  // another host of the owner's, at the second port of it
)

// managerBase is where the GUIDs of switches and hosts begin that no inventory
// names.
const managerBase = 0x0002c90200000000

// HCAName is the name of a node's HCA in a topology that WriteSite writes.
func HCAName(node string, nic int) string { return node + "-" + site.NICName(nic) }

// WriteSite writes the compute fabric of a site as a topology: every HCA with
// the port GUID of the inventory, every leaf with its own, leaves cabled to
// spines as the inventory says. The rail planes of a site are apart; here, top
// switches join all spines, so that they are one subnet under one manager. The
// manager's host sits at a top switch and not at an edge port.
//
// A port's GUID is its node's plus one, as ibsim and the emulator give them, so
// an HCA's node GUID is one less than its port's.
func WriteSite(w io.Writer, units []*site.SUInventory, fabric string) error {
	type end struct {
		peer string
		port int
	}
	type device struct {
		guid  uint64
		ports map[int]end
	}
	switches, hosts := map[string]*device{}, map[string]*device{}
	var spines []string
	next := uint64(managerBase)
	fresh := func() uint64 { next += guidStep; return next }
	join := func(a string, ap int, b string, bp int) {
		switches[a].ports[ap] = end{b, bp}
		if s := switches[b]; s != nil {
			s.ports[bp] = end{a, ap}
		}
	}
	top := 0
	sizes := map[string]int{} // leaves have ports to spare
	for _, inv := range units {
		if inv.Fabric != fabric {
			continue
		}
		for _, leaf := range inv.Leaves {
			if leaf.Fabric == fabric {
				switches[leaf.ID] = &device{uint64(leaf.GUID), map[int]end{}}
				sizes[leaf.ID] = leaf.Ports
			}
		}
		for _, n := range inv.Nodes {
			for _, nic := range n.NICs {
				if switches[nic.Leaf] == nil {
					continue
				}
				i := slices.IndexFunc(inv.Leaves, func(l site.LeafInventory) bool { return l.ID == nic.Leaf })
				name := HCAName(n.ID, inv.Leaves[i].NIC)
				hosts[name] = &device{uint64(nic.ID) - 1, map[int]end{1: {nic.Leaf, nic.Port}}}
				switches[nic.Leaf].ports[nic.Port] = end{name, 1}
			}
		}
		for _, link := range inv.Links {
			from, fp, err := cutEnd(link.From)
			if err != nil {
				return err
			}
			to, tp, err := cutEnd(link.To)
			if err != nil {
				return err
			}
			if switches[from] == nil {
				continue
			}
			if switches[to] == nil {
				switches[to] = &device{fresh(), map[int]end{}}
				spines = append(spines, to)
			}
			join(from, fp, to, tp)
			top = max(top, tp)
		}
	}
	if len(hosts) == 0 {
		return fmt.Errorf("ibnet: the site has no node in a fabric %q", fabric)
	}
	// Each top switch has a cable to every spine; two suffice for a lab.
	for t := range 2 {
		name := fmt.Sprintf("top-%d", t+1)
		switches[name] = &device{fresh(), map[int]end{}}
		if len(spines)+2 > 254 {
			return fmt.Errorf("ibnet: %d spines: a top switch has at most 252 cables to spines", len(spines))
		}
		for i, spine := range spines {
			join(name, i+3, spine, top+1+t)
		}
	}
	for i, name := range []string{Manager, Canary} {
		hosts[name] = &device{fresh(), map[int]end{1: {"top-1", i + 1}}}
		switches["top-1"].ports[i+1] = end{name, 1}
	}

	b := bufio.NewWriter(w)
	for _, kind := range []struct {
		guid, word string
		all        map[string]*device
	}{{"switchguid", "Switch", switches}, {"caguid", "Ca", hosts}} {
		for _, name := range sortedNames(kind.all) {
			d := kind.all[name]
			numbers := sortedNames(d.ports)
			fmt.Fprintf(b, "%s=0x%x\n%s %d %q\n", kind.guid, d.guid, kind.word, max(slices.Max(numbers), sizes[name]), name)
			for _, p := range numbers {
				fmt.Fprintf(b, "[%d] %q[%d]\n", p, d.ports[p].peer, d.ports[p].port)
			}
			fmt.Fprintln(b)
		}
	}
	return b.Flush()
}

func sortedNames[K string | int, V any](m map[K]V) []K {
	names := make([]K, 0, len(m))
	for n := range m {
		names = append(names, n)
	}
	slices.Sort(names)
	return names
}

// cutEnd takes "switch:port" apart.
func cutEnd(text string) (string, int, error) {
	name, number, _ := strings.Cut(text, ":")
	port, err := strconv.Atoi(number)
	if err != nil || port < 1 {
		return "", 0, fmt.Errorf("ibnet: link end %.80q: expected switch:port", text)
	}
	return name, port, nil
}
