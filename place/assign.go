package place

// layout is which leaves a hermetic slice would have, before its links are
// chosen. The leaf and the pod that may be smaller are named; -1 is none.
type layout struct {
	leaves  []leafUse
	whole   bool // all leaves but rest are whole SUs
	rest    int  // index into leaves
	restPod int  // index into pods; only where there are three pods or more
	pods    []int
	nodes   int

	shared []bool // leaves of which hermetic slices do not have every node with this one
	inPod  []int  // whole or full leaves of each pod
	shut   []bool // with this slice, hermetic slices have every SU of the pod whole
	alone  []bool // the slice has every SU of the pod
}

func newLayout(o *Occupancy, leaves []leafUse, whole bool, rest, restPod int) *layout {
	y := &layout{leaves: leaves, whole: whole, rest: rest, restPod: -1, pods: podsOf(leaves)}
	y.inPod, y.shut, y.alone = make([]int, len(y.pods)), make([]bool, len(y.pods)), make([]bool, len(y.pods))
	at := map[int]int{}
	for i, p := range y.pods {
		at[p] = i
		if p == restPod && len(y.pods) > 2 {
			y.restPod = i
		}
	}
	for i, l := range leaves {
		y.nodes += l.nodes
		y.shared = append(y.shared, o.others(l.su) != l.nodes)
		if i != rest {
			y.inPod[at[l.pod]]++
		}
	}
	if whole && len(y.pods) > 1 {
		for i, p := range y.pods {
			all, taken := 0, 0
			for su := range o.site.SUs {
				if o.site.SUs[su].Pod == p {
					all++
					if o.whole[su] {
						taken++
					}
				}
			}
			y.shut[i], y.alone[i] = taken+y.inPod[i] == all, y.inPod[i] == all
		}
	}
	return y
}

// misfit says why no links can be assigned to a layout.
type misfit struct {
	condition int // 2: a leaf's uplinks; 3: common spines; 5: cores
	rail      int
	most      int  // the most nodes a leaf may have for the spines to do
	rest      int  // the most nodes the smaller leaf may have without the last uplink
	closed    bool // the smaller leaf was offered the last uplink too
	cores     bool // core links have taken spine positions away
}

// assign chooses the links of a layout, the lowest positions first, or says why
// there are none. Planes are alike until links fail, so it usually finds the
// same in each.
func assign(o *Occupancy, y *layout) (*LinkSet, *misfit) {
	s := o.site
	l := &LinkSet{}
	if len(y.leaves) == 1 {
		return l, nil
	}
	l.Whole, l.Flows = y.whole, 1
	if y.rest >= 0 {
		l.RestSU = s.SUs[y.leaves[y.rest].su].ID
	}
	if len(y.pods) > 1 {
		l.Flows = s.Shape.PodTaper
	}
	if y.restPod >= 0 {
		l.RestPod = s.Pods[y.pods[y.restPod]].ID
	}
	for rail := range s.SUs[y.leaves[0].su].Rails() {
		plane, bad := assignPlane(o, y, rail)
		if bad != nil {
			return nil, bad
		}
		plane.Rails = one(rail)
		alike := false
		for i := range l.Planes {
			if samePlane(&l.Planes[i], plane) {
				l.Planes[i].Rails = l.Planes[i].Rails.or(plane.Rails)
				alike = true
				break
			}
		}
		if !alike {
			l.Planes = append(l.Planes, *plane)
		}
	}
	return l, nil
}

func samePlane(a, b *PlaneLinks) bool {
	if a.Spines != b.Spines || a.Rest != b.Rest || a.Tree != b.Tree || len(a.Cores) != len(b.Cores) {
		return false
	}
	for i := range a.Cores {
		if a.Cores[i] != b.Cores[i] {
			return false
		}
	}
	return true
}

