package solve

import (
	"bulkhead/place"
	"bulkhead/site"
)

// child is a relaxation with some restrictions more.
func (x *relaxation) child(more ...restriction) *relaxation {
	c := *x
	c.without = x.without.and(more...)
	return &c
}

// split replaces a relaxation whose optimum can't have links by others that have
// all its slices that can: which condition is broken, and by what, decides how.
func (s *search) split(x *relaxation, bad *misfit) {
	if bad.cores && !x.any {
		c := *x
		c.any = true
		s.push(&c) // all that x may have, and more
		return
	}
	if pods, most, ok := s.clash(x, bad); ok {
		s.splitTrees(x, pods, most)
		return
	}
	if bad.cores && x.form == twoPods && x.more == 0 {
		s.splitPair(x)
		return
	}
	s.splitLeaves(x, bad)
	if bad.rest < 0 && bad.most > 0 && bad.most < x.flows {
		c := *x
		c.flows = bad.most
		s.push(&c)
	}
}

// spare is how else a pod of the plan may be used when it can't be as it is:
// with all its leaves, for then it may hold the last core links too.
func (s *search) spare(part *planPart) leafChoice {
	p := &s.pods[part.pod]
	if p.size-p.taken != part.leaves || part.small >= 0 {
		return allLeaves
	}
	return noLeaves
}

// splitTrees: these pods, parts of the plan, break condition 5 together, whatever
// else the slice has. Every slice lacks one of them, or has smaller leaves.
func (s *search) splitTrees(x *relaxation, pods []int, most int) {
	for _, at := range pods {
		part := &x.plan.parts[at]
		if part.pod != x.plan.rest {
			s.push(x.child(fullTree{part.pod, s.spare(part)}))
			continue
		}
		s.push(x.child(remainderTree{part.pod, s.spare(part)}))
		s.push(x.child(remainderTreeOf{part.pod, part.leaves - 1}))
	}
	if most > 0 && most < x.flows {
		c := *x
		c.flows = most
		s.push(&c)
	}
}

// splitPair: how many core links two pods need depends on the smaller one, and
// whether the last one may be held on both.
func (s *search) splitPair(x *relaxation) {
	low, high := 1, min(len(s.pods[x.a].sus), len(s.pods[x.b].sus))
	if x.few > 0 {
		low, high = x.few, max(len(s.pods[x.a].sus), len(s.pods[x.b].sus))
	}
	for n := low; n <= high; n++ {
		c := *x
		if x.few == 0 {
			c.few = n
			s.push(&c)
			continue
		}
		// Which of them is the larger has to be said as well: splitLeaves takes the
		// remainder leaf out of a pod, and it may do in the other role.
		c.more, c.larger = n, x.a
		s.push(&c)
		d := c
		d.larger = x.b
		s.push(&d)
	}
}

// splitLeaves: some leaf of the plan, or some pod, breaks condition 2, 3 or 5.
// Without each of them in turn, in the role that it has.
func (s *search) splitLeaves(x *relaxation, bad *misfit) {
	remainder := false
	for i := range x.plan.parts {
		part := &x.plan.parts[i]
		p := &s.pods[part.pod]
		for _, l := range part.menu.pick(s, part.leaves, part.deficit) {
			if s.o.FailedUp[p.sus[l.at].su*site.Rails+bad.rail] != (place.Mask{}) || part.small == l.at {
				s.push(x.child(noFullLeaf{p.sus[l.at].su}))
			}
		}
		if part.small >= 0 {
			remainder = true
			su := p.sus[part.small].su
			if bad.rest >= 0 && bad.closed {
				s.push(x.child(lastUplinkCommon{su}, remainderLeaf{su, bad.rest}))
			} else if bad.rest >= 0 {
				s.push(x.child(remainderLeaf{su, bad.rest}))
			}
			if bad.cores {
				s.push(x.child(noRemainderLeaf{part.pod}))
			}
		}
		if !bad.cores || x.form != manyPods {
			continue
		}
		if part.pod != x.plan.rest {
			s.push(x.child(fullTree{part.pod, s.spare(part)}))
			continue
		}
		s.push(x.child(remainderTree{part.pod, s.spare(part)}))
		if part.leaves > 0 {
			s.push(x.child(remainderTreeOf{part.pod, part.leaves - 1}))
		}
	}
	if bad.cores && !remainder && !x.must {
		c := *x
		c.must = true
		s.push(&c)
	}
}
