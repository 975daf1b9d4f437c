package solve

import "bulkhead/claim"

// workspace is what searches for other sizes of one class may share: the menus of
// pods, as most relaxations see a pod alike, and space that each leaves to the next.
type workspace struct {
	menus  map[int]*menu
	names  claim.Chain
	listed int // offers in the lists of menus

	costs  []uint64      // of one list, by nodes
	made   []madeOf      // and what is behind each
	points []point       // the partial slices of one relaxation
	rungs  []rung        // and its outlook
	tables [states]dense // the partial slices that one pod makes
}

// madeOf is so many whole SUs with a deficit, and which of the smaller leaves beside
// them, or -1.
type madeOf struct{ leaves, deficit, small int32 }

func newWorkspace() *workspace { return &workspace{menus: map[int]*menu{}, names: claim.Chain{}} }
