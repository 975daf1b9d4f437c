package solve

// relax solves a relaxation, and reports whether it has a solution.
func (s *search) relax(x *relaxation) bool {
	switch x.form {
	case onePod:
		return s.relaxOne(x)
	case twoPods:
		return s.relaxTwo(x)
	default:
		return s.relaxMany(x)
	}
}

func part(m *menu, pod int, o offer) planPart {
	return planPart{menu: m, pod: pod, leaves: int(o.leaves), deficit: int(o.deficit), small: int(o.small), racks: int(o.racks), closed: o.closed}
}

func (s *search) relaxOne(x *relaxation) bool {
	m := s.menuOf(x.a, x)
	x.bound = never
	for _, small := range []smallLeaf{noSmall, anySmall} {
		enough := m.offers(s, 1, len(m.sus)+1, small).above(s.want - 1).list
		if len(enough) == 0 {
			continue
		}
		if cost := s.hall(x.a) + s.pod(x.a) + enough[0].cost; cost < x.bound {
			x.bound, x.plan = cost, plan{parts: []planPart{part(m, x.a, enough[0])}, rest: -1}
		}
	}
	return x.bound != never
}

func (s *search) relaxTwo(x *relaxation) bool {
	a, b := s.menuOf(x.a, x), s.menuOf(x.b, x)
	base := s.hall(x.a) + s.pod(x.a) + s.pod(x.b)
	if s.pods[x.a].hall != s.pods[x.b].hall {
		base += s.hall(x.b)
	}
	x.bound = never
	var bestA, bestB offer
	try := func(first, second offers) {
		// More nodes cost more on both sides: walk them against each other.
		as, bs := first.list, second.list
		s.work += len(as) + len(bs)
		j := 0
		for i := len(as) - 1; i >= 0; i-- {
			for j < len(bs) && as[i].nodes+bs[j].nodes < s.want {
				j++
			}
			if j == len(bs) {
				return
			}
			if cost := base + as[i].cost + bs[j].cost; cost < x.bound {
				x.bound, bestA, bestB = cost, as[i], bs[j]
			}
		}
	}
	all := max(len(a.sus), len(b.sus)) + 1
	other := x.few // least leaves of the larger pod
	if x.more > 0 {
		other, all = x.more, x.more
	}
	for _, small := range [][2]smallLeaf{{noSmall, noSmall}, {anySmall, noSmall}, {noSmall, anySmall}} {
		if x.must && small == [2]smallLeaf{} {
			continue
		}
		if x.few == 0 {
			try(a.offers(s, 1, all, small[0]), b.offers(s, 1, all, small[1]))
			continue
		}
		if x.more == 0 || x.larger == x.b {
			try(a.offers(s, x.few, x.few, small[0]), b.offers(s, other, all, small[1]))
		}
		if x.more == 0 || x.larger == x.a {
			try(a.offers(s, other, all, small[0]), b.offers(s, x.few, x.few, small[1]))
		}
	}
	x.plan = plan{parts: []planPart{part(a, x.a, bestA), part(b, x.b, bestB)}, rest: -1}
	return x.bound != never
}
