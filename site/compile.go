package site

import (
	"fmt"
	"strconv"
)

// Template is a parsed site file: a header, and what its pods hold.
type Template struct {
	File   string
	header Header
	pods   []podPlan // by pod number

	overrides map[string]Override // by node id
	// identities that were discovered, by SU id; nil: all are made up.
	identities map[string]identities
	cables     map[string][]Link // extra links by SU id of their first end
}

// podPlan is how many nodes a pod gets: in full SUs and a last smaller one, or
// as many in each SU as there are host names for.
type podPlan struct {
	kind  int
	nodes int
	hosts [][]string // by SU and position; nil = host names are node ids
}

// Override is what the template says of a single node.
type Override struct {
	Node     string
	Serial   string            // chassis serial; "" = as derived
	Firmware map[string]string // class of device -> version of all its devices of that class
}

// Header returns the header of the template's site. It shares nothing with t.
func (t *Template) Header() Header { return t.header.Clone() }

// Nodes returns how many nodes the template describes.
func (t *Template) Nodes() int {
	n := 0
	for _, p := range t.pods {
		n += p.nodes
	}
	return n
}

// GPUs returns how many GPUs the template describes.
func (t *Template) GPUs() int {
	n := 0
	for _, p := range t.pods {
		n += p.nodes * t.header.Kinds[p.kind].NodeGPUs()
	}
	return n
}

// SUs returns how many SUs the template describes.
func (t *Template) SUs() int {
	n := 0
	for _, p := range t.pods {
		n += p.sus(t.header.Shape)
	}
	return n
}

func (p podPlan) sus(shape Shape) int {
	if p.hosts != nil {
		return len(p.hosts)
	}
	return (p.nodes + shape.SUNodes - 1) / shape.SUNodes
}

// suNodes returns the nodes of SU number, from 0.
func (p podPlan) suNodes(shape Shape, number int) int {
	if p.hosts != nil {
		return len(p.hosts[number])
	}
	return min(shape.SUNodes, p.nodes-number*shape.SUNodes)
}

// Compile makes the explicit inventory and yields it SU by SU, in the order of
// halls and pods in the template, and stops at the first error of yield. An
// inventory may be kept; nothing is reused. It returns the header, which is the
// same as Header. Cost: about 1.5 ms an SU of 64 nodes, of which half is the
// derivation of attestation keys.
func (t *Template) Compile(yield func(*SUInventory) error) (*Header, error) {
	h := t.Header()
	for p := range h.Pods {
		for number := range t.pods[p].sus(h.Shape) {
			inv, err := t.compileSU(&h, p, number)
			if err != nil {
				return nil, err
			}
			if err := yield(inv); err != nil {
				return nil, err
			}
		}
	}
	return &h, nil
}

func (t *Template) compileSU(h *Header, p, number int) (*SUInventory, error) {
	pod, plan := &h.Pods[p], t.pods[p]
	hall := &h.Halls[pod.Hall]
	fabric, kind := &h.Fabrics[pod.Fabric], &h.Kinds[plan.kind]
	su := suID(pod.ID, number+1)
	rails := kind.NodeGPUs()
	inv := &SUInventory{
		SU: su, Pod: pod.ID, Hall: hall.ID, Phase: h.Phases[hall.Phase].ID, Fabric: fabric.ID, Kind: kind.ID,
		Spares: h.Policy.SparesPerSU,
		Nodes:  make([]NodeInventory, plan.suNodes(h.Shape, number)),
		Leaves: make([]LeafInventory, rails+1),
	}
	frontend := frontendOf(h.Fabrics)
	block := addressBlock(h.Seed, su)
	for at, nic := range NICNumbers(rails) {
		of := fabric
		if nic == Frontend {
			of = frontend
		}
		inv.Leaves[at] = LeafInventory{ID: leafID(su, nic), NIC: nic, Fabric: of.ID,
			GUID: address(of, block, leafSlot, nic), Model: kind.Switch.Model, Firmware: kind.Switch.Firmware,
			Serial: chassisSerial(h.Seed, leafID(su, nic)), Ports: h.Shape.LeafPorts}
	}
	for pos := range inv.Nodes {
		node := &inv.Nodes[pos]
		if err := fillNode(node, h, inv, kind, pos, block); err != nil {
			return nil, err
		}
		if plan.hosts != nil && plan.hosts[number][pos] != node.ID {
			node.Host = plan.hosts[number][pos]
		}
		if o, ok := t.overrides[node.ID]; ok {
			o.apply(node)
		}
	}
	if found, ok := t.identities[su]; ok {
		found.apply(inv)
	}
	inv.Links = make([]Link, 0, rails*h.Shape.Spines+h.Shape.FrontendSpines+len(t.cables[su]))
	for at, nic := range NICNumbers(rails) {
		plane := h.Shape.plane(pod.ID, nic, "")
		for spine := 1; spine <= plane.Spines; spine++ {
			// Uplink u of every leaf goes to spine u of its plane; the spine's
			// port is the number of the SU in the pod.
			inv.Links = append(inv.Links, Link{
				From: joinEnd(inv.Leaves[at].ID, h.Shape.SUNodes+spine),
				To:   joinEnd(plane.SpineID(spine), number+1),
			})
		}
	}
	inv.Links = append(inv.Links, t.cables[su]...)
	return inv, nil
}

