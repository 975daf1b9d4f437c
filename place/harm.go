package place

import (
	"cmp"
	"fmt"
)

// RackHarmNodes is the largest ask of which the solver says that its harm is the least
// down to the racks. Above, racks that are whole are spared only where one rack can
// stand in for another: to weigh all sets of them takes several times as long, for the
// few that a slice of many SUs does not use up.
const RackHarmNodes = 128

// Harm is what a slice leaves less whole: the domains of each level that could be
// sold whole before, all of their nodes of the class being free that may be sold, and
// of which a node is the slice's now. A domain that somebody had a node of already
// is harmed no more. Where a kind's racks are NVLink domains, these are the racks.
// Harms are compared level by level, halls first, among slices of one cost.
type Harm struct {
	Halls int `json:"halls"`
	Pods  int `json:"pods"`
	SUs   int `json:"sus"`
	Racks int `json:"racks"`
}

// Compare is negative where h is less than o, and 0 where they are the same.
func (h Harm) Compare(o Harm) int {
	return cmp.Or(h.Halls-o.Halls, h.Pods-o.Pods, h.SUs-o.SUs, h.Racks-o.Racks)
}

// String writes halls/pods/SUs/racks.
func (h Harm) String() string {
	return fmt.Sprintf("%d/%d/%d/%d", h.Halls, h.Pods, h.SUs, h.Racks)
}
