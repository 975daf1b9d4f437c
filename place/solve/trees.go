package solve

import "slices"

// A slice of many pods is a knapsack over them: each is a full tree, the remainder
// tree, or not of the slice. It is filled twice. First backwards and in whole SUs
// alone (ahead.go): that is quick, says what the halls, pods and SUs of the optimum
// are, and, from every pod on, what they must still be at least. Then forwards and
// exactly, over only what comes to no more than that.

// point is a partial slice of many pods.
type point struct {
	cost  uint64
	nodes int32
	from  int32 // point of the state that it came from, one pod before
	offer int32 // of the pod in its role
	state uint8 // that it came from
	role  uint8 // that the pod has
}

// Roles of a pod: it is not of the slice, it is a full tree, or it is the remainder tree,
// with an offer of the first list or of the second.
const (
	asNothing = iota
	asFull
	asRest
	asRestToo
)

// States of a partial slice: whether it has its smaller pod, and whether it has
// a pod in the hall that is being looked at.
const (
	hasRest = 1
	isOpen  = 2
	states  = 4
)

// treeChoice is what a pod may give as one of the full trees, and as the remainder
// tree.
type treeChoice struct {
	menu   *menu
	full   offers
	rest   [2]offers // the second goes on where the first ends
	closes bool      // the pod before it is in another hall
}

// roles are what the pod may give, by role.
func (c *treeChoice) roles() [4]offers {
	return [4]offers{asFull: c.full, asRest: c.rest[0], asRestToo: c.rest[1]}
}

// relaxMany finds the best slice of many pods.
func (s *search) relaxMany(x *relaxation) bool {
	choices := make([]treeChoice, len(s.pods))
	all, more := 0, 0 // nodes of all full trees, and what the remainder tree adds at most
	for i := range choices {
		choices[i] = s.treeChoice(x, i)
		full, rest := choices[i].full.most(), max(choices[i].rest[0].most(), choices[i].rest[1].most())
		all += full
		more = max(more, rest-full)
	}
	if s.work += len(choices); all+more < s.want {
		return false
	}
	ahead := s.lookAhead(x, choices)
	least, ok := ahead.least(0, 0, s.want)
	if !ok {
		return false
	}
	steps := s.addTrees(choices, ahead, least)
	x.bound = never
	last := steps[len(s.pods)]
	var at *point
	for state := range states {
		if x.must && state&hasRest == 0 {
			continue
		}
		for k := range last[state] {
			if p := &last[state][k]; int(p.nodes) >= s.want && p.cost < x.bound {
				x.bound, at = p.cost, p
			}
		}
	}
	if at == nil {
		return false
	}
	x.plan = planOf(choices, steps, at)
	return true
}

// treeChoice lists what pod i may give.
func (s *search) treeChoice(x *relaxation, i int) treeChoice {
	m := s.menuOf(i, x)
	c := treeChoice{menu: m, closes: i > 0 && s.pods[i-1].hall != s.pods[i].hall}
	// As many links as r leaves need is what counts.
	least := x.r - s.o.Site().Shape.PodTaper + 1
	all := s.pods[i].size - s.pods[i].taken // leaves that shut the pod
	full := x.without.asFull(i)
	switch full {
	case anyLeaves:
		c.full = m.offers(s, least, x.r, noSmall)
	case allLeaves:
		if all >= least && all <= x.r {
			c.full = m.offers(s, all, all, noSmall)
		}
	}
	if n := s.pods[i].size; full != noLeaves && n == len(m.sus) && n < least {
		c.full = m.offers(s, n, n, noSmall) // it is the slice's alone
	}
	// Where all other pods are the slice's alone and small, the one with R leaves
	// may be the one that has fewer core links: it sends no more than they receive.
	longest := x.r - 1
	if s.small(x.r) > 1 {
		longest = x.r
	}
	choice, most := x.without.asRemainder(i)
	switch choice {
	case anyLeaves:
		// The remainder leaf is one of them.
		if x.must {
			c.rest[0] = m.offers(s, 1, min(x.r, most+1), roughSmall)
		} else {
			c.rest = m.either(s, min(longest, most), min(x.r, most+1))
		}
	case allLeaves:
		if all <= min(longest, most) && !x.must {
			c.rest[0] = m.offers(s, all, all, noSmall)
		}
	}
	return c
}

