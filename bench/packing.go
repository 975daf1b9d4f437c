package main

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
			return false, nodes - 1, nil
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
			return false, nodes - 1, nil
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
				return false, nodes - 1, nil
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
		return false, nodes - 1, nil
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
