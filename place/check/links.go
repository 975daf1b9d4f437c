package check

import (
	"fmt"

	"bulkhead/place"
	"bulkhead/site"
)

// Links checks a link assignment by itself, for a slice of so many nodes of so many
// rails, without the site and without the solver: that whatever permutation of traffic the
// slice's nodes send fits on the links, with one flow an uplink and Flows a core
// link, and that the reduction trees are on them. That the links exist, work and
// are nobody else's is for [On] to say.
//
// It counts degrees, from which the rest follows for every permutation (see
// [Route]), and routes one permutation link by link.
// Cost: O(nodes) and a route, 30 ms for 40,000 nodes.
func Links(l *place.LinkSet, nodes, rails int) error {
	if l == nil {
		return fmt.Errorf("links: missing, expected the link assignment of a hermetic slice")
	}
	if len(l.Planes) == 0 {
		if l.Whole || l.RestSU != "" || l.RestPod != "" || l.Flows != 0 || len(l.Pods) != 0 {
			return fmt.Errorf("links: a slice inside one SU holds none, but some are named")
		}
		return nil
	}
	v := linkVerifier{l: l, nodes: nodes}
	if err := v.shape(); err != nil {
		return fmt.Errorf("links: %w", err)
	}
	var seen place.Mask
	for i := range l.Planes {
		plane := &l.Planes[i]
		if plane.Rails.Empty() || !plane.Rails.And(seen).Empty() || !plane.Rails.Within(place.MaskBelow(rails)) {
			return fmt.Errorf("links: rails %q, expected each of 0 to %d once", plane.Rails, rails-1)
		}
		seen = seen.Or(plane.Rails)
		if err := v.plane(plane); err != nil {
			return fmt.Errorf("links: rails %s: %w", plane.Rails, err)
		}
	}
	if seen != place.MaskBelow(rails) {
		return fmt.Errorf("links: rails %s, expected 0-%d", seen, rails-1)
	}
	turned := make([]int, nodes)
	for i := range turned {
		turned[i] = nodes - 1 - i
	}
	return Route(l, turned)
}

// linkVerifier is a link assignment that is being verified.
type linkVerifier struct {
	l       *place.LinkSet
	nodes   int
	restSU  bool
	restPod bool
}

func (v *linkVerifier) shape() error {
	seen, pods := map[string]bool{}, map[string]bool{}
	total := 0
	for _, p := range v.l.Pods {
		if pods[p.Pod] || len(p.SUs) == 0 || len(p.SUs) != len(p.Nodes) {
			return fmt.Errorf("pod %.60q: expected each once, with as many SUs as numbers of nodes", p.Pod)
		}
		pods[p.Pod] = true
		v.restPod = v.restPod || p.Pod == v.l.RestPod
		for i, su := range p.SUs {
			if seen[su] || su == "" || p.Nodes[i] < 1 || p.Nodes[i] > site.MaxSUNodes {
				return fmt.Errorf("SU %.60q: %d nodes, expected each SU once, with 1 to %d", su, p.Nodes[i], site.MaxSUNodes)
			}
			seen[su] = true
			total += p.Nodes[i]
			v.restSU = v.restSU || su == v.l.RestSU
		}
	}
	switch {
	case total != v.nodes:
		return fmt.Errorf("%d nodes, expected the slice's %d", total, v.nodes)
	case v.l.RestSU != "" && !v.restSU:
		return fmt.Errorf("rest_su %.60q, expected an SU of the slice", v.l.RestSU)
	case v.l.RestPod != "" && (!v.restPod || len(v.l.Pods) < 3):
		return fmt.Errorf("rest_pod %.60q, expected one of three or more pods of the slice", v.l.RestPod)
	case v.l.Flows < 1 || v.l.Flows > 1 && len(v.l.Pods) < 2:
		return fmt.Errorf("flows %d, expected 1, or the taper above several pods", v.l.Flows)
	}
	return nil
}

// outward is how many flows can leave a part of the slice at once.
func outward(part, all int) int { return min(part, all-part) }