// addTrees returns the partial slices of the first 0, 1, 2... pods, by state: those
// that may become a slice of no more halls, pods and SUs than the optimum has, and of
// less cost than the best that is known.
func (s *search) addTrees(choices []treeChoice, ahead *outlook, optimum uint64) [][states][]point {
	steps := make([][states][]point, len(s.pods)+1)
	s.points = append(s.points[:0], point{})
	steps[0][0] = s.points[:1:1]
	tables := &s.tables
	for i := range s.pods {
		roles := choices[i].roles()
		for state := range states {
			for at := range steps[i][state] {
				p := steps[i][state][at]
				now := state
				if choices[i].closes {
					now &^= isOpen
				}
				s.work++
				if ahead.most(i+1, now, optimum-s.pack.coarse(p.cost)) >= s.want-int(p.nodes) {
					tables[now].put(s.want, point{nodes: p.nodes, cost: p.cost, state: uint8(state), from: int32(at)})
				}
				base := p.cost + s.pod(i)
				if now&isOpen == 0 {
					base += s.hall(i)
				}
				for role := asFull; role <= asRestToo; role++ {
					to := now | isOpen
					if role != asFull {
						if now&hasRest != 0 {
							break
						}
						to |= hasRest
					}
					s.addTree(&tables[to], roles[role], point{nodes: p.nodes, cost: base, state: uint8(state), from: int32(at), role: uint8(role)}, optimum, ahead, i+1, to)
				}
			}
		}
		for state := range states {
			from := len(s.points)
			s.points = tables[state].drain(s.points)
			steps[i+1][state] = s.points[from:len(s.points):len(s.points)]
		}
	}
	return steps
}

// addTree adds to a partial slice what one pod may give in a role.
func (s *search) addTree(table *dense, list offers, p point, optimum uint64, ahead *outlook, next, state int) {
	from := 0
	for _, end := range list.ends {
		group := list.list[from:end]
		from = end
		coarse := s.pack.coarse(p.cost + group[0].cost)
		s.work++
		if coarse > optimum {
			return // those to come have more SUs
		}
		// What is left of the optimum gives so many nodes at most.
		least := s.want - int(p.nodes) - ahead.most(next, state, optimum-coarse)
		for k := len(group) - 1; k >= 0 && group[k].nodes >= least; k-- {
			s.work++
			nodes, cost := min(int(p.nodes)+group[k].nodes, s.want), p.cost+group[k].cost
			if cost+s.low(s.want-nodes) < s.best {
				table.put(s.want, point{nodes: int32(nodes), cost: cost, state: p.state, from: p.from, role: p.role, offer: int32(from - len(group) + k)})
			}
		}
	}
}

// low is what so many nodes cost at least, without halls, pods and SUs.
func (s *search) low(nodes int) uint64 {
	if nodes <= 0 {
		return 0
	}
	return uint64((nodes+s.rack-1)/s.rack)<<s.tie.bits + s.tie.node*uint64(nodes)
}

// planOf goes the way back from a partial slice of all pods.
func planOf(choices []treeChoice, steps [][states][]point, at *point) plan {
	out := plan{rest: -1}
	for i := len(choices) - 1; i >= 0; i-- {
		if at.role != asNothing {
			if at.role != asFull {
				out.rest = i
			}
			roles := choices[i].roles()
			out.parts = append(out.parts, part(choices[i].menu, i, roles[at.role].list[at.offer]))
		}
		at = &steps[i][at.state][at.from]
	}
	slices.Reverse(out.parts)
	return out
}

// small counts the pods that a slice may have alone with fewer than r leaves.
func (s *search) small(r int) int {
	n := 0
	for i := range s.pods {
		if p := &s.pods[i]; p.size < r && p.wholes() == p.size {
			n++
		}
	}
	return n
}
