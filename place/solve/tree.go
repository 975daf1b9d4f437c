package solve

import (
	"encoding/binary"
	"slices"

	"bulkhead/place"
	"bulkhead/site"
)

// tree is the free nodes of one class (fabric and kind), counted by rack and
// grouped for the solver. Equal SUs share a shape, equal pods and halls too.
type tree struct {
	site   *site.Site
	free   *site.Set
	nodes  int // free nodes of the class
	shapes []suShape
	halls  []hallPart
	most   place.Cost // domains with a free node, by level
}

// suShape is the free nodes of an SU by rack, largest first, without zeros.
type suShape struct{ racks []uint8 }

type suPart struct {
	su    int
	shape int32 // index into tree.shapes
	nodes int
}

type podPart struct {
	pod   int
	sus   []suPart // by shape, so that equal pods list equal shapes
	nodes int
}

type hallPart struct {
	hall  int
	pods  []podPart // by shapes too
	nodes int
	key   string // equal for halls whose pods have equal shapes
}

// key writes the shapes of a pod: equal for pods that look alike.
func (p *podPart) key() string {
	buf := make([]byte, 0, 2*len(p.sus)+1)
	for i := range p.sus {
		buf = binary.AppendUvarint(buf, uint64(p.sus[i].shape)+1)
	}
	return string(append(buf, 0))
}

// newTree counts the class. Cost: O(nodes of the class), about 1 ms at 50,000.
func newTree(s *site.Site, free *site.Set, fabric int, kind string) *tree {
	t := &tree{site: s, free: free}
	shapeOf := map[string]int32{}
	podAt := make([]int32, len(s.Pods)) // 1 + index into pods
	var pods []podPart
	var racks []uint8
	for number := range s.SUs {
		su := &s.SUs[number]
		if su.Kind != kind || s.Pods[su.Pod].Fabric != fabric {
			continue
		}
		racks = racks[:0]
		total := 0
		for pos, n := range su.Nodes {
			if pos%s.RackNodes == 0 {
				racks = append(racks, 0)
			}
			if free.Has(n) && sellable(s, n) {
				racks[len(racks)-1]++
				total++
			}
		}
		if total == 0 {
			continue
		}
		slices.Sort(racks)
		slices.Reverse(racks)
		for racks[len(racks)-1] == 0 {
			racks = racks[:len(racks)-1]
		}
		shape, known := shapeOf[string(racks)]
		if !known {
			shape = int32(len(t.shapes))
			shapeOf[string(racks)] = shape
			t.shapes = append(t.shapes, suShape{slices.Clone(racks)})
		}
		if podAt[su.Pod] == 0 {
			pods = append(pods, podPart{pod: su.Pod})
			podAt[su.Pod] = int32(len(pods))
		}
		p := &pods[podAt[su.Pod]-1]
		p.sus = append(p.sus, suPart{number, shape, total})
		p.nodes += total
		t.nodes += total
		t.most.SUs++
		t.most.Racks += len(racks)
	}
	t.group(pods)
	return t
}

// group puts pods into halls, and orders everything by shape.
func (t *tree) group(pods []podPart) {
	hallAt := make([]int32, len(t.site.Halls))
	t.most.Pods = len(pods)
	for i := range pods {
		p := &pods[i]
		slices.SortStableFunc(p.sus, func(a, b suPart) int { return int(a.shape) - int(b.shape) })
		hall := t.site.Pods[p.pod].Hall
		if hallAt[hall] == 0 {
			t.halls = append(t.halls, hallPart{hall: hall})
			hallAt[hall] = int32(len(t.halls))
		}
		h := &t.halls[hallAt[hall]-1]
		h.pods = append(h.pods, *p)
		h.nodes += p.nodes
	}
	t.most.Halls = len(t.halls)
	for i := range t.halls {
		h := &t.halls[i]
		keys := make(map[int]string, len(h.pods))
		for j := range h.pods {
			keys[h.pods[j].pod] = h.pods[j].key()
		}
		slices.SortStableFunc(h.pods, func(a, b podPart) int {
			if a.nodes != b.nodes {
				return b.nodes - a.nodes
			}
			if keys[a.pod] < keys[b.pod] {
				return -1
			}
			if keys[a.pod] > keys[b.pod] {
				return 1
			}
			return a.pod - b.pod
		})
		for j := range h.pods {
			h.key += keys[h.pods[j].pod]
		}
	}
	// The largest hall first: the optimum takes it most often, and of equal
	// ones the first is preferred by the order of backtracking.
	slices.SortStableFunc(t.halls, func(a, b hallPart) int {
		if a.nodes != b.nodes {
			return b.nodes - a.nodes
		}
		return a.hall - b.hall
	})
}
