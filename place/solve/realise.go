package solve

import (
	"slices"

	"bulkhead/place"
	"bulkhead/site"
)

// chosen is an SU that a plan takes nodes of.
type chosen struct {
	u            *suStock
	pod          int // index into search.pods
	racks, nodes int
}

// realise turns a plan into nodes and links, or says why it has none.
func (s *search) realise(p *plan) ([]site.Index, *place.LinkSet, *misfit) {
	leaves, rest, bad := s.leavesOf(p)
	if bad != nil {
		return nil, nil, bad
	}
	restPod := -1
	if p.rest >= 0 {
		restPod = s.pods[p.rest].pod
	}
	// A whole SU of which something stays idle gives its idle nodes back, and
	// becomes the remainder leaf, where that can be.
	part, partPod := rest, restPod
	if idle := idlest(p, leaves); rest < 0 && idle >= 0 {
		part, partPod = idle, s.pods[leaves[idle].pod].pod
	}
	// Of equally good SUs for it the tightest, so that larger ones stay whole. Where the
	// other leaves have no links by themselves, another SU for it won't help.
	if part >= 0 {
		is := leaves[part]
		var used []*suStock
		for _, l := range leaves {
			used = append(used, l.u)
		}
		for _, u := range s.tighter(is.pod, is.u, used, is.racks, is.nodes) {
			leaves[part].u = u
			nodes, links, unfit := s.link(leaves, part, partPod)
			if unfit == nil {
				return nodes, links, nil
			}
			if bad = unfit; bad.rest < 0 {
				break
			}
		}
		leaves[part] = is
	}
	if part != rest && (bad == nil || bad.rest >= 0) {
		if nodes, links, bad := s.link(leaves, part, partPod); bad == nil {
			return nodes, links, nil
		}
	}
	return s.link(leaves, rest, restPod)
}

// leavesOf finds the SUs of a plan, and leaves idle what is too many. rest is the
// remainder leaf, or -1.
func (s *search) leavesOf(p *plan) (leaves []chosen, rest int, bad *misfit) {
	rest = -1
	total := 0
	for _, part := range p.parts {
		pod := &s.pods[part.pod]
		for _, l := range part.menu.pick(s, part.leaves, part.deficit) {
			if l.at == part.small {
				// Twice in one plan: as a full leaf and as the remainder leaf.
				return nil, -1, &misfit{condition: equalLeaves, rest: 0, closed: true}
			}
			leaves = append(leaves, chosen{u: &pod.sus[l.at], pod: part.pod, racks: l.racks, nodes: l.nodes})
			total += l.nodes
		}
		if part.small >= 0 {
			u := &pod.sus[part.small]
			offered := 0
			for _, o := range slices.Concat(part.menu.small, part.menu.rough) {
				if int(o.small) == part.small && int(o.racks) == part.racks && o.closed == part.closed {
					offered = o.nodes
				}
			}
			rest = len(leaves)
			leaves = append(leaves, chosen{u: u, pod: part.pod, racks: part.racks, nodes: offered})
			total += offered
		}
	}
	if s.trim(p, leaves, rest, total-s.want) > 0 {
		return nil, -1, &misfit{condition: equalLeaves, rest: -1}
	}
	return leaves, rest, nil
}

// trim leaves idle what is too many: in the remainder leaf, else in the remainder
// tree, else in the last leaf. A rack that was chosen keeps a node. It returns what
// is too many still.
func (s *search) trim(p *plan, leaves []chosen, rest, spare int) int {
	trim := func(i int) {
		if by := min(spare, leaves[i].nodes-leaves[i].racks); by > 0 {
			leaves[i].nodes -= by
			spare -= by
		}
	}
	full := -1 // the remainder leaf, if it needs all its nodes to hold the last uplink
	for _, part := range p.parts {
		if part.closed {
			full = rest
		}
	}
	if rest >= 0 && rest != full {
		trim(rest)
	}
	for i := len(leaves) - 1; i >= 0; i-- {
		if i == full {
			continue
		}
		if p.rest < 0 || leaves[i].pod == p.rest {
			trim(i)
		}
	}
	for i := len(leaves) - 1; i >= 0; i-- {
		if i != full {
			trim(i)
		}
	}
	return spare
}

// idlest is, of the leaves that do not need all of their SU, the one that needs
// least; -1: none.
func idlest(p *plan, leaves []chosen) int {
	idle := -1
	for i, l := range leaves {
		if l.nodes < l.u.nodes && (p.rest < 0 || l.pod == p.rest) && (idle < 0 || l.u.nodes-l.nodes > leaves[idle].u.nodes-leaves[idle].nodes) {
			idle = i
		}
	}
	return idle
}

// link takes the nodes of the leaves and assigns them links.
func (s *search) link(leaves []chosen, rest, restPod int) ([]site.Index, *place.LinkSet, *misfit) {
	var uses []leafUse
	for _, l := range leaves {
		uses = append(uses, leafUse{su: l.u.su, pod: s.pods[l.pod].pod, nodes: l.nodes})
	}
	y := newLayout(s.o, uses, true, rest, restPod)
	s.work += len(s.o.Site().SUs) + len(leaves)*s.o.Site().Shape.SUNodes + site.Rails*len(y.pods)*s.o.Site().Shape.Spines
	links, bad := assign(s.o, y)
	if bad != nil {
		return nil, nil, bad
	}
	var nodes []site.Index
	for _, l := range leaves {
		nodes = append(nodes, l.u.take(s.o, l.racks, l.nodes)...)
	}
	return nodes, links, nil
}

// maxTighter bounds the SUs that are tried in the place of one.
const maxTighter = 4

// tighter lists SUs of a pod that somebody else has a part of, that are not used
// and that hold the nodes of a smaller leaf in as many racks as u does, with
// fewer nodes to spare: those with the fewest first.
func (s *search) tighter(pod int, u *suStock, used []*suStock, racks, nodes int) []*suStock {
	var out []*suStock
	for i := range s.pods[pod].sus {
		o := &s.pods[pod].sus[i]
		if o.whole || o.nodes < nodes || o.cover(nodes) != racks || !u.whole && o.nodes >= u.nodes || slices.Contains(used, o) {
			continue
		}
		out = append(out, o)
	}
	slices.SortStableFunc(out, func(a, b *suStock) int { return a.nodes - b.nodes })
	return out[:min(maxTighter, len(out))]
}
