package place

import (
	"fmt"

	"bulkhead/site"
)

// checkLinks verifies the link assignment of a hermetic slice against what is
// free, without the solver: every link exists, works and is held by nobody else;
// the slice takes no more than its share; and its traffic, in any permutation,
// fits. The last follows from degrees (see [Slice.Route] for the theorem), which
// are counted here; one permutation is routed as well, link by link.
func checkLinks(o *Occupancy, sl *Slice) error {
	s, l := o.site, sl.Certificate.Links
	if l == nil {
		return fmt.Errorf("placement certificate: links: missing, expected the link assignment of a hermetic slice")
	}
	if got := o.linksDigest(s.ComputeFabric(sl.Nodes[0])); got != l.Occupancy {
		return fmt.Errorf("placement certificate: links: occupancy %s, expected %s: %w", l.Occupancy, got, ErrOccupancy)
	}
	leaves := leavesOf(s, sl.Nodes)
	if len(leaves) == 1 {
		if l.Whole || l.RestSU != "" || l.RestPod != "" || l.Flows != 0 || len(l.Planes) != 0 {
			return fmt.Errorf("placement certificate: links: a slice inside one SU holds none, but some are named")
		}
		return nil
	}
	c := linkCheck{o: o, s: s, l: l, leaves: leaves, pods: podsOf(leaves), nodes: len(sl.Nodes)}
	if err := c.shape(); err != nil {
		return fmt.Errorf("placement certificate: links: %w", err)
	}
	var rails Mask
	for i := range l.Planes {
		plane := &l.Planes[i]
		if plane.Rails.Empty() || !plane.Rails.and(rails).Empty() || !plane.Rails.within(below(site.Rails)) {
			return fmt.Errorf("placement certificate: links: rails %q, expected each of 0 to %d once", plane.Rails, site.Rails-1)
		}
		rails = rails.or(plane.Rails)
		if err := c.plane(plane); err != nil {
			return fmt.Errorf("placement certificate: links: rails %s: %w", plane.Rails, err)
		}
	}
	if rails != below(site.Rails) {
		return fmt.Errorf("placement certificate: links: rails %s, expected 0-%d", rails, site.Rails-1)
	}
	turned := make([]int, len(sl.Nodes))
	for i := range turned {
		turned[i] = len(turned) - 1 - i
	}
	if err := sl.Route(s, turned); err != nil {
		return fmt.Errorf("placement certificate: %w", err)
	}
	return nil
}

// linkCheck is a slice whose links are being checked.
type linkCheck struct {
	o       *Occupancy
	s       *site.Site
	l       *LinkSet
	leaves  []leafUse
	pods    []int
	nodes   int
	restSU  int // number, or -1
	restPod int
}

// shape checks which SU and pod are the smaller ones, and that whole SUs are.
func (c *linkCheck) shape() error {
	c.restSU, c.restPod = -1, -1
	for _, leaf := range c.leaves {
		if c.s.SUs[leaf.su].ID == c.l.RestSU {
			c.restSU = leaf.su
		}
	}
	if c.l.RestSU != "" && c.restSU < 0 {
		return fmt.Errorf("rest_su %.60q, expected an SU of the slice", c.l.RestSU)
	}
	for _, p := range c.pods {
		if c.s.Pods[p].ID == c.l.RestPod {
			c.restPod = p
		}
	}
	if c.l.RestPod != "" && (c.restPod < 0 || len(c.pods) < 2) {
		return fmt.Errorf("rest_pod %.60q, expected one of several pods of the slice", c.l.RestPod)
	}
	flows := 1
	if len(c.pods) > 1 {
		flows = c.s.Shape.PodTaper
		if c.s.Shape.CoreLinks() == 0 {
			return fmt.Errorf("%d pods: the site has no cores that join them", len(c.pods))
		}
	}
	if c.l.Flows != flows {
		return fmt.Errorf("flows %d, expected %d", c.l.Flows, flows)
	}
	if !c.l.Whole {
		return nil
	}
	for _, leaf := range c.leaves {
		if leaf.su == c.restSU {
			continue
		}
		for _, n := range c.s.SUs[leaf.su].Nodes {
			if c.o.held.Has(n) {
				return fmt.Errorf("SU %s: node %s is held by another lease, so the SU is not whole: %w", c.s.SUs[leaf.su].ID, c.s.NodeID[n], ErrOccupancy)
			}
		}
	}
	return nil
}

// need is how many flows can leave a part of the slice at once.
func need(part, all int) int { return min(part, all-part) }

