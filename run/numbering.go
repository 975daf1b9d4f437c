package run

import (
	"context"
	"fmt"
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

// sameNumbers refuses a driver that numbers the ports of its fabric otherwise than
// the site does, as one that was configured with another site file: what it would
// write for one node would land at another.
func (p *Plane) sameNumbers(ctx context.Context, index int, d fabric.Driver) error {
	c, err := d.Capabilities(ctx)
	if err != nil {
		return fmt.Errorf("capabilities: %w", err)
	}
	if c.Numbering == (claim.Digest{}) || c.Numbering == p.numberings.of(p, index) {
		return nil
	}
	return fmt.Errorf("the driver of fabric %s numbers its ports otherwise than the site: give its process the site files that were imported, in that order, and start it again",
		p.w.state.Site.Fabrics[index].ID)
}
