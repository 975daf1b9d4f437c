package site

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"bulkhead/claim"
)

// New returns the site of a header, without SUs. It panics on a header that
// does not pass Check: decode and check what comes from outside first.
func New(h Header) *Site {
	if err := h.Check(); err != nil {
		panic(err)
	}
	h = h.Clone()
	s := &Site{
		Name: h.Name, Origin: h.Origin, Seed: h.Seed, Shape: h.Shape, Policy: h.Policy,
		Kinds: h.Kinds, Fabrics: h.Fabrics, Phases: h.Phases, Halls: h.Halls, Pods: h.Pods, Management: h.Management,
		RackNodes: h.Shape.RackNodes,
		retired:   NewSet(0),
		nodes:     map[string]Index{}, serials: map[string]Index{}, ports: map[uint64]Port{},
		sus: map[string]int{}, pods: map[string]int{},
	}
	for i, f := range s.Fabrics {
		if f.Frontend {
			s.frontend = i
		}
	}
	for i, p := range s.Pods {
		s.pods[p.ID] = i
	}
	return s
}

// Header returns the header that describes the site as it is now. It shares
// nothing with the site.
func (s *Site) Header() Header {
	return Header{Version: HeaderVersion, Name: s.Name, Origin: s.Origin, Seed: s.Seed, Shape: s.Shape, Policy: s.Policy,
		Kinds: s.Kinds, Fabrics: s.Fabrics, Phases: s.Phases, Halls: s.Halls, Pods: s.Pods, Management: s.Management}.Clone()
}

// Extend takes over a newer header of the same site: its policy, its dates, and
// what it adds. Whatever the site has already keeps its number; what the header
// leaves out stays. It refuses a change of what nodes are numbered by or made
// of (see Diff), and then changes nothing.
func (s *Site) Extend(h Header) error {
	if err := s.Accepts(h); err != nil {
		return err
	}
	h = h.Clone()
	s.Policy = h.Policy
	if h.Management != "" {
		s.Management = h.Management
	}
	for _, k := range h.Kinds {
		if _, ok := s.Kind(k.ID); !ok {
			s.Kinds = append(s.Kinds, k)
		}
	}
	for _, f := range h.Fabrics {
		if _, ok := s.FabricByID(f.ID); !ok {
			s.Fabrics = append(s.Fabrics, f)
		}
	}
	phase := make([]int, len(h.Phases)) // number in h -> number here
	for i, p := range h.Phases {
		phase[i] = s.phaseByID(p.ID)
		if phase[i] < 0 {
			phase[i] = len(s.Phases)
			s.Phases = append(s.Phases, p)
		}
		s.Phases[phase[i]].InService = p.InService
	}
	hall := make([]int, len(h.Halls))
	for i, l := range h.Halls {
		l.Phase = phase[l.Phase]
		at, ok := s.HallByID(l.ID)
		if !ok {
			at = len(s.Halls)
			s.Halls = append(s.Halls, l)
		}
		hall[i] = at
		s.Halls[at] = l
	}
	for _, p := range h.Pods {
		if _, ok := s.pods[p.ID]; ok {
			continue
		}
		fabric, _ := s.FabricByID(h.Fabrics[p.Fabric].ID)
		s.pods[p.ID] = len(s.Pods)
		s.Pods = append(s.Pods, Pod{ID: p.ID, Hall: hall[p.Hall], Fabric: fabric})
	}
	return nil
}

// Accepts says whether Extend would take a header, and if not, why.
func (s *Site) Accepts(h Header) error {
	if err := h.Check(); err != nil {
		return err
	}
	return s.compatible(&h)
}

// Changes lists what Extend would change: policy, dates, and what is new. What
// the header leaves out stays, so it is not listed (Diff does). The header must
// be one that Accepts takes.
func (s *Site) Changes(h Header) []FieldChange {
	return slices.DeleteFunc(headerChanges(s, &h), func(f FieldChange) bool { return f.New == "" })
}