func frontendOf(fabrics []Fabric) *Fabric {
	for i := range fabrics {
		if fabrics[i].Frontend {
			return &fabrics[i]
		}
	}
	return nil
}

// address returns the GUID or MAC that a device has on a fabric.
func address(f *Fabric, block uint64, slot, device int) HardwareID {
	m := mac(block, slot, device)
	if f.Family == InfiniBand {
		return HardwareID(guid(m))
	}
	return HardwareID(m)
}

func fillNode(node *NodeInventory, h *Header, inv *SUInventory, kind *Kind, pos int, block uint64) error {
	id := nodeID(inv.SU, pos)
	serial := chassisSerial(h.Seed, id)
	part := func(class, mark string, m Model) Device {
		return Device{Class: class, Model: m.Model, Serial: serial + mark, Firmware: m.Firmware}
	}
	key, err := attestationPublicKey(h.Seed, id)
	if err != nil {
		return err
	}
	*node = NodeInventory{
		ID: id, Serial: serial, Rack: rackID(inv.SU, pos/h.Shape.RackNodes), Pos: pos,
		BMC: BMC{Name: id + "-bmc", MAC: HardwareID(mac(block, pos, bmcSlot)), Model: kind.BMC.Model,
			Serial: serial + "B", Firmware: kind.BMC.Firmware},
		NICs:           make([]NIC, len(inv.Leaves)),
		GPUs:           make([]Device, kind.NodeGPUs()),
		Drives:         make([]Device, kind.Drives),
		DRAM:           part(ClassDRAM, "M", kind.DRAM),
		UEFI:           part(ClassUEFI, "U", kind.UEFI),
		TPM:            part(ClassTPM, "T", kind.TPM),
		AttestationKey: key,
	}
	for at := range node.NICs {
		nic := inv.Leaves[at].NIC
		model, name := kind.RailNIC, inv.Fabric
		if nic == Frontend {
			model, name = kind.FrontendNIC, inv.Leaves[at].Fabric
		}
		id := mac(block, pos, nic)
		if fabricNamed(h.Fabrics, name).Family == InfiniBand {
			id = guid(id)
		}
		node.NICs[at] = NIC{Name: NICName(nic), ID: HardwareID(id), Model: model.Model, Firmware: model.Firmware,
			Serial: serial + "X" + strconv.Itoa(nic), Leaf: inv.Leaves[at].ID, Port: pos + 1}
	}
	for i := range node.GPUs {
		node.GPUs[i] = part(ClassGPU, "G"+strconv.Itoa(i), kind.GPU)
	}
	for i := range node.Drives {
		node.Drives[i] = part(ClassNVMe, "D"+strconv.Itoa(i), kind.Drive)
	}
	return nil
}

func fabricNamed(fabrics []Fabric, id string) *Fabric {
	for i := range fabrics {
		if fabrics[i].ID == id {
			return &fabrics[i]
		}
	}
	return nil
}

func (o Override) apply(node *NodeInventory) {
	if o.Serial != "" {
		node.Serial = o.Serial
	}
	set := func(class string, firmware *string) {
		if version, ok := o.Firmware[class]; ok {
			*firmware = version
		}
	}
	for i := range node.GPUs {
		set(ClassGPU, &node.GPUs[i].Firmware)
	}
	for i := range node.Drives {
		set(ClassNVMe, &node.Drives[i].Firmware)
	}
	for i := range node.NICs {
		set(ClassNIC, &node.NICs[i].Firmware)
	}
	set(ClassDRAM, &node.DRAM.Firmware)
	set(ClassUEFI, &node.UEFI.Firmware)
	set(ClassTPM, &node.TPM.Firmware)
	set(ClassBMC, &node.BMC.Firmware)
}

// Build compiles the template and folds it into a site at once, as an import
// does through the ledger. It serves tests, quotes on a site that is not
// imported, and `site check`.
func (t *Template) Build() (*Site, error) {
	s := New(t.header)
	_, err := t.Compile(func(inv *SUInventory) error {
		_, err := s.AddSU(inv, inv.Digest())
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", t.File, err)
	}
	return s, nil
}

// LargestPod returns the nodes of the largest SU, the SUs of the largest pod and the
// GPUs of the largest nodes that the template describes.
func (t *Template) LargestPod() (suNodes, podSUs, nodeGPUs int) {
	for _, p := range t.pods {
		sus := p.sus(t.header.Shape)
		podSUs, nodeGPUs = max(podSUs, sus), max(nodeGPUs, t.header.Kinds[p.kind].NodeGPUs())
		for number := range sus {
			suNodes = max(suNodes, p.suNodes(t.header.Shape, number))
		}
	}
	return suNodes, podSUs, nodeGPUs
}
