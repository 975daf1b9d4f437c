package lease

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"bulkhead/site"
	"bulkhead/site/hostlist"
)

// HandOver is what a tenant gets when slots of a lease are delivered, made anew
// at each delivery and each replacement. Files maps names to contents.
//
// A rank is a slot: it is the same from the first delivery to the last, whatever
// becomes of other slots. A slot without a delivered node is absent: every file says
// so where the slot would be, and gives its rank to nobody.
type HandOver struct {
	Lease  ID
	Hosts  []Host   // in rank order; only delivered slots
	Absent []Absent // in rank order; the others, once any has been delivered
	Files  map[string]string
}

// Absent is a slot without a delivered node: not handed over yet, or being replaced.
type Absent struct {
	Rank   int  `json:"rank"`
	Slot   int  `json:"slot"`
	Absent bool `json:"absent"` // true
	gpus   int
}

// Host is one delivered slot.
type Host struct {
	Rank     int    `json:"rank"`
	Slot     int    `json:"slot"`
	Node     string `json:"node"`
	Host     string `json:"host"` // name under which it answers; the node's id unless it has one of its own
	Serial   string `json:"serial"`
	Rack     string `json:"rack"`
	SU       string `json:"su"`
	Pod      string `json:"pod"`
	Hall     string `json:"hall"`
	Kind     string `json:"gpu"`
	NodeGPUs int    `json:"gpus,omitempty"` // how many; 0: the usual 8
	Frontend string `json:"frontend_mac"`
	Address  string `json:"frontend_link_local"` // RFC 4291, appendix A, from the MAC
}

// NewHandOver describes the slots of a lease. A slot's rank is its number: slot order
// is locality order at placement, and a replacement keeps its slot, so that ranks of
// the others never move, not while a slot is absent either.
// Cost: O(slots).
func NewHandOver(s *site.Site, l *Lease, delivered func(slot int) bool) HandOver {
	h := HandOver{Lease: l.ID}
	for slot, n := range l.Slots {
		if !delivered(slot) {
			h.Absent = append(h.Absent, Absent{Rank: slot, Slot: slot, Absent: true, gpus: s.RailsOf(n)})
			continue
		}
		mac := s.PortID[site.PortOf(n, site.Frontend)]
		gpus := s.RailsOf(n)
		if gpus == site.GPUs {
			gpus = 0
		}
		h.Hosts = append(h.Hosts, Host{
			Rank: slot, Slot: slot, Node: s.NodeID[n], Host: s.HostOf(n), Serial: s.Serial[n],
			Rack: s.RackID(s.RackOf(n)), SU: s.SUs[s.NodeSU[n]].ID, Pod: s.Pods[s.PodOf(n)].ID, Hall: s.Halls[s.HallOf(n)].ID,
			Kind: s.KindOf(n), NodeGPUs: gpus, Frontend: formatMAC(mac), Address: linkLocal(mac),
		})
	}
	if len(h.Hosts) == 0 {
		h.Absent = nil // nothing has been handed over: there are no ranks yet
	}
	h.Files = map[string]string{
		"hosts.txt":        h.hostFile(),
		"hosts.json":       h.hostJSON(),
		"rankfile":         h.rankFile(),
		"topology.conf":    h.slurmConf(l.Fabric),
		"topology.yaml":    h.slurmYAML(l.Fabric),
		"node-labels.yaml": h.nodeLabels(),
		"ssh_config":       h.sshConfig(),
	}
	return h
}

// GPUs is how many GPUs the host has.
func (h *Host) GPUs() int {
	if h.NodeGPUs == 0 {
		return site.GPUs
	}
	return h.NodeGPUs
}

func formatMAC(mac uint64) string {
	var b [6]string
	for i := range b {
		b[i] = fmt.Sprintf("%02x", byte(mac>>(40-8*i)))
	}
	return strings.Join(b[:], ":")
}

