package solve

import "bulkhead/place"

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

func newLayout(o *place.Occupancy, leaves []leafUse, whole bool, rest, restPod int) *layout {
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
		y.shared = append(y.shared, others(o, l.su) != l.nodes)
		if i != rest {
			y.inPod[at[l.pod]]++
		}
	}
	if whole && len(y.pods) > 1 {
		all, free := make([]int, len(y.pods)), make([]int, len(y.pods)) // SUs, and those that no hermetic slice has whole
		for su := range o.Site().SUs {
			if i, ours := at[o.Site().SUs[su].Pod]; ours {
				all[i]++
				if !o.Whole[su] {
					free[i]++
				}
			}
		}
		for i := range y.pods {
			y.shut[i], y.alone[i] = y.inPod[i] == free[i], y.inPod[i] == all[i]
		}
	}
	return y
}

// misfit says why no links can be assigned to a layout.
type misfit struct {
	condition int // that is broken
	rail      int
	most      int  // the most nodes a leaf may have for the spines to do
	rest      int  // the most nodes the smaller leaf may have without the last uplink
	closed    bool // the smaller leaf was offered the last uplink too
	cores     bool // core links have taken spine positions away
}

// assign chooses the links of a layout, the lowest positions first, or says why
// there are none. Planes are alike until links fail, so it usually finds the
// same in each.
func assign(o *place.Occupancy, y *layout) (*place.LinkSet, *misfit) {
	s := o.Site()
	l := &place.LinkSet{}
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
		plane.Rails = place.MaskOf(rail)
		alike := false
		for i := range l.Planes {
			if samePlane(&l.Planes[i], plane) {
				l.Planes[i].Rails = l.Planes[i].Rails.Or(plane.Rails)
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

func samePlane(a, b *place.PlaneLinks) bool {
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

func assignPlane(o *place.Occupancy, y *layout, rail int) (*place.PlaneLinks, *misfit) {
	full, small := 0, 0 // uplinks that a leaf needs
	common := place.MaskBelow(o.Site().Shape.Spines)
	least := place.MaskBits
	for i, leaf := range y.leaves {
		flows := need(leaf.nodes, y.nodes)
		if i == y.rest {
			small = flows
			continue
		}
		full = max(full, flows)
		up := uplinks(o, leaf.su, rail, y.whole || !y.shared[i])
		least = min(least, up.Count()-flows)
		common = common.And(up)
	}
	p := &place.PlaneLinks{Tree: place.Tree{Core: -1}}
	several := len(y.pods) > 1
	// Positions that will do without the smaller leaf, and with it.
	without, with := common, common
	if several {
		without, with = place.Mask{}, place.Mask{}
		for i := range common.All {
			if _, ok := coreSet(o, y, rail, i, false); ok {
				without = without.Or(place.MaskOf(i))
			}
			if y.rest >= 0 {
				if _, ok := coreSet(o, y, rail, i, true); ok {
					with = with.Or(place.MaskOf(i))
				}
			}
		}
	}
	bad := &misfit{rail: rail, cores: without != common, condition: commonSpines, most: without.Count(), rest: -1}
	if bad.cores {
		bad.condition = commonCores
	} else if least < 0 {
		bad.condition = balancedLeaves
	}
	if without.Count() < full {
		return nil, bad
	}
	if y.rest >= 0 {
		own := uplinks(o, y.leaves[y.rest].su, rail, !y.shared[y.rest])
		mine := with.And(own)
		bad.rest = with.And(uplinks(o, y.leaves[y.rest].su, rail, false)).Count()
		bad.closed = !y.shared[y.rest]
		if mine.Count() < small {
			if bad.cores = with != common; bad.cores {
				bad.condition = commonCores
			} else if own.Count() < small {
				bad.condition = balancedLeaves
			}
			return nil, bad
		}
		p.Rest = mine.Lowest(small)
	}
	p.Spines = without.Or(p.Rest)
	if !y.whole {
		// No more than its share: as many as its nodes, or as can send outside.
		p.Spines = p.Rest.Or(without.Minus(p.Rest).Lowest(full - p.Rest.Count()))
	}
	p.Tree.Spine = p.Spines.First()
	if y.rest >= 0 {
		p.Tree.Spine = p.Rest.First()
	}
	if !several {
		return p, nil
	}
	for i := range p.Spines.All {
		set, _ := coreSet(o, y, rail, i, p.Rest.Has(i))
		joined := false
		for j := range p.Cores {
			if p.Cores[j].Cores == set.Cores && p.Cores[j].Rest == set.Rest {
				p.Cores[j].Spines = p.Cores[j].Spines.Or(place.MaskOf(i))
				joined = true
				break
			}
		}
		if !joined {
			set.Spines = place.MaskOf(i)
			p.Cores = append(p.Cores, set)
		}
		if i == p.Tree.Spine {
			p.Tree.Core = set.Cores.First()
			if y.restPod >= 0 {
				p.Tree.Core = set.Rest.First()
			}
		}
	}
	return p, nil
}

// coreSet chooses the core links of the spines in a position, where rest says
// that the smaller leaf has an uplink to it as well.
func coreSet(o *place.Occupancy, y *layout, rail, position int, rest bool) (place.CoreSet, bool) {
	taper := o.Site().Shape.PodTaper
	links := func(leaves int) int { return (leaves + taper - 1) / taper }
	var set place.CoreSet
	all := place.MaskBelow(o.Site().Shape.CoreLinks())
	mine := all
	most, least, own, total := 0, len(y.leaves)+1, 0, 0
	for i, p := range y.pods {
		n := y.inPod[i]
		hasRest := y.rest >= 0 && y.leaves[y.rest].pod == p
		if hasRest && rest {
			n++
		}
		free := coreLinks(o, p, rail, position, y.shut[i] && !hasRest)
		if i == y.restPod {
			mine, own = free, n
		}
		total += n
		if i == y.restPod {
			continue
		}
		most, least = max(most, n), min(least, n)
		all = all.And(free)
	}
	if len(y.pods) == 2 {
		// What two pods can send each other is what the smaller one has.
		if all.Count() < links(least) {
			return set, false
		}
		set.Cores = all.Lowest(links(least))
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
	both := all.And(mine)
	if all.Count() < links(most) || both.Count() < links(own) {
		return set, false
	}
	if y.restPod >= 0 {
		set.Rest = both.Lowest(links(own))
	}
	set.Cores = set.Rest.Or(all.Minus(set.Rest).Lowest(links(most) - set.Rest.Count()))
	return set, true
}
