package site

import (
	"fmt"
	"strconv"
	"strings"

	"bulkhead/site/hostlist"
)

const (
	maxText  = 120    // bytes of a serial, model or firmware version
	maxLinks = 10_000 // links of an SU

	maxNodePort = MaxSUNodes // of a leaf
)

// identity is what no two parts of an SU may share.
type identity struct {
	class, serial string
	hardware      HardwareID
}

// Check returns an error that names the first thing of an inventory that cannot
// be: a part twice, a NIC cabled elsewhere than to its leaf, two cables in a
// port. It does not know the site; AddSU checks against that.
func (inv *SUInventory) Check() error {
	for _, id := range [...]struct{ what, id string }{{"su", inv.SU}, {"pod", inv.Pod}, {"hall", inv.Hall},
		{"phase", inv.Phase}, {"fabric", inv.Fabric}, {"kind", inv.Kind}} {
		if err := checkID(id.id); err != nil {
			return fmt.Errorf("%s: %w", id.what, err)
		}
	}
	if n := len(inv.Nodes); n < 1 || n > MaxSUNodes {
		return fmt.Errorf("nodes: %d, expected 1 to %d", n, MaxSUNodes)
	}
	if inv.Spares < 0 || inv.Spares >= len(inv.Nodes) {
		return fmt.Errorf("spares: %d of %d nodes, expected at least one node that is none", inv.Spares, len(inv.Nodes))
	}
	rails := len(inv.Nodes[0].GPUs)
	if rails < 1 || rails > GPUs {
		return fmt.Errorf("node %.60q: gpus: %d, expected 1 to %d", inv.Nodes[0].ID, rails, GPUs)
	}
	if len(inv.Leaves) != rails+1 {
		return fmt.Errorf("leaves: %d, expected %d, one a rail and the frontend's", len(inv.Leaves), rails+1)
	}
	leaf := map[string]int{}                             // id -> ports
	seen := make(map[identity]string, 40*len(inv.Nodes)) // -> node or leaf
	for at := range inv.Leaves {
		l, nic := &inv.Leaves[at], nicNumber(at, rails)
		if l.ID != leafID(inv.SU, nic) || l.NIC != nic {
			return fmt.Errorf("leaf %.60q: expected id %q and nic %d", l.ID, leafID(inv.SU, nic), nic)
		}
		if nic != Frontend && l.Fabric != inv.Fabric {
			return fmt.Errorf("leaf %q: fabric %.60q, expected %q", l.ID, l.Fabric, inv.Fabric)
		}
		if l.Ports < len(inv.Nodes) || l.Ports > 256 {
			return fmt.Errorf("leaf %q: %d ports for %d nodes, expected as many or more, at most 256", l.ID, l.Ports, len(inv.Nodes))
		}
		leaf[l.ID] = l.Ports
		key := identity{class: "hardware id", hardware: l.GUID}
		if other, ok := seen[key]; ok || l.GUID == 0 {
			return fmt.Errorf("leaf %q: guid %s: expected one of its own, not none or that of leaf %q", l.ID, l.GUID, other)
		}
		seen[key] = l.ID
	}
	for pos := range inv.Nodes {
		if err := inv.Nodes[pos].check(inv, pos, seen); err != nil {
			return fmt.Errorf("node %.60q: %w", inv.Nodes[pos].ID, err)
		}
	}
	return inv.checkLinks(leaf)
}

