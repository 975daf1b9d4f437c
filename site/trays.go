package site

// GPUs a node are a property of its kind: 8, or fewer, such as the 4 of a
// tray in a rack that is one NVLink domain. A node has a rail NIC a GPU and the
// frontend's; an SU has a leaf for each of them, and no others.
//
// Numbers do not depend on it. NIC n of a node, port node*NICs+n and leaf SU*NICs+n
// mean the same on every site, and the frontend NIC is number Frontend
// everywhere. So a site with smaller nodes has numbers that are nobody's: those of
// rails from the GPUs of the node up to Rails-1. HasPort and HasLeaf tell, NICsOf leaves
// them out, and FabricOf and FabricOfLeaf have no fabric for them (-1).

// nicNumbers are the numbers of the NICs of a node, by its GPUs.
var nicNumbers = func() (table [GPUs + 1][]int) {
	for gpus := range table {
		for rail := range gpus {
			table[gpus] = append(table[gpus], rail)
		}
		table[gpus] = append(table[gpus], Frontend)
	}
	return table
}()

// NICNumbers returns the numbers of the NICs of a node of so many GPUs, 1 to
// GPUs, ascending: its rails and the frontend. The slice must not be changed.
func NICNumbers(gpus int) []int { return nicNumbers[gpus] }

// NodeGPUs returns how many GPUs a node of the kind has, which is also how many
// rail NICs.
func (k *Kind) NodeGPUs() int {
	if k.GPUs == 0 {
		return GPUs
	}
	return k.GPUs
}

// Rails returns how many rail leaves the SU has: one a GPU of its nodes.
func (su *SU) Rails() int {
	if su.GPUs == 0 {
		return GPUs
	}
	return su.GPUs
}

// NodeGPUs returns how many GPUs a node of a kind has; GPUs for a kind that the
// site does not know.
func (s *Site) NodeGPUs(kind string) int {
	if k, ok := s.Kind(kind); ok {
		return k.NodeGPUs()
	}
	return GPUs
}

// RailsOf returns how many rail NICs, and so how many GPUs, node n has.
func (s *Site) RailsOf(n Index) int { return s.SUs[s.NodeSU[n]].Rails() }

// NICsOf returns the numbers of n's NICs, ascending. The slice must not be changed.
func (s *Site) NICsOf(n Index) []int { return nicNumbers[s.RailsOf(n)] }

// LeavesOf returns which NICs the leaves of an SU serve, ascending. The slice must
// not be changed.
func (s *Site) LeavesOf(su int) []int { return nicNumbers[s.SUs[su].Rails()] }

// HasLeaf reports whether leaf l exists.
func (s *Site) HasLeaf(l Leaf) bool {
	if l.SU() >= len(s.SUs) {
		return false
	}
	nic := l.NIC()
	return nic == Frontend || nic < s.SUs[l.SU()].Rails()
}

// HasPort reports whether edge port p exists.
func (s *Site) HasPort(p Port) bool {
	n, nic := p.Node(), p.NIC()
	return int(n) < len(s.NodeID) && (nic == Frontend || nic < s.RailsOf(n))
}

// GPUs returns how many GPUs the site has, those of retired nodes included.
// Cost: O(SUs).
func (s *Site) GPUs() int {
	sum := 0
	for i := range s.SUs {
		sum += len(s.SUs[i].Nodes) * s.SUs[i].Rails()
	}
	return sum
}

// EdgePorts returns how many edge ports exist. Cost: O(SUs).
func (s *Site) EdgePorts() int { return s.GPUs() + s.Nodes() }

// Switches returns how many leaf switches exist. Cost: O(SUs).
func (s *Site) Switches() int {
	sum := len(s.SUs)
	for i := range s.SUs {
		sum += s.SUs[i].Rails()
	}
	return sum
}

// FabricRails returns how many rail planes a compute fabric has: all its SUs have as
// many. Rails for a fabric without SUs.
func (s *Site) FabricRails(fabric int) int {
	for i := range s.SUs {
		if s.Pods[s.SUs[i].Pod].Fabric == fabric {
			return s.SUs[i].Rails()
		}
	}
	return Rails
}

// NIC returns the node's NIC of that number, 0 to NICs-1; nil where it has none.
func (n *NodeInventory) NIC(number int) *NIC {
	switch rails := len(n.NICs) - 1; {
	case number == Frontend && rails >= 0:
		return &n.NICs[rails]
	case number >= 0 && number < rails:
		return &n.NICs[number]
	}
	return nil
}

// nicNumber returns the number of the NIC, or the leaf, at a place of the
// inventory of an SU with so many rails.
func nicNumber(at, rails int) int {
	if at == rails {
		return Frontend
	}
	return at
}

// RackNodesOf returns the nodes of n's rack, n among them. The slice must not be
// changed.
func (s *Site) RackNodesOf(n Index) []Index {
	su := &s.SUs[s.NodeSU[n]]
	at := int(s.NodePos[n]) / s.RackNodes * s.RackNodes
	return su.Nodes[at:min(at+s.RackNodes, len(su.Nodes))]
}
