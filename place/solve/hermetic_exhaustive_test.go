package solve

import (
	"errors"
	"math/rand/v2"
	"slices"
	"testing"

	"bulkhead/lease"
	"bulkhead/place"
	"bulkhead/place/check"
	"bulkhead/place/placetest"
	"bulkhead/site"
)

// tinyFabric draws a site of a few SUs with few spines and cores, of which
// links are held and failed, and nodes held and broken.
func tinyFabric(r *rand.Rand) *place.Occupancy {
	p := placetest.Plot{RackNodes: 1 + r.IntN(2), Spares: r.IntN(2)}
	sus := 2 + r.IntN(5)
	largest := 0
	for range 1 + r.IntN(3) {
		var hall []placetest.PodPlot
		for range 1 + r.IntN(2) {
			pod := placetest.PodPlot{Kinds: []string{"H100"}}
			if r.IntN(9) == 0 {
				pod.Kinds = []string{"H100", "H200"}
			}
			same := 1 + r.IntN(3)
			for range 1 + r.IntN(3) {
				if sus == 0 {
					break
				}
				sus--
				nodes := same
				if r.IntN(4) == 0 {
					nodes = 1 + r.IntN(4)
				}
				p.SUNodes = max(p.SUNodes, nodes)
				pod.SUs = append(pod.SUs, nodes)
			}
			largest = max(largest, len(pod.SUs))
			hall = append(hall, pod)
		}
		p.Halls = append(p.Halls, hall)
	}
	s := placetest.Grow(p)
	s.Shape.Spines = 2 + r.IntN(4)
	s.Shape.PodTaper = 1
	s.Shape.PodSUs = largest + r.IntN(2)
	if r.IntN(4) == 0 {
		s.Shape.PodTaper = 2
		s.Shape.PodSUs++
	}
	s.Shape.Cores = r.IntN(12)
	o := place.NewOccupancy(s)
	busy, broken, links := r.IntN(4), r.IntN(3), r.IntN(4)
	for n := range site.Index(s.Nodes()) {
		if r.IntN(12) < busy {
			o.Taken.Add(n)
		} else if r.IntN(12) < broken {
			o.Broken.Add(n)
		}
	}
	alike := r.IntN(2) == 0 // all planes alike, or each its own
	draw := func(all []place.Mask, at, width, chance int) {
		for i := range width {
			if r.IntN(16) < chance {
				all[at] = all[at].Or(place.MaskOf(i))
			}
		}
	}
	for _, all := range []struct {
		masks  []place.Mask
		width  int
		stride int
		step   int
	}{{o.AssignedUp, s.Shape.Spines, 1, site.Rails}, {o.FailedUp, s.Shape.Spines, 1, site.Rails},
		{o.AssignedCore, s.Shape.CoreLinks(), s.Shape.Spines, site.Rails * s.Shape.Spines}, {o.FailedCore, s.Shape.CoreLinks(), s.Shape.Spines, site.Rails * s.Shape.Spines}} {
		for base := 0; base < len(all.masks); base += all.step {
			for rail := range site.Rails {
				for k := range all.stride {
					at := base + rail*all.stride + k
					if rail > 0 && alike {
						all.masks[at] = all.masks[base+k]
					} else if rail == 0 || r.IntN(3) == 0 {
						draw(all.masks, at, all.width, links)
					}
				}
			}
		}
	}
	// Nobody holds uplinks of an SU in which nobody has a node.
	for su := range s.SUs {
		used := false
		for _, n := range s.SUs[su].Nodes {
			used = used || o.Taken.Has(n)
		}
		if !used {
			for rail := range site.Rails {
				o.AssignedUp[su*site.Rails+rail] = place.Mask{}
			}
		}
		if used && r.IntN(6) == 0 {
			all := true
			for _, n := range s.SUs[su].Nodes {
				all = all && o.Taken.Has(n)
			}
			o.Whole[su] = all
		}
	}
	// Who holds: hermetic slices, others, or both at different times.
	for su := range s.SUs {
		mode := r.IntN(3)
		for _, n := range s.SUs[su].Nodes {
			if !o.Taken.Has(n) {
				continue
			}
			who := mode
			if mode == 1 {
				who = r.IntN(4)
			}
			if who == 0 || who == 3 || o.Whole[su] {
				o.Hermetic.Add(n)
			}
			if who == 2 && !o.Whole[su] {
				o.Shared.Add(n)
			}
			if who == 3 && !o.Whole[su] {
				o.Unsaid.Add(n)
			}
		}
	}
	return o
}