func (n *NodeInventory) check(inv *SUInventory, pos int, seen map[identity]string) error {
	if n.Pos != pos {
		return fmt.Errorf("pos: %d, expected %d", n.Pos, pos)
	}
	if want := nodeID(inv.SU, pos); n.ID != want {
		return fmt.Errorf("id: expected %q", want)
	}
	once := func(class, serial string, hardware HardwareID) error {
		key := identity{class, serial, hardware}
		if other, ok := seen[key]; ok {
			if hardware != 0 {
				serial = hardware.String()
			}
			return fmt.Errorf("%s %q: %s has the same", class, serial, other)
		}
		seen[key] = n.ID
		return nil
	}
	if err := once("host name", n.ID, 0); err != nil { // an id is a host name too
		return err
	}
	if n.Host != "" {
		if err := checkHost(n.Host); err != nil || n.Host == n.ID {
			return fmt.Errorf("host %.60q: expected a host name that is not the id, or none", n.Host)
		}
		if err := once("host name", strings.ToLower(n.Host), 0); err != nil {
			return err
		}
	}
	if n.Serial == "" || len(n.Serial) > maxText {
		return fmt.Errorf("serial: expected 1 to %d characters", maxText)
	}
	if err := once("chassis", n.Serial, 0); err != nil {
		return err
	}
	rails := len(inv.Leaves) - 1
	least := 1 // ports ascend with positions
	if pos > 0 && len(inv.Nodes[pos-1].NICs) > 0 {
		least = inv.Nodes[pos-1].NICs[0].Port + 1
	}
	if len(n.GPUs) != rails {
		return fmt.Errorf("gpus: %d, expected %d", len(n.GPUs), rails)
	}
	if len(n.NICs) != rails+1 {
		return fmt.Errorf("nics: %d, expected %d", len(n.NICs), rails+1)
	}
	if len(n.Drives) > MaxDrives {
		return fmt.Errorf("drives: %d, expected at most %d", len(n.Drives), MaxDrives)
	}
	for at := range n.NICs {
		nic, i := &n.NICs[at], nicNumber(at, rails)
		if nic.Name != NICName(i) {
			return fmt.Errorf("nic %d: name %.60q, expected %q", i, nic.Name, NICName(i))
		}
		if want := leafID(inv.SU, i); nic.Leaf != want {
			return fmt.Errorf("nic %s: leaf %.60q, expected %q", nic.Name, nic.Leaf, want)
		}
		if want := n.NICs[0].Port; nic.Port != want || nic.Port < least {
			return fmt.Errorf("nic %s: port %d, expected %d: a node is in the same port of every leaf, %d or above", nic.Name, nic.Port, max(want, least), least)
		}
		if ports := inv.Leaves[at].Ports; nic.Port > min(ports, maxNodePort) {
			return fmt.Errorf("nic %s: port %d, expected at most %d", nic.Name, nic.Port, min(ports, maxNodePort))
		}
		if nic.ID == 0 {
			return fmt.Errorf("nic %s: id: missing", nic.Name)
		}
		if err := once("hardware id", "", nic.ID); err != nil {
			return err
		}
	}
	if n.BMC.MAC == 0 {
		return fmt.Errorf("bmc: mac: missing")
	}
	if err := once("hardware id", "", n.BMC.MAC); err != nil {
		return err
	}
	for _, part := range [...]struct {
		class   string
		devices []Device
	}{{ClassGPU, n.GPUs}, {ClassNVMe, n.Drives}, {ClassDRAM, []Device{n.DRAM}}, {ClassUEFI, []Device{n.UEFI}}, {ClassTPM, []Device{n.TPM}}} {
		for i := range part.devices {
			if part.devices[i].Class != part.class {
				return fmt.Errorf("%s %d: class %.60q, expected %q", part.class, i, part.devices[i].Class, part.class)
			}
		}
	}
	for _, d := range n.WipeDevices() {
		if d.Serial == "" || len(d.Serial) > maxText || len(d.Model) > maxText || len(d.Firmware) > maxText {
			return fmt.Errorf("%s: expected a serial, and texts of at most %d characters", d.Class, maxText)
		}
		if err := once(d.Class, d.Serial, 0); err != nil {
			return err
		}
	}
	return nil
}

// checkHost accepts one host name as Slurm and DNS write them.
func checkHost(name string) error {
	if names, err := hostlist.Expand(name, 1); err != nil || len(names) != 1 || names[0] != name {
		return fmt.Errorf("host name %.60q: expected letters, digits, '-', '_' and '.'", name)
	}
	return nil
}

// checkLinks finds links to nowhere and ports with two cables.
func (inv *SUInventory) checkLinks(leaf map[string]int) error {
	if len(inv.Links) > maxLinks {
		return fmt.Errorf("links: %d, expected at most %d", len(inv.Links), maxLinks)
	}
	used := make(map[string]bool, 2*len(inv.Links))
	lastPort := inv.Nodes[len(inv.Nodes)-1].NICs[0].Port
	for i, link := range inv.Links {
		for side, end := range [...]string{link.From, link.To} {
			id, number, err := splitEnd(end)
			if err != nil {
				return fmt.Errorf("link %d: %w", i, err)
			}
			ports, own := leaf[id]
			if side == 0 && !own {
				return fmt.Errorf("link %d: from %q: expected a leaf of this SU", i, end)
			}
			if own && (number > ports || number <= lastPort) {
				return fmt.Errorf("link %d: %q: expected a port from %d to %d: the others are the nodes' or do not exist", i, end, lastPort+1, ports)
			}
			if used[end] {
				return fmt.Errorf("link %d: %q: two cables in a port", i, end)
			}
			used[end] = true
		}
	}
	return nil
}

// splitEnd splits "switch:port". Ports count from 1 and have no leading zero.
func splitEnd(end string) (id string, port int, err error) {
	id, text, ok := strings.Cut(end, ":")
	port, convErr := strconv.Atoi(text)
	if !ok || convErr != nil || port < 1 || port > 256 || strconv.Itoa(port) != text || checkID(id) != nil {
		return "", 0, fmt.Errorf("link end %.80q: expected switch:port, such as a1-su01-leaf0:65", end)
	}
	return id, port, nil
}

func joinEnd(id string, port int) string { return id + ":" + strconv.Itoa(port) }
