package solve

import (
	"container/heap"
	"slices"

	"bulkhead/claim"
	"bulkhead/place"
	"bulkhead/site"
)

// A slice that is larger than an SU takes whole SUs and at most one smaller
// leaf. In shape it is one pod; or two pods of any two sizes; or Q pods of R
// leaves each and at most one that has fewer, where the smaller leaf is in the
// smaller pod. (Q pods with a smaller leaf each won't do: a leaf that sends to
// two of them needs more than the positions that both have.) A pod that is the
// slice's alone may stand among the Q with fewer leaves, for nobody else misses
// the core links that it has too many.
//
// The search is branch and bound, best first, over relaxations. One leaves out what masks say
// (failed links, core positions that no two pods have free) and is an exact
// knapsack over SUs and pods. If links can be assigned to its optimum, that is
// the optimum. If not, a condition is broken by some of the SUs and pods together,
// and it is split: one child for each of these, restricted so that it goes without
// (conditions.go), and one in which leaves have no more nodes than the common
// spines are.

// form is the shape of a relaxation.
type form int

const (
	onePod form = iota
	twoPods
	manyPods // R leaves a pod
)

type relaxation struct {
	form    form
	a, b    int  // pods of onePod (a) and twoPods, indexes into search.pods
	r       int  // leaves a pod of manyPods
	few     int  // leaves of the smaller of two pods; 0 = any number
	more    int  // leaves of the larger; 0 = any number
	larger  int  // which of two pods has more leaves, where more is given
	flows   int  // that a leaf may have to send at once, at most
	any     bool // the smaller leaf may be any SU, because cores are scarce
	must    bool // there is a smaller leaf
	without restrictions

	bound uint64 // of its cost; exact once solved
	plan  plan
	age   int
}

// plan is what a relaxation chooses, before links are looked at.
type plan struct {
	parts []planPart
	rest  int // pod that is the smaller one of many, or -1
}

type planPart struct {
	menu    *menu
	pod     int  // index into search.pods
	leaves  int  // whole SUs
	deficit int  // nodes less than these SUs could have
	small   int  // index into the pod's sus of the smaller leaf, or -1
	racks   int  // of the smaller leaf
	closed  bool // which needs the last uplink, and so all of its SU's free nodes
}

type queue []*relaxation

func (q queue) Len() int { return len(q) }
func (q queue) Less(i, j int) bool {
	if q[i].bound != q[j].bound {
		return q[i].bound < q[j].bound
	}
	return q[i].age < q[j].age
}
func (q queue) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q *queue) Push(x any)   { *q = append(*q, x.(*relaxation)) }
func (q *queue) Pop() any {
	old := *q
	x := old[len(old)-1]
	*q = old[:len(old)-1]
	return x
}

// search is one ask for whole SUs.
type search struct {
	o      *place.Occupancy
	pods   []podStock
	want   int
	pack   packing
	tie    ties
	queue  queue
	ages   int
	work   int
	seen   map[int]bool // relaxations
	shapes claim.Chain
	best   uint64 // cost of the best slice so far
	some   bool   // any slice will do
	limit  int    // of work
	found  uint64 // that of anyway's
	proven uint64 // cost of the best slice at least, where the search is cut

	near *beside       // nodes that it should be near
	even []*relaxation // that were left because they are no better but for ties

	*workspace

	most, fullest, rack int    // nodes that a pod, an SU, a rack gives at most
	worst               misfit // the last, which names the condition
}

// maxWork bounds the steps of one search for the best slice: partial slices, cells of
// menus, links that are looked at. A step takes about 10 ns. It counts steps and no
// time, so that one ask always has one answer.
const maxWork = 40_000_000

// someWork is the same where any slice will do, for one of the sizes that are tried to
// name the nearest; otherWork is for all of them together.
const (
	someWork  = 1_500_000
	otherWork = 12_000_000
)

// maxEven bounds how many relaxations are solved that can only be better in how
// ties are broken.
const maxEven = 400

// solveWhole returns the nodes of the best slice of whole SUs with its links, or
// nil. cut says that the search was ended before it was through.
func (s *search) solveWhole() (nodes []site.Index, links *place.LinkSet, cut bool) {
	largest := 0
	for i := range s.pods {
		for j := range s.pods[i].sus {
			if u := &s.pods[i].sus[j]; u.whole {
				largest = max(largest, u.nodes)
			}
		}
	}
	if s.some {
		if nodes, links = s.anyway(largest, s.limit); nodes != nil {
			return nodes, links, false
		}
		s.queue, s.seen = nil, map[int]bool{}
	}
	looked, fallback := 0, s.some
	s.roots(largest)
	for s.queue.Len() > 0 {
		x := heap.Pop(&s.queue).(*relaxation)
		if x.bound >= s.best {
			s.even = append(s.even, x)
			break // nothing that is left can be better
		}
		even := x.bound>>s.tie.bits >= s.best>>s.tie.bits // no better but for ties
		if even {
			if looked++; looked > maxEven || x.form == manyPods {
				s.even = append(s.even, x)
			}
			if looked > maxEven {
				break
			}
			if x.form == manyPods {
				continue
			}
		}
		s.work += len(s.pods)
		if s.work > s.limit/4 && nodes == nil && !fallback {
			// So that there is one at all, if the search is ended.
			fallback = true
			queue, seen := s.queue, s.seen
			if nodes, links = s.anyway(largest, s.limit/4); nodes != nil {
				s.best = s.found
			}
			s.queue, s.seen = queue, seen
		}
		if s.work > s.limit {
			if even {
				s.even = append(s.even, x)
				break
			}
			s.proven = x.bound
			return nodes, links, true
		}
		if !s.relax(x) {
			continue
		}
		if x.bound >= s.best {
			s.even = append(s.even, x)
			continue
		}
		n, l, bad := s.realise(&x.plan)
		if bad == nil {
			nodes, links, s.best = n, l, x.bound
			s.even = append(s.even, x)
			if s.some {
				break
			}
			continue
		}
		s.worst = *bad
		if even {
			s.even = append(s.even, x)
		} else {
			s.split(x, bad)
		}
	}
	return nodes, links, false
}

