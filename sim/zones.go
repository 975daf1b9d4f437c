package sim

import (
	"context"
	"fmt"
	"slices"

	"bulkhead/fabric"
	"bulkhead/site"
)

// gated is the frontend of a site that names a management network: beside it stands the
// gateway of the nodes' BMCs, which is its posture.
type gated struct{ *fabricDriver }

var _ fabric.Mender = gated{}

// Posture implements fabric.Postured: the gateway lets managers reach each BMC, and
// nobody else, but where a fault has opened it.
func (g gated) Posture(ctx context.Context) (fabric.Posture, error) {
	s := g.s
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.gateway.Nodes == nil {
		s.gateway.Nodes = s.readGateway()
		s.gateway.Digest = fabric.Sum(s.gateway.Nodes)
	}
	read := s.gateway
	read.At, read.Source = s.now, "simulated gateway"
	item := fabric.PostureItem{Name: "each BMC is a zone of its own", OK: len(s.opened) == 0, Grade: "measured",
		Evidence: fmt.Sprintf("simulated: the gateway lets others than managers reach %d of %d BMCs", len(s.opened), s.site.Nodes())}
	return fabric.Posture{At: s.now, Items: []fabric.PostureItem{item}, Zones: &read}, ctx.Err()
}

// readGateway is what the gateway says of every BMC.
func (s *Sim) readGateway() []fabric.Zone {
	nodes := make([]fabric.Zone, s.site.Nodes())
	for n := range nodes {
		id := s.site.NodeID[n]
		nodes[n] = fabric.Zone{Node: id, Filtered: true, Joined: []string{id}, Neighbour: s.site.BMC[n]}
	}
	for _, n := range s.opened {
		z, other := &nodes[n], &nodes[(int(n)+1)%len(nodes)]
		z.Filtered = false
		if other != z {
			z.Joined, other.Joined = append(z.Joined, other.Node), append(other.Joined, z.Node)
		}
	}
	return nodes
}

// Mend implements fabric.Mender.
func (g gated) Mend(ctx context.Context, f fabric.Fence) error {
	g.s.mu.Lock()
	defer g.s.mu.Unlock()
	if err := g.admit(f); err != nil {
		return err
	}
	g.s.closeBMCs()
	return ctx.Err()
}

// openBMC lets packets pass between a node's BMC and the next one's.
func (s *Sim) openBMC(n site.Index) {
	if !slices.Contains(s.opened, n) {
		s.opened, s.gateway.Nodes = append(s.opened, n), nil
	}
}

// closeBMCs puts the gateway back as it should be.
func (s *Sim) closeBMCs() {
	if len(s.opened) > 0 {
		s.opened, s.gateway.Nodes = nil, nil
	}
}