// linkLocal is the IPv6 link-local address of a MAC (modified EUI-64).
func linkLocal(mac uint64) string {
	eui := mac>>24<<40 | 0xfffe<<24 | mac&0xffffff
	eui ^= 1 << 57
	return fmt.Sprintf("fe80::%x:%x:%x:%x", uint16(eui>>48), uint16(eui>>32), uint16(eui>>16), uint16(eui))
}

// inOrder calls one of two functions for each slot, in rank order.
func (h *HandOver) inOrder(here func(*Host), absent func(*Absent)) {
	hosts, gone := h.Hosts, h.Absent
	for len(hosts)+len(gone) > 0 {
		if len(gone) == 0 || len(hosts) > 0 && hosts[0].Rank < gone[0].Rank {
			here(&hosts[0])
			hosts = hosts[1:]
			continue
		}
		absent(&gone[0])
		gone = gone[1:]
	}
}

// absence is the line about an absent slot in files whose comments begin with #.
func absence(a *Absent) string {
	return fmt.Sprintf("# rank %d (slot %d) is absent: not handed over yet, or being replaced\n", a.Rank, a.Slot)
}

// withAbsent appends what is absent to a file that has no order of ranks.
func (h *HandOver) withAbsent(b *strings.Builder) string {
	for i := range h.Absent {
		b.WriteString(absence(&h.Absent[i]))
	}
	return b.String()
}

func (h *HandOver) hostFile() string {
	var b strings.Builder
	h.inOrder(func(host *Host) { fmt.Fprintf(&b, "%s slots=%d\n", host.Host, host.GPUs()) },
		func(a *Absent) { b.WriteString(absence(a)) })
	return b.String()
}

// rankFile writes a rankfile of Open MPI with one rank a GPU, in rank order. It wants
// a slot, which is a core: the owner does not know the tenant's image, so that rank g
// of a host gets its core g. Source: Open MPI's mpirun(1), "Rankfiles". Ranks of an
// absent slot are left out: mpirun then starts nothing and names the first that it
// misses, where a rankfile that closed the gap would run with every later rank shifted.
func (h *HandOver) rankFile() string {
	var b strings.Builder
	b.WriteString("# Open MPI: mpirun --hostfile hosts.txt --rankfile rankfile. One rank a GPU; slot is a core: change it to suit your image.\n")
	h.inOrder(func(host *Host) {
		for gpu := range host.GPUs() { // nodes of a lease are of one kind
			fmt.Fprintf(&b, "rank %d=%s slot=%d\n", host.Rank*host.GPUs()+gpu, host.Host, gpu)
		}
	}, func(a *Absent) {
		fmt.Fprintf(&b, "# ranks %d-%d (slot %d) are absent: not handed over yet, or being replaced\n", a.Rank*a.gpus, (a.Rank+1)*a.gpus-1, a.Slot)
	})
	return b.String()
}

func (h *HandOver) hostJSON() string {
	var b strings.Builder
	encoder := json.NewEncoder(&b)
	h.inOrder(func(host *Host) { _ = encoder.Encode(host) }, // strings and numbers always encode
		func(a *Absent) { _ = encoder.Encode(a) })
	return b.String()
}

// tree groups hosts by SU, pod and hall, in the order of their first rank.
type tree struct {
	names    []string
	children map[string][]string
}

func (t *tree) add(parent, child string) {
	if t.children == nil {
		t.children = map[string][]string{}
	}
	if _, ok := t.children[parent]; !ok {
		t.names = append(t.names, parent)
	}
	if !slices.Contains(t.children[parent], child) {
		t.children[parent] = append(t.children[parent], child)
	}
}

func (h *HandOver) trees() (sus, pods, halls tree) {
	nodes := map[string]bool{}
	for _, host := range h.Hosts {
		if !nodes[host.Host] {
			nodes[host.Host] = true
			if _, ok := sus.children[host.SU]; !ok {
				pods.add(host.Pod, host.SU)
				halls.add(host.Hall, host.Pod)
			}
			sus.add(host.SU, host.Host)
		}
	}
	return sus, pods, halls
}

