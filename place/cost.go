package place

import (
	"fmt"
	"math/bits"
)

// Cost is how many domains of each level a slice touches. Costs are compared
// level by level, halls first: spreading over one rack less never pays for one
// hall more.
type Cost struct {
	Halls int `json:"halls"`
	Pods  int `json:"pods"`
	SUs   int `json:"sus"`
	Racks int `json:"racks"`
	Moves int `json:"moves"` // nodes of running leases that must move; no ask of today moves any
}

// Less reports whether c is better than o.
func (c Cost) Less(o Cost) bool {
	a, b := c.levels(), o.levels()
	for i := range a {
		if a[i] != b[i] {
			return a[i] < b[i]
		}
	}
	return false
}

// Sub returns c - o, level by level.
func (c Cost) Sub(o Cost) Cost {
	return Cost{c.Halls - o.Halls, c.Pods - o.Pods, c.SUs - o.SUs, c.Racks - o.Racks, c.Moves - o.Moves}
}

// String writes halls/pods/SUs/racks, for example "2/9/198/1277".
func (c Cost) String() string {
	s := fmt.Sprintf("%d/%d/%d/%d", c.Halls, c.Pods, c.SUs, c.Racks)
	if c.Moves != 0 {
		s += fmt.Sprintf(" and %d moves", c.Moves)
	}
	return s
}

func (c Cost) levels() [5]int { return [5]int{c.Halls, c.Pods, c.SUs, c.Racks, c.Moves} }

// packing writes a cost into one integer, halls in the highest bits, so that
// comparing integers compares costs and adding integers adds them.
type packing struct{ suBit, podBit, hallBit uint }

// newPacking gives every level as many bits as its largest count needs, so that
// no sum over disjoint domains can carry into the next level.
func newPacking(most Cost) (packing, error) {
	racks, sus, pods, halls := bits.Len(uint(most.Racks)), bits.Len(uint(most.SUs)), bits.Len(uint(most.Pods)), bits.Len(uint(most.Halls))
	if racks+sus+pods+halls > 63 {
		return packing{}, fmt.Errorf("place: a site of %s halls/pods/SUs/racks is too finely divided: the counts must fit into 63 bits together", most)
	}
	return packing{suBit: uint(racks), podBit: uint(racks + sus), hallBit: uint(racks + sus + pods)}, nil
}

func (p packing) sus(n int) uint64   { return uint64(n) << p.suBit }
func (p packing) pods(n int) uint64  { return uint64(n) << p.podBit }
func (p packing) halls(n int) uint64 { return uint64(n) << p.hallBit }

func (p packing) unpack(c uint64) Cost {
	field := func(low, high uint) int { return int(c >> low & (1<<(high-low) - 1)) }
	return Cost{Halls: int(c >> p.hallBit), Pods: field(p.podBit, p.hallBit), SUs: field(p.suBit, p.podBit), Racks: field(0, p.suBit)}
}
