package site

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"bulkhead/claim"
)

// Header is everything of a template but its SUs, whose inventories follow it
// one by one. The ledger stores it as a body.
type Header struct {
	Version int          `json:"version"` // of this encoding: 1
	Name    string       `json:"name"`
	Origin  claim.Origin `json:"origin"`
	Seed    string       `json:"seed,omitempty"` // of made-up identities; simulated sites only
	Shape   Shape        `json:"shape"`
	Policy  Policy       `json:"policy"`
	Kinds   []Kind       `json:"kinds"`
	Fabrics []Fabric     `json:"fabrics"`
	Phases  []Phase      `json:"phases"`
	Halls   []Hall       `json:"halls"`
	Pods    []Pod        `json:"pods"`
	// Management names the network on which every node's BMC is; "": the site says
	// nothing of one. It is not among Fabrics: nothing is placed on it.
	Management string `json:"management,omitempty"`
}

// HeaderVersion is the version of the encoding that this release writes.
const HeaderVersion = 1

// Kind is a node model: what is in each node, with its golden firmware.
type Kind struct {
	ID          string `json:"id"` // GPU kind: "H100", "H200"
	Chassis     string `json:"chassis"`
	GPU         Model  `json:"gpu"`
	RailNIC     Model  `json:"rail_nic"`
	FrontendNIC Model  `json:"frontend_nic"`
	Drive       Model  `json:"drive"`
	Drives      int    `json:"drives"` // NVMe drives a node
	DRAM        Model  `json:"dram"`
	TPM         Model  `json:"tpm"`
	UEFI        Model  `json:"uefi"`
	BMC         Model  `json:"bmc"`
	Switch      Model  `json:"switch"` // leaves of its SUs

	// NVLinkRacks says that its racks are one NVLink domain each: they are leased
	// whole, unless a contract lets them be split.
	NVLinkRacks bool `json:"nvlink_racks,omitempty"`

	// GPUs is how many GPUs a node has, and rail NICs; 0 is the usual 8. See NodeGPUs.
	GPUs int `json:"gpus,omitempty"`
}

// Model is a device model and the firmware version that it must have.
type Model struct {
	Model    string `json:"model"`
	Firmware string `json:"firmware"`
}

func (m Model) String() string { return m.Model + ", firmware " + m.Firmware }

// difference names the first thing in which another kind of the same id differs, as the
// site file has it, with what it is and would become.
func (k Kind) difference(next Kind) (what, was, is string) {
	for _, f := range [...]struct {
		name    string
		was, is string
	}{
		{"chassis", k.Chassis, next.Chassis}, {"gpu", k.GPU.String(), next.GPU.String()}, {"rail-nic", k.RailNIC.String(), next.RailNIC.String()},
		{"frontend-nic", k.FrontendNIC.String(), next.FrontendNIC.String()}, {"drive", k.Drive.String(), next.Drive.String()},
		{"drive.count", strconv.Itoa(k.Drives), strconv.Itoa(next.Drives)}, {"dram", k.DRAM.String(), next.DRAM.String()},
		{"tpm", k.TPM.String(), next.TPM.String()}, {"uefi", k.UEFI.String(), next.UEFI.String()}, {"bmc", k.BMC.String(), next.BMC.String()},
		{"switch", k.Switch.String(), next.Switch.String()}, {"nvlink-racks", strconv.FormatBool(k.NVLinkRacks), strconv.FormatBool(next.NVLinkRacks)},
		{"gpu.count", strconv.Itoa(k.NodeGPUs()), strconv.Itoa(next.NodeGPUs())},
	} {
		if f.was != f.is {
			return "kind " + k.ID + ": " + f.name, f.was, f.is
		}
	}
	return "kind " + k.ID, "", "" // nothing that a kind has is left out above
}

// MaxDrives is the largest number of drives a node.
const MaxDrives = 64

// Clone returns a copy that shares nothing.
func (h Header) Clone() Header {
	h.Kinds = slices.Clone(h.Kinds)
	h.Fabrics = slices.Clone(h.Fabrics)
	h.Phases = slices.Clone(h.Phases)
	h.Halls = slices.Clone(h.Halls)
	h.Pods = slices.Clone(h.Pods)
	return h
}

// Check returns an error that names the first field that makes no sense. What
// passes can be made a Site of.
func (h *Header) Check() error {
	if h.Version != HeaderVersion {
		return fmt.Errorf("site header: version %d, expected %d: use a newer release to read it", h.Version, HeaderVersion)
	}
	if err := checkID(h.Name); err != nil {
		return fmt.Errorf("site header: name: %w", err)
	}
	if !h.Origin.Valid() {
		return fmt.Errorf("site header: origin %.40q: expected hardware, emulated or simulated", string(h.Origin))
	}
	if err := h.Shape.check(); err != nil {
		return fmt.Errorf("site header: %w", err)
	}
	if err := h.Policy.Check(); err != nil {
		return fmt.Errorf("site header: %w", err)
	}
	if h.Policy.SparesPerSU >= h.Shape.SUNodes {
		return fmt.Errorf("site header: policy spares-per-su: %d of %d nodes leaves nothing to sell", h.Policy.SparesPerSU, h.Shape.SUNodes)
	}
	return h.checkTree()
}

