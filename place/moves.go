package place

import "bulkhead/site"

// MaxMoves is the most moves that a frontier looks at. A move ends what runs on a
// node, and the brake allows 64 in ten minutes: nobody moves more at once.
const MaxMoves = 128

// Move takes a slot from one node to another.
type Move struct {
	Slot int
	From site.Index
	To   site.Index
}

// Point is a point of the frontier: so many moves, and the cost of the slice after
// them. Cost.Moves is their number.
type Point struct {
	Cost  Cost
	Moves []Move
}
