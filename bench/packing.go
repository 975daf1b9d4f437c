package main

import (
	"math/big"

	"bulkhead/bench/sites"
)

// packing places as a hermetic slice needs it at whole SUs, but by number alone:
// an ask of up to an SU in one SU, a larger one in whole SUs and at most one part
// of another, the tightest that will do. No links, no pods, no halls, and no
// quality: what the rule of whole SUs costs by itself, by a good packing. It is a
// yardstick, not a bound: another packing may do better.
type packing struct {
	su     int
	free   []int // of each SU
	linked []int // nodes of each SU that are part of a lease over several
	common bool  // an SU that is not whole one lease's keeps an uplink that no lease has alone
	holds  map[int32][]share
}

type share struct {
	su, nodes int
	part      bool // of a lease over several SUs, in one that it does not have whole
}

func newPacking(sus, su int, common bool) *packing {
	p := &packing{su: su, free: make([]int, sus), linked: make([]int, sus), common: common, holds: map[int32][]share{}}
	for i := range p.free {
		p.free[i] = su
	}
	return p
}

// tightest returns the SU with the fewest free nodes of at least so many; -1 none.
func (p *packing) tightest(nodes int, part bool) int {
	best := -1
	for i, n := range p.free {
		if part && p.common && p.linked[i]+nodes > p.su-1 {
			continue
		}
		if n >= nodes && (best < 0 || n < p.free[best]) {
			best = i
		}
	}
	return best
}

func (p *packing) start(tenant int32, nodes int) (bool, int, error) {
	var take []share
	if nodes <= p.su {
		at := p.tightest(nodes, false)
		if at < 0 {
			return false, nodes, nil
		}
		take = []share{{su: at, nodes: nodes}}
	} else {
		rest := nodes % p.su
		for i, n := range p.free {
			if n == p.su && len(take) < nodes/p.su {
				take = append(take, share{su: i, nodes: n})
			}
		}
		if len(take) < nodes/p.su {
			return false, nodes, nil
		}
		for _, s := range take {
			p.free[s.su] = 0
		}
		if rest > 0 {
			at := p.tightest(rest, true)
			if at < 0 {
				for _, s := range take {
					p.free[s.su] = p.su
				}
				return false, nodes, nil
			}
			take = append(take, share{su: at, nodes: rest, part: true})
		}
		for _, s := range take[:nodes/p.su] {
			p.free[s.su] = p.su
		}
	}
	for _, s := range take {
		p.free[s.su] -= s.nodes
		if s.part {
			p.linked[s.su] += s.nodes
		}
	}
	p.holds[tenant] = take
	return true, 0, nil
}

func (p *packing) end(tenant int32) error {
	for _, s := range p.holds[tenant] {
		p.free[s.su] += s.nodes
		if s.part {
			p.linked[s.su] -= s.nodes
		}
	}
	delete(p.holds, tenant)
	return nil
}

// moving is the same rule when every running lease may be packed anew for each
// ask: whole SUs, and parts that share SUs without any loss. No placement that
// keeps the rule can start an ask that this refuses with the same leases running.
type moving struct {
	su, sus     int
	whole, part int // SUs and nodes in use
	holds       map[int32]int
}

func (m *moving) start(tenant int32, nodes int) (bool, int, error) {
	whole, part := m.whole+nodes/m.su, m.part+nodes%m.su
	if whole+(part+m.su-1)/m.su > m.sus {
		return false, nodes, nil
	}
	m.whole, m.part = whole, part
	m.holds[tenant] = nodes
	return true, 0, nil
}

func (m *moving) end(tenant int32) error {
	n := m.holds[tenant]
	m.whole, m.part = m.whole-n/m.su, m.part-n%m.su
	delete(m.holds, tenant)
	return nil
}

// ceiling is a bound on what any placement could have in use that keeps whole SUs
// to one lease each, as hermetic links need it: a lease of n nodes takes at least
// n/su whole SUs, and what is over lies in SUs that are nobody's alone. Parts
// share SUs without loss, nothing is said of links and pods, and every lease that
// runs may be moved. Without a size it bounds nothing.
type ceiling struct{ su, sus int }

// more is the most nodes of those that wait that could start beside what runs, in
// any choice of them.
func (c ceiling) more(run runs, waiting []int) int {
	whole, part := 0, 0
	for _, r := range run {
		whole, part = whole+r.nodes/c.su, part+r.nodes%c.su
	}
	free := c.sus*c.su - whole*c.su - part
	// can[w] is which numbers of nodes in parts a choice of w whole SUs can have.
	can := make([]big.Int, free/c.su+1)
	can[0].SetBit(&can[0], 0, 1)
	var moved big.Int
	for _, n := range waiting {
		if n > free {
			continue
		}
		for w := len(can) - 1 - n/c.su; w >= 0; w-- {
			to := &can[w+n/c.su]
			to.Or(to, moved.Lsh(&can[w], uint(n%c.su)))
		}
	}
	most := 0
	for w := range can {
		for p := min(can[w].BitLen()-1, free-w*c.su); p >= 0; p-- {
			if can[w].Bit(p) == 1 && whole+w+(part+p+c.su-1)/c.su <= c.sus {
				most = max(most, w*c.su+p)
				break
			}
		}
	}
	return most
}

// waiting is the sizes of the jobs that are tried.
func waiting(jobs []sites.Job, queue []int32) []int {
	var out []int
	for _, i := range queue[:min(window, len(queue))] {
		out = append(out, jobs[i].Nodes)
	}
	return out
}