func (h *Header) checkTree() error {
	type named struct{ what, id string }
	seen := map[named]bool{}
	fresh := func(what, id string) error {
		if err := checkID(id); err != nil {
			return fmt.Errorf("site header: %s: %w", what, err)
		}
		if seen[named{what, id}] {
			return fmt.Errorf("site header: %s %q is here twice: expected once", what, id)
		}
		seen[named{what, id}] = true
		return nil
	}
	for _, k := range h.Kinds {
		if err := fresh("kind", k.ID); err != nil {
			return err
		}
		if k.Drives < 0 || k.Drives > MaxDrives {
			return fmt.Errorf("site header: kind %q: %d drives, expected 0 to %d", k.ID, k.Drives, MaxDrives)
		}
		if k.GPUs < 0 || k.GPUs >= GPUs { // one spelling of the usual number, so that a header has one encoding
			return fmt.Errorf("site header: kind %q: %d GPUs a node, expected 1 to %d, or none for the usual %d", k.ID, k.GPUs, GPUs-1, GPUs)
		}
	}
	frontends := 0
	for _, f := range h.Fabrics {
		if err := fresh("fabric", f.ID); err != nil {
			return err
		}
		if !f.Family.Valid() {
			return fmt.Errorf("site header: fabric %q: family %.40q: expected roce or infiniband", f.ID, string(f.Family))
		}
		if f.Frontend {
			frontends++
		}
	}
	if frontends != 1 {
		return fmt.Errorf("site header: %d frontend fabrics, expected 1", frontends)
	}
	if h.Management != "" {
		if err := fresh("fabric", h.Management); err != nil {
			return fmt.Errorf("%w (management)", err)
		}
	}
	for _, p := range h.Phases {
		if err := fresh("phase", p.ID); err != nil {
			return err
		}
		if err := checkDate(p.InService); err != nil {
			return fmt.Errorf("site header: phase %q: %w", p.ID, err)
		}
	}
	for _, l := range h.Halls {
		if err := fresh("hall", l.ID); err != nil {
			return err
		}
		if l.Phase < 0 || l.Phase >= len(h.Phases) {
			return fmt.Errorf("site header: hall %q: phase %d, expected one of the %d phases, from 0", l.ID, l.Phase, len(h.Phases))
		}
		if err := checkDate(l.InService); err != nil {
			return fmt.Errorf("site header: hall %q: %w", l.ID, err)
		}
	}
	for _, p := range h.Pods {
		if err := fresh("pod", p.ID); err != nil {
			return err
		}
		if err := checkPodID(p.ID); err != nil {
			return fmt.Errorf("site header: pod: %w", err)
		}
		if p.Hall < 0 || p.Hall >= len(h.Halls) {
			return fmt.Errorf("site header: pod %q: hall %d, expected one of the %d halls, from 0", p.ID, p.Hall, len(h.Halls))
		}
		if p.Fabric < 0 || p.Fabric >= len(h.Fabrics) || h.Fabrics[p.Fabric].Frontend {
			return fmt.Errorf("site header: pod %q: fabric %d is no compute fabric: expected one that is not the frontend", p.ID, p.Fabric)
		}
	}
	return nil
}

// bounds are the ranges of the shape, for the YAML reader and the check alike.
func (s *Shape) bounds() []bound {
	return []bound{
		{"su-nodes", &s.SUNodes, 1, MaxSUNodes},
		{"rack-nodes", &s.RackNodes, 1, MaxSUNodes},
		{"pod-sus", &s.PodSUs, 1, 99},
		{"spines", &s.Spines, 1, 128},
		{"cores", &s.Cores, 0, 128},
		{"frontend-spines", &s.FrontendSpines, 1, 128},
		{"leaf-ports", &s.LeafPorts, 2, 256},
		{"link-gbps", &s.LinkGbps, 1, 10_000},
		{"pod-taper", &s.PodTaper, 1, 1000},
	}
}

type bound struct {
	name      string
	value     *int
	low, high int
}

func (s Shape) check() error {
	for _, b := range s.bounds() {
		if *b.value < b.low || *b.value > b.high {
			return fmt.Errorf("shape %s: %d is out of range: expected %d to %d", b.name, *b.value, b.low, b.high)
		}
	}
	if s.RackNodes > s.SUNodes {
		return fmt.Errorf("shape rack-nodes: %d is more than the %d nodes of an SU", s.RackNodes, s.SUNodes)
	}
	for _, up := range []bound{{name: "spines", value: &s.Spines}, {name: "frontend-spines", value: &s.FrontendSpines}} {
		if s.SUNodes+*up.value > s.LeafPorts {
			return fmt.Errorf("shape %s: %d nodes and %d uplinks do not fit into %d leaf ports", up.name, s.SUNodes, *up.value, s.LeafPorts)
		}
	}
	if s.PodSUs > s.LeafPorts {
		return fmt.Errorf("shape pod-sus: %d SUs do not fit into %d ports of a spine", s.PodSUs, s.LeafPorts)
	}
	return nil
}

// checkPodID accepts what the ids of nodes may begin with. Host names do not
// tell upper from lower case, so neither may two pods differ by that only.
func checkPodID(id string) error {
	if len(id) > 20 || strings.ToLower(id) != id {
		return fmt.Errorf("id %q: expected at most 20 characters in lower case, because host names begin with it", id)
	}
	return nil
}

// checkID accepts letters, digits and inner hyphens.
func checkID(id string) error {
	if id == "" || len(id) > 40 {
		return fmt.Errorf("id %.60q: expected 1 to 40 letters, digits or hyphens", id)
	}
	for i := range len(id) {
		c := id[i]
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
		if !letter && (c != '-' || i == 0 || i == len(id)-1) {
			return fmt.Errorf("id %q: expected letters, digits or inner hyphens", id)
		}
	}
	return nil
}

func checkDate(t time.Time) error {
	if t.Year() < 2000 || t.Year() > 2200 || t.Location() != time.UTC {
		return fmt.Errorf("date %s: expected a time in UTC between the years 2000 and 2200", t.Format(time.RFC3339))
	}
	return nil
}
