package solve

import (
	"cmp"
	"errors"
	"slices"

	"bulkhead/place"
	"bulkhead/site"
)

// program is the dynamic program of one ask: fronts of SUs, pods and halls,
// each merged in order and kept for the way back.
type program struct {
	tree   *tree
	pack   weights
	reach  *reach
	want   uint32
	merger merger
	kept   store
	shape  []front     // by SU shape
	sets   [][]rackSet // by SU shape, and point of its front

	podFront  map[string]front      // used, by podPart key
	hallSteps map[string]*hallSteps // by hallPart key
}

// hallSteps are the fronts of a hall's first 0, 1, 2... pods, and the whole.
type hallSteps struct {
	pods  []front // options of each pod, untouched first
	steps []front // steps[i]: of the first i pods
	whole front   // untouched first, the hall's own cost added
}

var errLost = errors.New("place: internal error: the way back from the optimum is lost; please report it with the site and the ask")

// weighed says whether of all slices of one cost a search takes one with the least harm,
// and of these one of the nearest.
type weighed struct{ harm, near bool }

// solve returns the nodes of an optimal slice, in no order, and its cost.
func solve(t *tree, want int) (nodes []site.Index, cost place.Cost, was weighed, err error) {
	return solveWithin(t, newReach(t, want), want)
}

func solveWithin(t *tree, within *reach, want int) ([]site.Index, place.Cost, weighed, error) {
	pack, err := newWeights(t, want)
	if err != nil {
		return nil, place.Cost{}, weighed{}, err
	}
	p := &program{tree: t, pack: pack, reach: within, want: uint32(want),
		podFront: map[string]front{}, hallSteps: map[string]*hallSteps{}}
	p.shapes()
	// steps[i] is the front of the first i halls.
	steps := make([]front, 1, len(t.halls)+1)
	steps[0] = untouched()
	for i := range t.halls {
		hall := p.hall(i)
		if hall == nil {
			steps = append(steps, steps[i])
			continue
		}
		rest, _ := p.reach.after(i+1, place.Cost{})
		merged := p.merger.merge(steps[i], hall.whole, uint32(max(0, want-rest)), p.want)
		steps = append(steps, p.kept.keep(p.completable(merged, i+1)))
	}
	final := steps[len(steps)-1]
	if final.most() != p.want {
		return nil, place.Cost{}, weighed{}, errLost
	}
	cost := final.cost[final.len()-1]
	nodes, err := p.backtrack(steps)
	return nodes, pack.cost(cost), pack.weighed, err
}

// rackSet is the fullest of an SU's racks that are whole, and the fullest of the others.
type rackSet struct{ whole, rest int }

// shapes makes the front of every SU shape. Of racks that are whole the fullest are
// best, and of the others too: so many of each.
func (p *program) shapes() {
	p.shape, p.sets = make([]front, len(p.tree.shapes)), make([][]rackSet, len(p.tree.shapes))
	type point struct {
		nodes uint32
		cost  uint64
		set   rackSet
	}
	var f front
	var points []point
	for i := range p.tree.shapes {
		shape := &p.tree.shapes[i]
		var whole, rest []uint32
		for r, n := range shape.racks {
			if shape.whole[r] {
				whole = append(whole, uint32(n))
			} else {
				rest = append(rest, uint32(n))
			}
		}
		points = points[:0]
		ofWhole := uint32(0)
		for w := 0; ; w++ {
			sum := ofWhole
			for b := 0; ; b++ {
				if w+b > 0 {
					points = append(points, point{sum, p.pack.su(shape.mark) + p.pack.racks(w+b, w), rackSet{w, b}})
				}
				if b == len(rest) || sum >= p.want {
					break
				}
				sum += rest[b]
			}
			if w == len(whole) || ofWhole >= p.want {
				break
			}
			ofWhole += whole[w]
		}
		// From the most nodes down, what is cheaper than all that give more.
		slices.SortFunc(points, func(a, b point) int { return cmp.Or(cmp.Compare(b.nodes, a.nodes), cmp.Compare(a.cost, b.cost)) })
		f.nodes, f.cost = f.nodes[:0], f.cost[:0]
		sets := []rackSet{}
		cheapest := never
		for _, at := range points {
			if at.cost < cheapest {
				cheapest = at.cost
				f.nodes, f.cost, sets = append(f.nodes, at.nodes), append(f.cost, at.cost), append(sets, at.set)
			}
		}
		f.nodes, f.cost, sets = append(f.nodes, 0), append(f.cost, 0), append(sets, rackSet{})
		slices.Reverse(f.nodes)
		slices.Reverse(f.cost)
		slices.Reverse(sets)
		p.shape[i], p.sets[i] = p.kept.keep(f), sets
	}
}

