package solve

import "bulkhead/place"

// harmBound is what hermetic slices of a cost do at least, each level by itself: of so
// many domains that hold the nodes together the fewest are whole. whole says that the slice
// takes whole SUs: then at most one of them is an SU of which somebody else has nodes.
// Cost: O(racks).
func (h *hermetic) harmBound(cost place.Cost, want int, whole bool) *place.Harm {
	t := h.counted()
	open := map[int]bool{} // SUs of which nobody else has a node
	for i := range h.pods {
		for j := range h.pods[i].sus {
			u := &h.pods[i].sus[j]
			open[u.su] = u.whole || !whole
		}
	}
	var halls, pods, sus, racks divided
	parts := map[bool]int{} // the largest SU that is no slice's alone, by whether it is whole
	for i := range t.halls {
		inHall, hallPart := 0, 0
		for j := range t.halls[i].pods {
			pod := &t.halls[i].pods[j]
			inPod, podPart := 0, 0
			for _, su := range pod.sus {
				shape := &t.shapes[su.shape]
				for r, n := range shape.racks {
					racks.add(int(n), shape.whole[r])
				}
				if open[su.su] {
					sus.add(su.nodes, shape.all)
					inPod += su.nodes
				} else {
					podPart = max(podPart, su.nodes)
					parts[shape.all] = max(parts[shape.all], su.nodes)
				}
			}
			pods.add(inPod+podPart, pod.all)
			inHall, hallPart = inHall+inPod, max(hallPart, podPart)
		}
		halls.add(inHall+hallPart, t.halls[i].all)
	}
	bound := &place.Harm{Halls: halls.least(cost.Halls, want), Pods: pods.least(cost.Pods, want), SUs: sus.least(cost.SUs, want), Racks: racks.least(cost.Racks, want)}
	for all, nodes := range parts {
		with := sus.least(cost.SUs-1, want-nodes)
		if all {
			with++
		}
		bound.SUs = min(bound.SUs, with)
	}
	return bound
}
