package solve

import (
	"slices"

	"bulkhead/place"
	"bulkhead/site"
)

// tally is the definition of a hermetic slice, tried on every distribution of
// nodes over SUs. It shares no code with the solver but the occupancy.
type tally struct {
	o      *place.Occupancy
	s      *site.Site
	sus    []tallySU
	unit   int
	best   []place.Cost // by nodes
	harm   []place.Harm // the least at that cost, but for racks
	counts []int
	role   []byte // 0 none, 'w' whole, 'p' part of an SU
}

type tallySU struct {
	number, pod, hall int
	racks             []int
	nodes             int
	whole             bool
	harm              place.Harm // of touching it, but for racks
}

func newTally(o *place.Occupancy, fabric int, kind string) *tally {
	t := &tally{o: o, s: o.Site()}
	total := 0
	for number := range t.s.SUs {
		su := &t.s.SUs[number]
		if su.Kind != kind || t.s.Pods[su.Pod].Fabric != fabric {
			continue
		}
		t.unit = max(t.unit, len(su.Nodes)-su.Spares)
		x := tallySU{number: number, pod: su.Pod, hall: t.s.Pods[su.Pod].Hall, whole: true, racks: make([]int, 99)}
		for _, n := range su.Nodes {
			if o.Taken.Has(n) {
				x.whole = false
			} else if !o.Broken.Has(n) && !t.s.IsSpare(n) {
				x.nodes++
				x.racks[int(t.s.NodePos[n])/t.s.RackNodes]++
			}
		}
		if x.nodes > 0 {
			t.sus = append(t.sus, x)
			total += x.nodes
		}
	}
	t.harms(fabric, kind)
	t.best, t.harm = make([]place.Cost, total+1), make([]place.Harm, total+1)
	for i := range t.best {
		t.best[i] = place.Cost{Halls: 1 << 30}
	}
	t.counts, t.role = make([]int, len(t.sus)), make([]byte, len(t.sus))
	t.try(0, 0, 0)
	return t
}

func (t *tally) try(i, nodes, parts int) {
	if i == len(t.sus) {
		if nodes == 0 {
			return
		}
		c, h := t.cost(), t.harmOf()
		if (c.Less(t.best[nodes]) || c == t.best[nodes] && h.Compare(t.harm[nodes]) < 0) && t.valid(nodes, parts) {
			t.best[nodes], t.harm[nodes] = c, h
		}
		return
	}
	t.role[i], t.counts[i] = 0, 0
	t.try(i+1, nodes, parts)
	for n := 1; n <= t.sus[i].nodes; n++ {
		t.counts[i] = n
		t.role[i] = 'p'
		t.try(i+1, nodes+n, parts+1)
		if t.sus[i].whole {
			t.role[i] = 'w'
			t.try(i+1, nodes+n, parts)
		}
	}
	t.role[i], t.counts[i] = 0, 0
}

// harms says of every SU what it harms to touch it.
func (t *tally) harms(fabric int, kind string) {
	s := t.s
	broken := map[[2]int]bool{} // a level and its domain of which somebody has a node, or it is out of order
	for n := range site.Index(s.Nodes()) {
		if s.KindOf(n) == kind && s.ComputeFabric(n) == fabric && !s.IsSpare(n) && (t.o.Taken.Has(n) || t.o.Broken.Has(n)) {
			broken[[2]int{0, s.HallOf(n)}], broken[[2]int{1, s.PodOf(n)}], broken[[2]int{2, s.SUOf(n)}] = true, true, true
		}
	}
	one := func(level, domain int) int {
		if broken[[2]int{level, domain}] {
			return 0
		}
		return 1
	}
	for i := range t.sus {
		x := &t.sus[i]
		x.harm = place.Harm{Halls: one(0, x.hall), Pods: one(1, x.pod), SUs: one(2, x.number)}
	}
}

func (t *tally) harmOf() (h place.Harm) {
	halls, pods := map[int]bool{}, map[int]bool{}
	for i, n := range t.counts {
		if n == 0 {
			continue
		}
		x := &t.sus[i]
		h.SUs += x.harm.SUs
		if !pods[x.pod] {
			pods[x.pod] = true
			h.Pods += x.harm.Pods
		}
		if !halls[x.hall] {
			halls[x.hall] = true
			h.Halls += x.harm.Halls
		}
	}
	return h
}

func (t *tally) cost() place.Cost {
	var c place.Cost
	halls, pods := map[int]bool{}, map[int]bool{}
	for i, n := range t.counts {
		if n == 0 {
			continue
		}
		halls[t.sus[i].hall], pods[t.sus[i].pod] = true, true
		c.SUs++
		racks := append([]int(nil), t.sus[i].racks...)
		for n > 0 {
			most := 0
			for r := range racks {
				if racks[r] > racks[most] {
					most = r
				}
			}
			n -= racks[most]
			racks[most] = 0
			c.Racks++
		}
	}
	c.Halls, c.Pods = len(halls), len(pods)
	return c
}

