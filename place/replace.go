package place

import (
	"cmp"
	"slices"

	"bulkhead/site"
)

// NoNode stands where no node was found.
const NoNode = ^site.Index(0)

// Distance is how far from a failed node its replacement is.
type Distance uint8

// The distances, nearest first.
const (
	SameRack Distance = iota
	SameSU
	SamePod
	SameHall
	SameFabric // and GPU kind: farther than that nothing goes
)

func (d Distance) String() string {
	return [...]string{"same rack", "same SU", "same pod", "same hall", "same fabric"}[d]
}

// Apart is how far two nodes are from each other. Nodes of different fabrics are
// SameFabric too: whoever replaces asks [Replace], which does not mix them.
func Apart(s *site.Site, a, b site.Index) Distance {
	switch {
	case s.RackOf(a) == s.RackOf(b):
		return SameRack
	case s.SUOf(a) == s.SUOf(b):
		return SameSU
	case s.PodOf(a) == s.PodOf(b):
		return SamePod
	case s.HallOf(a) == s.HallOf(b):
		return SameHall
	}
	return SameFabric
}

// Failure is a slot whose node failed.
type Failure struct {
	Node site.Index

	// Within is the farthest distance that will do. A lease that is alone on the
	// links of one SU finds its replacement in that SU or nowhere.
	Within Distance

	// Links numbers the lease whose links the replacement's must be among, see
	// ReplaceFailures; 0 for a lease on shared links.
	Links int
}

// Replace finds a node among the candidates for each failed one, as near as can
// be: same rack, else SU, pod, hall, else anywhere of the same fabric and GPU
// kind. It is [ReplaceFailures] for leases on shared links.
func Replace(s *site.Site, candidates *site.Set, failed []site.Index) []site.Index {
	failures := make([]Failure, len(failed))
	for i, n := range failed {
		failures[i] = Failure{Node: n, Within: SameFabric}
	}
	return ReplaceFailures(s, candidates, failures, nil)
}

// ReplaceFailures finds a node among the candidates for each failure, as near as
// can be. The result has one entry a failure, in the given order: the node that
// takes its place, or [NoNode]. Spares may be candidates, and of equally near
// ones they go first; then those that do the least [Harm], as it is before any of
// them is taken; then the lower index. A failed or retired node is never a
// candidate, and no other node moves: one that works stays where it is.
//
// links says which lease's own links a candidate's uplinks are among, 0 for
// nobody's: the spares of SUs that one tenant has to itself. Such a candidate
// serves that lease alone, and that lease takes no other. nil is 0 everywhere.
//
// All failures are matched together. Failures with a shorter Within come first,
// because only what is near can serve them: as many as possible find a node; among
// these matchings, as many as possible do so in their own rack, and with that in
// their own SU, and so on. The others share what is left, in the same way. That
// costs no replacement in all: whoever may take a node of a whole domain does not
// mind which of its nodes are left.
//
// Matching greedily level by level, racks first, is exact, because distance is
// a tree's. Take any domain d with f failed nodes and c candidates. No matching
// pairs more than min(f, c) inside d. When the greedy matching has done the
// level of d, either no failed node or no candidate of d is left over, so that
// it pairs exactly min(f, c) inside d. So at every level it pairs as many
// within that distance as any matching could, at all levels at once; and a sum
// of distances that grow with the level, whatever they are, is the smallest.
// (Classes of fabric, kind and links never mix, so each is a problem of its own.)
//
// A node that failed twice in the list is two slots. An index that the site does
// not have gets NoNode.
// Cost: O((f+c) log(f+c)) for f failures and c candidates; see BenchmarkReplace.
func ReplaceFailures(s *site.Site, candidates *site.Set, failures []Failure, links func(site.Index) int) []site.Index {
	out := make([]site.Index, len(failures))
	class := newClasses(s)
	broken := site.NewSet(s.Nodes())
	var waiting [levels][]located // by Within
	for i, f := range failures {
		out[i] = NoNode
		if int(f.Node) < s.Nodes() && int(f.Within) < levels {
			broken.Add(f.Node)
			waiting[f.Within] = append(waiting[f.Within], class.locate(f.Node, f.Links, i))
		}
	}
	if broken.Empty() {
		return out
	}
	var spares []located
	harm := harmOf(s, candidates)
	for n := range candidates.All() {
		if int(n) >= s.Nodes() {
			break
		}
		if broken.Has(n) || s.IsRetired(n) {
			continue
		}
		own := 0
		if links != nil {
			own = links(n)
		}
		at := class.locate(n, own, int(n))
		at.harm = harm(n)
		spares = append(spares, at)
	}
	for within, slots := range waiting {
		for level := 0; level <= within && len(slots) > 0; level++ {
			slots, spares = pair(level, slots, spares, func(slot, node int) { out[slot] = site.Index(node) })
		}
	}
	return out
}

