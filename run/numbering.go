package run

import (
	"sync"

	"bulkhead/claim"
	"bulkhead/fabric"
)

// numberings are the digests of how the site numbers the ports of each fabric. The
// site only grows, so a digest is good for as long as it has that many nodes.
type numberings struct {
	mu    sync.Mutex
	nodes int
	known map[int]claim.Digest // by index of the fabric
}

func (n *numberings) of(p *Plane, index int) claim.Digest {
	n.mu.Lock()
	defer n.mu.Unlock()
	s := p.w.state.Site
	if n.known == nil || n.nodes != s.Nodes() {
		n.nodes, n.known = s.Nodes(), map[int]claim.Digest{}
	}
	if _, known := n.known[index]; !known {
		n.known[index] = fabric.Numbering(s, index)
	}
	return n.known[index]
}
