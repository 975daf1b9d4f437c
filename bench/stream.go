package main

import (
	"container/heap"
	"fmt"
	"slices"

	"bulkhead/bench/bulkhead"
	"bulkhead/bench/evaluate"
	"bulkhead/bench/sites"
)

// window is how many waiting jobs are tried each time that something ends.
const window = 50

// streamed is what came of a stream of jobs that all wait from the beginning.
type streamed struct {
	started, refused int
	conditions       [6]int  // refusals by condition of hermetic slices; 0: too few nodes
	used             float64 // nodes in use over all nodes, spares counted as used, while the queue was full: by time
	least            float64 // the least of it, after a pass
	bound            float64 // the most that could have been in use at each pass with the same leases running, see ceiling
	cut              int     // refusals that are not proven, because the search was ended before it was through
	doubt            float64 // what would be in use more, at most, if each of them had started there and then
	double           int     // links with two owners, ever
	short            error   // a slice whose links are too few
}

// placer gives nodes to a tenant, or not.
type placer interface {
	// start gives nodes to a tenant, or says up to which size nothing fits either.
	start(tenant int32, nodes int) (ok bool, upto int, err error)
	end(tenant int32) error
}

// doubtful is a placer that may refuse without proof.
type doubtful interface {
	// doubt is how many nodes were so refused since it was last asked.
	doubt() int
}

type running struct {
	until  float64
	tenant int32
	nodes  int
}

type runs []running

func (r runs) Len() int           { return len(r) }
func (r runs) Less(i, j int) bool { return r[i].until < r[j].until }
func (r runs) Swap(i, j int)      { r[i], r[j] = r[j], r[i] }
func (r *runs) Push(x any)        { *r = append(*r, x.(running)) }
func (r *runs) Pop() any {
	old := *r
	x := old[len(old)-1]
	*r = old[:len(old)-1]
	return x
}

// flow plays a stream: whenever something ended, the first of the waiting jobs,
// up to a window, are tried in their order, and each that can start does. What
// is refused waits. The use of the site is measured after each pass, weighted by
// the time until the next, for as long as the window is full: then something is
// refused all the time.
func flow(jobs []sites.Job, nodes, spares int, p placer, most ceiling) (streamed, error) {
	s := streamed{least: 1}
	queue := make([]int32, len(jobs))
	for i := range queue {
		queue[i] = int32(i)
	}
	var run runs
	now, busy := 0.0, 0
	weighted, bounded, doubted, span := 0.0, 0.0, 0.0, 0.0
	for len(queue) >= window {
		var no [][2]int // ranges of sizes that do not fit now
		for i := 0; i < min(window, len(queue)); {
			job := jobs[queue[i]]
			ok := false
			if !slices.ContainsFunc(no, func(r [2]int) bool { return r[0] <= job.Nodes && job.Nodes <= r[1] }) {
				fits, upto, err := p.start(queue[i]+1, job.Nodes)
				if err != nil {
					return s, err
				}
				if ok = fits; !ok {
					no = append(no, [2]int{job.Nodes, max(upto, job.Nodes)})
				}
			}
			if !ok {
				s.refused++
				i++
				continue
			}
			s.started++
			busy += job.Nodes
			heap.Push(&run, running{now + job.Time, queue[i] + 1, job.Nodes})
			queue = append(queue[:i], queue[i+1:]...)
		}
		if len(run) == 0 {
			return s, fmt.Errorf("nothing of the first %d jobs fits an empty site", window)
		}
		next := run[0].until
		if len(queue) >= window {
			share := float64(busy+spares) / float64(nodes)
			weighted += share * (next - now)
			span += next - now
			s.least = min(s.least, share)
			if d, ok := p.(doubtful); ok {
				doubted += float64(d.doubt()) / float64(nodes) * (next - now)
			}
			if most.su > 0 {
				bounded += float64(busy+spares+most.more(run, waiting(jobs, queue))) / float64(nodes) * (next - now)
			}
		}
		now = next
		for len(run) > 0 && run[0].until <= now {
			r := heap.Pop(&run).(running)
			busy -= r.nodes
			if err := p.end(r.tenant); err != nil {
				return s, err
			}
		}
	}
	if span > 0 {
		s.used, s.bound, s.doubt = weighted/span, bounded/span, doubted/span
	}
	return s, nil
}

// counting places by number alone: whatever fits the free nodes starts. No
// placement of whole jobs can use more of a site under the same order.
type counting struct {
	free  int
	holds map[int32]int
}

func (c *counting) start(tenant int32, nodes int) (bool, int, error) {
	if nodes > c.free {
		return false, nodes, nil
	}
	c.free -= nodes
	c.holds[tenant] = nodes
	return true, 0, nil
}

func (c *counting) end(tenant int32) error {
	c.free += c.holds[tenant]
	delete(c.holds, tenant)
	return nil
}

// hermetic places by Bulkhead, with an owner for every link that the evaluator
// keeps by itself.
type hermetic struct {
	tree   *sites.Tree
	h      *bulkhead.Hermetic
	owners *evaluate.Owners
	links  map[int32][]evaluate.Link
	holder *sites.Occupancy
	nodes  map[int32][]int32
	s      *streamed

	doubted int
}

func (h *hermetic) doubt() int {
	n := h.doubted
	h.doubted = 0
	return n
}

func newHermetic(t *sites.Tree, spares int, s *streamed) (*hermetic, error) {
	h, err := bulkhead.NewHermetic(t, spares)
	if err != nil {
		return nil, err
	}
	return &hermetic{tree: t, h: h, owners: evaluate.NewOwners(), links: map[int32][]evaluate.Link{}, nodes: map[int32][]int32{},
		holder: &sites.Occupancy{Holder: make([]int32, t.Nodes())}, s: s}, nil
}

func (h *hermetic) start(tenant int32, nodes int) (bool, int, error) {
	slice, links, why, err := h.h.Place(tenant, nodes)
	if err != nil {
		return false, 0, err
	}
	if slice == nil {
		h.s.conditions[why.Condition]++
		if why.Cut {
			h.s.cut++
			h.doubted += nodes
		}
		// Nothing follows for other sizes: a node more may be all that is left of
		// an SU, and then the slice may hold its last uplinks.
		return false, nodes, nil
	}
	if _, err := evaluate.Count(h.tree, h.holder, nodes, slice); err != nil {
		return false, 0, err
	}
	if err := evaluate.Carries(h.tree, slice, links); err != nil && h.s.short == nil {
		h.s.short = fmt.Errorf("tenant %d: %w", tenant, err)
	}
	h.owners.Take(tenant, links)
	h.links[tenant], h.nodes[tenant] = links, slice
	for _, n := range slice {
		h.holder.Holder[n] = tenant
	}
	return true, 0, nil
}

func (h *hermetic) end(tenant int32) error {
	h.owners.Return(tenant, h.links[tenant])
	for _, n := range h.nodes[tenant] {
		h.holder.Holder[n] = sites.Free
	}
	delete(h.links, tenant)
	delete(h.nodes, tenant)
	return h.h.Return(tenant)
}
