package solve

import (
	"fmt"
	"math/bits"

	"bulkhead/place"
)

// packing writes a cost into one integer, halls in the highest bits, so that
// comparing integers compares costs and adding integers adds them.
type packing struct{ suBit, podBit, hallBit uint }

// newPacking gives every level as many bits as its largest count needs, so that
// no sum over disjoint domains can carry into the next level.
func newPacking(most place.Cost) (packing, error) {
	racks, sus, pods, halls := bits.Len(uint(most.Racks)), bits.Len(uint(most.SUs)), bits.Len(uint(most.Pods)), bits.Len(uint(most.Halls))
	if racks+sus+pods+halls > 63 {
		return packing{}, fmt.Errorf("place: a site of %s halls/pods/SUs/racks is too finely divided: the counts must fit into 63 bits together", most)
	}
	return packing{suBit: uint(racks), podBit: uint(racks + sus), hallBit: uint(racks + sus + pods)}, nil
}

func (p packing) sus(n int) uint64   { return uint64(n) << p.suBit }
func (p packing) pods(n int) uint64  { return uint64(n) << p.podBit }
func (p packing) halls(n int) uint64 { return uint64(n) << p.hallBit }

// coarse is a cost without what stands below its SUs. Coarse costs compare and add too.
func (p packing) coarse(c uint64) uint64 { return c >> p.suBit }

func (p packing) unpack(c uint64) place.Cost {
	field := func(low, high uint) int { return int(c >> low & (1<<(high-low) - 1)) }
	return place.Cost{Halls: int(c >> p.hallBit), Pods: field(p.podBit, p.hallBit), SUs: field(p.suBit, p.podBit), Racks: field(0, p.suBit)}
}