// valid says whether the distribution has links.
func (t *tally) valid(nodes, parts int) bool {
	var used []int
	pods := map[int]int{} // SUs of the slice a pod
	for i, n := range t.counts {
		if n > 0 {
			used = append(used, i)
			pods[t.sus[i].pod]++
		}
	}
	large := nodes > t.unit
	if large {
		if parts > 1 {
			return false
		}
	} else if parts != len(used) {
		return false // a slice that is no larger than an SU takes ports
	}
	if len(used) == 1 {
		return true
	}
	if len(pods) > 1 && t.s.Shape.CoreLinks() == 0 {
		return false
	}
	// Which leaf is the smaller one, if any.
	rest := -1
	if large {
		for _, i := range used {
			if t.role[i] == 'p' {
				rest = i
			}
		}
	} else {
		most := 0
		for _, i := range used {
			most = max(most, t.counts[i])
		}
		for _, i := range used {
			if t.counts[i] < most {
				if rest >= 0 {
					return false
				}
				rest = i
			}
		}
	}
	// Which pod is the smaller one is the same in all planes.
	small := []int{-1}
	if len(pods) > 2 {
		for p := range pods {
			small = append(small, p)
		}
		if rest >= 0 {
			small = []int{t.sus[rest].pod} // it has the smaller leaf
		}
	}
	return slices.ContainsFunc(small, func(small int) bool {
		for rail := range site.Rails {
			if !t.plane(rail, nodes, large, used, rest, pods, small) {
				return false
			}
		}
		return true
	})
}

// plane tries every set of spines, and every set of the smaller leaf's.
func (t *tally) plane(rail, nodes int, large bool, used []int, rest int, pods map[int]int, small int) bool {
	spines := t.s.Shape.Spines
	for set := 1; set < 1<<spines; set++ {
		ok := true
		for _, i := range used {
			if i != rest && !t.holds(i, rail, set, nodes, large) {
				ok = false
				break
			}
		}
		if !ok {
			continue
		}
		if rest < 0 {
			if t.coresWith(rail, set, 0, used, rest, large, pods, small) {
				return true
			}
			continue
		}
		for own := set; own > 0; own = (own - 1) & set {
			if t.holds(rest, rail, own, nodes, false) && t.coresWith(rail, set, own, used, rest, large, pods, small) {
				return true
			}
		}
	}
	return false
}

func ones(set int) int {
	n := 0
	for ; set > 0; set &= set - 1 {
		n++
	}
	return n
}

// holds says whether an SU may hold just this set of uplinks.
func (t *tally) holds(i, rail, set, nodes int, whole bool) bool {
	at := t.sus[i].number*site.Rails + rail
	for spine := range t.s.Shape.Spines {
		if set>>spine&1 == 0 {
			continue
		}
		if t.o.AssignedUp[at].Has(spine) || t.o.FailedUp[at].Has(spine) || !whole && spine == t.s.Shape.Spines-1 && !t.fills(i) {
			return false
		}
	}
	if !whole && ones(set) > t.counts[i] {
		return false
	}
	return ones(set) >= min(t.counts[i], nodes-t.counts[i])
}

// fills says whether no node of the SU is left to anybody but hermetic slices.
func (t *tally) fills(i int) bool {
	left := -t.counts[i]
	for _, n := range t.s.SUs[t.sus[i].number].Nodes {
		if t.o.Shared.Has(n) || t.o.Unsaid.Has(n) || !t.o.Hermetic.Has(n) {
			left++
		}
	}
	return left == 0
}

// coresWith tries every set of cores at every spine, where one pod, or none, may
// be the smaller one.
func (t *tally) coresWith(rail, set, own int, used []int, rest int, large bool, pods map[int]int, small int) bool {
	if len(pods) == 1 {
		return true
	}
	taper := t.s.Shape.PodTaper
	links := func(n int) int { return (n + taper - 1) / taper }
	for spine := range t.s.Shape.Spines {
		if set>>spine&1 == 0 {
			continue
		}
		leaves := map[int]int{}
		for p := range pods {
			leaves[p] = 0
		}
		for _, i := range used {
			if i != rest || own>>spine&1 == 1 {
				leaves[t.sus[i].pod]++
			}
		}
		found := false
		for cores := 0; cores < 1<<t.s.Shape.CoreLinks() && !found; cores++ {
			for part := cores; ; part = (part - 1) & cores {
				if t.coresAt(rail, spine, cores, part, leaves, pods, large, rest, small, links) {
					found = true
					break
				}
				if part == 0 || small < 0 {
					break
				}
			}
		}
		if !found {
			return false
		}
	}
	return true
}

func (t *tally) coresAt(rail, spine, cores, part int, leaves, pods map[int]int, large bool, rest, small int, links func(int) int) bool {
	all := 0
	for _, n := range leaves {
		all += n
	}
	most := 0
	for _, n := range leaves {
		most = max(most, n)
	}
	for p, n := range leaves {
		mine := cores
		if p == small {
			mine = part
		}
		size, taken := 0, 0 // SUs of the pod, those that hermetic slices have whole
		for su := range t.s.SUs {
			if t.s.SUs[su].Pod == p {
				size++
				if t.o.Whole[su] {
					taken++
				}
			}
		}
		wholes := pods[p]
		if rest >= 0 && t.sus[rest].pod == p {
			wholes--
		}
		if !large {
			wholes, taken = 0, 0
		}
		for core := range t.s.Shape.CoreLinks() {
			at := (p*site.Rails+rail)*t.s.Shape.Spines + spine
			if mine>>core&1 == 1 && (t.o.AssignedCore[at].Has(core) || t.o.FailedCore[at].Has(core) ||
				core == t.s.Shape.CoreLinks()-1 && wholes+taken != size) {
				return false
			}
		}
		if len(pods) == 2 {
			if ones(mine) != links(min(n, all-n)) {
				return false
			}
			continue
		}
		// More leaves than links send nothing; more links than leaves only
		// where nobody else misses them.
		if ones(mine) < links(min(n, all-n)) || ones(mine) > links(n) && wholes != size {
			return false
		}
		if p != small && ones(cores) != links(most) {
			return false
		}
	}
	return true
}
