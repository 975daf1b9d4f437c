package place

import (
	"fmt"
	"slices"

	"bulkhead/site"
)

// checkLinks verifies the link assignment of a hermetic slice against what is
// free, without the solver: what [LinkSet.Verify] does, and that every link
// exists, works and is held by nobody else, that whole SUs are whole, and that
// the slice takes no more than its share.
func checkLinks(o *Occupancy, sl *Slice) error {
	s, l := o.site, sl.Certificate.Links
	if err := l.Verify(len(sl.Nodes), s.RailsOf(sl.Nodes[0])); err != nil {
		return fmt.Errorf("placement certificate: %w", err)
	}
	if got := o.linksDigest(s.ComputeFabric(sl.Nodes[0])); got != l.Occupancy {
		return fmt.Errorf("placement certificate: links: occupancy %s, expected %s: %w", l.Occupancy, got, ErrOccupancy)
	}
	leaves := leavesOf(s, sl.Nodes)
	if len(leaves) == 1 != (len(l.Planes) == 0) {
		return fmt.Errorf("placement certificate: links: a slice of %d SUs with links in %d planes: only a slice inside one SU holds none", len(leaves), len(l.Planes))
	}
	if len(leaves) == 1 {
		return nil
	}
	if !slices.EqualFunc(l.Pods, podLeaves(s, sl.Nodes), func(a, b PodLeaves) bool {
		return a.Pod == b.Pod && slices.Equal(a.SUs, b.SUs) && slices.Equal(a.Nodes, b.Nodes)
	}) {
		return fmt.Errorf("placement certificate: links: pods: expected the slice's own SUs, in rank order, with its nodes in each")
	}
	c := linkCheck{o: o, s: s, l: l, leaves: leaves, nodes: site.SetOf(sl.Nodes...)}
	if err := c.shape(); err != nil {
		return fmt.Errorf("placement certificate: links: %w", err)
	}
	for i := range l.Planes {
		if err := c.plane(&l.Planes[i]); err != nil {
			return fmt.Errorf("placement certificate: links: rails %s: %w", l.Planes[i].Rails, err)
		}
	}
	return nil
}

// linkCheck is a slice whose links are being checked.
type linkCheck struct {
	o      *Occupancy
	s      *site.Site
	l      *LinkSet
	leaves []leafUse
	nodes  *site.Set
}

// shape checks what the site has, and that whole SUs are whole.
func (c *linkCheck) shape() error {
	flows := 1
	if len(c.l.Pods) > 1 {
		flows = c.s.Shape.PodTaper
		if c.s.Shape.CoreLinks() == 0 {
			return fmt.Errorf("%d pods: the site has no cores that join them", len(c.l.Pods))
		}
	}
	if c.l.Flows != flows {
		return fmt.Errorf("flows %d, expected %d", c.l.Flows, flows)
	}
	if !c.l.Whole {
		return nil
	}
	for _, leaf := range c.leaves {
		su := &c.s.SUs[leaf.su]
		if su.ID == c.l.RestSU {
			continue
		}
		for _, n := range su.Nodes {
			if c.o.held.Has(n) {
				return fmt.Errorf("SU %s: node %s is held by another lease, so the SU is not whole: %w", su.ID, c.s.NodeID[n], ErrOccupancy)
			}
		}
	}
	return nil
}

// fills says whether, with this slice, hermetic slices have every node of an SU:
// its spares and dead nodes too.
func (c *linkCheck) fills(leaf leafUse) bool {
	for _, n := range c.s.SUs[leaf.su].Nodes {
		if !c.nodes.Has(n) && (!c.o.alone.Has(n) || c.o.shared.Has(n) || c.o.unsaid.Has(n)) {
			return false
		}
	}
	return true
}

func (c *linkCheck) plane(p *PlaneLinks) error {
	if !p.Spines.within(below(c.s.Shape.Spines)) {
		return fmt.Errorf("spines %q, expected some of 0 to %d", p.Spines, c.s.Shape.Spines-1)
	}
	for _, leaf := range c.leaves {
		id := c.s.SUs[leaf.su].ID
		closed, held := c.l.Whole || c.fills(leaf), p.Spines
		if id == c.l.RestSU {
			closed, held = c.fills(leaf), p.Rest
		}
		for rail := range p.Rails.all {
			if free := c.o.uplinks(leaf.su, rail, closed); !held.within(free) {
				return fmt.Errorf("SU %s: rail %d: uplinks to spine positions %s are failed, held by another slice, or the last that is common: %w", id, rail, held.without(free), ErrOccupancy)
			}
		}
	}
	for j := range c.l.Pods {
		pod := &c.l.Pods[j]
		number := c.number(pod.Pod)
		closed, alone := c.closed(number)
		for i := range p.Cores {
			for position := range p.Cores[i].Spines.all {
				if err := c.core(p, &p.Cores[i], pod, number, position, closed, alone); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// core checks the core links of a pod's spines in a position.
func (c *linkCheck) core(p *PlaneLinks, set *CoreSet, pod *PodLeaves, number, position int, closed, alone bool) error {
	held := set.Cores
	if pod.Pod == c.l.RestPod {
		held = set.Rest
	}
	// A pod that is the slice's alone has nobody to leave links to.
	if leaves := c.l.leavesAt(p, pod, position); !alone && held.Count() > (leaves+c.l.Flows-1)/c.l.Flows {
		return fmt.Errorf("condition 5: pod %s: %d core links at spine position %d for %d leaves, more than its share", pod.Pod, held.Count(), position, leaves)
	}
	for rail := range p.Rails.all {
		if free := c.o.coreLinks(number, rail, position, closed); !held.within(free) {
			return fmt.Errorf("condition 5: pod %s: rail %d: links of spine position %d to cores %s are failed, held by another slice, or the last that is common: %w",
				pod.Pod, rail, position, held.without(free), ErrOccupancy)
		}
	}
	return nil
}

func (c *linkCheck) number(pod string) int {
	for _, leaf := range c.leaves {
		if c.s.Pods[leaf.pod].ID == pod {
			return leaf.pod
		}
	}
	return -1
}

// closed says whether, with this slice, hermetic slices have every SU of a pod
// whole; alone, whether this slice alone has.
func (c *linkCheck) closed(pod int) (closed, alone bool) {
	if !c.l.Whole {
		return false, false
	}
	mine, others := 0, 0
	for _, leaf := range c.leaves {
		if leaf.pod == pod && c.s.SUs[leaf.su].ID != c.l.RestSU {
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
