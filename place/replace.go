package place

import (
	"cmp"
	"slices"

	"bulkhead/site"
)

// NoNode stands where no node was found.
const NoNode = ^site.Index(0)

// Replace finds a node among the candidates for each failed one, as near as can
// be: same rack, else SU, pod, hall, else anywhere of the same fabric and GPU
// kind. The result has one entry a failed node, in the given order: the node
// that takes its place, or [NoNode]. Spares may be candidates, and of equally
// near ones they go first; then the lower index. A failed or retired node is never a
// candidate, and no other node moves: one that works stays where it is.
//
// All failures are matched together. First as many as possible find a node;
// among these matchings, as many as possible do so in their own rack, and with
// that in their own SU, and so on.
//
// Matching greedily level by level, racks first, is exact, because distance is
// a tree's. Take any domain d with f failed nodes and c candidates. No matching
// pairs more than min(f, c) inside d. When the greedy matching has done the
// level of d, either no failed node or no candidate of d is left over, so that
// it pairs exactly min(f, c) inside d. So at every level it pairs as many
// within that distance as any matching could, at all levels at once; and a sum
// of distances that grow with the level, whatever they are, is the smallest.
// (Classes of fabric and kind never mix, so each is a problem of its own.)
//
// A node that failed twice in the list is two slots. An index that the site does
// not have gets NoNode.
// Cost: O((f+c) log(f+c)) for f failures and c candidates.
func Replace(s *site.Site, candidates *site.Set, failed []site.Index) []site.Index {
	out := make([]site.Index, len(failed))
	class := classes(s)
	broken := site.NewSet(s.Nodes())
	var slots, spares []located
	for i, n := range failed {
		out[i] = NoNode
		if int(n) < s.Nodes() {
			broken.Add(n)
			slots = append(slots, locate(s, class, n, i))
		}
	}
	if len(slots) == 0 {
		return out
	}
	for n := range candidates.All() {
		if int(n) >= s.Nodes() {
			break
		}
		if !broken.Has(n) && !s.IsRetired(n) {
			spares = append(spares, locate(s, class, n, int(n)))
		}
	}
	for level := range levels {
		slots, spares = pair(level, slots, spares, func(slot, node int) { out[slot] = site.Index(node) })
	}
	return out
}

// levels of distance, nearest first.
const levels = 5

// located is a node with the domains it is in, nearest first: rack, SU, pod,
// hall, class.
type located struct {
	in    [levels]int
	spare bool
	id    int // slot number, or node index
}

// classes numbers the class of every SU, alike for SUs of one fabric and kind.
func classes(s *site.Site) []int {
	number := map[site.Class]int{}
	out := make([]int, len(s.SUs))
	for i := range s.SUs {
		class := site.Class{Fabric: s.Fabrics[s.Pods[s.SUs[i].Pod].Fabric].ID, Kind: s.SUs[i].Kind}
		if _, ok := number[class]; !ok {
			number[class] = len(number)
		}
		out[i] = number[class]
	}
	return out
}

func locate(s *site.Site, class []int, n site.Index, id int) located {
	su := s.SUOf(n)
	pod := s.SUs[su].Pod
	return located{in: [levels]int{s.RackOf(n), su, pod, s.Pods[pod].Hall, class[su]}, spare: s.IsSpare(n), id: id}
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
		return a.id - b.id
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
