package place

import "bulkhead/site"

// Domains returns all nodes of the NVLink domains that nodes are in: of each node whose
// kind has racks that are one domain each, its rack, spares and retired ones included.
// Empty where there are none. Cost: O(nodes of these racks); the set is the caller's.
func Domains(s *site.Site, nodes *site.Set) *site.Set {
	out := site.NewSet(s.Nodes())
	for n := range nodes.All() {
		if int(n) >= s.Nodes() {
			break
		}
		if out.Has(n) || !s.NVLinkRacks(s.KindOf(n)) {
			continue
		}
		for _, other := range s.RackNodesOf(n) {
			out.Add(other)
		}
	}
	return out
}
