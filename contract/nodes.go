package contract

import "bulkhead/lease"

// How many GPUs a node has is the site's to say: 8, or fewer, as its kind has. A
// contract counts GPUs, and promises whole nodes. Without a site only whole nodes of 8
// are known to be whole: a file that means others says so (node_gpus). Where it
// leaves that out, the quote writes the site's number into the tranche, so that slots
// and invoices follow from what is signed alone.

// checkNodes reports whether a tranche is whole nodes, and notes why not.
func (t *Tranche) checkNodes(f *findings, path string) bool {
	gpus := t.GPUsANode()
	switch {
	case t.NodeGPUs < 0 || t.NodeGPUs >= NodeGPUs: // one spelling of the usual number, so that a contract has one digest
		f.add(path+"node_gpus", "%d: expected 1 to %d; left out, it is the usual %d, or what the site has", t.NodeGPUs, NodeGPUs-1, NodeGPUs)
	case t.GPUs <= 0 || t.GPUs > MaxGPUs:
		f.add(path+"gpus", "%d GPUs: expected %d to %d", t.GPUs, gpus, MaxGPUs)
	case t.NodeGPUs == 0 && t.GPUs%NodeGPUs != 0:
		f.add(path+"gpus", "%d GPUs are not whole nodes: expected a multiple of %d; where a node of the kind has fewer, say how many (node_gpus)", t.GPUs, gpus)
	case t.GPUs%int64(gpus) != 0:
		f.add(path+"gpus", "%d GPUs are not whole nodes: expected a multiple of %d", t.GPUs, gpus)
	case t.Slots() > MaxGPUs/NodeGPUs:
		f.add(path+"gpus", "%d nodes: expected at most %d", t.Slots(), MaxGPUs/NodeGPUs)
	default:
		return true
	}
	return false
}

// checkSegments notes what is wrong with the groups in which a tranche is to come. Which
// racks are NVLink domains is the site's to say. An act may leave less than whole
// segments of what was late, so only what is new has to be whole ones.
func (t *Tranche) checkSegments(f *findings, path string, isNew bool) {
	if t.SegmentGPUs == 0 {
		return
	}
	field := path + "segment_gpus"
	switch gpus := int64(t.GPUsANode()); {
	case t.SegmentGPUs < 0 || t.SegmentGPUs%gpus != 0:
		f.add(field, "%d GPUs are not whole nodes: expected a multiple of %d; where a node of the kind has fewer than %d, say how many (node_gpus)", t.SegmentGPUs, gpus, NodeGPUs)
	case isNew && t.GPUs%t.SegmentGPUs != 0:
		f.add(field, "%d: %d GPUs are not whole segments of it: expected gpus to be a multiple of it", t.SegmentGPUs, t.GPUs)
	case t.Links == lease.Hermetic:
		f.add(field, "segments with hermetic links are not offered: leave one of them out")
	case t.SplitRacks:
		f.add(field, "a segment says how much of a rack is meant, and split_racks that it does not matter: leave one of them out")
	}
}

// WithNodes returns a contract whose kinds are chosen with the number of GPUs a
// node that each kind has, where it leaves that out. It doesn't check it.
func (c *Contract) WithNodes(nodeGPUs func(kind string) int) *Contract {
	settled := c
	for i := range c.Tranches {
		t := &c.Tranches[i]
		if gpus := nodeGPUs(t.Kind); t.NodeGPUs == 0 && gpus != NodeGPUs {
			if settled == c {
				settled = c.Clone()
			}
			settled.Tranches[i].NodeGPUs = gpus
		}
	}
	return settled
}

// nodesAs is the contract with what it leaves out of GPUs a node as another, of as
// many tranches, says it.
func (c *Contract) nodesAs(other *Contract) *Contract {
	out := c.Clone()
	for i := range out.Tranches {
		if t := &out.Tranches[i]; t.NodeGPUs == 0 {
			t.NodeGPUs = other.Tranches[i].NodeGPUs
		}
	}
	return out
}
