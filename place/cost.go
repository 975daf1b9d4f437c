package place

import "fmt"

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

// WithFloor is what costs at least c, compared as costs are, and on each level by
// itself at least bound: from the first level on which bound is more it is bound.
func (c Cost) WithFloor(bound Cost) Cost {
	a, b := c.levels(), bound.levels()
	for i := range a {
		if b[i] > a[i] {
			copy(a[i:], b[i:])
			break
		}
	}
	return Cost{a[0], a[1], a[2], a[3], a[4]}
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
