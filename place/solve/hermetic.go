package solve

import (
	"errors"

	"bulkhead/claim"
	"bulkhead/place"
	"bulkhead/site"
)

// solveHermetic answers an ask for hermetic links. A refusal names the nearest
// sizes if so wanted, which takes several times as long as the refusal.
func solveHermetic(o *place.Occupancy, ask place.Ask, near *site.Set, nearest bool) (place.Slice, error) {
	fabric, err := fabricOf(ask, o.Site())
	if err != nil {
		return place.Slice{}, err
	}
	h := newHermetic(o, fabric, ask.Kind)
	h.near = near
	if h.free < ask.Nodes {
		return place.Slice{}, &place.NoFitError{Ask: ask, Have: h.free, Short: ask.Nodes - h.free,
			Elsewhere: stock(o.Site(), o.Untaken(), site.Class{Fabric: ask.Fabric, Kind: ask.Kind})}
	}
	found, err := h.solve(ask.Nodes)
	if err != nil {
		return place.Slice{}, err
	}
	if found.nodes == nil {
		e := &place.NoSliceError{Ask: ask, Condition: found.condition, Cut: found.cut, Looked: nearest}
		if nearest {
			e.Smaller, e.Larger, e.Vague = h.nearest(ask.Nodes)
		}
		return place.Slice{}, e
	}
	return h.certify(ask, found)
}

// answer is what a search found.
type answer struct {
	nodes     []site.Index // nil: nothing
	links     *place.LinkSet
	cut       bool       // it was ended before it was through
	least     place.Cost // of any slice, where it was
	condition int        // that stands against a slice, where there is none
	weighed   bool       // of those that are as good and do as little harm it is one of the nearest
}

// hermetic is one ask for hermetic links, or several of one class.
type hermetic struct {
	o      *place.Occupancy
	fabric int
	kind   string
	pods   []podStock
	free   int       // nodes of the class
	unit   int       // nodes for sale in its largest SU
	some   bool      // any slice will do, not the best
	near   *site.Set // nodes that it should be near, or nil
	tree   *tree     // what is free, once it is needed

	work, spent int        // steps that a search may take, and that all of them took
	space       *workspace // that searches share; nil: each has its own
}

func newHermetic(o *place.Occupancy, fabric int, kind string) *hermetic {
	h := &hermetic{o: o, fabric: fabric, kind: kind, pods: stockOf(o, fabric, kind), work: maxWork}
	for i := range h.pods {
		for j := range h.pods[i].sus {
			h.free += h.pods[i].sus[j].nodes
		}
	}
	for i := range o.Site().SUs {
		su := &o.Site().SUs[i]
		if su.Kind == kind && o.Site().Pods[su.Pod].Fabric == fabric {
			h.unit = max(h.unit, len(su.Nodes)-su.Spares)
		}
	}
	return h
}

// solve finds the best slice, or the condition that stands against one.
func (h *hermetic) solve(want int) (answer, error) {
	if want <= h.unit {
		return h.ports(want), nil
	}
	most := place.Cost{}
	flaws, wholes, halls := 0, 0, map[int]bool{}
	for i := range h.pods {
		most.Pods++
		halls[h.pods[i].hall] = true
		wholes += h.pods[i].wholes()
		for j := range h.pods[i].sus {
			most.SUs++
			most.Racks += len(h.pods[i].sus[j].racks)
			if h.pods[i].sus[j].flaws > 0 {
				flaws++
			}
		}
	}
	most.Halls = len(halls)
	tie := ties{}
	if !h.some {
		tie = newTies(most, flaws, h.free, wholes)
	}
	most.Racks = (most.Racks + 1) << tie.bits
	pack, err := newPacking(most)
	if err != nil {
		return answer{}, err
	}
	s := &search{o: h.o, pods: h.pods, want: want, pack: pack, tie: tie, some: h.some, limit: h.work, best: never, near: newBeside(h.o.Site(), h.near), seen: map[int]bool{}, shapes: claim.Chain{}, workspace: h.space}
	if s.workspace == nil {
		s.workspace = newWorkspace()
	}
	var found answer
	found.nodes, found.links, found.cut = s.solveWhole()
	h.spent += s.work
	if found.nodes != nil && !found.cut && !h.some {
		h.spent += h.gentler(s, &found)
	}
	found.least = pack.unpack(s.proven)
	found.least.Racks >>= tie.bits
	if found.condition = s.worst.condition; found.condition == 0 {
		found.condition = equalTrees
		if h.leaves() < want {
			found.condition = equalLeaves
		}
	}
	return found, nil
}

