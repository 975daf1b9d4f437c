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
//
// In a search for less harm (gentler.go) the harm comes before all of them, then what is far.
type ties struct {
	bits              uint // of all of them
	flaw, node, whole uint64

	harm, far struct{ halls, pods, sus uint64 }
}

// newTies gives each as many bits as it needs, as long as there are some: a site
// may be so finely divided that its cost takes them all.
func newTies(most place.Cost, flaws, nodes, wholes int) ties {
	t := ties{}
	t.weigh(most, []tieBits{{&t.flaw, bits.Len(uint(2 * flaws))}, {&t.node, bits.Len(uint(2 * nodes))}, {&t.whole, bits.Len(uint(wholes))}})
	return t
}

// newGentle is newTies for a search for less harm. Domains that are whole, and halls and
// pods that are far, are counted once, but an SU may be twice in a plan.
func newGentle(most, harmed, far place.Cost, flaws, nodes, wholes int) ties {
	t := ties{}
	up := func(n int) int { return bits.Len(uint(n)) }
	t.weigh(most, []tieBits{{&t.harm.halls, up(harmed.Halls)}, {&t.harm.pods, up(harmed.Pods)}, {&t.harm.sus, up(2 * harmed.SUs)},
		{&t.far.halls, up(far.Halls)}, {&t.far.pods, up(far.Pods)}, {&t.flaw, up(2 * flaws)}, {&t.node, up(2 * nodes)}, {&t.whole, up(wholes)}})
	return t
}

type tieBits struct {
	weight *uint64
	needs  int
}

// weigh gives what comes first its bits first, and those that need none no weight.
func (t *ties) weigh(most place.Cost, by []tieBits) {
	left := 63 - bits.Len(uint(most.SUs)) - bits.Len(uint(most.Pods)) - bits.Len(uint(most.Halls)) - bits.Len(uint(most.Racks+1))
	fit := 0
	for fit < len(by) && int(t.bits)+by[fit].needs <= left {
		t.bits += uint(by[fit].needs)
		fit++
	}
	at := t.bits
	for _, one := range by[:fit] {
		if at -= uint(one.needs); one.needs > 0 {
			*one.weight = 1 << at
		}
	}
}

// of is what an SU adds.
func (t ties) of(u *suStock) uint64 {
	c := t.node*uint64(u.nodes) + t.harm.sus*uint64(u.harm.SUs)
	if u.flaws > 0 {
		c += t.flaw
	}
	return c
}

// pod is what a pod costs.
func (s *search) pod(i int) uint64 {
	p := &s.pods[i]
	c := s.pack.pods(1) + s.tie.whole*uint64(p.wholes()) + s.tie.harm.pods*uint64(p.sus[0].harm.Pods)
	if s.near.far(s.near.pods, p.pod) {
		c += s.tie.far.pods
	}
	return c
}

// hall is what the hall of a pod costs.
func (s *search) hall(i int) uint64 {
	p := &s.pods[i]
	c := s.pack.halls(1) + s.tie.harm.halls*uint64(p.sus[0].harm.Halls)
	if s.near.far(s.near.halls, p.hall) {
		c += s.tie.far.halls
	}
	return c
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