// compatible names the first thing in h that an existing site cannot take over.
func (s *Site) compatible(h *Header) error {
	refuse := func(what, old, next string) error {
		return fmt.Errorf("site %s: %s is %q and would become %q: nodes that exist cannot be changed by a template; give what is new an id of its own",
			s.Name, what, old, next)
	}
	switch {
	case h.Name != s.Name:
		return refuse("name", s.Name, h.Name)
	case h.Origin != s.Origin:
		return refuse("origin", string(s.Origin), string(h.Origin))
	case h.Seed != s.Seed:
		return refuse("seed", s.Seed, h.Seed)
	case s.Management != "" && h.Management != "" && h.Management != s.Management:
		return refuse("management", s.Management, h.Management)
	}
	next := h.Shape.bounds()
	for i, b := range s.Shape.bounds() {
		if *b.value != *next[i].value {
			return fmt.Errorf("site %s: shape.%s is %d and would become %d: a site keeps the shape that its first import gave it; put what needs another in a site of its own", s.Name, b.name, *b.value, *next[i].value)
		}
	}
	for _, k := range h.Kinds {
		if old, ok := s.Kind(k.ID); ok && old != k {
			return refuse(old.difference(k))
		}
	}
	for _, f := range h.Fabrics {
		i, ok := s.FabricByID(f.ID)
		if ok && s.Fabrics[i] != f {
			return refuse("fabric "+f.ID, s.Fabrics[i].String(), f.String())
		}
		if !ok && f.Frontend {
			return refuse("frontend fabric", s.Fabrics[s.frontend].ID, f.ID)
		}
	}
	for _, l := range h.Halls {
		if i, ok := s.HallByID(l.ID); ok {
			if old, next := s.Phases[s.Halls[i].Phase].ID, h.Phases[l.Phase].ID; old != next {
				return refuse("phase of hall "+l.ID, old, next)
			}
		}
	}
	for _, p := range h.Pods {
		i, ok := s.pods[p.ID]
		if !ok {
			continue
		}
		if old, next := s.Fabrics[s.Pods[i].Fabric].ID, h.Fabrics[p.Fabric].ID; old != next {
			return refuse("fabric of pod "+p.ID, old, next)
		}
		if old, next := s.Halls[s.Pods[i].Hall].ID, h.Halls[p.Hall].ID; old != next {
			return refuse("hall of pod "+p.ID, old, next)
		}
	}
	return nil
}

func (s *Site) phaseByID(id string) int {
	for i := range s.Phases {
		if s.Phases[i].ID == id {
			return i
		}
	}
	return -1
}

// AddSU appends an SU whose inventory body has this digest. Its nodes get the
// next indexes, by position. It checks the inventory whole before it changes
// anything, and returns the index of the first node. Cost: about 300 µs for 64
// nodes.
func (s *Site) AddSU(inv *SUInventory, digest claim.Digest) (Index, error) {
	if err := s.checkSU(inv); err != nil {
		return 0, fmt.Errorf("SU %.60q: %w", inv.SU, err)
	}
	first := Index(len(s.NodeID))
	number := len(s.SUs)
	// Clones, so that the site does not hold on to the whole body.
	kind, _ := s.Kind(inv.Kind)
	su := SU{ID: strings.Clone(inv.SU), Pod: s.pods[inv.Pod], Kind: kind.ID, GPUs: kind.NodeGPUs(), Spares: inv.Spares, Inventory: digest,
		Nodes: make([]Index, len(inv.Nodes))}
	for pos := range inv.Nodes {
		node := &inv.Nodes[pos]
		n := first + Index(pos)
		su.Nodes[pos] = n
		id, serial := strings.Clone(node.ID), strings.Clone(node.Serial)
		s.nodes[id] = n
		s.serials[serial] = n
		s.NodeID = append(s.NodeID, id)
		host := ""
		if node.Host != "" {
			host = strings.Clone(node.Host)
			s.nodes[host] = n
		}
		s.Host = append(s.Host, host)
		s.NodeSU = append(s.NodeSU, uint32(number))
		s.NodePos = append(s.NodePos, uint8(pos))
		s.Serial = append(s.Serial, serial)
		s.Devices = append(s.Devices, DeviceDigest(node.WipeDevices()))
		s.AttestationKey = append(s.AttestationKey, node.AttestationKey)
		var ids [NICs]uint64 // 0: there is no such port
		for at := range node.NICs {
			nic := nicNumber(at, kind.NodeGPUs())
			ids[nic] = uint64(node.NICs[at].ID)
			s.ports[ids[nic]] = PortOf(n, nic)
		}
		s.PortID = append(s.PortID, ids[:]...)
		s.BMC = append(s.BMC, uint64(node.BMC.MAC))
	}
	if last := inv.Nodes[len(inv.Nodes)-1].NICs[0].Port; last > len(inv.Nodes) {
		su.Ports = make([]uint8, len(inv.Nodes))
		for pos := range inv.Nodes {
			su.Ports[pos] = uint8(inv.Nodes[pos].NICs[0].Port)
		}
	}
	s.sus[su.ID] = number
	s.SUs = append(s.SUs, su)
	return first, nil
}