// slurmSwitch is a switch as Slurm has it: with nodes below it, or with switches.
type slurmSwitch struct{ name, nodes, switches string }

// slurmSwitches are those of Slurm's tree plugin: an SU is a leaf switch, as the rails of
// an SU are alike; pods, halls and the fabric join them.
func (h *HandOver) slurmSwitches(fabric string) []slurmSwitch {
	sus, pods, halls := h.trees()
	var out []slurmSwitch
	for _, su := range sus.names {
		out = append(out, slurmSwitch{name: su, nodes: hostList(sus.children[su])})
	}
	for _, pod := range pods.names {
		out = append(out, slurmSwitch{name: "pod-" + pod, switches: strings.Join(pods.children[pod], ",")})
	}
	var top []string
	for _, hall := range halls.names {
		out = append(out, slurmSwitch{name: "hall-" + hall, switches: "pod-" + strings.Join(halls.children[hall], ",pod-")})
		top = append(top, "hall-"+hall)
	}
	if len(top) > 0 {
		out = append(out, slurmSwitch{name: "fabric-" + fabric, switches: strings.Join(top, ",")})
	}
	return out
}

// slurmConf writes topology.conf. Source: Slurm's topology.conf manual page.
func (h *HandOver) slurmConf(fabric string) string {
	var b strings.Builder
	b.WriteString("# Slurm topology/tree. SU = the rail leaves of a scalable unit, one switch to Slurm.\n")
	for _, s := range h.slurmSwitches(fabric) {
		if s.nodes != "" {
			fmt.Fprintf(&b, "SwitchName=%s Nodes=%s\n", s.name, s.nodes)
		} else {
			fmt.Fprintf(&b, "SwitchName=%s Switches=%s\n", s.name, s.switches)
		}
	}
	return h.withAbsent(&b)
}

// slurmYAML writes topology.yaml as the manual page of Slurm 25.05 describes it. The
// importer of site/slurm reads it in the tests, and a controller of 26.05 where one
// was unpacked (lab/slurm-next).
func (h *HandOver) slurmYAML(fabric string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "- topology: %s\n  cluster_default: true\n  tree:\n    switches:\n", fabric)
	for _, s := range h.slurmSwitches(fabric) {
		if s.nodes != "" {
			fmt.Fprintf(&b, "      - switch: %s\n        nodes: %s\n", s.name, s.nodes)
		} else {
			fmt.Fprintf(&b, "      - switch: %s\n        children: %s\n", s.name, s.switches)
		}
	}
	return h.withAbsent(&b)
}

// nodeLabels writes Kubernetes labels by node: the levels that a topology-aware
// scheduler such as Kueue is configured with.
func (h *HandOver) nodeLabels() string {
	var b strings.Builder
	for _, host := range h.Hosts {
		fmt.Fprintf(&b, "%s: {bulkhead/hall: %s, bulkhead/pod: %s, bulkhead/su: %s, bulkhead/rack: %s, bulkhead/rank: \"%d\", bulkhead/gpu: %s}\n",
			host.Host, host.Hall, host.Pod, host.SU, host.Rack, host.Rank, host.Kind)
	}
	return h.withAbsent(&b)
}

func (h *HandOver) sshConfig() string {
	var b strings.Builder
	b.WriteString("# Addresses are the frontend NICs' link-local ones; add %INTERFACE of your bastion.\n" +
		"# Host keys are made by your own image at first boot: the owner does not know them.\n")
	for _, host := range h.Hosts {
		fmt.Fprintf(&b, "Host %s rank%d\n  HostName %s\n", host.Host, host.Rank, host.Address)
	}
	return h.withAbsent(&b)
}

// hostList writes host names as Slurm reads them, folded: "a-n[01-03,07]".
func hostList(names []string) string { return hostlist.Fold(slices.Sorted(slices.Values(names))) }