func assignPlane(o *Occupancy, y *layout, rail int) (*PlaneLinks, *misfit) {
	full, small := 0, 0 // uplinks that a leaf needs
	common := below(o.site.Shape.Spines)
	least := maskBits
	for i, leaf := range y.leaves {
		flows := need(leaf.nodes, y.nodes)
		if i == y.rest {
			small = flows
			continue
		}
		full = max(full, flows)
		up := o.uplinks(leaf.su, rail, y.whole || !y.shared[i])
		least = min(least, up.Count()-flows)
		common = common.and(up)
	}
	p := &PlaneLinks{Tree: Tree{Core: -1}}
	several := len(y.pods) > 1
	// Positions that will do without the smaller leaf, and with it.
	without, with := common, common
	if several {
		without, with = Mask{}, Mask{}
		for i := range common.all {
			if _, ok := coreSet(o, y, rail, i, false); ok {
				without = without.or(one(i))
			}
			if y.rest >= 0 {
				if _, ok := coreSet(o, y, rail, i, true); ok {
					with = with.or(one(i))
				}
			}
		}
	}
	bad := &misfit{rail: rail, cores: without != common, condition: 3, most: without.Count(), rest: -1}
	if bad.cores {
		bad.condition = 5
	} else if least < 0 {
		bad.condition = 2
	}
	if without.Count() < full {
		return nil, bad
	}
	if y.rest >= 0 {
		own := o.uplinks(y.leaves[y.rest].su, rail, !y.shared[y.rest])
		mine := with.and(own)
		bad.rest = with.and(o.uplinks(y.leaves[y.rest].su, rail, false)).Count()
		bad.closed = !y.shared[y.rest]
		if mine.Count() < small {
			if bad.cores = with != common; bad.cores {
				bad.condition = 5
			} else if own.Count() < small {
				bad.condition = 2
			}
			return nil, bad
		}
		p.Rest = mine.lowest(small)
	}
	p.Spines = without.or(p.Rest)
	if !y.whole {
		// No more than its share: as many as its nodes, or as can send outside.
		p.Spines = p.Rest.or(without.without(p.Rest).lowest(full - p.Rest.Count()))
	}
	p.Tree.Spine = p.Spines.first()
	if y.rest >= 0 {
		p.Tree.Spine = p.Rest.first()
	}
	if !several {
		return p, nil
	}
	for i := range p.Spines.all {
		set, _ := coreSet(o, y, rail, i, p.Rest.Has(i))
		joined := false
		for j := range p.Cores {
			if p.Cores[j].Cores == set.Cores && p.Cores[j].Rest == set.Rest {
				p.Cores[j].Spines = p.Cores[j].Spines.or(one(i))
				joined = true
				break
			}
		}
		if !joined {
			set.Spines = one(i)
			p.Cores = append(p.Cores, set)
		}
		if i == p.Tree.Spine {
			p.Tree.Core = set.Cores.first()
			if y.restPod >= 0 {
				p.Tree.Core = set.Rest.first()
			}
		}
	}
	return p, nil
}

// coreSet chooses the core links of the spines in a position, where rest says
// that the smaller leaf has an uplink to it as well.
func coreSet(o *Occupancy, y *layout, rail, position int, rest bool) (CoreSet, bool) {
	taper := o.site.Shape.PodTaper
	links := func(leaves int) int { return (leaves + taper - 1) / taper }
	var set CoreSet
	all := below(o.site.Shape.CoreLinks())
	mine := all
	most, least, own, total := 0, len(y.leaves)+1, 0, 0
	for i, p := range y.pods {
		n := y.inPod[i]
		hasRest := y.rest >= 0 && y.leaves[y.rest].pod == p
		if hasRest && rest {
			n++
		}
		free := o.coreLinks(p, rail, position, y.shut[i] && !hasRest)
		if i == y.restPod {
			mine, own = free, n
		}
		total += n
		if i == y.restPod {
			continue
		}
		most, least = max(most, n), min(least, n)
		all = all.and(free)
	}
	if len(y.pods) == 2 {
		// What two pods can send each other is what the smaller one has.
		if all.Count() < links(least) {
			return set, false
		}
		set.Cores = all.lowest(links(least))
		return set, true
	}
	most = max(most, own)
	own = need(own, total)
	for i := range y.pods {
		// More links than leaves only where nobody else misses them.
		if i != y.restPod && links(y.inPod[i]) < links(most) && !y.alone[i] {
			return set, false
		}
	}
	both := all.and(mine)
	if all.Count() < links(most) || both.Count() < links(own) {
		return set, false
	}
	if y.restPod >= 0 {
		set.Rest = both.lowest(links(own))
	}
	set.Cores = set.Rest.or(all.without(set.Rest).lowest(links(most) - set.Rest.Count()))
	return set, true
}
