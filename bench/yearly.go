package main

import (
	"container/heap"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"bulkhead/bench/bulkhead"
	"bulkhead/bench/evaluate"
	"bulkhead/bench/sites"
)

// distance is how far a replacement is from the node that it replaces.
type distance int

const (
	sameRack distance = iota
	sameSU
	samePod
	sameHall
	elsewhere
	distances
)

func apart(t *sites.Tree, a, b int32) distance {
	for d, domain := range [][]int32{t.Rack, t.SU, t.Pod, t.Hall} {
		if domain[a] == domain[b] {
			return distance(d)
		}
	}
	return elsewhere
}

// estate is who holds what over a year of failures: slots with their nodes, nodes
// that are down, and those that wait.
type estate struct {
	tree   *sites.Tree
	slot   []int32 // slot -> node; the last one while it has none
	lease  []int32 // slot -> lease
	inSlot []int32 // node -> slot, -1 none
	down   []bool
	open   map[int32]float64 // slot without a working node -> since which hour

	back repairs

	// What came of it.
	failures, healed, long, idle int // all; those that heal by themselves; those of slots that do not; those of nodes in no slot
	where                        [distances]int
	moved                        int      // healthy nodes that lost their slot
	selfHours, openHours         float64  // slot-hours: while a node heals by itself; while there is no node
	byMonth                      [][2]int // of 30 days: replaced in the same SU, and replaced
	waited                       int      // slots for which there was no node at once
	took                         []time.Duration
}

// repairs is when nodes come back, the next one first.
type repairs []comeback

type comeback struct {
	hour float64
	node int32
}

func (r repairs) Len() int           { return len(r) }
func (r repairs) Less(i, j int) bool { return r[i].hour < r[j].hour }
func (r repairs) Swap(i, j int)      { r[i], r[j] = r[j], r[i] }
func (r *repairs) Push(x any)        { *r = append(*r, x.(comeback)) }
func (r *repairs) Pop() any {
	old := *r
	x := old[len(old)-1]
	*r = old[:len(old)-1]
	return x
}

// sold fills a site with leases, the two large ones first, until nothing but
// the spares is left.
func sold(t *sites.Tree, b *bulkhead.Bulkhead, seed uint64) (*estate, error) {
	e := &estate{tree: t, inSlot: make([]int32, t.Nodes()), down: make([]bool, t.Nodes()), open: map[int32]float64{}}
	for n := range e.inSlot {
		e.inSlot[n] = -1
	}
	r := rand.New(rand.NewPCG(seed, 5))
	o := &sites.Occupancy{Holder: make([]int32, t.Nodes())}
	for n := range o.Holder {
		o.Holder[n] = sites.Failed
	}
	sellable := b.Sold()
	for _, n := range sellable {
		o.Holder[n] = sites.Free
	}
	sizes := []int{len(sellable) * 55 / 100, len(sellable) * 27 / 100}
	for left, lease := len(sellable), int32(1); left > 0; lease++ {
		size := 64 + r.IntN(1000)
		if int(lease) <= len(sizes) {
			size = sizes[lease-1]
		}
		size = min(size, left)
		if err := b.Occupy(o); err != nil {
			return nil, err
		}
		d, err := b.Place(size)
		if err != nil {
			return nil, err
		}
		for _, n := range d.Nodes {
			o.Holder[n] = lease
			e.inSlot[n] = int32(len(e.slot))
			e.slot = append(e.slot, n)
			e.lease = append(e.lease, lease)
		}
		left -= size
	}
	return e, nil
}

// waiting are the nodes that work and are in no slot.
func (e *estate) waiting() []int32 {
	var out []int32
	for n, s := range e.inSlot {
		if s < 0 && !e.down[n] {
			out = append(out, int32(n))
		}
	}
	return out
}

