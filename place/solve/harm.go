package solve

import (
	"bulkhead/place"
	"bulkhead/site"
)

// harm counts what a slice of the tree's nodes leaves less whole.
func (t *tree) harm(nodes []site.Index) *place.Harm {
	s := t.site
	var h place.Harm
	sus, racks := map[int]bool{}, map[int]bool{}
	for _, n := range nodes {
		sus[s.SUOf(n)], racks[s.RackOf(n)] = true, true
	}
	for i := range t.halls {
		hall := &t.halls[i]
		inHall := false
		for j := range hall.pods {
			pod := &hall.pods[j]
			inPod := false
			for _, su := range pod.sus {
				if !sus[su.su] {
					continue
				}
				inPod = true
				if t.shapes[su.shape].all {
					h.SUs++
				}
				h.Racks += t.harmedRacks(su.su, racks)
			}
			if inPod && pod.all {
				h.Pods++
			}
			inHall = inHall || inPod
		}
		if inHall && hall.all {
			h.Halls++
		}
	}
	return &h
}

func (t *tree) harmedRacks(su int, touched map[int]bool) (harmed int) {
	all := t.site.SUs[su].Nodes
	for at := 0; at < len(all); at += t.site.RackNodes {
		if !touched[t.site.RackOf(all[at])] {
			continue
		}
		whole := true
		for _, n := range all[at:min(at+t.site.RackNodes, len(all))] {
			whole = whole && (t.free.Has(n) || !sellable(t.site, n))
		}
		if whole {
			harmed++
		}
	}
	return harmed
}
