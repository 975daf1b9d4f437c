package solve

import (
	"cmp"
	"slices"

	"bulkhead/place"
	"bulkhead/site"
)

// suStock is what an SU offers to a hermetic slice.
type suStock struct {
	su    int
	racks []rackStock            // free nodes by rack, the fullest first
	nodes int                    // free nodes
	whole bool                   // nobody else has a node of it
	harm  place.Harm             // of taking the first node of it, but for racks
	flaws int                    // uplinks that failed
	up    [site.Rails]place.Mask // uplinks that a slice of a part of it may hold; of rails that there are none: all, so that they are no limit

	closing bool                   // whoever takes all free nodes may hold the last uplinks too
	last    [site.Rails]place.Mask // which these are; empty where they are held or failed
}

type rackStock struct {
	at, nodes int  // first position, free nodes
	whole     bool // all of it that may be sold is free
}

// podStock is what a pod offers.
type podStock struct {
	pod, hall int
	size      int       // SUs of the pod, of any kind
	taken     int       // of these, SUs that hermetic slices have whole
	sus       []suStock // of the class, with a free node
	key       string    // see shape
}

// stockOf counts what every pod of a class offers to a hermetic slice, by hall.
// Cost: O(nodes).
func stockOf(o *place.Occupancy, fabric int, kind string) []podStock {
	s := o.Site()
	out := make([]podStock, 0, len(s.Pods))
	at := make([]int, len(s.Pods))
	for p := range s.Pods {
		if s.Pods[p].Fabric == fabric {
			out = append(out, podStock{pod: p, hall: s.Pods[p].Hall})
			at[p] = len(out)
		}
	}
	podSells, hallSells := make([]int, len(s.Pods)), make([]int, len(s.Halls))
	podFree, hallFree := make([]int, len(s.Pods)), make([]int, len(s.Halls))
	for number := range s.SUs {
		su := &s.SUs[number]
		if at[su.Pod] == 0 {
			continue
		}
		p := &out[at[su.Pod]-1]
		p.size++
		if o.Whole[number] {
			p.taken++
		}
		if su.Kind != kind {
			continue
		}
		u := suStock{su: number, whole: true}
		sells := 0
		for pos, n := range su.Nodes {
			if pos%s.RackNodes == 0 {
				u.racks = append(u.racks, rackStock{at: pos, whole: true})
			}
			if sellable(s, n) {
				sells++
			}
			switch {
			case o.Taken.Has(n):
				u.whole = false
			case sellable(s, n) && !o.Broken.Has(n):
				u.racks[len(u.racks)-1].nodes++
				u.nodes++
			}
		}
		for pos, n := range su.Nodes {
			if sellable(s, n) && (o.Taken.Has(n) || o.Broken.Has(n)) {
				u.racks[pos/s.RackNodes].whole = false
			}
		}
		if u.nodes == sells {
			u.harm.SUs = 1
		}
		hall := s.Pods[su.Pod].Hall
		podSells[su.Pod], podFree[su.Pod] = podSells[su.Pod]+sells, podFree[su.Pod]+u.nodes
		hallSells[hall], hallFree[hall] = hallSells[hall]+sells, hallFree[hall]+u.nodes
		if u.nodes == 0 {
			continue
		}
		slices.SortStableFunc(u.racks, func(a, b rackStock) int { return b.nodes - a.nodes })
		for u.racks[len(u.racks)-1].nodes == 0 {
			u.racks = u.racks[:len(u.racks)-1]
		}
		u.closing = u.nodes == others(o, number)
		for rail := range site.Rails {
			if rail >= su.Rails() {
				u.up[rail] = place.MaskBelow(place.MaskBits)
				continue
			}
			u.up[rail] = uplinks(o, number, rail, false)
			u.last[rail] = uplinks(o, number, rail, true).Minus(u.up[rail])
			u.flaws += o.FailedUp[number*site.Rails+rail].Count()
		}
		p.sus = append(p.sus, u)
	}
	for i := range out {
		p := &out[i]
		for j := range p.sus {
			if podFree[p.pod] == podSells[p.pod] {
				p.sus[j].harm.Pods = 1
			}
			if hallFree[p.hall] == hallSells[p.hall] {
				p.sus[j].harm.Halls = 1
			}
		}
	}
	out = slices.DeleteFunc(out, func(p podStock) bool { return len(p.sus) == 0 })
	slices.SortStableFunc(out, func(a, b podStock) int { return cmp.Compare(a.hall, b.hall) })
	return out
}