func (c *linkCheck) plane(p *PlaneLinks) error {
	if !p.Rest.within(p.Spines) {
		return fmt.Errorf("condition 3: the smaller leaf's spine positions %s are not all among %s", p.Rest, p.Spines)
	}
	if (c.restSU < 0) != p.Rest.Empty() {
		return fmt.Errorf("rest %q, expected spine positions exactly where there is a smaller leaf", p.Rest)
	}
	if p.Spines.Empty() || !p.Spines.within(below(c.s.Shape.Spines)) {
		return fmt.Errorf("spines %q, expected some of 0 to %d", p.Spines, c.s.Shape.Spines-1)
	}
	for _, leaf := range c.leaves {
		id := c.s.SUs[leaf.su].ID
		whole := c.l.Whole && leaf.su != c.restSU
		held := p.Spines
		if leaf.su == c.restSU {
			held = p.Rest
		}
		if flows := need(leaf.nodes, c.nodes); held.Count() < flows {
			return fmt.Errorf("condition 2: SU %s: %d uplinks for %d nodes, of which %d may send outside at once", id, held.Count(), leaf.nodes, flows)
		}
		if !whole && held.Count() > leaf.nodes {
			return fmt.Errorf("condition 2: SU %s: %d uplinks for %d nodes, more than its share", id, held.Count(), leaf.nodes)
		}
		for rail := range p.Rails.all {
			if free := c.o.uplinks(leaf.su, rail, whole); !held.within(free) {
				return fmt.Errorf("SU %s: rail %d: uplinks to spine positions %s are failed, held by another slice, or the last that is common: %w", id, rail, held.without(free), ErrOccupancy)
			}
		}
	}
	if err := c.cores(p); err != nil {
		return err
	}
	return c.tree(p)
}

// leavesAt counts the leaves of a pod whose held uplinks include a position.
func (c *linkCheck) leavesAt(p *PlaneLinks, pod, position int) int {
	n := 0
	for _, leaf := range c.leaves {
		if leaf.pod == pod && (leaf.su != c.restSU || p.Rest.Has(position)) {
			n++
		}
	}
	return n
}

func (c *linkCheck) cores(p *PlaneLinks) error {
	if len(c.pods) == 1 {
		if len(p.Cores) != 0 {
			return fmt.Errorf("cores: a slice of one pod holds no core links, but some are named")
		}
		return nil
	}
	var positions Mask
	for i := range p.Cores {
		set := &p.Cores[i]
		if set.Spines.Empty() || !set.Spines.and(positions).Empty() {
			return fmt.Errorf("cores: spine positions %q, expected each of %s once", set.Spines, p.Spines)
		}
		positions = positions.or(set.Spines)
		if !set.Rest.within(set.Cores) {
			return fmt.Errorf("condition 5: the smaller pod's cores %s are not all among %s", set.Rest, set.Cores)
		}
		if c.restPod < 0 && !set.Rest.Empty() {
			return fmt.Errorf("cores: rest %q, expected none without a smaller pod", set.Rest)
		}
		for position := range set.Spines.all {
			if err := c.corePosition(p, set, position); err != nil {
				return err
			}
		}
	}
	if positions != p.Spines {
		return fmt.Errorf("cores: for spine positions %s, expected %s", positions, p.Spines)
	}
	return nil
}

func (c *linkCheck) corePosition(p *PlaneLinks, set *CoreSet, position int) error {
	counts := make([]int, len(c.pods))
	all := 0
	for i, pod := range c.pods {
		counts[i] = c.leavesAt(p, pod, position)
		all += counts[i]
	}
	for i, pod := range c.pods {
		id := c.s.Pods[pod].ID
		held := set.Cores
		if pod == c.restPod {
			held = set.Rest
		}
		// A pod that is the slice's alone has nobody to leave links to.
		closed, alone := c.closed(pod)
		flows := need(counts[i], all)
		if held.Count()*c.l.Flows < flows {
			return fmt.Errorf("condition 5: pod %s: %d core links at spine position %d for %d leaves, of which %d may send outside at once", id, held.Count(), position, counts[i], flows)
		}
		if !alone && held.Count() > (counts[i]+c.l.Flows-1)/c.l.Flows {
			return fmt.Errorf("condition 5: pod %s: %d core links at spine position %d for %d leaves, more than its share", id, held.Count(), position, counts[i])
		}
		for rail := range p.Rails.all {
			if free := c.o.coreLinks(pod, rail, position, closed); !held.within(free) {
				return fmt.Errorf("condition 5: pod %s: rail %d: links of spine position %d to cores %s are failed, held by another slice, or the last that is common: %w", id, rail, position, held.without(free), ErrOccupancy)
			}
		}
	}
	return nil
}

// closed says whether, with this slice, hermetic slices have every SU of a pod
// whole; alone, whether this slice alone has.
func (c *linkCheck) closed(pod int) (closed, alone bool) {
	if !c.l.Whole {
		return false, false
	}
	mine, others := 0, 0
	for _, leaf := range c.leaves {
		if leaf.pod == pod && leaf.su != c.restSU {
			mine++
		}
	}
	all := 0
	for su := range c.s.SUs {
		if c.s.SUs[su].Pod == pod {
			all++
			if c.o.whole[su] {
				others++
			}
		}
	}
	return mine+others == all, mine == all
}

func (c *linkCheck) tree(p *PlaneLinks) error {
	common := p.Spines
	if c.restSU >= 0 {
		common = p.Rest
	}
	if !common.Has(p.Tree.Spine) {
		return fmt.Errorf("tree: spine position %d, expected one that every leaf has an uplink to: %s", p.Tree.Spine, common)
	}
	if len(c.pods) == 1 {
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
		if c.restPod >= 0 {
			common = set.Rest
		}
		if !common.Has(p.Tree.Core) {
			return fmt.Errorf("tree: core %d, expected one that every pod has a link to at that position: %s", p.Tree.Core, common)
		}
	}
	return nil
}
