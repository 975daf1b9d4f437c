package solve

import (
	"slices"

	"bulkhead/place"
)

// clash finds pods of a plan, as few as it can, that have too few core links in
// common whatever else the slice has: indexes into the plan's parts. Every slice
// lacks one of them in its role, or has leaves of at most so many nodes. It
// reports false where the reason may be another.
func (s *search) clash(x *relaxation, bad *misfit) (parts []int, most int, ok bool) {
	if x.form != manyPods || !bad.cores || bad.rest >= 0 {
		return nil, 0, false
	}
	shape := s.o.Site().Shape
	links := func(leaves int) int { return (leaves + shape.PodTaper - 1) / shape.PodTaper }
	type pod struct {
		part  int
		rest  bool
		cores []place.Mask // by spine position
	}
	var pods []pod
	own, total, largest, full := 0, 0, 0, 0
	for i := range x.plan.parts {
		part := &x.plan.parts[i]
		p := &s.pods[part.pod]
		for _, l := range part.menu.pick(s, part.leaves, part.deficit) {
			if p.sus[l.at].flaws > 0 {
				return nil, 0, false
			}
			full = max(full, need(l.nodes, s.want))
		}
		total += part.leaves
		one := pod{part: i, rest: part.pod == x.plan.rest}
		if one.rest {
			own = part.leaves
		} else {
			largest = max(largest, part.leaves)
		}
		closed := part.small < 0 && p.taken+part.leaves == p.size
		for spine := range shape.Spines {
			one.cores = append(one.cores, coreLinks(s.o, p.pod, bad.rail, spine, closed))
		}
		pods = append(pods, one)
	}
	if links(largest) != links(x.r) {
		return nil, 0, false
	}
	own = need(own, total)
	// positions counts the spine positions that do for some of the pods.
	positions := func(some []pod) int {
		n := 0
		for spine := range shape.Spines {
			all, mine := place.MaskBelow(place.MaskBits), place.MaskBelow(place.MaskBits)
			rest := false
			for _, p := range some {
				if p.rest {
					mine, rest = p.cores[spine], true
				} else {
					all = all.And(p.cores[spine])
				}
			}
			if all.Count() >= links(x.r) && (!rest || all.And(mine).Count() >= links(own)) {
				n++
			}
		}
		return n
	}
	// Without the smaller pod, if it clashes without.
	some := slices.DeleteFunc(slices.Clone(pods), func(p pod) bool { return p.rest })
	if positions(some) >= full {
		some = pods
	}
	if positions(some) >= full {
		return nil, 0, false
	}
	for i := 0; i < len(some) && len(some) > 1; {
		if fewer := slices.Delete(slices.Clone(some), i, i+1); positions(fewer) < full {
			some = fewer
			continue
		}
		i++
	}
	for _, p := range some {
		if p.rest && x.plan.parts[p.part].leaves == 0 {
			return nil, 0, false
		}
		parts = append(parts, p.part)
	}
	return parts, positions(some), true
}