// leaves counts the nodes of all whole SUs and of the best smaller leaf.
func (h *hermetic) leaves() int {
	n, small := 0, 0
	for i := range h.pods {
		for j := range h.pods[i].sus {
			if u := &h.pods[i].sus[j]; u.whole {
				n += u.nodes
			} else {
				small = max(small, u.nodes)
			}
		}
	}
	return n + small
}

// nearest returns the sizes next to want, which has no slice, that have one. A
// slice can nearly always lose a node, so sizes that fit are those up to a
// largest, in each of the two ranges, up to an SU and above it. The exceptions are
// slices that take all that is left of an SU, or that have all of a pod, and may
// hold the last links for that. So where few nodes are free every size is tried,
// and else the range is halved: then the smaller size fits, but a larger one that
// fits may be passed over. vague says that sizes were passed over, or that the
// search for one of them was ended: another may fit all the same.
func (h *hermetic) nearest(want int) (smaller, larger int, vague bool) {
	h.spent = 0
	fits := func(n int) bool {
		if h.work = min(someWork, otherWork-h.spent); h.work <= 0 {
			vague = true
			return false
		}
		found, err := h.solve(n)
		vague = vague || found.cut && found.nodes == nil
		return err == nil && found.nodes != nil
	}
	h.some, h.space = true, newWorkspace()
	const few = 128
	if h.free <= few {
		for smaller = want - 1; smaller > 0 && !fits(smaller); smaller-- {
		}
		for n := want + 1; n <= h.free; n++ {
			if fits(n) {
				return smaller, n, vague
			}
		}
		return smaller, 0, vague
	}
	if want <= h.unit && h.free > h.unit && fits(h.unit+1) {
		larger = h.unit + 1
	}
	low, high := 0, min(want, max(h.leaves(), h.unit)+1) // low fits or is 0, high does not
	if want > h.unit+1 && fits(h.unit+1) {
		low = h.unit + 1
	} else if want > h.unit {
		high = h.unit + 1
	}
	for high-low > 1 {
		if middle := (low + high) / 2; fits(middle) {
			low = middle
		} else {
			high = middle
		}
	}
	return low, larger, true
}

func (h *hermetic) certify(ask place.Ask, found answer) (place.Slice, error) {
	s := h.o.Site()
	nodes, links := found.nodes, found.links
	if len(nodes) != ask.Nodes {
		return place.Slice{}, errors.New("place: internal error: a hermetic slice of another size than was asked; please report it with the site and the ask")
	}
	t := h.counted()
	place.RankOrder(s, nodes)
	links.Occupancy = h.o.LinksDigest(h.fabric)
	if len(links.Planes) > 0 {
		links.Pods = podLeaves(s, nodes)
	}
	cert := place.Certificate{
		Version: place.CertificateVersion, Ask: ask, Free: t.nodes, Bound: t.bound(ask.Nodes),
		Slice: place.SliceDigest(nodes), Occupancy: place.OccupancyDigest(s, t.free, h.fabric, ask.Kind), Links: links,
	}
	cert.Cost = place.CostOf(s, nodes)
	cert.Optimum = cert.Cost
	cert.Gap = cert.Optimum.Sub(cert.Bound)
	if least := found.least.WithFloor(cert.Bound); found.cut && least.Less(cert.Cost) {
		cert.Cut, cert.Least = true, &least
	}
	cert.Harm, cert.HarmBound = t.harm(nodes), h.harmBound(cert.Cost, ask.Nodes, links.Whole)
	cert.Nearness = t.nearness(nodes, cert.Cost, h.near, found.weighed)
	cert.AllReduce, cert.AllToAll = place.Collectives(s, nodes)
	cert.Proof = cert.Words()
	return place.Slice{Nodes: nodes, Certificate: cert}, nil
}