// harmOf says of a node that may be sold how much harm it does to take it: halls
// count most, then pods, SUs, racks. A domain is whole where all of it that may be
// sold is a candidate. Cost: O(nodes).
func harmOf(s *site.Site, candidates *site.Set) func(site.Index) int {
	kinds := map[string]int{}
	halls, pods, sus, racks := map[[2]int]bool{}, map[[2]int]bool{}, make([]bool, len(s.SUs)), make([]bool, s.Racks())
	for i := range s.SUs { // which of them are not whole, each kind by itself
		su := &s.SUs[i]
		if _, known := kinds[su.Kind]; !known {
			kinds[su.Kind] = len(kinds)
		}
		kind := kinds[su.Kind]
		for _, n := range su.Nodes {
			if !candidates.Has(n) && !s.IsSpare(n) && !s.IsRetired(n) {
				racks[s.RackOf(n)], sus[i] = true, true
			}
		}
		if sus[i] {
			pods[[2]int{su.Pod, kind}], halls[[2]int{s.Pods[su.Pod].Hall, kind}] = true, true
		}
	}
	return func(n site.Index) (harm int) {
		if s.IsSpare(n) {
			return 0
		}
		kind := kinds[s.KindOf(n)]
		for _, broken := range [...]bool{halls[[2]int{s.HallOf(n), kind}], pods[[2]int{s.PodOf(n), kind}], sus[s.SUOf(n)], racks[s.RackOf(n)]} {
			harm <<= 1
			if !broken {
				harm |= 1
			}
		}
		return harm
	}
}

// levels of distance, nearest first.
const levels = int(SameFabric) + 1

// located is a node with the domains it is in, nearest first: rack, SU, pod,
// hall, class.
type located struct {
	in    [levels]int
	spare bool
	harm  int // of taking it
	id    int // slot number, or node index
}

// classes numbers what may take each other's place: fabric, kind and links.
type classes struct {
	site   *site.Site
	number map[classKey]int
}

type classKey struct {
	fabric int
	kind   string
	links  int
}

func newClasses(s *site.Site) *classes { return &classes{s, map[classKey]int{}} }

func (c *classes) locate(n site.Index, links, id int) located {
	s := c.site
	su := s.SUOf(n)
	pod := s.SUs[su].Pod
	key := classKey{s.Pods[pod].Fabric, s.SUs[su].Kind, links}
	class, ok := c.number[key]
	if !ok {
		class = len(c.number)
		c.number[key] = class
	}
	return located{in: [levels]int{s.RackOf(n), su, pod, s.Pods[pod].Hall, class}, spare: s.IsSpare(n), id: id}
}

// pair matches slots with nodes of the same domain at a level and of the same
// class, as many as there are of both, and returns what is left of each.
func pair(level int, slots, nodes []located, match func(slot, node int)) (slotsLeft, nodesLeft []located) {
	domain := func(a, b *located) int {
		if d := cmp.Compare(a.in[level], b.in[level]); d != 0 {
			return d
		}
		return cmp.Compare(a.in[levels-1], b.in[levels-1])
	}
	slices.SortFunc(slots, func(a, b located) int {
		if d := domain(&a, &b); d != 0 {
			return d
		}
		return a.id - b.id
	})
	slices.SortFunc(nodes, func(a, b located) int {
		if d := domain(&a, &b); d != 0 {
			return d
		}
		if a.spare != b.spare {
			if a.spare {
				return -1
			}
			return 1
		}
		return cmp.Or(a.harm-b.harm, a.id-b.id)
	})
	i, j := 0, 0
	for i < len(slots) && j < len(nodes) {
		switch d := domain(&slots[i], &nodes[j]); {
		case d < 0:
			slotsLeft = append(slotsLeft, slots[i])
			i++
		case d > 0:
			nodesLeft = append(nodesLeft, nodes[j])
			j++
		default:
			match(slots[i].id, nodes[j].id)
			i, j = i+1, j+1
		}
	}
	return append(slotsLeft, slots[i:]...), append(nodesLeft, nodes[j:]...)
}
