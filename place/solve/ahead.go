package solve

import "sort"

// outlook is what the pods from each on can still give, in halls, pods and SUs alone:
// for each state of what comes before them the fewest that give so many nodes.
type outlook struct{ from [][states][]rung }

// rung is a number of nodes, and the halls, pods and SUs that give it.
type rung struct {
	cost  uint64 // as packing.coarse
	nodes int32
}

// lookAhead fills the knapsack of a relaxation from the last pod to the first. A pod
// counts for the most nodes that each number of its SUs gives.
func (s *search) lookAhead(x *relaxation, choices []treeChoice) *outlook {
	a := &outlook{from: make([][states][]rung, len(choices)+1)}
	most := s.pack.coarse(s.best - 1) // whatever is more is of no use; all, as long as there is no best
	for state := range states {
		if state&hasRest != 0 || !x.must {
			a.from[len(choices)][state] = []rung{{}}
		}
	}
	table := &s.tables[0]
	s.rungs = s.rungs[:0]
	for i := len(choices) - 1; i >= 0; i-- {
		roles := choices[i].roles()
		for state := range states {
			if choices[i].closes && state&isOpen != 0 {
				a.from[i][state] = a.from[i][state&^isOpen] // that hall is left behind
				continue
			}
			for _, m := range a.from[i+1][state] {
				table.put(s.want, point{nodes: m.nodes, cost: m.cost})
			}
			base := s.pack.coarse(s.pack.pods(1))
			if state&isOpen == 0 {
				base += s.pack.coarse(s.pack.halls(1))
			}
			for role := asFull; role <= asRestToo; role++ {
				to := state | isOpen
				if role != asFull {
					if state&hasRest != 0 {
						break
					}
					to |= hasRest
				}
				for _, end := range roles[role].ends {
					o := &roles[role].list[end-1]
					for _, m := range a.from[i+1][to] {
						cost := base + s.pack.coarse(o.cost) + m.cost
						if cost > most {
							break
						}
						s.work++
						table.put(s.want, point{nodes: int32(min(o.nodes+int(m.nodes), s.want)), cost: cost})
					}
				}
			}
			s.points = table.drain(s.points[:0])
			from := len(s.rungs)
			for _, p := range s.points {
				s.rungs = append(s.rungs, rung{p.cost, p.nodes})
			}
			a.from[i][state] = s.rungs[from:len(s.rungs):len(s.rungs)]
		}
	}
	return a
}

// least is the fewest halls, pods and SUs of the pods from i on that give so many
// nodes, and false where they don't.
func (a *outlook) least(i, state, nodes int) (uint64, bool) {
	marks := a.from[i][state]
	at := sort.Search(len(marks), func(k int) bool { return int(marks[k].nodes) >= nodes })
	if at == len(marks) {
		return 0, false
	}
	return marks[at].cost, true
}

// most is the most nodes that the pods from i on give for so many halls, pods and SUs;
// less than none where they can't complete a slice at all.
func (a *outlook) most(i, state int, cost uint64) int {
	marks := a.from[i][state]
	at := sort.Search(len(marks), func(k int) bool { return marks[k].cost > cost })
	if at == 0 {
		return -1 << 30
	}
	return int(marks[at-1].nodes)
}
