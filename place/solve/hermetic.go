package solve

import (
	"errors"

	"bulkhead/claim"
	"bulkhead/place"
	"bulkhead/site"
)

// solveHermetic answers an ask for hermetic links. A refusal names the nearest
// sizes if so wanted, which takes several times as long as the refusal.
func solveHermetic(o *place.Occupancy, ask place.Ask, nearest bool) (place.Slice, error) {
	fabric, err := fabricOf(ask, o.Site())
	if err != nil {
		return place.Slice{}, err
	}
	h := &hermetic{o: o, fabric: fabric, kind: ask.Kind, pods: stockOf(o, fabric, ask.Kind)}
	for i := range h.pods {
		for j := range h.pods[i].sus {
			h.free += h.pods[i].sus[j].nodes
		}
	}
	for i := range o.Site().SUs {
		su := &o.Site().SUs[i]
		if su.Kind == ask.Kind && o.Site().Pods[su.Pod].Fabric == fabric {
			h.unit = max(h.unit, len(su.Nodes)-su.Spares)
		}
	}
	if h.free < ask.Nodes {
		return place.Slice{}, &place.NoFitError{Ask: ask, Have: h.free, Short: ask.Nodes - h.free,
			Elsewhere: stock(o.Site(), o.Untaken(), site.Class{Fabric: ask.Fabric, Kind: ask.Kind})}
	}
	nodes, links, cut, bad, err := h.solve(ask.Nodes)
	if err != nil {
		return place.Slice{}, err
	}
	if nodes == nil {
		e := &place.NoSliceError{Ask: ask, Condition: bad, Cut: cut, Looked: nearest}
		if nearest {
			e.Smaller, e.Larger, e.Vague = h.nearest(ask.Nodes)
		}
		return place.Slice{}, e
	}
	return h.certify(ask, nodes, links, cut)
}

// hermetic is one ask for hermetic links, or several of one class.
type hermetic struct {
	o      *place.Occupancy
	fabric int
	kind   string
	pods   []podStock
	free   int  // nodes of the class
	unit   int  // nodes for sale in its largest SU
	some   bool // any slice will do, not the best
}

// solve finds the best slice, or the condition that stands against one.
func (h *hermetic) solve(want int) (nodes []site.Index, links *place.LinkSet, cut bool, condition int, err error) {
	if want <= h.unit {
		nodes, links, cut, condition = h.ports(want)
		return nodes, links, cut, condition, nil
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
		return nil, nil, false, 0, err
	}
	s := &search{o: h.o, pods: h.pods, want: want, pack: pack, tie: tie, some: h.some, menus: map[int]*menu{}, names: claim.Chain{}, seen: map[int]bool{}, shapes: claim.Chain{}}
	nodes, links, cut = s.solveWhole()
	if nodes != nil {
		return nodes, links, cut, 0, nil
	}
	condition = s.worst.condition
	if condition == 0 {
		condition = equalTrees
		if h.leaves() < want {
			condition = equalLeaves
		}
	}
	return nil, nil, cut, condition, nil
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
	fits := func(n int) bool {
		nodes, _, cut, _, err := h.solve(n)
		vague = vague || cut && nodes == nil
		return err == nil && nodes != nil
	}
	h.some = true
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

func (h *hermetic) certify(ask place.Ask, nodes []site.Index, links *place.LinkSet, cut bool) (place.Slice, error) {
	s := h.o.Site()
	if len(nodes) != ask.Nodes {
		return place.Slice{}, errors.New("place: internal error: a hermetic slice of another size than was asked; please report it with the site and the ask")
	}
	free := h.o.Untaken()
	t := newTree(s, free, h.fabric, ask.Kind, nil)
	place.RankOrder(s, nodes)
	links.Occupancy = h.o.LinksDigest(h.fabric)
	if len(links.Planes) > 0 {
		links.Pods = podLeaves(s, nodes)
	}
	cert := place.Certificate{
		Version: place.CertificateVersion, Ask: ask, Free: t.nodes, Bound: t.bound(ask.Nodes),
		Slice: place.SliceDigest(nodes), Occupancy: place.OccupancyDigest(s, free, h.fabric, ask.Kind), Links: links, Cut: cut,
	}
	cert.Cost = place.CostOf(s, nodes)
	cert.Optimum = cert.Cost
	cert.Gap = cert.Optimum.Sub(cert.Bound)
	cert.Harm = t.harm(nodes)
	cert.AllReduce, cert.AllToAll = place.Collectives(s, nodes)
	cert.Proof = cert.Words()
	return place.Slice{Nodes: nodes, Certificate: cert}, nil
}
