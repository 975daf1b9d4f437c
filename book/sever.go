package book

import (
	"encoding/json"
	"slices"

	"bulkhead/claim"
	"bulkhead/node"
	"bulkhead/site"
)

// SeverProof is what read-back, storage and the management controller say of a
// reclaimed node: the evidence that it is severed.
type SeverProof struct {
	Node     string        `json:"node"`
	Turnover uint32        `json:"turnover"`
	Ports    []SeveredPort `json:"ports"`
	Grants   int           `json:"storage_grants"` // live ones; must be 0
	Sessions int           `json:"bmc_sessions"`   // open ones; must be 0
	Origin   claim.Origin  `json:"origin"`
}

// SeveredPort is the labels that read-back shows on one port, host and leaf side
// together.
type SeveredPort struct {
	Fabric string   `json:"fabric"`
	NIC    int      `json:"nic"`
	Labels []uint32 `json:"labels"`
}

// Sever moves reclaimed nodes to severed on their proofs.
type Sever struct {
	Nodes  []site.Index
	Proofs []SeverProof
}

func (c Sever) decide(s *State, env Env) (*Decision, error) {
	m, d := s.newMover(), &Decision{}
	for i, n := range c.Nodes {
		proof := c.Proofs[i]
		if s.Nodes.State[n] != node.Reclaiming {
			return nil, refuse("node", "%s is %s, expected reclaiming", s.Site.NodeID[n], s.Nodes.State[n])
		}
		if err := s.checkSevered(n, proof); err != nil {
			return nil, err
		}
		encoded, err := json.Marshal(proof)
		if err != nil {
			return nil, err
		}
		m.move(n, node.Reclaiming, node.Severed, 0, d.body(encoded), "no label, grant or session of the last tenant is left")
	}
	m.write(d)
	return d, nil
}

func (s *State) checkSevered(n site.Index, proof SeverProof) error {
	id := s.Site.NodeID[n]
	if proof.Node != id || proof.Turnover != s.Nodes.Turnover[n] {
		return refuse("proof", "it is of %s turnover %d, expected %s turnover %d", proof.Node, proof.Turnover, id, s.Nodes.Turnover[n])
	}
	if proof.Grants != 0 || proof.Sessions != 0 {
		return refuse("proof", "%s still has %d storage grants and %d BMC sessions", id, proof.Grants, proof.Sessions)
	}
	if want := len(s.Site.NICsOf(n)); len(proof.Ports) != want {
		return refuse("proof", "%s: %d ports read back, expected %d", id, len(proof.Ports), want)
	}
	owner := s.Nodes.Owner[n]
	if owner == NoLease {
		return nil
	}
	l := s.Leases[owner]
	if left := s.Reached(l); len(left) > 0 && !l.Returning.IsZero() {
		return refuse("proof", "%s is being returned and can still reach %v", l.ID, left)
	}
	for _, p := range proof.Ports {
		pool := s.Labels[p.Fabric]
		if pool == nil {
			return refuse("proof", "%s: it was read back in fabric %q, which the site does not have", id, p.Fabric)
		}
		own, ok := pool.ValueOf(ProjectOwner(l.Tenant, l.Project))
		if ok && slices.Contains(p.Labels, own.Value) {
			return refuse("proof", "%s NIC %d still carries label %d of its last tenant", id, p.NIC, own.Value)
		}
	}
	return nil
}
