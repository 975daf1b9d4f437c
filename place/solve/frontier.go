package solve

import (
	"fmt"
	"slices"

	"bulkhead/place"
	"bulkhead/site"
)

// Frontier is every best compromise between moves and quality for a lease that is
// spread: its slots as they are now, and the nodes that its slots could move to.
// The first point is the lease as it is; each further one has more moves and a
// smaller cost (halls, then pods, SUs, racks), and no slice with as few moves costs
// less. Points with more than most moves are not looked at.
//
// The lease must be of one class; spares, retired nodes and its own are no targets,
// whatever free says. Slots keep their numbers, and a slot moves once at most.
//
// It is exact. Of a rack that the slice still touches, all its nodes stay: to leave
// one there costs nothing and saves a move. So a slice is a set of racks, its moves
// are the lease's nodes outside of it, and it will do if its racks have as many free
// nodes. The program goes over the SUs, and keeps for so many nodes that were lost
// and so many that were gained the cheapest set of racks, with the hall and the pod
// that it is in touched or not.
//
// Cost: O(SUs · most² · options of an SU); see BenchmarkFrontier.
func Frontier(s *site.Site, slots []site.Index, free *site.Set, most int) ([]place.Point, error) {
	if most < 0 || most > place.MaxMoves {
		return nil, fmt.Errorf("frontier: at most %d moves, expected 0 to %d", most, place.MaxMoves)
	}
	f, err := newFrontier(s, slots, free, min(most, len(slots)))
	if err != nil {
		return nil, err
	}
	f.run()
	var points []place.Point
	best := never
	for lost := range f.width {
		cell, cost := -1, never
		for gained := lost; gained < f.width; gained++ {
			if c := f.layers[noHall][lost*f.width+gained]; c < cost {
				cell, cost = lost*f.width+gained, c
			}
		}
		if cost >= best {
			continue
		}
		best = cost
		p, err := f.point(cell, lost, f.pack.unpack(cost))
		if err != nil {
			return nil, err
		}
		points = append(points, p)
	}
	return points, nil
}

// The layers of the program: what of the hall and the pod that it is in has been
// touched.
const (
	noHall = iota // nothing of this hall
	noPod         // something of the hall, nothing of this pod
	inPod         // something of the pod
	layersOf
)

// frontier is one run of the program.
type frontier struct {
	site  *site.Site
	slots []site.Index
	free  *site.Set
	own   []int32 // slot of each node of the lease, or -1
	pack  packing
	width int // moves + 1
	units []frontierUnit

	options map[string][]option // by shape
	layers  [layersOf][]uint64
	next    [layersOf][]uint64
	// chosen[i] says, by layer and cell, how the cheapest set after step i came about.
	chosen [][layersOf][]choice
	steps  []step
}

// frontierUnit is an SU with nodes of the lease or free ones.
type frontierUnit struct {
	su, pod, hall int
	racks         []frontierRack // ordered by what they hold
	options       []option
}

type frontierRack struct {
	number    int
	own, free int
}

// option is a set of an SU's racks that is kept, as bits over its ordered racks.
type option struct {
	lost, gained int
	racks        int
	kept         [2]uint64
}

// choice is how a cell was reached: by which option, from which layer and how many
// gained nodes.
type choice struct {
	option uint16
	from   uint8
	gained uint8 // at most place.MaxMoves
}

// step is what happened between two tables: an SU, or the end of a pod or hall.
type step struct {
	unit int // -1: a border
}

func newFrontier(s *site.Site, slots []site.Index, free *site.Set, most int) (*frontier, error) {
	f := &frontier{site: s, slots: slots, free: free, width: most + 1, options: map[string][]option{}, own: make([]int32, s.Nodes())}
	for n := range f.own {
		f.own[n] = -1
	}
	if len(slots) == 0 {
		return nil, fmt.Errorf("frontier: no slots")
	}
	for i, n := range slots {
		switch {
		case int(n) >= s.Nodes():
			return nil, fmt.Errorf("frontier: slot %d: node %d, expected below %d", i, n, s.Nodes())
		case f.own[n] >= 0:
			return nil, fmt.Errorf("frontier: slot %d: node %s is in slot %d too", i, s.NodeID[n], f.own[n])
		case s.KindOf(n) != s.KindOf(slots[0]) || s.ComputeFabric(n) != s.ComputeFabric(slots[0]):
			return nil, fmt.Errorf("frontier: slot %d: node %s is of another fabric or GPU kind than slot 0: a slice is of one", i, s.NodeID[n])
		}
		f.own[n] = int32(i)
	}
	f.collect()
	var counts place.Cost
	halls, pods := map[int]bool{}, map[int]bool{}
	for i := range f.units {
		u := &f.units[i]
		halls[u.hall], pods[u.pod] = true, true
		counts.SUs++
		counts.Racks += len(u.racks)
		u.options = f.optionsOf(u)
	}
	counts.Halls, counts.Pods = len(halls), len(pods)
	var err error
	f.pack, err = newPacking(counts)
	return f, err
}