// checkSU names the first thing in an inventory that does not fit the site.
func (s *Site) checkSU(inv *SUInventory) error {
	if err := inv.Check(); err != nil {
		return err
	}
	if _, ok := s.sus[inv.SU]; ok {
		return fmt.Errorf("id %q: there is such an SU already", inv.SU)
	}
	p, ok := s.pods[inv.Pod]
	if !ok {
		return fmt.Errorf("pod %.60q: the site has no such pod", inv.Pod)
	}
	pod := s.Pods[p]
	hall := s.Halls[pod.Hall]
	for _, same := range [...]struct{ what, got, want string }{
		{"hall", inv.Hall, hall.ID},
		{"phase", inv.Phase, s.Phases[hall.Phase].ID},
		{"fabric", inv.Fabric, s.Fabrics[pod.Fabric].ID},
		{"fabric of the frontend leaf", inv.Leaves[len(inv.Leaves)-1].Fabric, s.Fabrics[s.frontend].ID},
	} {
		if same.got != same.want {
			return fmt.Errorf("%s %.60q: the site's header says %q for pod %q", same.what, same.got, same.want, inv.Pod)
		}
	}
	kind, ok := s.Kind(inv.Kind)
	if !ok {
		return fmt.Errorf("kind %.60q: the site has no such kind", inv.Kind)
	}
	if got := len(inv.Nodes[0].GPUs); got != kind.NodeGPUs() {
		return fmt.Errorf("%d GPUs a node: the site's header says %d for kind %q", got, kind.NodeGPUs(), kind.ID)
	}
	for i := range s.SUs {
		if other := &s.SUs[i]; s.Pods[other.Pod].Fabric == pod.Fabric {
			if other.Rails() != kind.NodeGPUs() {
				return errRails(s.Fabrics[pod.Fabric].ID, kind.ID, kind.NodeGPUs(), other.Kind, other.Rails())
			}
			break // all have as many
		}
	}
	if len(inv.Nodes) > s.Shape.SUNodes {
		return fmt.Errorf("%d nodes, expected at most %d", len(inv.Nodes), s.Shape.SUNodes)
	}
	if len(s.NodeID)+len(inv.Nodes) > MaxNodes {
		return fmt.Errorf("more than %d nodes a site", MaxNodes)
	}
	for i := range inv.Nodes {
		node := &inv.Nodes[i]
		if _, ok := s.nodes[node.ID]; ok {
			return fmt.Errorf("node %q: there is such a node already", node.ID)
		}
		if other, ok := s.nodes[node.Host]; ok {
			return fmt.Errorf("node %q: host %q is the id or the host name of node %s already", node.ID, node.Host, s.NodeID[other])
		}
		if other, ok := s.serials[node.Serial]; ok {
			return fmt.Errorf("node %q: serial %q is the serial of node %s already", node.ID, node.Serial, s.NodeID[other])
		}
		for nic := range node.NICs {
			if other, ok := s.ports[uint64(node.NICs[nic].ID)]; ok {
				return fmt.Errorf("node %q: NIC %s: %s is the identity of port %s already", node.ID, node.NICs[nic].Name, node.NICs[nic].ID, s.PortName(other))
			}
		}
	}
	return nil
}

// SetHallInService records that a hall's in-service date moved.
func (s *Site) SetHallInService(id string, at time.Time) error {
	if err := checkDate(at); err != nil {
		return fmt.Errorf("hall %q: in service: %w", id, err)
	}
	i, ok := s.HallByID(id)
	if !ok {
		return fmt.Errorf("hall %q: the site has no such hall", id)
	}
	s.Halls[i].InService = at
	return nil
}

// Retire marks nodes as gone for good. Their indexes are never reused. It
// refuses a set with an index that the site does not have.
func (s *Site) Retire(nodes *Set) error {
	for n := range nodes.All() {
		if int(n) >= s.Nodes() {
			return fmt.Errorf("retire: node index %d: the site has %d nodes", n, s.Nodes())
		}
	}
	s.retired.Union(nodes)
	return nil
}

// Retired returns the retired nodes. The set is the caller's own.
func (s *Site) Retired() *Set { return s.retired.Clone() }
