package check

import (
	"fmt"
	"slices"

	"bulkhead/place"
	"bulkhead/site"
)

// checkLinks verifies the link assignment of a hermetic slice against what is
// free, without the solver: what [Links] does, and that every link
// exists, works and is held by nobody else, that whole SUs are whole, and that
// the slice takes no more than its share.
func checkLinks(o *place.Occupancy, sl *place.Slice) error {
	s, l := o.Site(), sl.Certificate.Links
	if err := Links(l, len(sl.Nodes), s.RailsOf(sl.Nodes[0])); err != nil {
		return fmt.Errorf("placement certificate: %w", err)
	}
	if got := o.LinksDigest(s.ComputeFabric(sl.Nodes[0])); got != l.Occupancy {
		return fmt.Errorf("placement certificate: links: occupancy %s, expected %s: %w", l.Occupancy, got, place.ErrOccupancy)
	}
	leaves, pods := counted(s, sl.Nodes)
	if len(leaves) == 1 != (len(l.Planes) == 0) {
		return fmt.Errorf("placement certificate: links: a slice of %d SUs with links in %d planes: only a slice inside one SU holds none", len(leaves), len(l.Planes))
	}
	if len(leaves) == 1 {
		return nil
	}
	if !slices.EqualFunc(l.Pods, pods, func(a, b place.PodLeaves) bool {
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

// su is an SU of a slice.
type su struct{ number, pod int }

// counted is the SUs of nodes that are in rank order, and the same as a link
// assignment writes them.
func counted(s *site.Site, nodes []site.Index) (all []su, pods []place.PodLeaves) {
	for i, n := range nodes {
		at := s.SUOf(n)
		if i == 0 || at != s.SUOf(nodes[i-1]) {
			if i == 0 || s.PodOf(n) != s.PodOf(nodes[i-1]) {
				pods = append(pods, place.PodLeaves{Pod: s.Pods[s.PodOf(n)].ID})
			}
			all = append(all, su{at, s.PodOf(n)})
			last := &pods[len(pods)-1]
			last.SUs, last.Nodes = append(last.SUs, s.SUs[at].ID), append(last.Nodes, 0)
		}
		last := &pods[len(pods)-1]
		last.Nodes[len(last.Nodes)-1]++
	}
	return all, pods
}

// linkCheck is a slice whose links are being checked.
type linkCheck struct {
	o      *place.Occupancy
	s      *site.Site
	l      *place.LinkSet
	leaves []su
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
		su := &c.s.SUs[leaf.number]
		if su.ID == c.l.RestSU {
			continue
		}
		for _, n := range su.Nodes {
			if c.o.Taken.Has(n) {
				return fmt.Errorf("SU %s: node %s is held by another lease, so the SU is not whole: %w", su.ID, c.s.NodeID[n], place.ErrOccupancy)
			}
		}
	}
	return nil
}

// fills says whether, with this slice, hermetic slices have every node of an SU:
// its spares and dead nodes too.
func (c *linkCheck) fills(leaf su) bool {
	for _, n := range c.s.SUs[leaf.number].Nodes {
		if !c.nodes.Has(n) && (!c.o.Hermetic.Has(n) || c.o.Shared.Has(n) || c.o.Unsaid.Has(n)) {
			return false
		}
	}
	return true
}

// uplinks is what a slice may hold of a leaf's: neither held nor failed, and the
// last one only where hermetic slices have all of the SU.
func (c *linkCheck) uplinks(su, rail int, all bool) (may place.Mask) {
	at, count := su*site.Rails+rail, c.s.Shape.Spines
	for i := range count {
		if (all || i < count-1) && !c.o.AssignedUp[at].Has(i) && !c.o.FailedUp[at].Has(i) {
			may = may.Or(place.MaskOf(i))
		}
	}
	return may
}

// coreLinks is the same of a spine's links to the cores.
func (c *linkCheck) coreLinks(pod, rail, spine int, all bool) (may place.Mask) {
	at, count := c.o.SpineAt(pod, rail, spine), c.s.Shape.CoreLinks()
	for i := range count {
		if (all || i < count-1) && !c.o.AssignedCore[at].Has(i) && !c.o.FailedCore[at].Has(i) {
			may = may.Or(place.MaskOf(i))
		}
	}
	return may
}

func (c *linkCheck) plane(p *place.PlaneLinks) error {
	if !p.Spines.Within(place.MaskBelow(c.s.Shape.Spines)) {
		return fmt.Errorf("spines %q, expected some of 0 to %d", p.Spines, c.s.Shape.Spines-1)
	}
	for _, leaf := range c.leaves {
		id := c.s.SUs[leaf.number].ID
		closed, held := c.l.Whole || c.fills(leaf), p.Spines
		if id == c.l.RestSU {
			closed, held = c.fills(leaf), p.Rest
		}
		for rail := range p.Rails.All {
			if free := c.uplinks(leaf.number, rail, closed); !held.Within(free) {
				return fmt.Errorf("SU %s: rail %d: uplinks to spine positions %s are failed, held by another slice, or the last that is common: %w", id, rail, held.Minus(free), place.ErrOccupancy)
			}
		}
	}
	for j := range c.l.Pods {
		pod := &c.l.Pods[j]
		number := c.number(pod.Pod)
		closed, alone := c.closed(number)
		for i := range p.Cores {
			for position := range p.Cores[i].Spines.All {
				if err := c.core(p, &p.Cores[i], pod, number, position, closed, alone); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// core checks the core links of a pod's spines in a position.
func (c *linkCheck) core(p *place.PlaneLinks, set *place.CoreSet, pod *place.PodLeaves, number, position int, closed, alone bool) error {
	held := set.Cores
	if pod.Pod == c.l.RestPod {
		held = set.Rest
	}
	// A pod that is the slice's alone has nobody to leave links to.
	if leaves := leavesAt(c.l, p, pod, position); !alone && held.Count() > (leaves+c.l.Flows-1)/c.l.Flows {
		return fmt.Errorf("condition 5: pod %s: %d core links at spine position %d for %d leaves, more than its share", pod.Pod, held.Count(), position, leaves)
	}
	for rail := range p.Rails.All {
		if free := c.coreLinks(number, rail, position, closed); !held.Within(free) {
			return fmt.Errorf("condition 5: pod %s: rail %d: links of spine position %d to cores %s are failed, held by another slice, or the last that is common: %w",
				pod.Pod, rail, position, held.Minus(free), place.ErrOccupancy)
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
		if leaf.pod == pod && c.s.SUs[leaf.number].ID != c.l.RestSU {
			mine++
		}
	}
	all := 0
	for su := range c.s.SUs {
		if c.s.SUs[su].Pod == pod {
			all++
			if c.o.Whole[su] {
				others++
			}
		}
	}
	return mine+others == all, mine == all
}
