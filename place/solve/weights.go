package solve

import (
	"math/bits"

	"bulkhead/place"
)

// weights is what a domain adds to a packed cost when a slice touches it. Above all
// its level's count. Then the harm: one for a domain that was whole before, halls
// first. A domain of which a node is leased is whole no more, however many are, so that
// the harm of a slice is a sum over what it touches, as its cost is; so one program
// finds both exactly. Last what is far: one for a domain that has none of the
// nodes that the slice should be near.
type weights struct {
	packing
	below   uint // bits below the racks
	harm    place.Cost
	far     place.Cost
	weighed // the whole harm, and all that is far; else only the levels that there are bits for
}

// newWeights gives every level as many bits as it needs. A slice of want nodes touches
// at most as many domains of a level, and two that are merged twice as many.
func newWeights(t *tree, want int) (weights, error) {
	size := func(n int) int { return bits.Len(uint(min(n, 2*want))) }
	most := t.most
	most.Racks, most.SUs, most.Pods, most.Halls = min(most.Racks, 2*want), min(most.SUs, 2*want), min(most.Pods, 2*want), min(most.Halls, 2*want)
	left := 63 - bits.Len(uint(most.Halls)) - bits.Len(uint(most.Pods)) - bits.Len(uint(most.SUs)) - bits.Len(uint(most.Racks))
	var w weights
	levels := []struct {
		weight *int
		needs  int
	}{
		{&w.harm.Halls, size(t.wholes.Halls)}, {&w.harm.Pods, size(t.wholes.Pods)}, {&w.harm.SUs, size(t.wholes.SUs)}, {&w.harm.Racks, size(t.wholes.Racks)},
		{&w.far.Halls, size(t.fars.Halls)}, {&w.far.Pods, size(t.fars.Pods)}, {&w.far.SUs, size(t.fars.SUs)},
	}
	if want > place.RackHarmNodes {
		levels[3].needs = 0
	}
	fit, sum := 0, 0
	for fit < len(levels) && sum+levels[fit].needs <= left {
		sum += levels[fit].needs
		fit++
	}
	w.below, w.weighed = uint(sum), weighed{harm: fit >= 4, near: fit == len(levels)}
	for _, l := range levels[:fit] {
		if sum -= l.needs; l.needs > 0 {
			*l.weight = 1 << sum
		}
	}
	most.Racks = most.Racks<<w.below | (1<<w.below - 1)
	var err error
	w.packing, err = newPacking(most)
	return w, err
}

func (w *weights) racks(n, whole int) uint64 { return uint64(n)<<w.below + uint64(whole*w.harm.Racks) }
func (w *weights) su(m mark) uint64          { return w.sus(1) + m.of(w.harm.SUs, w.far.SUs) }
func (w *weights) pod(m mark) uint64         { return w.pods(1) + m.of(w.harm.Pods, w.far.Pods) }
func (w *weights) hall(m mark) uint64        { return w.halls(1) + m.of(w.harm.Halls, w.far.Halls) }

func (m mark) of(harm, far int) (c uint64) {
	if m.all {
		c += uint64(harm)
	}
	if m.far {
		c += uint64(far)
	}
	return c
}

// cost is the domains of a packed cost.
func (w *weights) cost(c uint64) place.Cost {
	out := w.unpack(c)
	out.Racks >>= w.below
	return out
}