func (s *search) push(x *relaxation) {
	parts := []any{x.form, x.a, x.b, x.r, x.few, x.more, x.larger, x.flows, x.any, x.must}
	for _, t := range x.without {
		parts = append(parts, t)
	}
	key := s.shapes.Of(parts...)
	if s.seen[key] {
		return
	}
	s.seen[key] = true
	s.ages++
	x.age = s.ages
	heap.Push(&s.queue, x)
}

// roots are the shapes, each with a bound that is quick to have.
func (s *search) roots(largest int) {
	bound := func(halls, pods int) uint64 {
		b := s.least(s.want)
		return s.pack.halls(halls) + b + s.pack.pods(max(0, pods-s.pack.unpack(b).Pods))
	}
	most := make([]int, len(s.pods)) // nodes that each pod could give
	s.most, s.fullest, s.rack = 1, 1, 1
	for i := range s.pods {
		small := 0
		for j := range s.pods[i].sus {
			u := &s.pods[i].sus[j]
			s.fullest, s.rack = max(s.fullest, u.nodes), max(s.rack, u.racks[0].nodes)
			if u.whole {
				most[i] += u.nodes
			} else {
				small = max(small, u.nodes)
			}
		}
		most[i] += small
		s.most = max(s.most, most[i])
	}
	for i := range s.pods {
		if most[i] >= s.want {
			s.push(&relaxation{form: onePod, a: i, flows: largest, bound: bound(1, 1)})
		}
	}
	if s.o.Site().Shape.CoreLinks() == 0 {
		return
	}
	for i := range s.pods {
		for j := i + 1; j < len(s.pods); j++ {
			if most[i]+most[j] >= s.want {
				halls := 1
				if s.pods[i].hall != s.pods[j].hall {
					halls = 2
				}
				s.push(&relaxation{form: twoPods, a: i, b: j, flows: largest, bound: bound(halls, 2)})
			}
		}
	}
	limit := 0
	for i := range s.pods {
		limit = max(limit, len(s.pods[i].sus))
	}
	taper := s.o.Site().Shape.PodTaper
	limit = min((limit+taper-1)/taper, s.o.Site().Shape.CoreLinks())
	for r := taper; r <= limit*taper; r += taper {
		// Every pod gives at most r leaves, and the smaller one fewer.
		var gives []int
		all := 0
		for i := range s.pods {
			gives = append(gives, min(most[i], r*s.fullest))
			all += gives[i]
		}
		if all < s.want {
			continue
		}
		slices.Sort(gives)
		pods := 0
		for left := s.want; left > 0; pods++ {
			left -= gives[len(gives)-1-pods]
		}
		s.push(&relaxation{form: manyPods, r: r, flows: largest, bound: bound(1, max(pods, 3))})
	}
}

// least is what so many nodes cost at least, without halls.
func (s *search) least(nodes int) uint64 {
	if nodes <= 0 {
		return 0
	}
	up := func(size int) int { return (nodes + size - 1) / size }
	return s.pack.pods(up(s.most)) + s.pack.sus(up(s.fullest)) + uint64(up(s.rack))<<s.tie.bits + s.tie.node*uint64(nodes)
}

// anyway looks for some slice, where any will do or the search for the best was ended:
// without SUs whose links failed, largest leaves first.
func (s *search) anyway(largest, work int) ([]site.Index, *place.LinkSet) {
	var without restrictions
	for i := range s.pods {
		for j := range s.pods[i].sus {
			if u := &s.pods[i].sus[j]; u.flaws > 0 {
				without = without.and(noFullLeaf{u.su}, remainderLeaf{u.su, 0}, lastUplinkCommon{u.su})
			}
		}
	}
	s.queue, s.seen = nil, map[int]bool{}
	s.roots(largest)
	enough := s.work + work
	for s.queue.Len() > 0 && s.work < enough {
		x := heap.Pop(&s.queue).(*relaxation)
		x.without = without
		if !s.relax(x) {
			continue
		}
		if nodes, links, bad := s.realise(&x.plan); bad == nil {
			s.found = x.bound
			return nodes, links
		}
	}
	return nil, nil
}
