package solve

import "bulkhead/claim"

// workspace is what searches for other sizes of one class may share: the menus of
// pods, as most relaxations see a pod alike, and space that each leaves to the next.
type workspace struct {
	menus  map[int]*menu
	names  claim.Chain
	listed int // offers in the lists of menus

	list   []offer       // of one list
	points []point       // the partial slices of one relaxation
	rungs  []rung        // and its outlook
	tables [states]dense // the partial slices that one pod makes
}

func newWorkspace() *workspace { return &workspace{menus: map[int]*menu{}, names: claim.Chain{}} }
