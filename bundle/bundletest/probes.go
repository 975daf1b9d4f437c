package bundletest

import (
	"bulkhead/claim"
	"bulkhead/prove"
)

// Probe files a probe that the tenant ran on a node; change may spoil it.
func (s *Story) Probe(n *Node, change func(p *prove.Probe)) {
	p := prove.Probe{
		Version: 1, Site: Site, Tenant: s.Tenant, Lease: string(s.Lease), Node: n.ID(), At: s.Now, Origin: claim.Simulated,
		Tries: []prove.Try{
			{Kind: "vni", What: "a host of the same lease", Target: "10.0.0.2", Expect: prove.Reached, Got: prove.Reached},
			{Kind: "vni", What: "a foreign VNI", Target: "5002", Expect: prove.Denied, Got: prove.Denied},
			{Kind: "vni", What: "a management address", Target: "192.0.2.1", Expect: prove.Denied, Got: prove.Unclear},
		},
	}
	if change != nil {
		change(&p)
	}
	signed := s.Sign(s.Owner.Probe, p.Node, claim.DigestOf(nil), prove.ProbePredicate, &p)
	s.Add(prove.KindProbed, prove.Probed{
		Lease: p.Lease, Node: p.Node, KeyID: s.Owner.Probe.KeyID, Tries: len(p.Tries), Leaks: len(p.Leaks()), Statement: signed,
	})
}