// collect finds the SUs of the class in the order of halls and pods.
func (f *frontier) collect() {
	s := f.site
	kind, fabric := s.KindOf(f.slots[0]), s.ComputeFabric(f.slots[0])
	for number := range s.SUs {
		su := &s.SUs[number]
		if su.Kind != kind || s.Pods[su.Pod].Fabric != fabric {
			continue
		}
		u := frontierUnit{su: number, pod: su.Pod, hall: s.Pods[su.Pod].Hall}
		for pos, n := range su.Nodes {
			if pos%s.RackNodes == 0 {
				u.racks = append(u.racks, frontierRack{number: s.RackOf(n)})
			}
			switch r := &u.racks[len(u.racks)-1]; {
			case f.own[n] >= 0:
				r.own++
			case f.target(n):
				r.free++
			}
		}
		u.racks = slices.DeleteFunc(u.racks, func(r frontierRack) bool { return r.own+r.free == 0 })
		if len(u.racks) == 0 {
			continue
		}
		slices.SortStableFunc(u.racks, func(a, b frontierRack) int {
			if a.own != b.own {
				return b.own - a.own
			}
			return b.free - a.free
		})
		f.units = append(f.units, u)
	}
	slices.SortStableFunc(f.units, func(a, b frontierUnit) int {
		if a.hall != b.hall {
			return a.hall - b.hall
		}
		return a.pod - b.pod
	})
}

func (f *frontier) target(n site.Index) bool {
	return f.free.Has(n) && f.own[n] < 0 && sellable(f.site, n)
}

// optionsOf lists the sets of an SU's racks that may be part of a best slice: none
// loses as much, gains as little and has as many racks as another. Equal SUs share
// their list.
func (f *frontier) optionsOf(u *frontierUnit) []option {
	key := make([]byte, 0, 2*len(u.racks))
	for _, r := range u.racks {
		key = append(key, byte(r.own), byte(r.free))
	}
	if known, ok := f.options[string(key)]; ok {
		return known
	}
	sets := []option{{}}
	for i, r := range u.racks {
		grown := make([]option, 0, 2*len(sets))
		for _, o := range sets {
			kept := o
			kept.racks++
			kept.gained = min(o.gained+r.free, f.width-1)
			kept.kept[i/64] |= 1 << (i % 64)
			grown = append(grown, kept)
			if o.lost += r.own; o.lost < f.width {
				grown = append(grown, o)
			}
		}
		sets = undominated(grown, f.width)
	}
	f.options[string(key)] = sets
	return sets
}

// undominated drops every option that another is as good as in all three.
func undominated(all []option, width int) []option {
	slices.SortStableFunc(all, func(a, b option) int {
		if a.racks != b.racks {
			return a.racks - b.racks
		}
		if a.lost != b.lost {
			return a.lost - b.lost
		}
		return b.gained - a.gained
	})
	most := make([]int, width) // most[l]: the largest gain so far for at most l lost
	for l := range most {
		most[l] = -1
	}
	var out []option
	for _, o := range all { // those before have as few racks
		if most[o.lost] >= o.gained {
			continue
		}
		out = append(out, o)
		for l := o.lost; l < width; l++ {
			most[l] = max(most[l], o.gained)
		}
	}
	return out
}

func (f *frontier) run() {
	cells := f.width * f.width
	for layer := range f.layers {
		f.layers[layer], f.next[layer] = make([]uint64, cells), make([]uint64, cells)
		fillNever(f.layers[layer])
	}
	f.layers[noHall][0] = 0
	for i := range f.units {
		u := &f.units[i]
		if i > 0 && f.units[i-1].pod != u.pod {
			f.border(inPod, noPod)
			if f.units[i-1].hall != u.hall {
				f.border(noPod, noHall)
			}
		}
		f.unit(i, u)
	}
	f.border(inPod, noPod)
	f.border(noPod, noHall)
}

func fillNever(table []uint64) {
	for i := range table {
		table[i] = never
	}
}