func (v *linkVerifier) plane(p *place.PlaneLinks) error {
	switch {
	case !p.Rest.Within(p.Spines):
		return fmt.Errorf("condition 3: the smaller leaf's spine positions %s are not all among %s", p.Rest, p.Spines)
	case v.restSU == p.Rest.Empty():
		return fmt.Errorf("rest %q, expected spine positions exactly where there is a smaller leaf", p.Rest)
	case p.Spines.Empty():
		return fmt.Errorf("spines: none, expected some")
	}
	for _, pod := range v.l.Pods {
		for i, su := range pod.SUs {
			held := p.Spines
			if su == v.l.RestSU {
				held = p.Rest
			}
			if flows := outward(pod.Nodes[i], v.nodes); held.Count() < flows {
				return fmt.Errorf("condition 2: SU %s: %d uplinks for %d nodes, of which %d may send outside at once", su, held.Count(), pod.Nodes[i], flows)
			}
			if whole := v.l.Whole && su != v.l.RestSU; !whole && held.Count() > pod.Nodes[i] {
				return fmt.Errorf("condition 2: SU %s: %d uplinks for %d nodes, more than its share", su, held.Count(), pod.Nodes[i])
			}
		}
	}
	if err := v.cores(p); err != nil {
		return err
	}
	return v.tree(p)
}

// leavesAt counts the leaves of a pod whose held uplinks include a position.
func leavesAt(l *place.LinkSet, p *place.PlaneLinks, pod *place.PodLeaves, position int) int {
	n := 0
	for _, su := range pod.SUs {
		if su != l.RestSU || p.Rest.Has(position) {
			n++
		}
	}
	return n
}

func (v *linkVerifier) cores(p *place.PlaneLinks) error {
	if len(v.l.Pods) == 1 {
		if len(p.Cores) != 0 {
			return fmt.Errorf("cores: a slice of one pod holds no core links, but some are named")
		}
		return nil
	}
	var positions place.Mask
	for i := range p.Cores {
		set := &p.Cores[i]
		if set.Spines.Empty() || !set.Spines.And(positions).Empty() {
			return fmt.Errorf("cores: spine positions %q, expected each of %s once", set.Spines, p.Spines)
		}
		positions = positions.Or(set.Spines)
		if !set.Rest.Within(set.Cores) {
			return fmt.Errorf("condition 5: the smaller pod's cores %s are not all among %s", set.Rest, set.Cores)
		}
		if !v.restPod && !set.Rest.Empty() {
			return fmt.Errorf("cores: rest %q, expected none without a smaller pod", set.Rest)
		}
		for position := range set.Spines.All {
			all, most, least := 0, 0, v.nodes
			for j := range v.l.Pods {
				n := leavesAt(v.l, p, &v.l.Pods[j], position)
				all, most, least = all+n, max(most, n), min(least, n)
			}
			if len(v.l.Pods) == 2 {
				most = least // what two pods can send each other is what the smaller has
			}
			if n := (most + v.l.Flows - 1) / v.l.Flows; set.Cores.Count() != n {
				return fmt.Errorf("condition 5: %d core positions at spine position %d, expected %d", set.Cores.Count(), position, n)
			}
			for j := range v.l.Pods {
				pod := &v.l.Pods[j]
				held := set.Cores
				if pod.Pod == v.l.RestPod {
					held = set.Rest
				}
				leaves := leavesAt(v.l, p, pod, position)
				if flows := outward(leaves, all); held.Count()*v.l.Flows < flows {
					return fmt.Errorf("condition 5: pod %s: %d core links at spine position %d for %d leaves, of which %d may send outside at once",
						pod.Pod, held.Count(), position, leaves, flows)
				}
			}
		}
	}
	if positions != p.Spines {
		return fmt.Errorf("cores: for spine positions %s, expected %s", positions, p.Spines)
	}
	return nil
}

func (v *linkVerifier) tree(p *place.PlaneLinks) error {
	common := p.Spines
	if v.restSU {
		common = p.Rest
	}
	if p.Tree.Spine != common.First() {
		return fmt.Errorf("tree: spine position %d, expected the lowest that every leaf has an uplink to, of %s", p.Tree.Spine, common)
	}
	if len(v.l.Pods) == 1 {
		if p.Tree.Core != -1 {
			return fmt.Errorf("tree: core %d, expected -1 in a slice of one pod", p.Tree.Core)
		}
		return nil
	}
	for _, set := range p.Cores {
		if !set.Spines.Has(p.Tree.Spine) {
			continue
		}
		common := set.Cores
		if v.restPod {
			common = set.Rest
		}
		if p.Tree.Core != common.First() || common.Empty() {
			return fmt.Errorf("tree: core %d, expected the lowest that every pod has a link to at that position, of %s", p.Tree.Core, common)
		}
	}
	return nil
}
