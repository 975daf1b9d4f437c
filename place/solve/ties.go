package solve

import (
	"math/bits"

	"bulkhead/place"
)

// ties is how slices of one cost are told apart, below the racks in a packed
// cost. First come those whose whole SUs have no failed link, because they are
// soonest given links. Then the tightest: of the SUs that it touches the fewest
// nodes are left over. Then those in pods of which the fewest SUs are whole, so
// that other pods stay so. What is left over decides what fits later, and costs
// this slice nothing.
type ties struct {
	bits              uint // of all three
	flaw, node, whole uint64
}

// newTies gives each as many bits as it needs, as long as there are some: a site
// may be so finely divided that its cost takes them all.
func newTies(most place.Cost, flaws, nodes, wholes int) ties {
	t := ties{}
	left := 63 - bits.Len(uint(most.SUs)) - bits.Len(uint(most.Pods)) - bits.Len(uint(most.Halls)) - bits.Len(uint(most.Racks+1))
	needs := [...]int{bits.Len(uint(2 * flaws)), bits.Len(uint(2 * nodes)), bits.Len(uint(wholes))}
	weights := [...]*uint64{&t.flaw, &t.node, &t.whole}
	fit := 0
	for fit < len(needs) && int(t.bits)+needs[fit] <= left {
		t.bits += uint(needs[fit])
		fit++
	}
	at := t.bits
	for i := range fit {
		at -= uint(needs[i])
		*weights[i] = 1 << at
	}
	return t
}

// of is what an SU adds.
func (t ties) of(u *suStock) uint64 {
	c := t.node * uint64(u.nodes)
	if u.flaws > 0 {
		c += t.flaw
	}
	return c
}

// pod is what a pod costs.
func (s *search) pod(i int) uint64 {
	return s.pack.pods(1) + s.tie.whole*uint64(s.pods[i].wholes())
}

// wholes counts the SUs of the pod of which nobody else has a node.
func (p *podStock) wholes() int {
	n := 0
	for i := range p.sus {
		if p.sus[i].whole {
			n++
		}
	}
	return n
}