// scarceCores draws a site of many small pods, of which core links are held in
// different places: what fits is a matter of which pods go together.
func scarceCores(r *rand.Rand) *place.Occupancy {
	p := placetest.Plot{RackNodes: 1 + r.IntN(2)}
	p.SUNodes = p.RackNodes
	left, each := 4+r.IntN(3), 1+r.IntN(2)
	for range 1 + r.IntN(2) {
		var hall []placetest.PodPlot
		for range 2 + r.IntN(2) {
			n := min(left, each)
			if r.IntN(4) == 0 {
				n = min(left, 3-each)
			}
			if left -= n; n > 0 {
				hall = append(hall, placetest.PodPlot{Kinds: []string{"H100"}, SUs: slices.Repeat([]int{p.SUNodes}, n)})
			}
		}
		if len(hall) > 0 {
			p.Halls = append(p.Halls, hall)
		}
	}
	s := placetest.Grow(p)
	s.Shape.Spines, s.Shape.PodSUs, s.Shape.PodTaper, s.Shape.Cores = 2+r.IntN(2), 2, 1, 12
	s.Shape.PodSUs = 2 + r.IntN(2)
	o := place.NewOccupancy(s)
	chance := 2 + r.IntN(8)
	for pod := range s.Pods {
		for spine := range s.Shape.Spines {
			var m place.Mask
			for core := range s.Shape.CoreLinks() {
				if r.IntN(16) < chance {
					m = m.Or(place.MaskOf(core))
				}
			}
			for rail := range site.Rails {
				o.AssignedCore[o.SpineAt(pod, rail, spine)] = m
			}
		}
	}
	if r.IntN(4) == 0 {
		n := site.Index(r.IntN(s.Nodes()))
		o.Taken.Add(n)
		o.Hermetic.Add(n)
	}
	return o
}

// tally is the definition of a hermetic slice, tried on every distribution of
// nodes over SUs. It shares no code with the solver but the occupancy.
type tally struct {
	o      *place.Occupancy
	s      *site.Site
	sus    []tallySU
	unit   int
	best   []place.Cost // by nodes
	counts []int
	role   []byte // 0 none, 'w' whole, 'p' part of an SU
}

type tallySU struct {
	number, pod, hall int
	racks             []int
	nodes             int
	whole             bool
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
	t.best = make([]place.Cost, total+1)
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
		if c := t.cost(); c.Less(t.best[nodes]) && t.valid(nodes, parts) {
			t.best[nodes] = c
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

// TestHermeticExhaustiveSolverAgrees compares every ask on thousands of tiny
// fabrics, what can be had and what it costs.
func TestHermeticExhaustiveSolverAgrees(t *testing.T) {
	sites, asks, several, cut, vague, refused := 1500, 0, 0, 0, 0, map[int]int{}
	if testing.Short() {
		sites = 150
	}
	for seed := range uint64(sites + 1) {
		usual := seed < uint64(sites)
		if !usual {
			seed = 52904 // two small pods that are the slice's alone beside a larger one that has fewer core links
		}
		r := rand.New(rand.NewPCG(seed, 11))
		o := tinyFabric(r)
		if usual && seed%3 == 2 {
			o = scarceCores(r)
		}
		y := newTally(o, 0, "H100")
		if len(y.best) == 1 {
			continue
		}
		before := o.LinksDigest(0)
		for n := 1; n < len(y.best); n++ {
			ask := place.Ask{Nodes: n, Fabric: "roce", Kind: "H100", Links: lease.Hermetic}
			slice, err := On(o, ask)
			asks++
			var none *place.NoSliceError
			if slice.Certificate.Cut || errors.As(err, &none) && none.Cut {
				cut++ // an honest "don't know"
				continue
			}
			if y.best[n].Halls == 1<<30 {
				var e *place.NoSliceError
				if !errors.As(err, &e) {
					t.Fatalf("seed %d, %d nodes: exhaustively infeasible, solved %s, %v", seed, n, slice.Certificate.Cost, err)
				}
				refused[e.Condition]++
				smaller, larger := 0, 0
				for m := range y.best {
					if m > 0 && y.best[m].Halls < 1<<30 {
						if m < n {
							smaller = m
						} else if larger == 0 {
							larger = m
						}
					}
				}
				if e.Vague { // an honest "don't know" about one of these
					vague++
					continue
				}
				if e.Smaller != smaller || e.Larger != larger {
					t.Fatalf("seed %d: %v; exhaustively %d and %d", seed, e, smaller, larger)
				}
				continue
			}
			if err != nil {
				t.Fatalf("seed %d, %d nodes: %v; exhaustively %s", seed, n, err, y.best[n])
			}
			if slice.Certificate.Cost != y.best[n] {
				t.Fatalf("seed %d, %d nodes: solved %s, exhaustively %s", seed, n, slice.Certificate.Cost, y.best[n])
			}
			if err := check.On(o, slice); err != nil {
				t.Fatalf("seed %d, %d nodes: %v", seed, n, err)
			}
			if len(slice.Certificate.Links.Planes) > 0 {
				several++
				for range 3 {
					if err := check.Route(slice.Certificate.Links, r.Perm(n)); err != nil {
						t.Fatalf("seed %d, %d nodes: %v", seed, n, err)
					}
				}
			}
		}
		if o.LinksDigest(0) != before {
			t.Fatal("solving changed the occupancy")
		}
	}
	t.Logf("%d asks, %d slices with links, %d searches cut, %d for other sizes, refused by condition: %v", asks, several, cut, vague, refused)
	if cut*1000 > asks || vague*50 > asks {
		t.Errorf("%d of %d searches were cut: the bound on the search is too tight", cut, asks)
	}
	if several < sites/2 || refused[1] == 0 || refused[2] == 0 || refused[3] == 0 || refused[4] == 0 || refused[5] == 0 {
		t.Errorf("the fabrics are too tame to tell")
	}
}
