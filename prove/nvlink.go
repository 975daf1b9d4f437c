package prove

import (
	"fmt"

	"bulkhead/site"
)

// NVLinkPart is what a certificate says of NVLink where a rack is one domain, which
// joins the GPUs of its nodes beside every fabric that is read back. A domain is alone
// when the ledger lets no other project be reached in it. Partitions inside of a
// domain are not read back: there may be none, so two projects in one domain are red.
type NVLinkPart struct {
	Domains int `json:"domains"` // that the certificate's nodes are in
	Alone   int `json:"alone"`   // of these, with nodes of nobody else
}

// nvlink looks at the domains of nodes; nil where they have none beyond a node.
// Cost: O(nodes of their racks).
func (p *Prover) nvlink(nodes *site.Set) *NVLinkPart {
	s := p.facts.site
	if n, any := nodes.First(); !any || !s.NVLinkRacks(s.KindOf(n)) {
		return nil
	}
	part := &NVLinkPart{}
	seen := map[int]bool{}
	for n := range nodes.All() {
		rack := s.RackOf(n)
		if seen[rack] {
			continue
		}
		seen[rack] = true
		part.Domains++
		if p.alone(p.facts.holder[site.PortOf(n, site.Frontend)], s.RackNodesOf(n)) {
			part.Alone++
		}
	}
	return part
}

// alone reports whether no node of a rack may be reached by another project than the
// holder. Who changes hands, and who is in quarantine, is nobody's.
func (p *Prover) alone(holder uint32, rack []site.Index) bool {
	for _, n := range rack {
		for _, nic := range p.facts.site.NICsOf(n) {
			if h := p.facts.holder[site.PortOf(n, nic)]; h != holder && h >= FirstProject && h < FirstTurnover {
				return false
			}
		}
	}
	return true
}

func (n *NVLinkPart) verdict() Verdict {
	switch {
	case n == nil || n.Alone == n.Domains:
		return Proven
	}
	return Red
}

func (n *NVLinkPart) valid() bool {
	return n == nil || n.Domains > 0 && n.Alone >= 0 && n.Alone <= n.Domains
}

func (n *NVLinkPart) notProven() string {
	if n == nil {
		return "NVLink: nothing was read back of it; by the owner's inventory no NVLink domain of these nodes goes beyond a node"
	}
	return fmt.Sprintf("NVLink: no partition was read back; that %d of %d domains are the project's alone follows from the owner's inventory and ledger", n.Alone, n.Domains)
}
