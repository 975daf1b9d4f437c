// Package solve finds the best slice for an ask: [Among] the free nodes of a site,
// or [On] an occupancy.
//
// It is exact: no slice of that size touches fewer halls; of those that touch as
// few, none touches fewer pods, then SUs, then racks. With hermetic links that is
// so among the slices that need not share a link.
//
// For shared links (program.go) it is a dynamic program over the tree, on staircases
// of nodes and cost (front.go); for whole racks (racks.go) the same with a cell for
// each number. For hermetic links it is branch and bound over relaxations (whole.go:
// the conditions; menu.go and relax.go: the exact knapsacks; realise.go and
// assign.go: links for what they choose), and below an SU's nodes a search over
// ports (ports.go). [Frontier] weighs moves against cost.
package solve