// unit adds an SU: each of its options to every table.
func (f *frontier) unit(number int, u *frontierUnit) {
	var chosen [layersOf][]choice
	for layer := range chosen {
		chosen[layer] = make([]choice, len(f.layers[layer]))
		fillNever(f.next[layer])
	}
	enter := [layersOf]uint64{f.pack.halls(1) + f.pack.pods(1) + f.pack.sus(1), f.pack.pods(1) + f.pack.sus(1), f.pack.sus(1)}
	for from, table := range f.layers {
		for lost := range f.width {
			row := table[lost*f.width : (lost+1)*f.width]
			for gained, have := range row {
				if have == never {
					continue
				}
				for o := range u.options {
					opt := &u.options[o]
					if lost+opt.lost >= f.width {
						continue
					}
					to, cost := from, have
					if opt.racks > 0 {
						to, cost = inPod, have+enter[from]+uint64(opt.racks)
					}
					cell := (lost+opt.lost)*f.width + min(gained+opt.gained, f.width-1)
					if cost < f.next[to][cell] {
						f.next[to][cell] = cost
						chosen[to][cell] = choice{uint16(o), uint8(from), uint8(gained)}
					}
				}
			}
		}
	}
	f.layers, f.next = f.next, f.layers
	f.steps = append(f.steps, step{unit: number})
	f.chosen = append(f.chosen, chosen)
}

// border leaves a pod or a hall: what touched it has touched what is above it.
func (f *frontier) border(from, to int) {
	var chosen [layersOf][]choice
	for layer := range chosen {
		chosen[layer] = make([]choice, len(f.layers[layer]))
		for cell := range chosen[layer] {
			chosen[layer][cell].from = uint8(layer)
		}
	}
	for cell, cost := range f.layers[from] {
		if cost < f.layers[to][cell] {
			f.layers[to][cell] = cost
			chosen[to][cell].from = uint8(from)
		}
	}
	fillNever(f.layers[from])
	f.steps = append(f.steps, step{unit: -1})
	f.chosen = append(f.chosen, chosen)
}

// point goes the way back from a cell and makes the moves.
func (f *frontier) point(cell, lost int, cost place.Cost) (place.Point, error) {
	kept := map[int]bool{} // racks
	layer := noHall
	for i := len(f.steps) - 1; i >= 0; i-- {
		how := f.chosen[i][layer][cell]
		if f.steps[i].unit >= 0 {
			u := &f.units[f.steps[i].unit]
			opt := &u.options[how.option]
			for r := range u.racks {
				if opt.kept[r/64]>>(r%64)&1 == 1 {
					kept[u.racks[r].number] = true
				}
			}
			cell = (cell/f.width-opt.lost)*f.width + int(how.gained)
		}
		layer = int(how.from)
	}
	if cell != 0 || layer != noHall {
		return place.Point{}, errLost
	}
	return f.moves(kept, lost, cost)
}

// moves takes the slots outside the kept racks to free nodes in them, in the order
// of slots and of ranks, so that neighbours stay neighbours.
func (f *frontier) moves(kept map[int]bool, lost int, cost place.Cost) (place.Point, error) {
	var targets, fillers []site.Index // in racks without a node of the lease, and with
	for i := range f.units {
		for _, n := range f.site.SUs[f.units[i].su].Nodes {
			if f.target(n) && kept[f.site.RackOf(n)] {
				if f.hasOwn(i, f.site.RackOf(n)) {
					fillers = append(fillers, n)
				} else {
					targets = append(targets, n)
				}
			}
		}
	}
	// What is too much goes from the end. It is less than any rack offers that was
	// entered for its free nodes alone, or the slice would do without that rack.
	targets = append(targets, fillers...)
	if len(targets) < lost {
		return place.Point{}, errLost
	}
	targets = targets[:lost]
	place.RankOrder(f.site, targets)
	p := place.Point{Cost: cost}
	p.Cost.Moves = lost
	after := slices.Clone(f.slots)
	for slot, n := range f.slots {
		if kept[f.site.RackOf(n)] {
			continue
		}
		if len(p.Moves) == lost {
			return place.Point{}, errLost
		}
		to := targets[len(p.Moves)]
		after[slot] = to
		p.Moves = append(p.Moves, place.Move{Slot: slot, From: n, To: to})
	}
	if got := place.CostOf(f.site, after); got != (place.Cost{Halls: cost.Halls, Pods: cost.Pods, SUs: cost.SUs, Racks: cost.Racks}) || len(p.Moves) != lost {
		return place.Point{}, fmt.Errorf("place: internal error: a point of the frontier costs %s, expected %s; please report it with the site and the lease", got, cost)
	}
	return p, nil
}

func (f *frontier) hasOwn(unit, rack int) bool {
	for _, r := range f.units[unit].racks {
		if r.number == rack {
			return r.own > 0
		}
	}
	return false
}