// completable leaves out, in place, what cannot become an optimal slice with
// the halls from i on.
func (p *program) completable(f front, i int) front {
	at := 0
	for j, n := range f.nodes {
		rest, ok := p.reach.after(i, p.pack.cost(f.cost[j]))
		if ok && int(n)+rest >= int(p.want) {
			f.nodes[at], f.cost[at] = n, f.cost[j]
			at++
		}
	}
	return front{f.nodes[:at], f.cost[:at]}
}

// pod returns the front of a pod that is used, its own cost added.
//
// Every used pod of an optimal slice gives all but at most slack of its nodes:
// the optimum uses reach.pods pods in reach.halls halls, and no such choice has
// more than want + slack nodes.
func (p *program) pod(part *podPart) front {
	key := part.key()
	if f, ok := p.podFront[key]; ok {
		return f
	}
	f := p.podSteps(part, nil)
	kept := p.kept.keep(f)
	for i := range kept.cost {
		kept.cost[i] += p.pack.pod(part.mark)
	}
	p.podFront[key] = kept
	return kept
}

func (p *program) podLow(part *podPart) int { return max(1, part.nodes-p.reach.slack) }

// podSteps merges the SUs of a pod. It hands every step to visit, if given; a
// step is valid until the next one.
func (p *program) podSteps(part *podPart, visit func(front)) front {
	low, rest := p.podLow(part), part.nodes
	acc := untouched()
	var scratch front
	for i := range part.sus {
		if visit != nil {
			visit(acc)
		}
		rest -= part.sus[i].nodes
		merged := p.merger.merge(acc, p.shape[part.sus[i].shape], uint32(max(0, low-rest)), p.want)
		scratch.nodes = append(scratch.nodes[:0], merged.nodes...)
		scratch.cost = append(scratch.cost[:0], merged.cost...)
		acc = scratch
	}
	return acc
}

// hall returns the fronts of hall i, or nil when no optimal slice uses it.
func (p *program) hall(i int) *hallSteps {
	part := &p.tree.halls[i]
	if h, ok := p.hallSteps[part.key]; ok {
		return h
	}
	// The other halls of an optimal slice give at most what the largest ones have.
	others := 0
	for j, n := 0, 1; n < p.reach.halls; j++ {
		if j != i {
			others += p.tree.halls[j].nodes
			n++
		}
	}
	low := max(1, int(p.want)-others)
	if part.nodes < low {
		p.hallSteps[part.key] = nil
		return nil
	}
	h := &hallSteps{steps: []front{untouched()}}
	rest := part.nodes
	for j := range part.pods {
		option := p.option(p.pod(&part.pods[j]))
		rest -= part.pods[j].nodes
		merged := p.merger.merge(h.steps[j], option, uint32(max(0, low-rest)), p.want)
		h.pods = append(h.pods, option)
		h.steps = append(h.steps, p.kept.keep(merged))
	}
	used := h.steps[len(h.steps)-1]
	for used.len() > 0 && used.nodes[0] == 0 {
		used = front{used.nodes[1:], used.cost[1:]}
	}
	h.whole = p.option(used)
	for i := 1; i < h.whole.len(); i++ {
		h.whole.cost[i] += p.pack.hall(part.mark)
	}
	p.hallSteps[part.key] = h
	return h
}

// option is f, or nothing at no cost.
func (p *program) option(f front) front {
	p.kept.begin(f.len() + 1)
	at := len(p.kept.nodes)
	p.kept.nodes = append(append(p.kept.nodes, 0), f.nodes...)
	p.kept.cost = append(append(p.kept.cost, 0), f.cost...)
	end := len(p.kept.nodes)
	return front{p.kept.nodes[at:end:end], p.kept.cost[at:end:end]}
}

// backtrack walks from the optimum back to the racks that make it, and takes
// their free nodes, less what is too many.
func (p *program) backtrack(steps []front) ([]site.Index, error) {
	taken := &taking{tree: p.tree, sparing: p.want > place.RackHarmNodes}
	final := steps[len(steps)-1]
	at := final.len() - 1
	for i := len(p.tree.halls) - 1; i >= 0; i-- {
		hall := p.hall(i)
		if hall == nil {
			continue
		}
		before, j, ok := split(steps[i], hall.whole, steps[i+1].nodes[at], steps[i+1].cost[at])
		if !ok {
			return nil, errLost
		}
		if j > 0 {
			if err := p.backtrackHall(taken, &p.tree.halls[i], hall, hall.whole.nodes[j], hall.whole.cost[j]-p.pack.hall(p.tree.halls[i].mark)); err != nil {
				return nil, err
			}
		}
		at = before
	}
	return taken.trim(int(p.want))
}