// shape writes what the SUs of a pod offer: equal for pods that look alike.
func (p *podStock) shape() string {
	if p.key == "" {
		b := make([]byte, 0, 18*len(p.sus))
		for i := range p.sus {
			u := &p.sus[i]
			state := byte(u.uplinks()) << 1
			if u.whole {
				state |= 1
			}
			closed := byte(0)
			if u.closing {
				closed = byte(u.closed()) + 1
			}
			b = append(b, byte(len(u.racks)), state, closed, byte(min(u.flaws, 255)), byte(u.harm.SUs))
			for _, r := range u.racks {
				b = append(b, byte(r.nodes))
			}
		}
		p.key = string(b)
	}
	return p.key
}

// cover returns how many racks, the fullest first, hold so many nodes.
func (u *suStock) cover(nodes int) int {
	r := 0
	for ; nodes > 0 && r < len(u.racks); r++ {
		nodes -= u.racks[r].nodes
	}
	return r
}

// closed returns the fewest uplinks that the SU has in any plane, for a slice that
// takes all its free nodes, where that slice may hold the last ones.
func (u *suStock) closed() int {
	n := place.MaskBits
	for rail := range u.up {
		n = min(n, u.up[rail].Or(u.last[rail]).Count())
	}
	return n
}

// uplinks returns the fewest uplinks that the SU has in any plane, for a slice
// that does not have it whole.
func (u *suStock) uplinks() int {
	n := place.MaskBits
	for rail := range u.up {
		n = min(n, u.up[rail].Count())
	}
	return n
}

// uplinksFor returns the uplinks that a slice may hold that has so many nodes of it.
func (u *suStock) uplinksFor(rail, nodes int) place.Mask {
	if u.closing && nodes == u.nodes {
		return u.up[rail].Or(u.last[rail])
	}
	return u.up[rail]
}

// gentlest chooses so many racks that hold so many nodes together, of which as few as
// can be are whole: the fullest of those and of the others, in the order of racks.
func (u *suStock) gentlest(racks, nodes int) (chosen []rackStock, harmed int) {
	for ; harmed <= racks; harmed++ {
		chosen = chosen[:0]
		whole, rest, sum := harmed, racks-harmed, 0
		for _, r := range u.racks {
			left := &rest
			if r.whole {
				left = &whole
			}
			if *left > 0 {
				*left--
				sum += r.nodes
				chosen = append(chosen, r)
			}
		}
		if whole+rest == 0 && sum >= nodes {
			return chosen, harmed
		}
	}
	return u.racks[:racks], racks // as many as there are
}

// take returns nodes of so many racks of an SU, at least one of each.
func (u *suStock) take(o *place.Occupancy, racks, nodes int) []site.Index {
	s := o.Site()
	var out []site.Index
	chosen, _ := u.gentlest(racks, nodes)
	for r := range chosen {
		left := nodes - len(out) - (racks - r - 1) // one for each rack to come
		all := s.SUs[u.su].Nodes
		for _, n := range all[chosen[r].at:min(chosen[r].at+s.RackNodes, len(all))] {
			if left > 0 && sellable(s, n) && !o.Taken.Has(n) && !o.Broken.Has(n) {
				out = append(out, n)
				left--
			}
		}
	}
	return out
}