// live plays failures in order; replace chooses nodes for all open slots at once
// among those that wait (-1: none). Only what is open may change.
func (e *estate) live(all []sites.Failure, hours float64, replace func(candidates, failed []int32) []int32) error {
	for _, f := range all {
		if err := e.until(f.Hour, replace); err != nil {
			return err
		}
		e.failures++
		s := e.inSlot[f.Node]
		switch {
		case f.Heals && s >= 0:
			e.healed++
			e.selfHours += f.Repair
			continue
		case f.Heals:
			e.idle++
			continue
		}
		e.down[f.Node] = true
		heap.Push(&e.back, comeback{f.Hour + f.Repair, f.Node})
		if s < 0 {
			e.idle++
			continue
		}
		e.long++
		e.inSlot[f.Node] = -1
		e.open[s] = f.Hour
		if err := e.fill(f.Hour, replace); err != nil {
			return err
		}
		if _, still := e.open[s]; still {
			e.waited++
		}
	}
	if err := e.until(hours, replace); err != nil {
		return err
	}
	for _, since := range e.open {
		e.openHours += hours - since
	}
	return nil
}

// until lets repaired nodes come back.
func (e *estate) until(hour float64, replace func(candidates, failed []int32) []int32) error {
	for len(e.back) > 0 && e.back[0].hour <= hour {
		c := heap.Pop(&e.back).(comeback)
		e.down[c.node] = false
		if len(e.open) > 0 {
			if err := e.fill(c.hour, replace); err != nil {
				return err
			}
		}
	}
	return nil
}

func (e *estate) fill(hour float64, replace func(candidates, failed []int32) []int32) error {
	var slots, failed []int32
	for s := range e.open {
		slots = append(slots, s)
	}
	slices.Sort(slots)
	for _, s := range slots {
		failed = append(failed, e.slot[s])
	}
	candidates := e.waiting()
	begin := time.Now()
	found := replace(candidates, failed)
	e.took = append(e.took, time.Since(begin))
	for i, n := range found {
		if n < 0 {
			continue
		}
		if e.inSlot[n] >= 0 {
			e.moved++
			return fmt.Errorf("hour %.1f: node %d was taken out of slot %d, where it worked", hour, n, e.inSlot[n])
		}
		if e.down[n] {
			return fmt.Errorf("hour %.1f: node %d is down", hour, n)
		}
		s := slots[i]
		d := apart(e.tree, e.slot[s], n)
		e.where[d]++
		month := int(hour / (30 * 24))
		for len(e.byMonth) <= month {
			e.byMonth = append(e.byMonth, [2]int{})
		}
		e.byMonth[month][1]++
		if d <= sameSU {
			e.byMonth[month][0]++
		}
		e.openHours += hour - e.open[s]
		e.slot[s], e.inSlot[n] = n, s
		delete(e.open, s)
	}
	return nil
}

// shapes is the domains that all leases touch, summed.
func (e *estate) shapes() evaluate.Counts {
	by := map[int32][]int32{}
	for s, n := range e.slot {
		by[e.lease[s]] = append(by[e.lease[s]], n)
	}
	var sum evaluate.Counts
	for _, nodes := range by {
		c, err := evaluate.Count(e.tree, &sites.Occupancy{Holder: make([]int32, e.tree.Nodes())}, len(nodes), nodes)
		if err != nil {
			panic(err)
		}
		sum.Halls, sum.Pods, sum.SUs, sum.Racks = sum.Halls+c.Halls, sum.Pods+c.Pods, sum.SUs+c.SUs, sum.Racks+c.Racks
	}
	return sum
}

// near is how many of those replaced got a node of their own SU.
func (e *estate) near() int { return e.where[sameRack] + e.where[sameSU] }

func (e *estate) replaced() int {
	n := 0
	for _, w := range e.where {
		n += w
	}
	return n
}

// occupancy is the estate as every contender sees it.
func (e *estate) occupancy() *sites.Occupancy {
	o := &sites.Occupancy{Holder: make([]int32, e.tree.Nodes())}
	for n, s := range e.inSlot {
		switch {
		case e.down[n]:
			o.Holder[n] = sites.Failed
		case s >= 0:
			o.Holder[n] = e.lease[s]
		}
	}
	return o
}