func (p *program) backtrackHall(taken *taking, part *hallPart, h *hallSteps, nodes uint32, cost uint64) error {
	for j := len(part.pods) - 1; j >= 0; j-- {
		before, k, ok := split(h.steps[j], h.pods[j], nodes, cost)
		if !ok {
			return errLost
		}
		if k > 0 {
			if err := p.backtrackPod(taken, &part.pods[j], h.pods[j].nodes[k], h.pods[j].cost[k]-p.pack.pod(part.pods[j].mark)); err != nil {
				return err
			}
		}
		nodes, cost = h.steps[j].nodes[before], h.steps[j].cost[before]
	}
	return nil
}

// backtrackPod makes the steps of a pod again: keeping them for all pods would
// take more memory than it saves time.
func (p *program) backtrackPod(taken *taking, part *podPart, nodes uint32, cost uint64) error {
	var kept store
	steps := make([]front, 0, len(part.sus))
	p.podSteps(part, func(f front) { steps = append(steps, kept.keep(f)) })
	for i := len(part.sus) - 1; i >= 0; i-- {
		before, set, ok := split(steps[i], p.shape[part.sus[i].shape], nodes, cost)
		if !ok {
			return errLost
		}
		if set > 0 {
			taken.racks(part.sus[i].su, p.sets[part.sus[i].shape][set])
		}
		nodes, cost = steps[i].nodes[before], steps[i].cost[before]
	}
	return nil
}

// taking collects the racks of a slice.
type taking struct {
	*tree
	nodes   []site.Index
	last    int  // where the nodes of the rack taken last begin
	sparing bool // the racks' harm is not in the cost
}

// racks takes a set of an SU's racks, of equal ones the lower number.
func (t *taking) racks(su int, set rackSet) {
	type rack struct {
		at, nodes int
		whole     bool
	}
	var racks []rack
	sum := set.whole + set.rest
	nodes := t.site.SUs[su].Nodes
	for pos, n := range nodes {
		if pos%t.site.RackNodes == 0 {
			racks = append(racks, rack{at: pos, whole: true})
		}
		r := &racks[len(racks)-1]
		if free := t.free.Has(n); free && sellable(t.site, n) {
			r.nodes++
		} else if !free && sellable(t.site, n) {
			r.whole = false
		}
	}
	slices.SortStableFunc(racks, func(a, b rack) int {
		if a.nodes == b.nodes && t.sparing && a.whole != b.whole {
			if b.whole {
				return -1
			}
			return 1
		}
		return b.nodes - a.nodes
	})
	for _, r := range racks {
		left := &set.rest
		if t.sparing {
			left = &sum // the fullest, whatever they are; of equal ones those that are broken
		} else if r.whole {
			left = &set.whole
		}
		if *left == 0 {
			continue
		}
		*left--
		t.last = len(t.nodes)
		for _, n := range nodes[r.at:min(r.at+t.site.RackNodes, len(nodes))] {
			if t.free.Has(n) && sellable(t.site, n) {
				t.nodes = append(t.nodes, n)
			}
		}
	}
}

// trim drops what is more than want, from the rack taken last. That is always
// fewer nodes than the rack has, or the slice would do without it.
func (t *taking) trim(want int) ([]site.Index, error) {
	if len(t.nodes) < want || want <= t.last {
		return nil, errLost
	}
	if !t.sparing {
		return t.nodes[:want], nil
	}
	return append(t.nodes[:t.last:t.last], t.spared(t.nodes[t.last:], want-t.last)...), nil
}

// spared is so many nodes of the last rack, or of a rack of its SU that is not touched
// and no longer whole, if that rack is whole.
func (t *taking) spared(last []site.Index, nodes int) []site.Index {
	all := t.site.SUs[t.site.SUOf(last[0])].Nodes
	touched := site.SetOf(t.nodes...)
	var best []site.Index
	for at := 0; at < len(all); at += t.site.RackNodes {
		var open []site.Index
		whole, used := true, false
		for _, n := range all[at:min(at+t.site.RackNodes, len(all))] {
			used = used || touched.Has(n)
			if t.free.Has(n) && sellable(t.site, n) {
				open = append(open, n)
			} else if sellable(t.site, n) {
				whole = false
			}
		}
		if used && t.site.RackOf(all[at]) == t.site.RackOf(last[0]) && !whole {
			return last[:nodes] // it is broken already
		}
		if !used && !whole && len(open) >= nodes && (best == nil || len(open) < len(best)) {
			best = open
		}
	}
	if best == nil {
		best = last
	}
	return best[:nodes]
}
