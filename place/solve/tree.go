package solve

import (
	"cmp"
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
	wholes place.Cost // of these, domains that are whole
	sells  []int      // by hall: nodes of the class that may be sold, free or not
	fars   place.Cost // and domains without a node of near; zero where there is none
}

// suShape is the free nodes of an SU by rack, largest first, without zeros.
type suShape struct {
	racks []uint8
	whole []bool // by rack: all its nodes that may be sold are free
	mark
}

// mark is what tells domains apart that offer the same.
type mark struct {
	all bool // everything in it that may be sold to this class is free
	far bool // somebody wants to be near nodes, and none of them is in it
}

func (m mark) byte() byte {
	b := byte(0)
	if m.all {
		b |= 1
	}
	if m.far {
		b |= 2
	}
	return b
}

type suPart struct {
	su    int
	shape int32 // index into tree.shapes
	nodes int
}

type podPart struct {
	pod   int
	sus   []suPart // by shape, so that equal pods list equal shapes
	nodes int
	mark
}

type hallPart struct {
	hall  int
	pods  []podPart // by shapes too
	nodes int
	key   string // equal for halls whose pods have equal shapes
	mark
}

// key writes the shapes of a pod: equal for pods that look alike.
func (p *podPart) key() string {
	buf := make([]byte, 0, 2*len(p.sus)+2)
	buf = append(buf, p.mark.byte())
	for i := range p.sus {
		buf = binary.AppendUvarint(buf, uint64(p.sus[i].shape)+1)
	}
	return string(append(buf, 0))
}

// newTree counts the class. near may be nil. Cost: O(nodes of the class), about 1 ms at 50,000.
func newTree(s *site.Site, free *site.Set, fabric int, kind string, near *site.Set) *tree {
	t := &tree{site: s, free: free}
	shapeOf := map[string]int32{}
	podAt := make([]int32, len(s.Pods)) // 1 + index into pods
	own := newBeside(s, near)
	podSells := make([]int, len(s.Pods))
	t.sells = make([]int, len(s.Halls))
	var pods []podPart
	var racks []suRack
	var key []byte
	for number := range s.SUs {
		su := &s.SUs[number]
		if su.Kind != kind || s.Pods[su.Pod].Fabric != fabric {
			continue
		}
		racks = racks[:0]
		total, sells := 0, 0
		for pos, n := range su.Nodes {
			if pos%s.RackNodes == 0 {
				racks = append(racks, suRack{})
			}
			if !sellable(s, n) {
				continue
			}
			r := &racks[len(racks)-1]
			r.sells++
			if free.Has(n) {
				r.free++
			}
		}
		for _, r := range racks {
			total, sells = total+int(r.free), sells+int(r.sells)
		}
		podSells[su.Pod] += sells
		t.sells[s.Pods[su.Pod].Hall] += sells
		if total == 0 {
			continue
		}
		slices.SortStableFunc(racks, func(a, b suRack) int { return cmp.Or(int(b.free)-int(a.free), int(b.sells)-int(a.sells)) })
		for racks[len(racks)-1].free == 0 {
			racks = racks[:len(racks)-1]
		}
		m := mark{all: total == sells, far: own.far(own.sus, number)}
		key = append(key[:0], m.byte())
		for _, r := range racks {
			key = append(key, r.free, 0)
			if r.free == r.sells {
				key[len(key)-1] = 1
				t.wholes.Racks++
			}
		}
		shape, known := shapeOf[string(key)]
		if !known {
			shape = int32(len(t.shapes))
			shapeOf[string(key)] = shape
			is := suShape{mark: m}
			for _, r := range racks {
				is.racks, is.whole = append(is.racks, r.free), append(is.whole, r.free == r.sells)
			}
			t.shapes = append(t.shapes, is)
		}
		count(&t.wholes.SUs, &t.fars.SUs, m)
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
	for i := range pods {
		p := &pods[i]
		p.mark = mark{all: p.nodes == podSells[p.pod], far: own.far(own.pods, p.pod)}
		count(&t.wholes.Pods, &t.fars.Pods, p.mark)
	}
	t.group(pods, own)
	return t
}

// suRack is a rack of an SU that is being counted.
type suRack struct{ free, sells uint8 }

// count adds a domain to those that are whole, and to those that are far.
func count(wholes, fars *int, m mark) {
	if m.all {
		*wholes++
	}
	if m.far {
		*fars++
	}
}

// beside is where the nodes are that a slice should be near.
type beside struct{ sus, pods, halls map[int]bool }

func newBeside(s *site.Site, near *site.Set) *beside {
	b := &beside{map[int]bool{}, map[int]bool{}, map[int]bool{}}
	if near == nil {
		return b
	}
	for n := range near.All() {
		if int(n) >= s.Nodes() {
			break
		}
		b.sus[s.SUOf(n)], b.pods[s.PodOf(n)], b.halls[s.HallOf(n)] = true, true, true
	}
	return b
}

// farOf is what is far of a hall, a pod and an SU.
func (b *beside) farOf(hall, pod, su int) (f place.Far) {
	if b.far(b.halls, hall) {
		f.Halls = 1
	}
	if b.far(b.pods, pod) {
		f.Pods = 1
	}
	if b.far(b.sus, su) {
		f.SUs = 1
	}
	return f
}

func (b *beside) far(level map[int]bool, domain int) bool { return len(level) > 0 && !level[domain] }

// group puts pods into halls, and orders everything by shape.
func (t *tree) group(pods []podPart, own *beside) {
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
		h.mark = mark{all: h.nodes == t.sells[h.hall], far: own.far(own.halls, h.hall)}
		count(&t.wholes.Halls, &t.fars.Halls, h.mark)
		h.key = string(h.mark.byte())
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
