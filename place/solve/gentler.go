package solve

import (
	"container/heap"
	"slices"

	"bulkhead/place"
	"bulkhead/site"
)

// A slice of whole SUs is searched for by its cost, and ties go to what is left over. How
// much harm the best one does is compared with the least that any of its cost could do,
// level by level, which is quick to say. Where it does more, the relaxations that the
// search left because they were no better are solved again, with the harm before all
// other ties: that takes up what is known by then, and ends by a bound on work. So
// the harm is the least where it meets its bound, and the certificate says where it does not.

// gentleWork bounds the steps of a search for less harm, see maxWork, and maxGentle the
// relaxations that it solves: on small sites these take few steps each.
const (
	gentleWork = 2_500_000
	maxGentle  = 48
)

// gentler puts a slice of the same cost in the place of one that was found, with less
// harm, or with as much and nearer, if the search that found it has left one. It returns
// the steps that it took.
func (h *hermetic) gentler(s *search, found *answer) int {
	o := h.o.Site()
	place.RankOrder(o, found.nodes)
	cost := place.CostOf(o, found.nodes)
	is, least := h.tidiness(found.nodes), tidiness{harm: *h.harmBound(cost, s.want, true)}
	if s.want > place.RackHarmNodes {
		least.harm.Racks = 0
	}
	if n := h.counted().nearness(found.nodes, cost, h.near, false); n != nil {
		least.far = place.Far{Halls: n.Bound.Halls, Pods: n.Bound.Pods}
	}
	if is == least {
		return 0
	}
	s.again(h.counted(), cost, is)
	for solved := 0; s.queue.Len() > 0 && s.work <= gentleWork && solved < maxGentle; solved++ {
		x := heap.Pop(&s.queue).(*relaxation)
		if x.bound >= s.best {
			break
		}
		s.work += len(s.pods)
		if !s.relax(x) || x.bound >= s.best {
			continue
		}
		nodes, links, bad := s.realise(&x.plan)
		if bad != nil {
			s.split(x, bad)
			continue
		}
		place.RankOrder(o, nodes)
		if would := h.tidiness(nodes); place.CostOf(o, nodes) == cost && would.compare(is) < 0 {
			found.nodes, found.links, is = nodes, links, would
			s.best = min(s.best, s.packed(cost, is))
		}
	}
	return s.work
}

// tidiness is what tells slices of one cost apart: how much harm they do, and how far
// they are from where they should be near.
type tidiness struct {
	harm place.Harm
	far  place.Far
}

func (t tidiness) compare(o tidiness) int {
	if c := t.harm.Compare(o.harm); c != 0 {
		return c
	}
	return t.far.Compare(o.far)
}

// tidiness of nodes. Racks count for slices of few nodes alone, see place.RackHarmNodes.
// SUs are not asked to be near: whole ones have nobody else's nodes.
func (h *hermetic) tidiness(nodes []site.Index) tidiness {
	t := tidiness{harm: *h.counted().harm(nodes)}
	if len(nodes) > place.RackHarmNodes {
		t.harm.Racks = 0
	}
	if !h.near.Empty() {
		t.far = place.FarFrom(h.o.Site(), nodes, place.SUsOf(h.o.Site(), h.near))
		t.far.SUs = 0
	}
	return t
}

// again makes the search ready to go on for less harm than that of a slice of the best
// cost, with what it left.
func (s *search) again(t *tree, cost place.Cost, is tidiness) {
	was, tied := s.pack, s.tie.bits
	most := t.most
	most.Pods, most.Racks = len(s.pods), most.Racks+1
	flaws, wholes := 0, 0
	for i := range s.pods {
		wholes += s.pods[i].wholes()
		for j := range s.pods[i].sus {
			if s.pods[i].sus[j].flaws > 0 {
				flaws++
			}
		}
	}
	s.tie = newGentle(most, t.wholes, t.fars, flaws, t.nodes, wholes)
	most.Racks <<= s.tie.bits
	s.pack, _ = newPacking(most) // they were packed before, and ties took only what was left
	s.workspace, s.work, s.limit = newWorkspace(), 0, gentleWork
	left := slices.Concat(s.even, s.queue)
	s.queue, s.best = nil, s.packed(cost, is)
	for _, x := range left {
		c := was.unpack(x.bound)
		if c.Racks >>= tied; cost.Less(c) {
			continue
		}
		x.bound, x.plan = s.packed(c, tidiness{}), plan{}
		heap.Push(&s.queue, x)
	}
}

// packed is a cost with what of the rest there are weights for.
func (s *search) packed(c place.Cost, t tidiness) uint64 {
	return s.pack.halls(c.Halls) + s.pack.pods(c.Pods) + s.pack.sus(c.SUs) + uint64(c.Racks)<<s.tie.bits +
		s.tie.harm.halls*uint64(t.harm.Halls) + s.tie.harm.pods*uint64(t.harm.Pods) + s.tie.harm.sus*uint64(t.harm.SUs) +
		s.tie.far.halls*uint64(t.far.Halls) + s.tie.far.pods*uint64(t.far.Pods)
}

// counted is the tree over what hermetic slices may have.
func (h *hermetic) counted() *tree {
	if h.tree == nil {
		h.tree = newTree(h.o.Site(), h.o.Untaken(), h.fabric, h.kind, h.near)
	}
	return h.tree
}
