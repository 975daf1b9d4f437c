package check

import (
	"fmt"

	"bulkhead/site"
)

// CheckDomains refuses nodes of a project that are in an NVLink domain with a node of
// somebody else's: in such a rack the GPUs of all trays reach each other past every
// fabric that is read back. It is asked at the end of whatever places or moves a node,
// and shares nothing with what has placed it.
func Domains(s *site.Site, nodes []site.Index, others *site.Set) error {
	for _, n := range nodes {
		if int(n) >= s.Nodes() {
			return fmt.Errorf("slice: node %d, expected below %d", n, s.Nodes())
		}
		if !s.NVLinkRacks(s.KindOf(n)) {
			continue
		}
		for _, other := range s.RackNodesOf(n) {
			if others.Has(other) {
				return fmt.Errorf("slice: node %s is in rack %s, which is one NVLink domain, and another project has a node there: a domain is never shared, whatever a contract says", s.NodeID[n], s.RackID(s.RackOf(n)))
			}
		}
	}
	return nil
}
